package lldp_test

import (
	"slices"
	"strings"
	"testing"

	"vetting/agent/lldp"
)

// frame makes an announcement of TLVs.
func frame(tlvs ...[]byte) []byte {
	return slices.Concat([]byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc}, slices.Concat(tlvs...), []byte{0, 0})
}

func tlv(kind byte, value string) []byte {
	return append([]byte{kind << 1, byte(len(value))}, value...)
}

// TestParse reads what switches say.
func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  string // empty: none
	}{
		"a switch that names itself": {
			frame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x05Ethernet7"), tlv(3, "\x00\x78"), tlv(4, "rack 4, unit 12"), tlv(5, "leaf-4.lab")),
			"switch leaf-4.lab port Ethernet7 (rack 4, unit 12)",
		},
		"one that only has addresses": {
			frame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x03\x00\x1c\x73\x01\x02\x04"), tlv(3, "\x00\x78")), "switch 00:1c:73:01:02:03 port 00:1c:73:01:02:04",
		},
		"one by its network address": {frame(tlv(1, "\x05\x01\x0a\x00\x00\x01"), tlv(2, "\x07x1")), "switch 10.0.0.1 port x1"},
		"letters that are none":      {frame(tlv(1, "\x07a\x1b[2Jb"), tlv(2, "\x05p\n1"), tlv(5, "s\x00")), "switch s port p?1"},
		"without a port":             {frame(tlv(1, "\x07a")), ""},
		"cut off":                    {frame(tlv(1, "\x07a"), []byte{2 << 1, 200, 5}), ""},
		"another protocol":           {[]byte("\x01\x80\xc2\x00\x00\x0e\x02\x00\x00\x00\x00\x01\x08\x00abc"), ""},
		"nothing":                    {nil, ""},
	} {
		if n, ok := lldp.Parse(c.frame); ok != (c.want != "") || ok && n.String() != c.want {
			t.Errorf("%s: %q %t, want %q", name, n.String(), ok, c.want)
		}
	}
}

// FuzzParse: whatever a neighbour sends, what is shown of it is plain text.
func FuzzParse(f *testing.F) {
	f.Add(frame(tlv(1, "\x04\x00\x1c\x73\x01\x02\x03"), tlv(2, "\x05Ethernet7"), tlv(5, "leaf")))
	f.Add(frame(tlv(1, "\x05\x01\x0a\x00\x00\x01"), tlv(2, "\x04\x01")))

	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := lldp.Parse(b)
		if s := n.String(); ok && (len(s) > 600 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })) {
			t.Errorf("%q", s)
		}
	})
}
