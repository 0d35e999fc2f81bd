package dhcp_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// TestBootServer is the table of what port 4011 says, in full.
func TestBootServer(t *testing.T) {
	asker := netip.MustParseAddrPort("10.77.0.20:4711")
	item := with(43, 71, 4, 0x80, 0, 0, 0, 255)

	for _, c := range []struct {
		name    string
		kind    dhcpv4.MessageType
		options []dhcpv4.Modifier
	}{
		{"bios", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)}},
		{"bios-item", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0), item, with(97, make([]byte, 17)...)}},
		{"uefi", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7), with(61, 1, 2, 3)}},
		{"uefi-item", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7), with(43, 0, 12, 1, 9, 71, 4, 0, 0, 0, 0)}},
		{"uefi-item-cut-short", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 7), with(43, 71, 4, 0)}},
		{"uefi-item-of-odd-length", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 7), with(43, 71, 2, 0, 0)}},
		{"http", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "HTTPClient:Arch:00016:UNDI:003016"), with(93, 0, 16)}},
		{"ipxe", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(77, "iPXE"), with(93, 0, 0), with(175, 19, 1, 1)}},
		{"inform", dhcpv4.MessageTypeInform, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)}},
		{"os", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{text(60, "udhcp 1.35.0")}},
		{"discover", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder

			packet := ask(t, c.kind, append(c.options, uses(asker.Addr()))...)

			for _, action := range []core.BootAction{core.BootVet, core.BootLocal, core.BootIgnore} {
				s, w := server(t, action)
				answer := s.AnswerBoot(packet, nil, asker, start)

				out.WriteString("== " + string(action) + ": " + w.kinds() + "\n")
				dump(t, &out, answer)
			}

			golden(t, filepath.Join("testdata", "golden", "4011", c.name+".txt"), out.String())
		})
	}
}

func TestBootServerOfRecordedRequests(t *testing.T) {
	names, err := filepath.Glob("testdata/4011/*.bin")
	if err != nil || len(names) == 0 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	for _, name := range names {
		packet, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		var out strings.Builder

		s, w := server(t, core.BootVet, proxy)
		answer := s.AnswerBoot(packet, nil, netip.MustParseAddrPort("10.77.0.210:4011"), start)

		out.WriteString(w.kinds() + "\n")
		dump(t, &out, answer)
		golden(t, filepath.Join("testdata", "golden", "4011", "recorded-"+strings.TrimSuffix(filepath.Base(name), ".bin")+".txt"), out.String())
	}
}

func TestTheBootServerAnswersOnlyItsOwnNetwork(t *testing.T) {
	packet := ask(t, dhcpv4.MessageTypeRequest, text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7))

	for _, from := range []string{"10.78.0.1:4011", "0.0.0.0:68", "[fd00::1]:4011", "255.255.255.255:68"} {
		s, _ := server(t, core.BootVet)
		if s.AnswerBoot(packet, nil, netip.MustParseAddrPort(from), start).Reply != nil {
			t.Errorf("%s was answered", from)
		}
	}

	s, _ := server(t, core.BootVet)
	if s.AnswerBoot(packet, nil, netip.AddrPort{}, start).Reply != nil {
		t.Error("nobody was answered")
	}
}

func TestWhileAnotherServerIsAtWorkNobodyIsAnswered(t *testing.T) {
	quiet := true
	s, w := server(t, core.BootVet, func(c *dhcp.Config, _ *world) { c.Quiet = func() bool { return quiet } })
	mine := netip.MustParseAddr("10.77.0.20")

	for _, packet := range [][]byte{
		ask(t, dhcpv4.MessageTypeDiscover), ask(t, dhcpv4.MessageTypeRequest, wants(mine)),
		ask(t, dhcpv4.MessageTypeRequest, uses(mine)), ask(t, dhcpv4.MessageTypeInform, uses(mine)),
	} {
		if s.Answer(packet, nil, start).Reply != nil {
			t.Errorf("%x was answered", packet)
		}
	}

	if s.AnswerBoot(ask(t, dhcpv4.MessageTypeRequest, text(60, "PXEClient")), nil, netip.AddrPortFrom(mine, 68), start).Reply != nil {
		t.Error("the boot server has answered")
	}

	if steps, n := w.kinds(), s.Counters()["quiet"]; steps != "quiet quiet quiet quiet quiet" || n != 5 {
		t.Errorf("steps %q, counted %d", steps, n)
	}

	quiet = false

	if s.Answer(ask(t, dhcpv4.MessageTypeDiscover), nil, start).Reply == nil {
		t.Error("afterwards nobody is answered either")
	}
}

func TestWhoeverChoosesAnotherServerGivesItAway(t *testing.T) {
	other := netip.MustParseAddr("10.77.0.66")

	for name, c := range map[string]struct {
		action core.BootAction
		packet []byte
		want   []string
	}{
		"a registered machine": {core.BootVet, ask(t, dhcpv4.MessageTypeRequest, wants(other), with(54, other.AsSlice()...)), []string{"10.77.0.66 52:54:00:00:00:01"}},
		"a stranger":           {core.BootIgnore, ask(t, dhcpv4.MessageTypeRequest, wants(other), with(54, other.AsSlice()...)), []string{"10.77.0.66 52:54:00:00:00:01"}},
		"who chooses us":       {core.BootVet, ask(t, dhcpv4.MessageTypeRequest, wants(other), with(54, self.AsSlice()...)), nil},
		"who chooses nobody":   {core.BootVet, ask(t, dhcpv4.MessageTypeRequest, wants(other)), nil},
		"who only asks":        {core.BootVet, ask(t, dhcpv4.MessageTypeDiscover, with(54, other.AsSlice()...)), nil},
		"who is elsewhere, behind a relay": {
			core.BootVet, ask(t, dhcpv4.MessageTypeRequest, with(54, other.AsSlice()...), dhcpv4.WithGatewayIP([]byte{10, 78, 0, 1})), nil,
		},
	} {
		var told []string

		s, _ := server(t, c.action, func(cfg *dhcp.Config, _ *world) {
			cfg.Relayed = behind()
			cfg.Rival = func(server netip.Addr, client core.MAC) { told = append(told, server.String()+" "+string(client)) }
		})
		s.Answer(c.packet, nil, start)

		if !slices.Equal(told, c.want) {
			t.Errorf("%s: told %q, want %q", name, told, c.want)
		}
	}
}
