package dhcp6_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"vetting/core"
	"vetting/netboot/dhcp6"
)

// The packets are built as EDK2 builds them (NetworkPkg/UefiPxeBcDxe/PxeBcDhcp6.c,
// PxeBcBuildDhcp6Options, and Dhcp6Dxe): a client identifier made of the SMBIOS UUID, one
// association, and the options request list, network interface, architecture and vendor
// class. The OVMF of Debian 12 ends its IPv6 boot with PXE-E07 before it sends one.

const known = core.MAC("52:54:00:00:00:01")

var (
	knownAddr = netip.MustParseAddr("fe80::5054:ff:fe00:1")
	otherAddr = netip.MustParseAddr("fe80::5054:ff:fe00:99")
	start     = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func server(t testing.TB, file string) (*dhcp6.Server, *[]core.BootStep) {
	t.Helper()

	var steps []core.BootStep

	card := &net.Interface{Name: "none", HardwareAddr: net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}}

	return dhcp6.New(dhcp6.Config{
		Card: card, Self: netip.MustParseAddr("fe80::5054:ff:fe77:1%none"), Prefix: dhcp6.Network(card.HardwareAddr),
		Boot:    func(c core.BootClient) (string, bool) { return file, c.MAC == known },
		Quiet:   func() bool { return file == "" },
		Witness: func(step core.BootStep) { steps = append(steps, step) }, Log: slog.New(slog.DiscardHandler),
	}), &steps
}

// firmware is what EDK2 says, by the type of message.
func firmware(t testing.TB) map[string][]byte {
	t.Helper()

	all := map[string][]byte{}
	ours := &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}}

	for name, c := range map[string]struct {
		kind dhcpv6.MessageType
		more []dhcpv6.Option
	}{
		"solicit": {dhcpv6.MessageTypeSolicit, nil}, "request": {dhcpv6.MessageTypeRequest, []dhcpv6.Option{dhcpv6.OptServerID(ours)}},
		"renew": {dhcpv6.MessageTypeRenew, []dhcpv6.Option{dhcpv6.OptServerID(ours)}}, "rebind": {dhcpv6.MessageTypeRebind, nil},
	} {
		m := &dhcpv6.Message{MessageType: c.kind, TransactionID: dhcpv6.TransactionID{1, 2, 3}}
		m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDUUID{UUID: [16]byte{0x5a, 0x3c, 0x7e, 0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}))
		m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}})
		m.AddOption(dhcpv6.OptElapsedTime(0))

		for _, o := range c.more {
			m.AddOption(o)
		}

		m.AddOption(dhcpv6.OptRequestedOption(dhcpv6.OptionBootfileURL, dhcpv6.OptionBootfileParam, dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionVendorClass))
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionNII, OptionData: []byte{1, 3, 16}})
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientArchType, OptionData: []byte{0, 7}})
		// Enterprise number of Intel, 343, and one text of 32 bytes.
		m.AddOption(&dhcpv6.OptionGeneric{
			OptionCode: dhcpv6.OptionVendorClass,
			OptionData: append([]byte{0, 0, 1, 0x57, 0, 32}, "PXEClient:Arch:00007:UNDI:003016"...),
		})
		all[name] = m.ToBytes()
	}

	return all
}

// read is an answer as another reader understands it.
func read(t *testing.T, reply []byte) *dhcpv6.Message {
	t.Helper()

	if reply == nil {
		return nil
	}

	m, err := dhcpv6.MessageFromBytes(reply)
	if err != nil {
		t.Fatal(err)
	}

	return m
}

func TestFirmwareIsAnswered(t *testing.T) {
	for name, packet := range firmware(t) {
		for file, url := range map[string]string{"snponly.efi": "tftp://[fe80::5054:ff:fe77:1]/snponly.efi", "no-boot": "tftp://[fe80::5054:ff:fe77:1]/no-boot"} {
			s, steps := server(t, file)
			m := read(t, s.Answer(packet, nil, knownAddr, start))

			want := dhcpv6.MessageTypeReply
			if packet[0] == 1 {
				want = dhcpv6.MessageTypeAdvertise
			}

			if m == nil || m.MessageType != want || m.Options.BootFileURL() != url {
				t.Errorf("%s: answered %v", name, m)

				continue
			}

			ia := m.Options.OneIANA()
			if ia == nil || ia.Options.OneAddress() == nil || ia.Options.OneAddress().IPv6Addr.String() != "fd52:5400:7700:100:5054:ff:fe00:1" {
				t.Errorf("%s: association %v", name, ia)
			}

			if len(*steps) != 1 || (*steps)[0].MAC != known || (*steps)[0].Kind != "dhcp6" {
				t.Errorf("%s: steps %+v", name, *steps)
			}
		}
	}
}

func TestStrangersAndWhoeverIsNoFirmwareHearNothing(t *testing.T) {
	s, steps := server(t, "no-boot")
	quiet, _ := server(t, "")

	for name, packet := range firmware(t) {
		for why, reply := range map[string][]byte{
			"a stranger":                               s.Answer(packet, nil, otherAddr, start),
			"from beyond a router":                     s.Answer(packet, nil, netip.MustParseAddr("2001:db8::5054:ff:fe00:1"), start),
			"while another DHCP server is there":       quiet.Answer(packet, nil, knownAddr, start),
			"from an address that tells no MAC":        s.Answer(packet, nil, netip.MustParseAddr("fe80::1"), start),
			"a system, which has no vendor class":      s.Answer(without(t, packet, dhcpv6.OptionVendorClass), nil, knownAddr, start),
			"through a relay, which there is none for": s.Answer(append([]byte{12}, packet[1:]...), nil, knownAddr, start),
			"for another server":                       s.Answer(with(t, packet, dhcpv6.OptServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}})), nil, knownAddr, start),
			"without an identifier":                    s.Answer(without(t, packet, dhcpv6.OptionClientID), nil, knownAddr, start),
			"cut short":                                s.Answer(packet[:len(packet)-1], nil, knownAddr, start),
		} {
			if reply != nil {
				t.Errorf("%s: %s is answered", name, why)
			}
		}
	}

	if len(*steps) != 0 {
		t.Errorf("noted %+v", *steps)
	}
}

// A machine whose link-local address does not tell is known by its DUID.
func TestAMachineIsKnownByItsDUID(t *testing.T) {
	hardware := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	stranger := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0x99}
	packet := firmware(t)["solicit"]

	for name, c := range map[string]struct {
		duid dhcpv6.DUID
		from netip.Addr
		want bool
	}{
		"link layer":             {&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: hardware}, netip.MustParseAddr("fe80::1"), true},
		"link layer and time":    {&dhcpv6.DUIDLLT{HWType: 1, Time: 1, LinkLayerAddr: hardware}, netip.MustParseAddr("fe80::1"), true},
		"a stranger's":           {&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: stranger}, netip.MustParseAddr("fe80::1"), false},
		"known, from a stranger": {&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: hardware}, otherAddr, false},
		"of another kind of net": {&dhcpv6.DUIDLL{HWType: 32, LinkLayerAddr: hardware}, netip.MustParseAddr("fe80::1"), false},
	} {
		s, _ := server(t, "no-boot")
		if got := s.Answer(with(t, without(t, packet, dhcpv6.OptionClientID), dhcpv6.OptClientID(c.duid)), nil, c.from, start) != nil; got != c.want {
			t.Errorf("%s: answered %t", name, got)
		}
	}
}

func TestAddressesFollowFromTheMAC(t *testing.T) {
	s, _ := server(t, "no-boot")

	for addr, want := range map[string]core.MAC{
		"fd52:5400:7700:100:5054:ff:fe00:1": known, "fe80::5054:ff:fe00:1%nb0": known, "fd52:5400:7700:100::1": "", "fd00::5054:ff:fe00:1": "", "10.77.0.20": "", "::1": "",
	} {
		if got, ok := s.Holder(netip.MustParseAddr(addr)); ok && got != want || !ok && want != "" {
			t.Errorf("%s is %q (%t), want %q", addr, got, ok, want)
		}
	}
}

func without(t *testing.T, packet []byte, code dhcpv6.OptionCode) []byte {
	t.Helper()

	m := read(t, packet)
	m.Options.Del(code)

	return m.ToBytes()
}

func with(t *testing.T, packet []byte, o dhcpv6.Option) []byte {
	t.Helper()

	m := read(t, packet)
	m.UpdateOption(o)

	return m.ToBytes()
}

// FuzzAnswer: no packet is our fault, no stranger is answered, and what leaves can be read
// and is not larger than what came by more than our own words.
func FuzzAnswer(f *testing.F) {
	for _, packet := range firmware(f) {
		f.Add(packet, true)
		f.Add(packet, false)
	}

	s, _ := server(f, "snponly.efi")

	f.Fuzz(func(t *testing.T, packet []byte, friend bool) {
		from := knownAddr
		if !friend {
			from = otherAddr
		}

		reply := s.Answer(packet, nil, from, start)

		switch {
		case reply == nil:
			return
		case !friend:
			t.Error("a stranger was answered")
		case len(reply) > len(packet)+200:
			t.Errorf("%d bytes for %d", len(reply), len(packet))
		}

		m, err := dhcpv6.MessageFromBytes(reply)
		if err != nil && strings.Contains(err.Error(), "DUID") {
			return // the client's, which is given back as it came (RFC 8415 §11: opaque)
		}

		if err != nil || m.TransactionID != dhcpv6.TransactionID(packet[1:4]) {
			t.Errorf("the reply cannot be read: %v (%v)", m, err)
		}
	})
}
