package dhcp

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/dhcp/message"
)

const (
	serverPort = 67
	clientPort = 68
)

// reply writes an OFFER, an ACK or (kind Inform) the answer to an INFORM. OFFER
// and ACK differ in option 53 alone: some ROMs take the boot file from the one,
// some from the other.
func (s *Server) reply(x *exchange, buf []byte, kind dhcpv4.MessageType, addr netip.Addr) Answer {
	m := &x.msg
	boot := s.boot(x)
	x.detail = boot.file

	r := message.Reply{
		XID: m.XID, Secs: 0, Flags: m.Flags, CIAddr: m.CIAddr, YIAddr: addr,
		SIAddr: s.cfg.Prefix.Addr(), GIAddr: m.GIAddr, MAC: m.MAC, File: boot.file,
	}

	if boot.file != "" {
		r.SName = s.selfText
	}

	if kind == dhcpv4.MessageTypeOffer {
		r.CIAddr = netip.IPv4Unspecified()
	}

	to := s.destination(x, kind)
	if to.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		r.Flags |= message.Broadcast
	}

	r.Options = s.options(x, kind, boot)
	s.count.answered.Add(1)

	return Answer{Reply: r.Append(buf[:0], m.Room()), To: to}
}

// options lists the options of a reply in the order they go out.
func (s *Server) options(x *exchange, kind dhcpv4.MessageType, boot bootReply) []message.Option {
	m, f := &x.msg, &x.net.fixed
	inform := kind == dhcpv4.MessageTypeInform

	x.room[0] = byte(kind)
	if inform {
		x.room[0] = byte(dhcpv4.MessageTypeAck)
	}

	list := append(x.options[:0], message.Option{Code: message.OptMessageType, Value: x.room[:1]},
		message.Option{Code: message.OptServerID, Value: s.serverID(x)})

	if !inform {
		list = append(list, message.Option{Code: message.OptLeaseTime, Value: f.lease})
	}

	list = append(list, message.Option{Code: message.OptSubnetMask, Value: f.mask})

	if f.router != nil {
		list = append(list, message.Option{Code: message.OptRouter, Value: f.router})
	}

	list = append(list, servers(m, f)...)

	if !inform {
		list = append(list, message.Option{Code: message.OptRenewalTime, Value: f.renew},
			message.Option{Code: message.OptRebindingTime, Value: f.rebinding})
	}

	if x.client.Kind == core.ClientUEFI && s.outrank.Load() {
		list = append(list, message.Option{Code: message.OptVendorClass, Value: []byte("PXEClient")},
			message.Option{Code: message.OptVendorInfo, Value: bypass()})
	}

	if boot.class != "" {
		list = append(list, message.Option{Code: message.OptVendorClass, Value: []byte(boot.class)})
	}

	list = append(list, bootFile(m, boot)...)

	if x.client.Kind == core.ClientIPXE {
		// no-pxedhcp: do not wait two seconds for a proxy's offer.
		list = append(list, message.Option{Code: message.OptIPXE, Value: []byte{0xb0, 1, 1}})
	}

	return echo(list, m)
}

// servers are those of names and of time, for those that ask for them: old ROMs have no
// room for what they do not want.
func servers(m *message.Message, f *fixedOptions) (list []message.Option) {
	if f.dns != nil && m.Asks(message.OptDNS) {
		list = append(list, message.Option{Code: message.OptDNS, Value: f.dns})
	}

	if f.ntp != nil && m.Asks(message.OptNTP) {
		list = append(list, message.Option{Code: message.OptNTP, Value: f.ntp})
	}

	return list
}

// bootFile is option 67, for those that ask for it and those that read nothing else;
// some read the header alone (U-Boot, old ROMs), so that the name is there as well. It
// ends in NUL: old ROMs read on to one (T460, Kontron, Jetway: they ask for "name\xff").
func bootFile(m *message.Message, boot bootReply) []message.Option {
	if !boot.long && (boot.file == "" || !m.Asks(message.OptBootFile)) {
		return nil
	}

	return []message.Option{{Code: message.OptBootFile, Value: append([]byte(boot.file), 0)}}
}

// echo gives back what identifies the exchange to the client and to relays:
// machine id, client id (RFC 6842), and last the relay's option.
func echo(list []message.Option, m *message.Message) []message.Option {
	for _, code := range []byte{message.OptMachineID, message.OptClientID, message.OptRelayInfo} {
		if m.Has(code) {
			list = append(list, message.Option{Code: code, Value: m.Option(code)})
		}
	}

	return list
}

// serverID is the value of option 54: our address, or the one that a relay wants
// its machines to know us by.
func (s *Server) serverID(x *exchange) []byte {
	id := s.cfg.Prefix.Addr()
	if x.net.relayed {
		if override, ok := subAddr(x.msg.Option(message.OptRelayInfo), relayServerID); ok {
			id = override
		}
	}

	x.server = id.As4()

	return x.server[:]
}

// destination says where a reply goes (RFC 2131 §4.1): to the relay, to the
// address a machine already uses, else to everybody, which works everywhere.
func (s *Server) destination(x *exchange, kind dhcpv4.MessageType) netip.AddrPort {
	m := &x.msg

	switch {
	case m.GIAddr != netip.IPv4Unspecified():
		return netip.AddrPortFrom(m.GIAddr, serverPort)
	case renews(m, x.kind) && kind != dhcpv4.MessageTypeNak && x.net.prefix.Contains(m.CIAddr):
		return netip.AddrPortFrom(m.CIAddr, clientPort)
	default:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)
	}
}

// refuse writes a NAK: the machine must forget the address it asks for.
func (s *Server) refuse(x *exchange, buf []byte, wish netip.Addr) Answer {
	m := &x.msg
	x.room[0] = byte(dhcpv4.MessageTypeNak)
	x.detail = wish.String() + " is not the address of this machine"
	s.witness(x, "nak", wish)

	r := message.Reply{XID: m.XID, Flags: m.Flags | message.Broadcast, GIAddr: m.GIAddr, MAC: m.MAC}
	list := append(x.options[:0], message.Option{Code: message.OptMessageType, Value: x.room[:1]},
		message.Option{Code: message.OptServerID, Value: s.serverID(x)},
		message.Option{Code: message.OptMessage, Value: []byte(x.detail)})
	r.Options = echo(list, m)
	s.count.answered.Add(1)

	return Answer{Reply: r.Append(buf[:0], m.Room()), To: s.destination(x, dhcpv4.MessageTypeNak)}
}

// bootReply is the boot part of a reply.
type bootReply struct {
	file  string
	class string // option 60
	long  bool   // option 67 even to those that do not ask for it
}

// boot chooses what a client is told to load. See the table in netboot/README.md.
func (s *Server) boot(x *exchange) bootReply {
	switch x.client.Kind {
	case core.ClientIPXE:
		return bootReply{file: s.script(x)}
	case core.ClientBIOS:
		if x.decision.Action == core.BootLocal && x.decision.Home == core.HomeMissing {
			return bootReply{file: NoBoot}
		}

		// Also for a machine that should start from its own disk: iPXE goes there
		// by sanboot, while a BIOS ROM without a boot file asks for a minute.
		return bootReply{file: ladder.File(x.decision.Loader, core.ClientBIOS)}
	case core.ClientUEFI:
		return bootReply{file: s.loader(x)}
	case core.ClientHTTP:
		// The class and the full URL, else the firmware ignores the offer.
		return bootReply{file: "http://" + s.selfText + "/boot/" + s.loader(x), class: "HTTPClient", long: true}
	case core.ClientAgent, core.ClientOther:
		return bootReply{}
	default:
		return bootReply{}
	}
}

// script is the URL of the script for an iPXE. One that has no HTTP loads ours,
// which has, over TFTP.
func (s *Server) script(x *exchange) string {
	switch {
	case x.client.web:
		return "http://" + s.selfText + "/ipxe/" + string(x.client.MAC)
	case x.client.Arch > int(iana.INTEL_X86PC):
		return "tftp://" + s.selfText + "/" + s.loader(x)
	default:
		return "tftp://" + s.selfText + "/" + LoaderBIOS
	}
}

// loader is the program for a UEFI machine, or the name of none.
func (s *Server) loader(x *exchange) string {
	rung, kind := x.decision.Loader, x.client.Kind

	switch {
	case x.decision.Action == core.BootVet:
	case x.decision.Chain != "" && rung != core.LoaderShim && rung != core.LoaderUKI:
		kind = core.ClientIPXE // which alone can be sent somewhere
	case x.decision.Chain == "" && ladder.LeadsHome(&x.decision):
	default:
		return NoBoot
	}

	switch iana.Arch(x.client.Arch) { //nolint:gosec,exhaustive // an architecture is 16 bits; the others have no loader
	case iana.EFI_BC, iana.EFI_X86_64, iana.EFI_X86_64_HTTP, iana.EFI_BC_HTTP:
		return ladder.File(rung, kind)
	case iana.EFI_ARM64, iana.EFI_ARM64_HTTP: // of the live image there is none for it, but somebody may be watching
		return ladder.FileARM64
	default:
		return NoBoot
	}
}
