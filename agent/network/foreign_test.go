package network_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"

	"vetting/agent/network"
)

// away has f run in a network namespace of its own, which has a cable from port0 to far0.
func away(t *testing.T, f func()) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}

	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is not installed")
	}

	done := make(chan struct{})

	go func() { // its thread dies with it, and the namespace with its thread
		defer close(done)

		runtime.LockOSThread()

		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)

			return
		}

		for _, args := range [][]string{
			{"link", "add", "port0", "type", "veth", "peer", "name", "far0"},
			{"link", "set", "port0", "up"},
			{"link", "set", "far0", "up"},
		} {
			if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
				t.Errorf("ip %v: %v: %s", args, err, out)

				return
			}
		}

		f()
	}()

	<-done
}

// dhcp are the DHCP servers at the far end of a cable.
type dhcp struct {
	conn    net.PacketConn
	offers  []network.Lease // one of each server
	instead network.Lease   // what is acknowledged; not valid: what was offered

	heard []dhcpv4.MessageType
	ended chan struct{} // heard is complete then
}

// serve answers until stop is called, which returns what was heard.
func serve(t *testing.T, offers []network.Lease, instead network.Lease) (stop func() []dhcpv4.MessageType) {
	t.Helper()

	conn, err := nclient4.NewRawUDPConn("far0", nclient4.ServerPort)
	if err != nil {
		t.Error(err)

		return func() []dhcpv4.MessageType { return nil }
	}

	d := &dhcp{conn: conn, offers: offers, instead: instead, ended: make(chan struct{})}

	go d.answer()

	return func() []dhcpv4.MessageType {
		d.last(t)
		<-d.ended

		_ = conn.Close()

		return d.heard
	}
}

func (d *dhcp) answer() {
	defer close(d.ended)

	room := make([]byte, 2048)

	for {
		n, _, err := d.conn.ReadFrom(room)
		if err != nil {
			return
		}

		m, err := dhcpv4.FromBytes(room[:n])
		if err != nil || m.OpCode != dhcpv4.OpcodeBootRequest {
			continue
		}

		if m.MessageType() == dhcpv4.MessageTypeInform { // the last one
			return
		}

		d.heard = append(d.heard, m.MessageType())

		for _, lease := range d.offers {
			switch id := net.IP(lease.DHCP.AsSlice()); {
			case m.MessageType() == dhcpv4.MessageTypeDiscover:
				d.send(m, dhcpv4.MessageTypeOffer, lease)
			case m.MessageType() == dhcpv4.MessageTypeRequest && m.ServerIdentifier().Equal(id):
				if d.instead.Addr.IsValid() {
					lease = d.instead
				}

				d.send(m, dhcpv4.MessageTypeAck, lease)
			}
		}
	}
}

// last sends what ends the servers, behind all else that went through the port.
func (d *dhcp) last(t *testing.T) {
	t.Helper()

	conn, err := nclient4.NewRawUDPConn("port0", nclient4.ClientPort)
	if err != nil {
		t.Error(err)
		_ = d.conn.Close()

		return
	}

	defer conn.Close() //nolint:errcheck // of a test

	inform, err := dhcpv4.NewInform(net.HardwareAddr{2, 0, 0, 0, 0, 9}, net.IPv4(10, 77, 0, 9))
	if err == nil {
		_, err = conn.WriteTo(inform.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: nclient4.ServerPort})
	}

	if err != nil {
		t.Error(err)
		_ = d.conn.Close()
	}
}

func (d *dhcp) send(to *dhcpv4.DHCPv4, kind dhcpv4.MessageType, lease network.Lease) {
	answer, err := dhcpv4.NewReplyFromRequest(to, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(lease.Addr.Addr().AsSlice()),
		dhcpv4.WithNetmask(net.CIDRMask(lease.Addr.Bits(), 32)), dhcpv4.WithServerIP(lease.Server.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(lease.DHCP.AsSlice())), dhcpv4.WithLeaseTime(600))
	if err == nil {
		_, _ = d.conn.WriteTo(answer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: nclient4.ClientPort}) // who gets none asks again
	}
}

// lease is one of a server.
func lease(addr, server, id string) network.Lease {
	return network.Lease{Addr: netip.MustParsePrefix(addr), Server: netip.MustParseAddr(server), DHCP: netip.MustParseAddr(id)}
}

// TestAForeignServerIsAskedForNothing: whoever offers an address of another network, be
// its range the same, hears no request, and the port gets no address.
func TestAForeignServerIsAskedForNothing(t *testing.T) {
	t.Parallel()

	boot := lease("10.77.0.50/24", "10.77.0.1", "10.77.0.1")
	boot.Interface = "boot0"

	ours := lease("10.77.0.51/24", "10.77.0.1", "10.77.0.1")
	other := lease("192.168.1.7/24", "192.168.1.1", "192.168.1.1")
	twin := lease("10.77.0.51/24", "10.77.0.254", "10.77.0.254")
	half := lease("10.77.0.51/24", "10.77.0.1", "10.77.0.254")

	for name, c := range map[string]struct {
		offers  []network.Lease
		instead network.Lease
		given   bool
		asked   []dhcpv4.MessageType // besides questions
	}{
		"ours":                          {[]network.Lease{ours}, network.Lease{}, true, []dhcpv4.MessageType{dhcpv4.MessageTypeRequest}},
		"another network":               {[]network.Lease{other}, network.Lease{}, false, nil},
		"another of the same range":     {[]network.Lease{twin}, network.Lease{}, false, nil},
		"another server of the network": {[]network.Lease{half}, network.Lease{}, false, nil},
		"ours, after another":           {[]network.Lease{other, ours}, network.Lease{}, true, []dhcpv4.MessageType{dhcpv4.MessageTypeRequest}},
		"ours, which gives another one": {[]network.Lease{ours}, lease("10.78.0.51/24", "10.77.0.1", "10.77.0.1"), false, []dhcpv4.MessageType{dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeRelease}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			away(t, func() {
				stop := serve(t, c.offers, c.instead)
				addr, drop, err := network.NewAddresses(boot, slog.New(slog.DiscardHandler)).Address(t.Context(), "port0")
				set := addresses(t)
				heard := stop()

				if c.given != (err == nil) || !c.given && !errors.Is(err, network.ErrElsewhere) {
					t.Errorf("%v %v", addr, err)
				}

				if slices.Contains(set, "10.77.0.51/24") != c.given || slices.Contains(set, "192.168.1.7/24") {
					t.Errorf("the port has %v", set)
				}

				if err == nil {
					drop()
				}

				asked := slices.DeleteFunc(heard, func(m dhcpv4.MessageType) bool { return m == dhcpv4.MessageTypeDiscover })
				if len(heard) == 0 || !slices.Equal(asked, c.asked) {
					t.Errorf("the servers heard %v, want %v", asked, c.asked)
				}
			})
		})
	}
}

// addresses are those of the port.
func addresses(t *testing.T) (all []string) {
	t.Helper()

	port, err := net.InterfaceByName("port0")
	if err != nil {
		t.Error(err)

		return nil
	}

	addrs, err := port.Addrs()
	if err != nil {
		t.Error(err)
	}

	for _, addr := range addrs {
		all = append(all, addr.String())
	}

	return all
}
