package wipeprobe

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// magicText is the list of what formats write where.
//
//go:embed magic.tsv
var magicText string

// magic is one row of the list.
type magic struct {
	name, usage string
	supers, ats []int64
	text        string
	label, uuid string
}

// magics looks for every row of the list.
func (d *disk) magics() {
	rows, err := parseMagics(magicText)
	if err != nil {
		panic(err) // a test parses it
	}

	for _, m := range rows {
		for _, super := range m.supers {
			if super < 0 {
				super += d.size
			}

			for _, at := range m.ats {
				if d.is(super+at, m.text) {
					d.found(Signature{m.name, m.usage, super + at, d.labelAt(super, m.label), d.uuidAt(super, m.uuid)})
				}
			}
		}
	}
}

// parseMagics reads the list.
func parseMagics(text string) (rows []magic, err error) {
	const columns = 7

	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}

		field := strings.Split(line, "\t")
		if len(field) != columns {
			return nil, fmt.Errorf("reading magics: %q has not %d columns", line, columns)
		}

		m := magic{name: field[0], usage: field[1], label: field[5], uuid: field[6]}

		for _, part := range []struct {
			to   *[]int64
			from string
		}{{&m.supers, field[2]}, {&m.ats, field[3]}} {
			for one := range strings.SplitSeq(part.from, ",") {
				n, err := parseOffset(one)
				if err != nil {
					return nil, fmt.Errorf("reading magics: %q: %w", line, err)
				}

				*part.to = append(*part.to, n)
			}
		}

		if m.text, err = strconv.Unquote(`"` + field[4] + `"`); err != nil {
			return nil, fmt.Errorf("reading magics: %q: %w", line, err)
		}

		rows = append(rows, m)
	}

	return rows, nil
}

// parseOffset reads a number with k, M or G behind it.
func parseOffset(s string) (int64, error) {
	unit := int64(1)

	for suffix, size := range map[string]int64{"k": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, size
		}
	}

	n, err := strconv.ParseInt(s, 10, 64)

	return n * unit, err
}

// numbers reads "offset:length" or "offset".
func numbers(s string) (offset int64, length int) {
	from, to, _ := strings.Cut(s, ":")
	offset, _ = strconv.ParseInt(from, 10, 64)
	length, _ = strconv.Atoi(to)

	return offset, length
}

// labelAt reads a label as a column of the list says.
func (d *disk) labelAt(super int64, form string) string {
	if form == "-" {
		return ""
	}

	where, wide := strings.CutPrefix(form, "utf16:")
	offset, length := numbers(where)
	raw := d.at(super+offset, length)

	if wide {
		return text16(raw)
	}

	return text(raw)
}

// uuidAt reads a UUID, in one of these forms:
//
//	raw      16 bytes in the order in which they are printed
//	guid     16 bytes of which the first three numbers are little-endian
//	vmfs     as VMware prints them
//	text     characters
//	text32   32 characters, to be parted as a UUID is
//	lvm      32 characters, to be parted as LVM does
//	serial   four bytes of FAT
//	le64     a little-endian number of 16 digits
//	hex      a big-endian number
func (d *disk) uuidAt(super int64, form string) string {
	kind, where, _ := strings.Cut(form, ":")
	offset, length := numbers(where)
	offset += super

	switch kind {
	case "raw":
		return uuid(d.at(offset, 16))
	case "guid":
		return uuid(reorder(d.at(offset, 16), 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15))
	case "vmfs":
		b := reorder(d.at(offset, 16), 3, 2, 1, 0, 7, 6, 5, 4, 9, 8, 10, 11, 12, 13, 14, 15)

		return parted(fmt.Sprintf("%x", b), 8, 8, 4, 12)
	case "text":
		return text(d.at(offset, length))
	case "text32":
		return parted(text(d.at(offset, 32)), 8, 4, 4, 4, 12)
	case "lvm":
		return parted(text(d.at(offset, 32)), 6, 4, 4, 4, 4, 4, 6)
	case "serial":
		if b := reorder(d.at(offset, 4), 3, 2, 1, 0); b != nil {
			return parted(fmt.Sprintf("%X", b), 4, 4)
		}
	case "le64":
		if b := reorder(d.at(offset, 8), 7, 6, 5, 4, 3, 2, 1, 0); b != nil {
			return fmt.Sprintf("%X", b)
		}
	case "hex":
		if b := d.at(offset, 8); b != nil {
			return strings.TrimLeft(fmt.Sprintf("%x", b), "0")
		}
	}

	return ""
}

// reorder returns bytes in another order, or nil of nil.
func reorder(b []byte, order ...int) []byte {
	if b == nil {
		return nil
	}

	out := make([]byte, len(order))
	for i, from := range order {
		out[i] = b[from]
	}

	return out
}

// uuid prints 16 bytes, which are none when all are zero.
func uuid(b []byte) string {
	if strings.Trim(string(b), "\x00") == "" {
		return ""
	}

	return parted(fmt.Sprintf("%x", b), 8, 4, 4, 4, 12)
}

// parted puts hyphens between groups of these lengths; what is not of their sum is
// returned as it is.
func parted(s string, lengths ...int) string {
	var groups []string

	rest := s

	for _, n := range lengths {
		if len(rest) < n {
			return s
		}

		groups = append(groups, rest[:n])
		rest = rest[n:]
	}

	if rest != "" {
		return s
	}

	return strings.Join(groups, "-")
}

// text reads characters up to a NUL, without the blanks behind them. Those that
// nobody can read become question marks.
func text(raw []byte) string {
	s, _, _ := strings.Cut(string(raw), "\x00")

	return clean(strings.TrimRight(s, " \n"))
}

// text16 reads UTF-16LE up to a NUL.
func text16(raw []byte) string {
	var units []uint16

	for ; len(raw) > 1 && le16(raw) != 0; raw = raw[2:] {
		units = append(units, le16(raw))
	}

	return clean(strings.TrimRight(string(utf16.Decode(units)), " "))
}

// clean keeps what can be printed.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) && r != '\uFFFD' {
			return r
		}

		return '?'
	}, strings.ToValidUTF8(s, "?"))
}
