package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"vetting/netboot/nic"
)

// Peer is the other DHCP server of a network on which ours gives no addresses: it has an
// address for one machine, and, where it is told to, says what to load from us.
type Peer struct {
	Network netip.Prefix // our address, and the length of the network
	Names   bool         // whether it names our boot files, as it must where we only listen
}

// lease is how long the machine may keep its address.
const lease = time.Hour

// places are the peer's own address and the machine's: the last two of the network that
// are not ours.
func (p Peer) places() (self, machine netip.Addr, err error) {
	last := lastOf(p.Network)

	var free []netip.Addr
	for at := last.Prev(); p.Network.Contains(at) && len(free) < 2; at = at.Prev() {
		if at != p.Network.Addr() && at != p.Network.Masked().Addr() {
			free = append(free, at)
		}
	}

	if len(free) < 2 {
		return self, machine, fmt.Errorf("the network %s has no room for another DHCP server and a machine", p.Network.Masked())
	}

	return free[0], free[1], nil
}

// lastOf is the broadcast address of a network.
func lastOf(network netip.Prefix) netip.Addr {
	b := network.Masked().Addr().As4()
	for bit := network.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}

	return netip.AddrFrom4(b)
}

// Serve answers at the switch of the segment until ctx ends.
func (s *Segment) Serve(ctx context.Context, p Peer) error {
	self, machine, err := p.places()
	if err != nil {
		return err
	}

	if err := s.reside(netip.PrefixFrom(self, p.Network.Bits())); err != nil {
		return err
	}

	conn, err := s.listen(ctx, func(ctx context.Context) (*net.UDPConn, error) { return nic.ListenUDP(ctx, bridge, dhcpv4.ServerPort) })
	if err != nil {
		return err
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	buf := make([]byte, 2048)

	for {
		n, err := conn.Read(buf)

		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("listening as the other DHCP server: %w", err)
		}

		reply := p.answer(buf[:n], self, machine)
		if reply == nil {
			continue
		}

		if _, err := conn.WriteToUDPAddrPort(reply, netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpv4.ClientPort)); err != nil {
			return fmt.Errorf("answering as the other DHCP server: %w", err)
		}
	}
}

// answer is what it says to a packet; nil for nothing.
func (p Peer) answer(packet []byte, self, machine netip.Addr) []byte {
	ask, err := dhcpv4.FromBytes(packet)
	if err != nil || ask.OpCode != dhcpv4.OpcodeBootRequest {
		return nil
	}

	kind, ok := map[dhcpv4.MessageType]dhcpv4.MessageType{
		dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck,
	}[ask.MessageType()]
	if chosen := ask.ServerIdentifier(); !ok || chosen != nil && !chosen.Equal(self.AsSlice()) {
		return nil
	}

	reply, err := dhcpv4.NewReplyFromRequest(ask, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(machine.AsSlice()),
		dhcpv4.WithServerIP(self.AsSlice()), dhcpv4.WithNetmask(net.CIDRMask(p.Network.Bits(), 32)), dhcpv4.WithLeaseTime(uint32(lease/time.Second)),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(self.AsSlice())))
	if err != nil {
		return nil
	}

	reply.SetBroadcast()

	if p.Names {
		reply.ServerIPAddr = p.Network.Addr().AsSlice()
		reply.BootFileName = p.file(ask)

		if class := ask.ClassIdentifier(); len(class) >= 10 && class[:10] == "HTTPClient" {
			reply.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))
		}
	}

	return reply.ToBytes()
}

// file is the boot file of ours that a client of its kind starts.
func (p Peer) file(ask *dhcpv4.DHCPv4) string {
	at, arch := "http://"+p.Network.Addr().String(), ask.ClientArch()

	switch {
	case slices.Contains(ask.UserClass(), "iPXE"):
		return at + "/ipxe/" + ask.ClientHWAddr.String()
	case slices.Contains(arch, iana.EFI_X86_64_HTTP):
		return at + "/boot/snponly.efi"
	case slices.Contains(arch, iana.EFI_X86_64), slices.Contains(arch, iana.EFI_BC):
		return "snponly.efi"
	default:
		return "undionly.kpxe"
	}
}
