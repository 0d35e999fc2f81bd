package inventory

import "strings"

// Socket is SMBIOS type 4: a place for a processor.
type Socket struct {
	Name         string
	Populated    bool
	Manufacturer string
	Model        string
	Serial       string
	Cores        int // 0: not told
	Enabled      int
	Threads      int
	MaxMHz       int
}

// Sockets decodes type 4 (DSP0134 §7.5), processors only.
func Sockets(all []Structure) (sockets []Socket) {
	const central = 3

	for _, s := range OfType(all, typeProcessor) {
		if kind := s.Byte(0x05); kind != central && kind != 0 {
			continue
		}

		sockets = append(sockets, Socket{
			Name: s.Text(0x04), Populated: s.Byte(0x18)&0x40 != 0,
			Manufacturer: s.Text(0x07), Model: strings.Join(strings.Fields(s.Text(0x10)), " "), Serial: s.Text(0x20),
			MaxMHz:  int(s.Word(0x14)),
			Cores:   count(s, 0x23, 0x2a),
			Enabled: count(s, 0x24, 0x2c),
			Threads: count(s, 0x25, 0x2e),
		})
	}

	return sockets
}

// count reads a byte that says FFh when the number stands in the word at wide.
func count(s Structure, narrow, wide int) int {
	n := int(s.Byte(narrow))
	if n == 0xff && s.Word(wide) != 0 && s.Word(wide) != 0xffff {
		return int(s.Word(wide))
	}

	if n == 0xff {
		return 0
	}

	return n
}
