package dhcp_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/core"
	"vetting/netboot/dhcp"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	self  = netip.MustParseAddr("10.77.0.1")
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// world is all that a Server talks to. Safe for concurrent use.
type world struct {
	actions map[core.MAC]core.BootAction // of a MAC; others get the action of ""
	leases  []core.Lease
	home    core.Home   // of all
	loader  core.Loader // likewise

	mu     sync.Mutex // guards all below
	steps  []core.BootStep
	probed []netip.Addr
}

func (w *world) Decide(c core.BootClient) core.BootDecision {
	action, ok := w.actions[c.MAC]
	if !ok {
		action = w.actions[""]
	}

	if action == "" {
		action = core.BootIgnore
	}

	return core.BootDecision{Action: action, Host: c.MAC, Home: w.home, Loader: w.loader}
}

func (w *world) Leases(context.Context) ([]core.Lease, error)   { return w.leases, nil }
func (w *world) SaveLeases(context.Context, []core.Lease) error { return nil }

func (w *world) Witness(step core.BootStep) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.steps = append(w.steps, step)
}

func (w *world) Probe(addr netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.probed = append(w.probed, addr)
}

// kinds lists the kinds of the steps seen since the last call.
func (w *world) kinds() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	names := make([]string, 0, len(w.steps))
	for _, s := range w.steps {
		names = append(names, s.Kind)
	}

	w.steps = nil

	return strings.Join(names, " ")
}

// server returns a Server that gives every machine the action, in a network of
// addresses 10.77.0.10 to .254 unless change says otherwise.
func server(t testing.TB, action core.BootAction, change ...func(*dhcp.Config, *world)) (*dhcp.Server, *world) {
	t.Helper()

	w := &world{actions: map[core.MAC]core.BootAction{"": action}}
	prefix := netip.PrefixFrom(self, 24)
	c := dhcp.Config{
		Interface: "none", Prefix: prefix, Pool: dhcp.DefaultPool(prefix),
		Booter: w, Leases: w, Witness: w, Prober: w, Log: slog.New(slog.DiscardHandler),
	}

	for _, f := range change {
		f(&c, w)
	}

	s, err := dhcp.New(c)
	if err != nil {
		t.Fatal(err)
	}

	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}

	return s, w
}

// recorded returns what real clients sent, by file name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("testdata/packets/*.bin")
	if err != nil || len(names) < 20 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}

		all[strings.TrimSuffix(filepath.Base(name), ".bin")] = b
	}

	return all
}

// TestGolden is the table of what every kind of client is told, in full.
func TestGolden(t *testing.T) {
	for name, packet := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder

			for _, action := range []core.BootAction{core.BootVet, core.BootLocal, core.BootIgnore} {
				s, w := server(t, action)
				answer := s.Answer(packet, nil, start)

				fmt.Fprintf(&text, "== %s: %s\n", action, w.kinds())
				dump(t, &text, answer)
			}

			golden(t, filepath.Join("testdata", "golden", name+".txt"), text.String())
		})
	}
}

// dump writes an answer down, options in the order they went out.
func dump(t *testing.T, text *strings.Builder, answer dhcp.Answer) {
	t.Helper()

	if answer.Reply == nil {
		text.WriteString("silence\n")

		return
	}

	m, err := dhcpv4.FromBytes(answer.Reply)
	if err != nil {
		t.Fatal(err)
	}

	fmt.Fprintf(text, "to %s, %d bytes, saved before: %t\n", answer.To, len(answer.Reply), answer.Lease != nil)
	fmt.Fprintf(text, "flags %04x ciaddr %s yiaddr %s siaddr %s giaddr %s\nsname %q file %q\n",
		m.Flags, m.ClientIPAddr, m.YourIPAddr, m.ServerIPAddr, m.GatewayIPAddr, m.ServerHostName, m.BootFileName)

	for b := answer.Reply[240:]; b[0] != 255; b = b[2+int(b[1]):] {
		fmt.Fprintf(text, "%3d %q\n", b[0], b[2:2+int(b[1])])
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()

	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got (go test -update writes it anew):\n%s", diff)
	}
}

// ask builds a packet of the machine 52:54:00:00:00:01.
func ask(t testing.TB, kind dhcpv4.MessageType, change ...dhcpv4.Modifier) []byte {
	t.Helper()

	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr([]byte{0x52, 0x54, 0, 0, 0, 1}), dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4}), dhcpv4.WithMessageType(kind),
	}, change...)...)
	if err != nil {
		t.Fatal(err)
	}

	return m.ToBytes()
}

func with(code uint8, value ...byte) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), value)
}

func text(code uint8, value string) dhcpv4.Modifier { return with(code, []byte(value)...) }

func wants(addr netip.Addr) dhcpv4.Modifier { return with(50, addr.AsSlice()...) }

func uses(addr netip.Addr) dhcpv4.Modifier { return dhcpv4.WithClientIP(addr.AsSlice()) }

func from(mac ...byte) dhcpv4.Modifier { return dhcpv4.WithHwAddr(mac) }

// read is the answer as a client reads it; nil for silence.
func read(t *testing.T, a dhcp.Answer) *dhcpv4.DHCPv4 {
	t.Helper()

	if a.Reply == nil {
		return nil
	}

	m, err := dhcpv4.FromBytes(a.Reply)
	if err != nil {
		t.Fatal(err)
	}

	return m
}

// given is the address of an OFFER or ACK; invalid for all else.
func given(t *testing.T, a dhcp.Answer) netip.Addr {
	t.Helper()

	m := read(t, a)
	if m == nil || m.MessageType() == dhcpv4.MessageTypeNak {
		return netip.Addr{}
	}

	addr, _ := netip.AddrFromSlice(m.YourIPAddr)

	return addr.Unmap()
}

// lease runs DISCOVER and REQUEST and returns the address.
func lease(t *testing.T, s *dhcp.Server, now time.Time, change ...dhcpv4.Modifier) netip.Addr {
	t.Helper()

	offered := given(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, change...), nil, now))
	request := append(slices.Clone(change), wants(offered), with(54, self.AsSlice()...))

	if got := given(t, s.Answer(ask(t, dhcpv4.MessageTypeRequest, request...), nil, now)); !offered.IsValid() || got != offered {
		t.Fatalf("offered %s, acknowledged %s", offered, got)
	}

	return offered
}

func TestOfferAndAckDifferInTheMessageTypeAlone(t *testing.T) {
	classes := map[string][]dhcpv4.Modifier{
		"plain": nil,
		"BIOS":  {text(60, "PXEClient:Arch:00000:UNDI:002001"), with(93, 0, 0)},
		"UEFI":  {text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 0, 7), with(97, append([]byte{0}, make([]byte, 16)...)...)},
		"HTTP":  {text(60, "HTTPClient:Arch:00016:UNDI:003016"), with(93, 0, 16)},
		"iPXE":  {text(77, "iPXE"), with(175, 19, 1, 1), with(61, 1, 2, 3)},
	}

	for name, class := range classes {
		t.Run(name, func(t *testing.T) {
			s, _ := server(t, core.BootVet)
			offer := s.Answer(ask(t, dhcpv4.MessageTypeDiscover, class...), nil, start)
			addr := given(t, offer)
			ack := s.Answer(ask(t, dhcpv4.MessageTypeRequest, append(class, wants(addr), with(54, self.AsSlice()...))...), nil, start)

			at := slices.Index(offer.Reply[240:], 53) + 242
			if offer.Reply[at] != 2 || ack.Reply[at] != 5 {
				t.Fatalf("types are %d and %d", offer.Reply[at], ack.Reply[at])
			}

			ack.Reply[at] = 2
			if diff := cmp.Diff(offer.Reply, ack.Reply); diff != "" {
				t.Errorf("-offer +ack:\n%s", diff)
			}
		})
	}
}

// An arm64 machine is sent to its own disk by the ways that need a program, too: by the one
// that there is for it, whatever the rung.
func TestAnARM64MachineGoesHomeByItsOwnProgram(t *testing.T) {
	for home, want := range map[core.Home]string{"": dhcp.NoBoot, core.HomeMissing: dhcp.NoBoot, core.HomeExit: "ipxe-arm64.efi", core.HomeDisk: "ipxe-arm64.efi"} {
		for _, rung := range core.Loaders() {
			s, w := server(t, core.BootLocal)
			w.home, w.loader = home, rung

			m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, "PXEClient"), with(93, 0, 11)), nil, start))
			if m.BootFileName != want {
				t.Errorf("by %q on the rung %s it is offered %q, want %q", home, rung, m.BootFileName, want)
			}
		}
	}
}

func TestClientsAreToldApart(t *testing.T) {
	uuid := []byte{0, 0x10, 0x7e, 0x3c, 0x5a, 0x2f, 0x1d, 0x60, 0x4b, 0x8c, 0x9a, 1, 0x23, 0x45, 0x67, 0x89, 0xab}

	for _, c := range []struct {
		name    string
		options []dhcpv4.Modifier
		kind    core.ClientKind
		arch    int
		file    string
	}{
		{"an old ROM without architecture", []dhcpv4.Modifier{text(60, "PXEClient")}, core.ClientBIOS, -1, "undionly.kpxe"},
		{"a ROM with an architecture of odd length, told by its class", []dhcpv4.Modifier{text(60, "PXEClient:Arch:00007:UNDI:003016"), with(93, 7)}, core.ClientUEFI, 7, "snponly.efi"},
		{"a class whose architecture is no number", []dhcpv4.Modifier{text(60, "PXEClient:Arch:xx")}, core.ClientBIOS, -1, "undionly.kpxe"},
		{"UEFI x64 by the number of the erratum", []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 9)}, core.ClientUEFI, 9, "snponly.efi"},
		{"UEFI on a processor we have no loader for", []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 27)}, core.ClientUEFI, 27, "no-boot"},
		{"UEFI on arm64", []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 11)}, core.ClientUEFI, 11, "ipxe-arm64.efi"},
		{"UEFI HTTP boot on arm64", []dhcpv4.Modifier{text(60, "HTTPClient"), with(93, 0, 19)}, core.ClientHTTP, 19, "http://10.77.0.1/boot/ipxe-arm64.efi"},
		{"UEFI iPXE without HTTP on arm64", []dhcpv4.Modifier{text(77, "iPXE"), with(93, 0, 11)}, core.ClientIPXE, 11, "tftp://10.77.0.1/ipxe-arm64.efi"},
		{"iPXE whose echoed class says PXEClient", []dhcpv4.Modifier{text(60, "PXEClient"), with(93, 0, 7), text(77, "iPXE"), with(175, 19, 1, 1)}, core.ClientIPXE, 7, "http://10.77.0.1/ipxe/52:54:00:00:00:01"},
		{"iPXE with an RFC 3004 user class", []dhcpv4.Modifier{text(77, "\x04iPXE"), with(93, 0, 0), with(175, 19, 1, 1)}, core.ClientIPXE, 0, "http://10.77.0.1/ipxe/52:54:00:00:00:01"},
		{"iPXE by its own option alone", []dhcpv4.Modifier{text(77, "custom"), with(93, 0, 0), with(175, 177, 1, 9, 0, 19, 1, 1, 255)}, core.ClientIPXE, 0, "http://10.77.0.1/ipxe/52:54:00:00:00:01"},
		{"BIOS iPXE without HTTP", []dhcpv4.Modifier{text(77, "iPXE"), with(93, 0, 0), with(175, 19, 1, 0)}, core.ClientIPXE, 0, "tftp://10.77.0.1/undionly.kpxe"},
		{"UEFI iPXE without HTTP", []dhcpv4.Modifier{text(77, "iPXE"), with(93, 0, 7)}, core.ClientIPXE, 7, "tftp://10.77.0.1/snponly.efi"},
		{"iPXE whose features are cut short", []dhcpv4.Modifier{with(175, 19, 9, 1), with(93, 0, 0)}, core.ClientIPXE, 0, "tftp://10.77.0.1/undionly.kpxe"},
		{"our agent", []dhcpv4.Modifier{text(60, "vetting-agent")}, core.ClientAgent, -1, ""},
		{"an operating system", []dhcpv4.Modifier{text(60, "udhcp 1.35.0")}, core.ClientOther, -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, w := server(t, core.BootVet)
			m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, append(c.options, with(97, uuid...))...), nil, start))
			client := w.steps[0].Client

			if client.Kind != c.kind || client.Arch != c.arch || client.UUID != "5a3c7e10-1d2f-4b60-8c9a-0123456789ab" {
				t.Errorf("recognised %+v, want kind %s, architecture %d", client, c.kind, c.arch)
			}

			if m.BootFileName != c.file {
				t.Errorf("boot file is %q, want %q", m.BootFileName, c.file)
			}
		})
	}
}

func TestPlaceholderIdentitiesAreNone(t *testing.T) {
	for name, id := range map[string][]byte{
		"all zero":           make([]byte, 17),
		"all ones":           append([]byte{0}, slices.Repeat([]byte{255}, 16)...),
		"AMI's":              {0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9},
		"cut short":          make([]byte, 16),
		"of an unknown type": append([]byte{1}, slices.Repeat([]byte{7}, 16)...),
	} {
		t.Run(name, func(t *testing.T) {
			s, w := server(t, core.BootVet)
			m := read(t, s.Answer(ask(t, dhcpv4.MessageTypeDiscover, with(97, id...)), nil, start))

			if got := w.steps[0].Client.UUID; got != "" {
				t.Errorf("UUID is %q, want none", got)
			}

			if echo := m.Options.Get(dhcpv4.GenericOptionCode(97)); !slices.Equal(echo, id) {
				t.Errorf("option 97 is given back as %x, want %x", echo, id)
			}
		})
	}
}

func TestForeignTextIsCutDownToWhatMayBeShown(t *testing.T) {
	s, w := server(t, core.BootIgnore)
	s.Answer(ask(t, dhcpv4.MessageTypeDiscover, text(60, "\x1b[31m"+strings.Repeat("x", 100))), nil, start)

	if got := w.steps[0].Detail; got != ".[31m"+strings.Repeat("x", 59) {
		t.Errorf("shown as %q", got)
	}
}
