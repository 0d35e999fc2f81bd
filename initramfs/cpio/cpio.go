// Package cpio writes and reads the "newc" archives the kernel unpacks as its
// first file system (Documentation/driver-api/early-userspace/buffer-format.rst).
// Writing is reproducible: owner root, time 0, inodes counted from 1.
package cpio

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// File types as they stand in the upper bits of a mode.
const (
	TypeMask = 0o170000
	Regular  = 0o100000
	Dir      = 0o040000
	Symlink  = 0o120000
	Char     = 0o020000
)

// Entry is one file of an archive. Data is the content, or the target of a
// symlink. Major and Minor belong to device nodes.
type Entry struct {
	Name         string // relative, clean: "etc/hosts"
	Mode         uint32 // type and permissions
	Data         []byte
	Major, Minor uint32
}

// IsRegular says whether the entry is a plain file.
func (e Entry) IsRegular() bool { return e.Mode&TypeMask == Regular }

const (
	magic   = "070701"
	trailer = "TRAILER!!!"
	header  = 110 // 6 of magic and 13 fields of 8 hex digits
	// maxName is the kernel's PATH_MAX; init/initramfs.c skips longer names.
	maxName = 4096
)

// Pack writes the entries in their order and ends with the trailer, padded to a
// multiple of 4 bytes so that another segment may follow. Parents must come
// before their children: the kernel does not make them.
func Pack(entries []Entry) []byte {
	size := 0
	for _, e := range entries {
		size += header + len(e.Name) + len(e.Data) + 8
	}

	out := bytes.NewBuffer(make([]byte, 0, size+256))

	for i, e := range entries {
		put(out, i+1, e)
	}

	put(out, 0, Entry{Name: trailer})

	return out.Bytes()
}

func put(out *bytes.Buffer, inode int, e Entry) {
	links := 1
	if e.Mode&TypeMask == Dir {
		links = 2
	}

	fmt.Fprintf(out, "%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		magic, inode, e.Mode, 0, 0, links, 0, len(e.Data), 0, 0, e.Major, e.Minor, len(e.Name)+1, 0)
	out.WriteString(e.Name)
	out.WriteByte(0)
	pad(out)
	out.Write(e.Data)
	pad(out)
}

func pad(out *bytes.Buffer) { out.Write(make([]byte, -out.Len()&3)) }

// Pad fills data up to a multiple of 4 bytes with zeros, which the kernel skips
// between segments.
func Pad(data []byte) []byte { return append(data, make([]byte, -len(data)&3)...) }

// Unpack reads one archive up to its trailer. Entries share memory with data.
// It refuses archives that are cut off or malformed and never panics.
func Unpack(data []byte) ([]Entry, error) {
	entries, _, err := unpack(data)

	return entries, err
}

// UnpackWhole reads data that is one archive and nothing else. What follows the
// trailer the kernel would take for a further archive, so it is refused.
func UnpackWhole(data []byte) ([]Entry, error) {
	entries, end, err := unpack(data)
	if err != nil {
		return nil, err
	}

	if rest := bytes.TrimLeft(data[min(end, len(data)):], "\x00"); len(rest) > 0 {
		return nil, fmt.Errorf("reading archive: something follows its end at byte %d", len(data)-len(rest))
	}

	return entries, nil
}

func unpack(data []byte) (entries []Entry, end int, err error) {
	for pos := 0; ; {
		e, next, err := take(data, pos)
		if err != nil {
			return nil, 0, fmt.Errorf("reading archive at byte %d: %w", pos, err)
		}

		if e.Name == trailer {
			return entries, next, nil
		}

		entries = append(entries, e)
		pos = next
	}
}

func take(data []byte, pos int) (e Entry, next int, err error) {
	head, err := slice(data, pos, header)
	if err != nil {
		return Entry{}, 0, err
	}

	if string(head[:6]) != magic {
		return Entry{}, 0, fmt.Errorf("the magic is %q, not %q", head[:6], magic)
	}

	var field [13]uint32

	for i := range field {
		n, err := strconv.ParseUint(string(head[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return Entry{}, 0, fmt.Errorf("field %d is %q, not a hexadecimal number", i, head[6+8*i:14+8*i])
		}

		field[i] = uint32(n)
	}

	e.Mode, e.Major, e.Minor = field[1], field[9], field[10]
	size, nameSize := int(field[6]), int(field[11])

	if nameSize < 2 || nameSize > maxName {
		return Entry{}, 0, fmt.Errorf("the name has %d bytes", nameSize)
	}

	name, err := slice(data, pos+header, nameSize)
	if err != nil {
		return Entry{}, 0, err
	}

	e.Name = strings.TrimRight(string(name), "\x00")

	// Of files with several names all but the last stand there without content.
	if links := field[4]; e.IsRegular() && links > 1 {
		return Entry{}, 0, fmt.Errorf("%q is a hard link, which is not read; pack it as a file of its own", e.Name)
	}

	start := (pos + header + nameSize + 3) &^ 3

	if e.Data, err = slice(data, start, size); err != nil {
		return Entry{}, 0, fmt.Errorf("content of %q: %w", e.Name, err)
	}

	return e, (start + size + 3) &^ 3, nil
}

func slice(data []byte, pos, size int) ([]byte, error) {
	if pos > len(data) || size > len(data)-pos {
		return nil, fmt.Errorf("the archive ends at %d, %d bytes at %d are missing", len(data), size, pos)
	}

	return data[pos : pos+size : pos+size], nil
}
