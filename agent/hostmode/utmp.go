package hostmode

import (
	"bytes"
	"encoding/binary"
)

// Of struct utmp in utmp(5), as glibc has it on x86-64.
const (
	utmpSize    = 384
	userProcess = 7
	maxLogins   = 4096
)

// login is a record of somebody who is logged in, or was when the machine
// crashed.
type login struct {
	user, where string
	pid         int
}

// logins reads the records of users. What follows the last whole record is left
// out.
func logins(raw []byte) (all []login) {
	for len(raw) >= utmpSize && len(all) < maxLogins {
		record := raw[:utmpSize]
		raw = raw[utmpSize:]

		if binary.LittleEndian.Uint16(record) != userProcess {
			continue
		}

		all = append(all, login{
			user: text(record[44:76]), where: text(record[8:40]), pid: int(int32(binary.LittleEndian.Uint32(record[4:]))), //nolint:gosec // a pid_t
		})
	}

	return all
}

// text reads a C string out of a fixed field.
func text(field []byte) string {
	field, _, _ = bytes.Cut(field, []byte{0})

	return line(string(field), len(field))
}
