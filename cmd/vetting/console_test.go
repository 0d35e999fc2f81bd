package main

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// ends is a connection between two addresses.
type ends struct {
	net.Conn

	local, remote string
}

func (e ends) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.local)) }
func (e ends) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.remote))
}

func TestHostsUnderTestDoNotReachTheConsole(t *testing.T) {
	for name, test := range map[string]struct {
		listen, local, remote string
		want                  bool
	}{
		"a person on another card":                   {"0.0.0.0:8443", "192.0.2.5:8443", "192.0.2.77:4000", true},
		"a person at the machine":                    {":8443", "127.0.0.1:8443", "127.0.0.1:4000", true},
		"a person over IPv6":                         {"[::]:8443", "[2001:db8::5]:8443", "[2001:db8::7]:4000", true},
		"a host at the test NIC's address":           {"0.0.0.0:8443", "10.77.0.1:8443", "10.77.0.60:4000", false},
		"the same with an address mapped into IPv6":  {"[::]:8443", "[::ffff:10.77.0.1]:8443", "[::ffff:10.77.0.60]:4000", false},
		"a host that sends to the other card":        {"192.0.2.5:8443", "192.0.2.5:8443", "10.77.0.60:4000", false},
		"a host with an address that it made up":     {"0.0.0.0:8443", "10.77.0.1:8443", "192.0.2.77:4000", false},
		"a host by the link's own address":           {"[::]:8443", "[fe80::1%lo]:8443", "[fe80::2%lo]:4000", false},
		"a host by the test NIC's other address":     {"[::]:8443", "[::1]:8443", "[2001:db8::7]:4000", false},
		"a console that is meant for the test hosts": {"10.77.0.1:8443", "10.77.0.1:8443", "10.77.0.60:4000", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &appliance{config: Defaults(), self: netip.MustParsePrefix("10.77.0.1/24")}
			a.config.Console.Listen, a.config.Netboot.Interface = test.listen, "lo"

			admit := a.admit()
			if got := admit == nil || admit(ends{local: test.local, remote: test.remote}); got != test.want {
				t.Errorf("admitted: %v", got)
			}
		})
	}
}

func TestLinksLeadToWherePeopleReachTheConsole(t *testing.T) {
	for want, console := range map[string]ConsoleConfig{
		"":                         {Listen: "192.0.2.5:8443"},
		"https://vetting.lan":      {Listen: "0.0.0.0:8443", URL: "https://vetting.lan"},
		"https://the-card's-own:1": {Listen: "[::]:1"},
	} {
		got := console.base("lo")

		if strings.Contains(want, "own") {
			host, port, err := net.SplitHostPort(strings.TrimPrefix(got, "https://"))
			addr, bad := netip.ParseAddr(host)

			if err != nil || bad != nil || port != "1" || addr.IsUnspecified() {
				t.Errorf("%s", got)
			}

			continue
		}

		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A desk appliance listens on 127.0.0.1; with the test network there, nobody gets in.
func TestTheListenerItselfKeepsHostsOut(t *testing.T) {
	a := deskAppliance(t, t.TempDir(), func(a *appliance) { a.config.Netboot.Subnet, a.config.Netboot.Pool = "127.0.0.2/8", PoolConfig{} })

	client := http.Client{Transport: insecure()}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.ui.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}

	answer, err := client.Do(request)
	if err == nil {
		t.Errorf("status %d", answer.StatusCode)

		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}
