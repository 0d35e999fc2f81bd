package message_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"vetting/netboot/dhcp/message"
)

// packet is a DHCP packet of a client with the bytes after the magic cookie.
func packet(options ...byte) []byte {
	b := make([]byte, 240, 240+len(options))
	b[0], b[1], b[2] = 1, 1, 6
	copy(b[4:], []byte{1, 2, 3, 4})
	copy(b[28:], []byte{0x52, 0x54, 0, 0, 0, 1})
	binary.BigEndian.PutUint32(b[236:], 0x63825363)

	return append(b, options...)
}

// recorded returns what real clients sent, by file name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("../testdata/packets/*.bin")
	if err != nil || len(names) < 20 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		if all[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}

	return all
}

func TestRecordedPacketsReadAsASecondReaderReadsThem(t *testing.T) {
	for name, b := range recorded(t) {
		t.Run(name, func(t *testing.T) {
			var m message.Message
			if err := m.Parse(b); err != nil || m.Mended != "" {
				t.Fatalf("error %v, mended %q", err, m.Mended)
			}

			compare(t, &m, b)
		})
	}
}

// compare holds m against what insomniacslk/dhcp reads in b, if it reads it.
func compare(t *testing.T, m *message.Message, b []byte) {
	t.Helper()

	other, err := dhcpv4.FromBytes(b)
	if err != nil {
		return
	}

	if !bytes.Equal(m.XID[:], other.TransactionID[:]) || !bytes.Equal(m.MAC[:], b[28:34]) || m.Flags != other.Flags {
		t.Errorf("header is xid %x mac %x flags %x, want %x %x %x", m.XID, m.MAC, m.Flags, other.TransactionID, b[28:34], other.Flags)
	}

	for _, c := range []struct {
		name string
		got  netip.Addr
		want []byte
	}{
		{"ciaddr", m.CIAddr, other.ClientIPAddr},
		{"yiaddr", m.YIAddr, other.YourIPAddr},
		{"siaddr", m.SIAddr, other.ServerIPAddr},
		{"giaddr", m.GIAddr, other.GatewayIPAddr},
	} {
		if want, _ := netip.AddrFromSlice(c.want); c.got != want.Unmap() {
			t.Errorf("%s is %s, want %s", c.name, c.got, want)
		}
	}

	for code := range 254 {
		got, want := m.Option(byte(code+1)), other.Options[uint8(code+1)]
		if !bytes.Equal(got, want) {
			t.Errorf("option %d is %x, want %x", code+1, got, want)
		}
	}
}

func TestParseForgivesWhatRealClientsGetWrong(t *testing.T) {
	in := func(where []byte, at int, options ...byte) []byte {
		copy(where[at:], options)

		return where
	}

	for _, c := range []struct {
		name   string
		packet []byte
		mended string
		want   map[byte]string
	}{
		{"everything in order", packet(53, 1, 1, 60, 2, 'h', 'i', 255), "", map[byte]string{53: "\x01", 60: "hi"}},
		{"no END option", packet(53, 1, 1), "no END option", map[byte]string{53: "\x01"}},
		{"no options at all", packet(), "no END option", map[byte]string{}},
		{"padding between options and after END", packet(0, 0, 53, 1, 1, 0, 255, 60, 1, 'x'), "", map[byte]string{53: "\x01"}},
		{"the last option cut short", packet(53, 1, 1, 60, 9, 'P', 'X'), "option 60 cut short", map[byte]string{53: "\x01"}},
		{"a code without a length", packet(53, 1, 1, 60), "option 60 cut short", map[byte]string{53: "\x01"}},
		{"an option of no length", packet(53, 1, 1, 12, 0, 255), "", map[byte]string{53: "\x01", 12: ""}},
		{"an option in two pieces", packet(60, 2, 'P', 'X', 53, 1, 1, 60, 1, 'E', 255), "", map[byte]string{53: "\x01", 60: "PXE"}},
		{"options in the file field", in(packet(52, 1, 1, 53, 1, 1, 255), 108, 12, 1, 'a', 255), "", map[byte]string{52: "\x01", 53: "\x01", 12: "a"}},
		{"options in the sname field", in(packet(52, 1, 2, 53, 1, 1, 255), 44, 12, 1, 'b', 255), "", map[byte]string{52: "\x02", 53: "\x01", 12: "b"}},
		{"options in both, in pieces", in(in(packet(52, 1, 3, 12, 1, 'x', 255), 108, 12, 1, 'y', 255), 44, 12, 1, 'z', 255), "", map[byte]string{52: "\x03", 12: "xyz"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m message.Message
			if err := m.Parse(c.packet); err != nil {
				t.Fatal(err)
			}

			got := map[byte]string{}

			for code := range 255 {
				if m.Has(byte(code)) {
					got[byte(code)] = string(m.Option(byte(code)))
				}
			}

			if diff := cmp.Diff(c.want, got); diff != "" || m.Mended != c.mended {
				t.Errorf("mended %q, want %q; options (-want +got):\n%s", m.Mended, c.mended, diff)
			}
		})
	}
}

func TestPiecesAreJoinedWithoutWritingOverThePacket(t *testing.T) {
	b := packet(60, 1, 'A', 53, 1, 1, 60, 1, 'B', 255)
	before := slices.Clone(b)

	var m message.Message
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}

	if kind, _ := m.Byte(message.OptMessageType); m.Text(60) != "AB" || kind != 1 || !bytes.Equal(b, before) {
		t.Errorf("option 60 is %q, the type %d, the packet changed: %t", m.Text(60), kind, !bytes.Equal(b, before))
	}
}

func TestParseRefusesWhatIsNoDHCP(t *testing.T) {
	wrongCookie := packet(53, 1, 1, 255)
	wrongCookie[236] = 0

	infiniband := packet(53, 1, 1, 255)
	infiniband[1], infiniband[2] = 32, 0

	for _, c := range []struct {
		name   string
		packet []byte
		want   error
	}{
		{"nothing", nil, message.ErrShort},
		{"half a header", packet()[:120], message.ErrShort},
		{"a header without cookie", packet()[:236], message.ErrShort},
		{"BOOTP without cookie", wrongCookie, message.ErrCookie},
		{"a card that is not Ethernet", infiniband, message.ErrHardware},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m message.Message
			if err := m.Parse(c.packet); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
		})
	}
}

func TestValuesOfTheWrongLengthDoNotCount(t *testing.T) {
	var m message.Message
	if err := m.Parse(packet(93, 1, 7, 57, 3, 1, 2, 3, 54, 3, 1, 2, 3, 53, 0, 60, 4, 'P', 0, 0, 0, 255)); err != nil {
		t.Fatal(err)
	}

	_, arch := m.Uint16(message.OptArch)
	_, size := m.Uint16(message.OptMaxSize)
	_, server := m.Addr(message.OptServerID)
	_, kind := m.Byte(message.OptMessageType)

	if arch || size || server || kind {
		t.Errorf("architecture %t, size %t, server %t, type %t count; none should", arch, size, server, kind)
	}

	if m.Text(message.OptVendorClass) != "P" {
		t.Errorf("class is %q, want it without NULs", m.Text(message.OptVendorClass))
	}
}

func TestRoomIsWhatTheClientAndTheWireTake(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet []byte
		want   int
	}{
		{"nothing said", packet(255), 548},
		{"less than every client must take", packet(57, 2, 0, 10, 255), 548},
		{"what EDK2 says", packet(57, 2, 1464>>8, 1464&255, 255), 1436},
		{"more than a frame", packet(57, 2, 255, 255, 255), 1472},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m message.Message
			if err := m.Parse(c.packet); err != nil || m.Room() != c.want {
				t.Errorf("room is %d (%v), want %d", m.Room(), err, c.want)
			}
		})
	}
}

func TestReplyIsReadByASecondReaderAndKeepsTheOrder(t *testing.T) {
	r := message.Reply{
		XID: [4]byte{9, 8, 7, 6}, Secs: 4, Flags: message.Broadcast, YIAddr: netip.MustParseAddr("10.77.0.11"),
		SIAddr: netip.MustParseAddr("10.77.0.1"), MAC: [6]byte{2, 0, 0, 0, 0, 1}, SName: "10.77.0.1", File: "undionly.kpxe",
		Options: []message.Option{{Code: 53, Value: []byte{2}}, {Code: 54, Value: []byte{10, 77, 0, 1}}, {Code: 1, Value: []byte{255, 255, 255, 0}}},
	}
	b := r.Append(nil, 548)

	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}

	if len(b) != 300 || m.OpCode != dhcpv4.OpcodeBootReply || m.BootFileName != "undionly.kpxe" || m.ServerHostName != "10.77.0.1" ||
		m.YourIPAddr.String() != "10.77.0.11" || m.ServerIPAddr.String() != "10.77.0.1" || m.MessageType() != dhcpv4.MessageTypeOffer || !m.IsBroadcast() {
		t.Errorf("%d bytes: %s", len(b), m.Summary())
	}

	if !bytes.HasPrefix(b[240:], []byte{53, 1, 2, 54, 4, 10, 77, 0, 1, 1, 4, 255, 255, 255, 0, 255}) {
		t.Errorf("options begin %x", b[240:260])
	}
}

func TestReplyLeavesOutWhatDoesNotFit(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 200)
	r := message.Reply{
		SName: string(long[:64]), File: string(long[:128]),
		Options: []message.Option{{Code: 53, Value: []byte{5}}, {Code: 61, Value: long}, {Code: 97, Value: long}, {Code: 60, Value: make([]byte, 256)}, {Code: 1, Value: long[:4]}},
	}
	b := append([]byte("before"), 0)
	out := r.Append(b, 548)[len(b):]

	m, err := dhcpv4.FromBytes(out)
	if err != nil {
		t.Fatal(err)
	}

	if len(out) > 548 || m.BootFileName != "" || m.ServerHostName != "" {
		t.Errorf("%d bytes, file %q, sname %q", len(out), m.BootFileName, m.ServerHostName)
	}

	if m.Options.Has(dhcpv4.GenericOptionCode(97)) || m.Options.Has(dhcpv4.GenericOptionCode(60)) || !m.Options.Has(dhcpv4.GenericOptionCode(61)) || !m.Options.Has(dhcpv4.GenericOptionCode(1)) {
		t.Errorf("options kept: %s", m.Options)
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range recorded(f) {
		f.Add(b)
	}

	f.Add(packet(52, 1, 3, 53, 1, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := slices.Clone(b)

		var m message.Message
		if m.Parse(b) != nil {
			return
		}

		if !bytes.Equal(b, before) {
			t.Error("the packet was written to")
		}

		if room := m.Room(); room < 548 || room > 1472 {
			t.Errorf("room is %d", room)
		}

		// The second reader does not know options in file and sname.
		if m.Mended == "" && !m.Has(message.OptOverload) {
			compare(t, &m, b)
		}
	})
}
