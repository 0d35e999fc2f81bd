package wipeprobe

import (
	"encoding/binary"
	"strconv"
)

// Types of values in a list of names and values (nvlist).
const (
	nvNumber = 8
	nvString = 9
)

// zfsNames reads the outermost level of a list of names and values in XDR (RFC 4506)
// as far as the pool's name and number; ok is whether it is one of a pool.
func zfsNames(b []byte) (name, guid string, ok bool) {
	const head, pair = 8, 12

	if len(b) < head {
		return "", "", false
	}

	for b = b[head:]; len(b) >= pair; {
		size, nameLength := int(be32(b)), int(be32(b[8:]))
		if size < pair || size > len(b) || nameLength > size-pair {
			break
		}

		key := string(b[pair : pair+nameLength])
		// Behind the name are the value's type, how many there are, and the value.
		if value := b[pair:size]; len(value) >= align4(nameLength)+16 {
			value = value[align4(nameLength):]
			kind, value := be32(value), value[8:]

			switch {
			case key == "name" && kind == nvString:
				if n := int(be32(value)); n <= len(value)-4 {
					name = text(value[4 : 4+n])
				}
			case key == "pool_guid" && kind == nvNumber:
				guid = strconv.FormatUint(binary.BigEndian.Uint64(value), 10)
			case key == "guid" || key == "state" || key == "txg":
				ok = true
			}
		}

		b = b[size:]
	}

	return name, guid, ok || name != "" || guid != ""
}

// align4 rounds up to XDR's unit.
func align4(n int) int { return (n + 3) &^ 3 }
