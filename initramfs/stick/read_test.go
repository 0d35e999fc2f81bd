package stick_test

import (
	"encoding/binary"
	"errors"
	"path"
	"strings"
	"unicode/utf16"
)

// openFAT reads all files of a FAT32 file system, by its long names.
func openFAT(fs []byte) (files map[string][]byte, err error) {
	le := binary.LittleEndian
	cluster := int(fs[13]) * 512
	data := 512 * (int(le.Uint16(fs[14:])) + int(fs[16])*int(le.Uint32(fs[36:])))
	table := fs[512*int(le.Uint16(fs[14:])):]
	files = map[string][]byte{}

	chain := func(first uint32) (out []byte) {
		for n := first; n >= 2 && n < 0x0ffffff8; n = le.Uint32(table[4*n:]) & 0x0fffffff {
			at := data + (int(n)-2)*cluster
			out = append(out, fs[at:at+cluster]...)
		}

		return out
	}

	var walk func(dir string, first uint32, depth int) error

	walk = func(dir string, first uint32, depth int) error {
		if depth > 20 {
			return errors.New("folders in a circle")
		}

		var long []uint16

		for entries := chain(first); len(entries) >= 32 && entries[0] != 0; entries = entries[32:] {
			e := entries[:32]
			start, size := uint32(le.Uint16(e[20:]))<<16|uint32(le.Uint16(e[26:])), le.Uint32(e[28:])

			if e[11] == 0x0f {
				var part []uint16
				for _, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
					if u := le.Uint16(e[at:]); u != 0 && u != 0xffff {
						part = append(part, u)
					}
				}

				long = append(part, long...)

				continue
			}

			name := strings.TrimSpace(string(e[:8]))
			if ext := strings.TrimSpace(string(e[8:11])); ext != "" {
				name += "." + ext
			}

			if long != nil {
				name, long = string(utf16.Decode(long)), nil
			}

			full := path.Join(dir, name)

			switch {
			case e[11]&0x08 != 0 || name == "." || name == "..":
			case e[11]&0x10 != 0:
				if err := walk(full, start, depth+1); err != nil {
					return err
				}
			default:
				if _, twice := files[full]; twice {
					return errors.New(full + " is there twice")
				}

				files[full] = chain(start)[:size]
			}
		}

		return nil
	}

	return files, walk("", le.Uint32(fs[44:]), 0)
}

// openISO reads the files of a CD's folders.
func openISO(image []byte) (files map[string][]byte, err error) {
	files = map[string][]byte{}
	le := binary.LittleEndian

	if string(image[16*2048+1:16*2048+6]) != "CD001" {
		return nil, errors.New("no CD")
	}

	var walk func(dir string, record []byte, depth int)

	walk = func(dir string, record []byte, depth int) {
		at, size := int(le.Uint32(record[2:]))*2048, int(le.Uint32(record[10:]))

		for d := image[at : at+size]; len(d) > 0 && d[0] > 0; d = d[d[0]:] {
			name := string(d[33 : 33+d[32]])
			start, n := int(le.Uint32(d[2:]))*2048, int(le.Uint32(d[10:]))

			switch {
			case name == "\x00" || name == "\x01" || depth > 3:
			case d[25]&2 != 0:
				walk(path.Join(dir, name), d, depth+1)
			default:
				files[path.Join(dir, name)] = image[start : start+n]
			}
		}
	}

	walk("", image[16*2048+156:], 0)

	return files, nil
}
