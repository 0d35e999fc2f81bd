package dhcp_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// Each of these holds what netboot/quirk says under its ID. Where the packet is not a
// recorded one it is built to the bytes that the entry's source tells of.

// offered is what a machine is offered in a mode.
func offered(t *testing.T, mode dhcp.Mode, says ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()

	s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Mode = mode })

	return read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start))
}

func biosROM(more ...dhcpv4.Modifier) []dhcpv4.Modifier {
	return append([]dhcpv4.Modifier{text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)}, more...)
}

func uefiROM(more ...dhcpv4.Modifier) []dhcpv4.Modifier {
	return append([]dhcpv4.Modifier{text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7)}, more...)
}

func TestQuirkQ1AnOldROMFindsANULAfterOption67(t *testing.T) {
	for _, mode := range []dhcp.Mode{dhcp.Authoritative, dhcp.Proxy} {
		m := offered(t, mode, biosROM(with(55, 66, 67))...)
		if got := option(m, 67); string(got) != "undionly.kpxe\x00" {
			t.Errorf("%s: option 67 is %q", mode, got)
		}
	}
}

func TestQuirkQ2TheFileStandsInTheHeaderAndAs67ForWhoAsks(t *testing.T) {
	for name, c := range map[string]struct {
		list []dhcpv4.Modifier
		want bool
	}{"U-Boot and ROMs that read the header": {nil, false}, "who reads 67": {[]dhcpv4.Modifier{with(55, 1, 67)}, true}} {
		m := offered(t, dhcp.Authoritative, uefiROM(c.list...)...)
		if m.BootFileName != "snponly.efi" || (option(m, 67) != nil) != c.want {
			t.Errorf("%s: header %q, option 67 %q", name, m.BootFileName, option(m, 67))
		}
	}
}

func TestQuirkQ3UEFIGetsNoOption60AndPort4011AnswersAllTheSame(t *testing.T) {
	for name, packet := range recorded(t) {
		if !strings.HasPrefix(name, "ovmf-pxe-discover") || !bytes.Contains(packet, []byte("PXEClient:Arch:00007")) || bytes.Contains(packet, []byte("iPXE")) {
			continue
		}

		s, _ := server(t, core.BootVet)
		if m := read(t, s.Answer(packet, nil, start)); m == nil || option(m, 60) != nil || option(m, 43) != nil {
			t.Errorf("%s is offered %v", name, m)
		}
	}

	s, _ := server(t, core.BootVet)
	from := netip.MustParseAddrPort("10.77.0.20:4011")

	if m := read(t, s.AnswerBoot(ask(t, dhcpv4.MessageTypeRequest, uefiROM(uses(from.Addr()))...), nil, from, start)); m == nil || m.BootFileName != "snponly.efi" {
		t.Errorf("port 4011 said %v", m)
	}
}

// Dell T430 and T130 drop every proxy's offer with discovery control (edk2 #6944).
func TestQuirkQ4OldEDK2GetsAProxyOfferWithoutDiscoveryControlFirst(t *testing.T) {
	s, _ := server(t, core.BootVet, proxy)
	packet := ask(t, dhcpv4.MessageTypeDiscover, uefiROM()...)

	for i, want := range []bool{false, false, true} {
		m := read(t, s.Answer(packet, nil, start.Add(time.Duration(i)*5*time.Second)))
		if got := option(m, 43) != nil; got != want {
			t.Errorf("offer %d has discovery control: %t", i, got)
		}
	}
}

func TestQuirkQ15URLsHaveOurAddressInFigures(t *testing.T) {
	for name, says := range map[string][]dhcpv4.Modifier{
		"UEFI HTTP boot": {text(60, "HTTPClient:Arch:00016:UNDI:003016"), with(93, 0, 16)}, "iPXE": {text(77, "iPXE"), with(175, 19, 1, 1)},
		"iPXE without HTTP": {text(77, "iPXE")},
	} {
		m := offered(t, dhcp.Authoritative, says...)

		_, rest, ok := strings.Cut(m.BootFileName, "://")
		host, _, _ := strings.Cut(rest, "/")

		if addr, err := netip.ParseAddr(host); !ok || err != nil || addr != self {
			t.Errorf("%s is offered %q", name, m.BootFileName)
		}
	}
}

func TestQuirkQ17UEFIGetsTheProgramThatUsesTheFirmwaresDriver(t *testing.T) {
	if m := offered(t, dhcp.Authoritative, uefiROM()...); m.BootFileName != dhcp.LoaderUEFI || dhcp.LoaderUEFI != "snponly.efi" {
		t.Errorf("offered %q", m.BootFileName)
	}
}

// The program that drives the card itself would leave its frame size low.
func TestQuirkQ18TheFirmwaresDriverLeavesTheFrameSizeAlone(t *testing.T) {
	web := []dhcpv4.Modifier{text(60, "HTTPClient:Arch:00016:UNDI:003016"), with(93, 0, 16)}
	if m := offered(t, dhcp.Authoritative, web...); !strings.HasSuffix(m.BootFileName, "/snponly.efi") {
		t.Errorf("offered %q", m.BootFileName)
	}
}

func TestQuirkQ23IPXEOnANetworkOfOursWaitsForNoProxy(t *testing.T) {
	for _, says := range [][]dhcpv4.Modifier{{text(77, "iPXE"), with(175, 19, 1, 1)}, {text(77, "\x04iPXE")}} {
		if m := offered(t, dhcp.Authoritative, says...); string(option(m, 175)) != "\xb0\x01\x01" || m.BootFileName == "" {
			t.Errorf("offered %q, option 175 % x", m.BootFileName, option(m, 175))
		}
	}
}

func TestQuirkQ25OddMachineIDsAreAcceptedAndPlaceholdersAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		id   []byte
		want string
	}{
		"none":              {nil, ""},
		"empty":             {[]byte{}, ""},
		"short":             {[]byte{0, 1, 2, 3}, ""},
		"of zeroes":         {make([]byte, 17), ""},
		"of ones":           {append([]byte{0}, bytes.Repeat([]byte{255}, 16)...), ""},
		"AMI's placeholder": {[]byte("\x00\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00\x09"), ""},
		"of another type":   {append([]byte{1}, bytes.Repeat([]byte{7}, 16)...), ""},
		"a good one":        {[]byte("\x00\x10~<Z/\x1d`K\x8c\x9a\x01\x23\x45\x67\x89\xab"), "5a3c7e10-1d2f-4b60-8c9a-0123456789ab"},
	} {
		s, w := server(t, core.BootVet)
		says := biosROM()

		if c.id != nil {
			says = append(says, with(97, c.id...))
		}

		m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start))
		if m == nil || m.BootFileName != "undionly.kpxe" || !bytes.Equal(option(m, 97), c.id) {
			t.Errorf("%s: offered %v", name, m)
		}

		if got := w.steps[0].Client.UUID; got != c.want {
			t.Errorf("%s: identity %q, want %q", name, got, c.want)
		}
	}
}

func TestQuirkQ26AnAddressOfAnEarlierLifeIsIgnored(t *testing.T) {
	s, _ := server(t, core.BootVet)
	mine := lease(t, s, start)
	old := netip.MustParseAddr("10.77.0.99")

	m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, biosROM(uses(old))...), nil, start))
	if m == nil || m.YourIPAddr.String() != mine.String() || !m.ClientIPAddr.IsUnspecified() || !m.IsBroadcast() {
		t.Errorf("a DISCOVER with ciaddr is answered %v", m)
	}

	answer := s.Answer(ask(t, dhcpv4.MessageTypeRequest, biosROM(uses(old), wants(mine), with(54, self.AsSlice()...))...), nil, start)
	if m := read(t, answer); m.MessageType() != dhcpv4.MessageTypeAck || answer.To.String() != "255.255.255.255:68" {
		t.Errorf("a REQUEST with ciaddr and option 50 is answered to %s: %v", answer.To, m)
	}
}

func TestQuirkQ27AHostNameThatEndsInNULIsNoReasonForSilence(t *testing.T) {
	m := offered(t, dhcp.Authoritative, append(biosROM(), text(12, "MININT-1\x00"), with(55, 67))...)
	if m == nil || !strings.HasSuffix(string(option(m, 67)), "\x00") {
		t.Errorf("offered %v", m)
	}
}

// No answer to anybody in any mode has more of option 43 than "load the header's file"
// and the item that was asked for: no prompt (10), no menu (9), no servers (8).
func TestQuirkQ28ThereAreNoMenus(t *testing.T) {
	for _, mode := range []dhcp.Mode{dhcp.Authoritative, dhcp.Proxy} {
		for _, who := range askers() {
			s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Mode = mode })
			s.Outrank(true)

			for i := range 3 {
				m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, who.says...), nil, start.Add(time.Duration(i)*9*time.Second)))
				if m == nil {
					continue
				}

				if v := option(m, 43); v != nil && !bytes.Equal(v, []byte{6, 1, 8, 255}) {
					t.Errorf("%s is offered option 43 % x", who.name, v)
				}
			}
		}
	}
}

func TestQuirkQ30WhoHasNoAddressIsAnsweredByBroadcast(t *testing.T) {
	for name, packet := range recorded(t) {
		s, _ := server(t, core.BootVet)
		if answer := s.Answer(packet, nil, start); answer.Reply != nil && (answer.To.String() != "255.255.255.255:68" || answer.Reply[10]&0x80 == 0) {
			t.Errorf("%s is answered to %s, flags %x", name, answer.To, answer.Reply[10:12])
		}
	}
}

// GRUB takes ports 21550, 21551, … at every boot and never closes its connections.
func TestQuirkQ13WhateverRanBeforeIsGoneWhenAMachineAsksAnew(t *testing.T) {
	for _, mode := range []dhcp.Mode{dhcp.Authoritative, dhcp.Proxy} {
		var told []string

		s, _ := server(t, core.BootVet, func(c *dhcp.Config, _ *world) {
			c.Mode = mode
			c.Restarted = func(addr netip.Addr) { told = append(told, addr.String()) }
		})

		mine := netip.MustParseAddr("10.77.0.20")
		if mode == dhcp.Authoritative {
			mine = lease(t, s, start)
		} else {
			s.Learn("52:54:00:00:00:01", mine)
		}

		told = nil

		for _, quiet := range [][]byte{ // a system or our agent that goes on
			ask(t, dhcpv4.MessageTypeDiscover), ask(t, dhcpv4.MessageTypeDiscover, text(60, dhcp.AgentClass)), ask(t, dhcpv4.MessageTypeRequest, uses(mine)),
			ask(t, dhcpv4.MessageTypeDiscover, biosROM(from(2, 0, 0, 0, 0, 9))...), // has no address yet
		} {
			s.Answer(quiet, nil, start)
		}

		if told != nil {
			t.Errorf("%s: told of %v", mode, told)
		}

		for _, says := range [][]dhcpv4.Modifier{biosROM(), uefiROM(), {text(77, "iPXE")}, {text(60, "HTTPClient")}} {
			s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)
		}

		if got := strings.Join(told, " "); got != strings.TrimSpace(strings.Repeat(mine.String()+" ", 4)) {
			t.Errorf("%s: told of %q", mode, got)
		}
	}
}
