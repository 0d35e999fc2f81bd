package hostmode_test

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vetting/agent/hostmode"
	"vetting/agent/wake"
	"vetting/core"
)

const efiVars = "sys/firmware/efi/efivars/"

func variable(name string) string { return efiVars + name + "-8be4df61-93ca-11d2-aa0d-00e098032b8c" }

// node is a node of a device path.
func node(kind, sub byte, data ...byte) []byte {
	return append(binary.LittleEndian.AppendUint16([]byte{kind, sub}, uint16(4+len(data))), data...)
}

func macNode(last byte) []byte {
	return node(3, 11, append([]byte{0x52, 0x54, 0, 0x12, 0x34, last}, make([]byte, 27)...)...)
}

// entry is an EFI_LOAD_OPTION as efivarfs shows it.
func entry(active uint32, name string, path ...[]byte) []byte {
	var nodes []byte
	for _, n := range path {
		nodes = append(nodes, n...)
	}

	nodes = append(nodes, node(0x7f, 0xff)...)

	raw := binary.LittleEndian.AppendUint32([]byte{7, 0, 0, 0}, active)
	raw = binary.LittleEndian.AppendUint16(raw, uint16(len(nodes)))

	for _, unit := range utf16.Encode([]rune(name + "\x00")) {
		raw = binary.LittleEndian.AppendUint16(raw, unit)
	}

	return append(append(raw, nodes...), "optional data"...)
}

func menu(entries map[string][]byte) fstest.MapFS {
	m := fstest.MapFS{}
	for name, raw := range entries {
		m[variable(name)] = &fstest.MapFile{Data: raw}
	}

	return m
}

func TestTheEntryForTheNetworkIsFound(t *testing.T) {
	pci, ip4, ip6, uri, disk := node(2, 1), node(3, 12, make([]byte, 23)...), node(3, 13, make([]byte, 56)...), node(3, 24), node(4, 1, make([]byte, 38)...)
	first := entry(1, "debian", pci, disk)

	tests := map[string]struct {
		menu map[string][]byte
		want hostmode.BootEntry
		err  error
	}{
		"PXE over IPv4 through the right port": {map[string][]byte{
			"Boot0000": first, "Boot0001": entry(1, "PXEv6", pci, macNode(0x56), ip6), "Boot0002": entry(1, "HTTPv4", pci, macNode(0x56), ip4, uri),
			"Boot000A": entry(1, "PXEv4", pci, macNode(0x56), ip4), "Boot0003": entry(1, "PXEv4 other port", pci, macNode(0x99), ip4),
		}, hostmode.BootEntry{Number: 10, Name: "PXEv4", MAC: "52:54:00:12:34:56"}, nil},
		"another port is better than none": {map[string][]byte{
			"Boot0000": first, "Boot0007": entry(1, "other", pci, macNode(0x99), ip4),
		}, hostmode.BootEntry{Number: 7, Name: "other", MAC: "52:54:00:12:34:99"}, nil},
		"what is switched off does not count": {map[string][]byte{"Boot0001": entry(0, "PXE", macNode(0x56), ip4)}, hostmode.BootEntry{}, hostmode.ErrNoNetworkEntry},
		"nor does a disk on the network": {map[string][]byte{
			"Boot0001": entry(1, "iSCSI", macNode(0x56), ip4, node(3, 19, make([]byte, 20)...)),
		}, hostmode.BootEntry{}, hostmode.ErrNoNetworkEntry},
		"nor does nonsense": {map[string][]byte{"Boot0001": {1}, "Boot0002": entry(1, "x", macNode(0x56))[:20], "BootXXXX": nil}, hostmode.BootEntry{}, hostmode.ErrNoNetworkEntry},
		"no UEFI at all":    {nil, hostmode.BootEntry{}, hostmode.ErrNoNetworkEntry},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := hostmode.NetworkEntry(menu(test.menu), "52:54:00:12:34:56")
			if !errors.Is(err, test.err) || got.Number != test.want.Number || got.Name != test.want.Name || got.MAC != test.want.MAC {
				t.Errorf("%+v %v, want %+v %v", got, err, test.want, test.err)
			}
		})
	}
}

func FuzzBootEntry(f *testing.F) {
	f.Add(entry(1, "PXE", macNode(1), node(3, 12)))
	f.Add(entry(1, "", node(3, 11)))
	f.Add([]byte("\x07\x00\x00\x00\x01\x00\x00\x00\xff\xff"))

	f.Fuzz(func(t *testing.T, raw []byte) {
		name, mac, ok := hostmode.Entry(raw)
		if ok && mac != "" {
			if parsed, err := core.ParseMAC(string(mac)); err != nil || parsed != mac {
				t.Errorf("MAC %q", mac)
			}
		}

		if ok && len(name) > 128 || ok && strings.ContainsAny(name, "\n\x1b") {
			t.Errorf("name %q", name)
		}
	})
}

// plug is a port that can be armed.
type plug struct{ armed []string }

func (p *plug) WoL(name string, s *wake.Setting) error {
	if s.Cmd == 5 {
		s.Supported = 0x3f

		return nil
	}

	p.armed = append(p.armed, name)

	return nil
}

func TestAReboot(t *testing.T) {
	pxe := entry(1, "PXE", macNode(0x56), node(3, 12))

	tests := map[string]struct {
		systemd, efi bool
		ask          error
		force        error
		want         []string
		next         []byte
		fails        bool
	}{
		"with systemd and UEFI":     {systemd: true, efi: true, want: []string{"signal 39", "force"}, next: []byte{7, 0, 0, 0, 0xab, 0}},
		"with neither":              {want: []string{"signal 2", "force"}},
		"when nobody can be asked":  {ask: unix.EPERM, want: []string{"signal 2", "force"}},
		"when nothing does it":      {ask: unix.EPERM, force: unix.EPERM, want: []string{"signal 2", "force"}, fails: true},
		"with a choice of its own":  {efi: true, want: []string{"signal 2", "force"}, next: []byte{7, 0, 0, 0, 0xab, 0}},
		"with the same choice made": {efi: true, want: []string{"signal 2", "force"}, next: []byte{7, 0, 0, 0, 0xab, 0}},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			place(t, root, "sys/x", nil)

			if test.systemd {
				place(t, root, "run/systemd/system/x", nil)
			}

			if test.efi {
				place(t, root, variable("Boot00AB"), pxe)
			}

			if name == "with a choice of its own" {
				place(t, root, variable("BootNext"), []byte{7, 0, 0, 0, 1, 0})
			}

			if name == "with the same choice made" {
				place(t, root, variable("BootNext"), test.next)
			}

			var did []string

			port := &plug{}
			err := hostmode.Rebooter{
				Root: root, Ports: func() map[string]core.MAC {
					return map[string]core.MAC{"eth0": "52:54:00:12:34:99", "eth1": "52:54:00:12:34:56"}
				},
				Wake: port, Wait: time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
				Ask:   func(s unix.Signal) error { did = append(did, "signal "+itoa(int(s))); return test.ask },
				Force: func() error { did = append(did, "force"); return test.force },
			}.Reboot(t.Context(), "52:54:00:12:34:56")

			if (err != nil) != test.fails {
				t.Errorf("Reboot() = %v", err)
			}

			if diff := cmp.Diff(test.want, did); diff != "" {
				t.Errorf("did (-want +got):\n%s", diff)
			}

			if diff := cmp.Diff([]string{"eth1"}, port.armed); diff != "" {
				t.Errorf("armed %s", diff)
			}

			next, _ := os.ReadFile(filepath.Join(root, variable("BootNext")))
			if string(next) != string(test.next) {
				t.Errorf("BootNext %x, want %x", next, test.next)
			}
		})
	}
}

func itoa(n int) string { return map[int]string{2: "2", 39: "39"}[n] }

func place(t *testing.T, root, name string, content []byte) {
	t.Helper()

	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
