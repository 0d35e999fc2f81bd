package dhcp_test

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

// askers are the kinds of client, as they introduce themselves in a DISCOVER: the rows
// of the table of replies.
func askers() []asker {
	pxe := func(arch int) dhcpv4.Modifier { return text(60, fmt.Sprintf("PXEClient:Arch:%05d:UNDI:003016", arch)) }
	web := func(arch int) dhcpv4.Modifier { return text(60, fmt.Sprintf("HTTPClient:Arch:%05d:UNDI:003016", arch)) }
	of := func(arch byte) dhcpv4.Modifier { return with(93, 0, arch) }
	list := with(55, 1, 3, 43, 54, 60, 66, 67, 97) // what ROMs ask for, 67 among it
	http := with(175, 19, 1, 1)

	return []asker{
		{"BIOS ROM", []dhcpv4.Modifier{pxe(0), of(0), list}},
		{"BIOS ROM that does not ask for 67", []dhcpv4.Modifier{pxe(0), of(0)}},
		{"BIOS ROM without architecture", []dhcpv4.Modifier{text(60, "PXEClient"), list}},
		{"UEFI ia32 (6)", []dhcpv4.Modifier{pxe(6), of(6), list}},
		{"UEFI x64 as 7", []dhcpv4.Modifier{pxe(7), of(7), list}},
		{"UEFI x64 as 9", []dhcpv4.Modifier{pxe(9), of(9), list}},
		{"UEFI arm32 (10)", []dhcpv4.Modifier{pxe(10), of(10), list}},
		{"UEFI arm64 (11)", []dhcpv4.Modifier{pxe(11), of(11), list}},
		{"UEFI riscv64 (27)", []dhcpv4.Modifier{pxe(27), of(27), list}},
		{"UEFI loong64 (39)", []dhcpv4.Modifier{pxe(39), of(39), list}},
		{"Raspberry Pi (41)", []dhcpv4.Modifier{pxe(41), of(41), list}},
		{"UEFI HTTP ia32 (15)", []dhcpv4.Modifier{web(15), of(15), list}},
		{"UEFI HTTP x64 (16)", []dhcpv4.Modifier{web(16), of(16), list}},
		{"UEFI HTTP arm64 (19)", []dhcpv4.Modifier{web(19), of(19), list}},
		{"iPXE, BIOS", []dhcpv4.Modifier{text(60, "PXEClient"), of(0), text(77, "iPXE"), http, list}},
		{"iPXE, UEFI x64", []dhcpv4.Modifier{pxe(7), of(7), text(77, "\x04iPXE"), http, list}},
		{"iPXE, UEFI arm64", []dhcpv4.Modifier{pxe(11), of(11), text(77, "iPXE"), http, list}},
		{"iPXE known by 175 alone", []dhcpv4.Modifier{of(7), text(77, "mine"), http, list}},
		{"iPXE without HTTP, BIOS", []dhcpv4.Modifier{pxe(0), of(0), text(77, "iPXE"), list}},
		{"iPXE without HTTP, UEFI x64", []dhcpv4.Modifier{pxe(7), of(7), text(77, "iPXE"), with(175, 33, 1, 1), list}},
		{"gPXE", []dhcpv4.Modifier{pxe(0), of(0), text(77, "gPXE"), http, list}},
		{"U-Boot as UEFI arm64", []dhcpv4.Modifier{text(60, "PXEClient:Arch:00011:UNDI:003000"), of(11), list}},
		{"U-Boot as itself", []dhcpv4.Modifier{text(60, "U-Boot.armv8"), with(93, 0, 22), list}},
		{"an operating system", []dhcpv4.Modifier{text(60, "dhcpcd-9.4.1:Linux"), with(55, 1, 3, 6, 12, 67)}},
		{"our agent", []dhcpv4.Modifier{text(60, dhcp.AgentClass), with(55, 1, 3)}},
	}
}

type asker struct {
	name string
	says []dhcpv4.Modifier
}

// TestReplyMatrix is the table of who is told what, one line each: kind of client, mode,
// what is to be done with the machine, and all fields of the answer that matter to a ROM.
// Options that every answer with an address has (51, 1, 58, 59) stand as "lease".
func TestReplyMatrix(t *testing.T) {
	var out strings.Builder

	for _, mode := range []struct {
		name  string
		reply func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer
	}{
		{"dhcp", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action)
			answer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)
			sameAcknowledged(t, s, answer, says)

			return answer
		}},
		{"dhcp, another proxy was seen", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action)
			s.Outrank(true)

			return s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)
		}},
		{"dhcp, through a relay", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action, func(c *dhcp.Config, _ *world) { c.Relayed = behind() })

			return s.Answer(ask(t, dhcpv4.MessageTypeDiscover, append(says, dhcpv4.WithGatewayIP([]byte{10, 78, 0, 1}), with(82, 1, 1, 7))...), nil, start)
		}},
		{"proxy, first offer", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action, proxy)

			return s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)
		}},
		{"proxy, after 8 s without port 4011", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action, proxy)
			s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)

			return s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start.Add(9*time.Second))
		}},
		{"port 4011", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action)
			asks := append(says, uses(netip.MustParseAddr("10.77.0.20")), with(43, 71, 4, 0, 0, 0, 0, 255))

			return s.AnswerBoot(ask(t, dhcpv4.MessageTypeRequest, asks...), nil, netip.MustParseAddrPort("10.77.0.20:4711"), start)
		}},
		{"off", func(t *testing.T, action core.BootAction, says []dhcpv4.Modifier) dhcp.Answer {
			t.Helper()

			s, _ := server(t, action, func(c *dhcp.Config, _ *world) { c.Mode = dhcp.Listen })

			return s.Answer(ask(t, dhcpv4.MessageTypeDiscover, says...), nil, start)
		}},
	} {
		for _, action := range []core.BootAction{core.BootVet, core.BootLocal, core.BootIgnore} {
			fmt.Fprintf(&out, "== %s · %s\n", mode.name, action)

			lines, answered := []string{}, false

			for _, who := range askers() {
				says := append([]dhcpv4.Modifier{with(97, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16), with(61, 1, 2)}, who.says...)
				said := line(t, mode.reply(t, action, says))
				answered = answered || said != "silence"
				lines = append(lines, fmt.Sprintf("%-34s %s\n", who.name, said))
			}

			if !answered {
				lines = []string{fmt.Sprintf("%-34s %s\n", "every kind", "silence")}
			}

			out.WriteString(strings.Join(lines, ""))
		}
	}

	for _, home := range core.Homes() {
		for _, loader := range []core.Loader{core.LoaderSNPOnly, core.LoaderShim} {
			fmt.Fprintf(&out, "== dhcp · local by %s, with %s\n", home, loader)

			for _, who := range askers() {
				s, _ := server(t, core.BootLocal, func(_ *dhcp.Config, w *world) { w.home, w.loader = home, loader })
				answer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, who.says...), nil, start)
				sameAcknowledged(t, s, answer, who.says)
				fmt.Fprintf(&out, "%-34s %s\n", who.name, line(t, answer))
			}
		}
	}

	golden(t, filepath.Join("testdata", "matrix.txt"), out.String())
}

// sameAcknowledged takes an offer up: the ACK is the OFFER but for option 53.
func sameAcknowledged(t *testing.T, s *dhcp.Server, offer dhcp.Answer, says []dhcpv4.Modifier) {
	t.Helper()

	if offer.Reply == nil {
		return
	}

	reply := append([]byte(nil), offer.Reply...)
	yours := netip.AddrFrom4([4]byte(reply[16:20]))
	ack := s.Answer(ask(t, dhcpv4.MessageTypeRequest, append(says, wants(yours), with(54, self.AsSlice()...))...), nil, start.Add(time.Second))

	if len(ack.Reply) != len(reply) || ack.Reply[242] != 5 || reply[242] != 2 {
		t.Fatalf("offered %x, acknowledged %x", reply, ack.Reply)
	}

	reply[242] = 5

	if string(ack.Reply) != string(reply) || ack.To != offer.To {
		t.Errorf("the ACK to %s is not the OFFER to %s but for option 53:\n%x\n%x", ack.To, offer.To, ack.Reply, reply)
	}
}

// line is an answer in one line.
func line(t *testing.T, answer dhcp.Answer) string {
	t.Helper()

	if answer.Reply == nil {
		return "silence"
	}

	m, err := dhcpv4.FromBytes(answer.Reply)
	if err != nil {
		t.Fatal(err)
	}

	words := []string{fmt.Sprintf("%s to %s", m.MessageType(), answer.To)}

	if m.IsBroadcast() {
		words = append(words, "broadcast")
	}

	for _, f := range []struct {
		name string
		ip   net.IP
	}{{"yiaddr", m.YourIPAddr}, {"ciaddr", m.ClientIPAddr}, {"siaddr", m.ServerIPAddr}, {"giaddr", m.GatewayIPAddr}} {
		if !f.ip.IsUnspecified() {
			words = append(words, f.name+"="+f.ip.String())
		}
	}

	words = append(words, "sname="+m.ServerHostName, "file="+m.BootFileName)

	if m.Options.Has(dhcpv4.OptionIPAddressLeaseTime) && m.Options.Has(dhcpv4.OptionSubnetMask) {
		words = append(words, "lease")
	}

	for b := answer.Reply[240:]; b[0] != 255; b = b[2+int(b[1]):] {
		value := b[2 : 2+int(b[1])]

		switch b[0] {
		case 53, 51, 1, 58, 59:
		case 54:
			words = append(words, "54="+net.IP(value).String())
		case 60, 67:
			words = append(words, fmt.Sprintf("%d=%q", b[0], value))
		case 3:
			words = append(words, "3="+net.IP(value).String())
		case 61, 82, 97:
			words = append(words, fmt.Sprintf("%d echoed", b[0]))
		default:
			words = append(words, fmt.Sprintf("%d=%x", b[0], value))
		}
	}

	return strings.Join(words, " ")
}
