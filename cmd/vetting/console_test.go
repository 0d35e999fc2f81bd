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

// A start that failed, or settings that do not fit, leave machines on the segment as they are.
func TestHostsUnderTestDoNotReachAConsoleThatIsServedAlone(t *testing.T) {
	host := ends{local: "10.77.0.1:8443", remote: "10.77.0.60:4000"}

	failed := deskAppliance(t, t.TempDir(), nil)
	failed.source, failed.config.Netboot.Interface = &source{origin: map[string]string{interfaceKey: consoleOrigin}}, "no-such-card"
	failed.config.Console.Listen, failed.image.Loaders = "0.0.0.0:8443", map[string][]byte{} // which cannot be served

	if err := failed.openNetbootOrNot(t.Context()); err != nil || !failed.alone {
		t.Fatalf("%v, alone: %t", err, failed.alone)
	}

	unfit := func(file string, values map[string]string, flags ...string) *appliance {
		values["netboot.pool.start"], values["netboot.pool.end"] = "10.9.0.10", "10.9.0.20"
		a := settledAppliance(t, file, values)

		for _, name := range flags {
			a.source.flags["interface"] = name
		}

		if err := a.open(t.Context(), a.takeSettled, a.openIdentity, a.openNetbootOrNot); err != nil || !a.alone {
			t.Fatalf("%v, alone: %t", err, a.alone)
		}

		a.config.Console.Listen = "0.0.0.0:8443"

		return a
	}

	for name, a := range map[string]*appliance{
		"a start that failed":       failed,
		"a test NIC of the console": unfit("log: {level: info}\n", map[string]string{interfaceKey: "eth9"}),
		"a network of the console":  unfit("netboot: {interface: eth9}\n", map[string]string{"netboot.subnet": "10.77.0.1/16", "traffic.port": "80"}),
		"a test NIC by a flag":      unfit("log: {level: info}\n", map[string]string{"traffic.port": "many"}, "eth9"),
	} {
		if admit := a.admit(); admit == nil || admit(host) || !admit(ends{local: "192.0.2.5:8443", remote: "192.0.2.77:4000"}) {
			t.Errorf("%s: a host is let in, or people are not", name)
		}
	}

	none := unfit("log: {level: info}\n", map[string]string{})
	if none.admit() != nil {
		t.Error("people of 10.77.0.0/24 are kept out, and there is no test network")
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
