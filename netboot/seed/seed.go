// Package seed writes the tiny initrd segment that tells the agent which
// appliance sent it and gives it its one-time token: a cpio archive in the
// "newc" format of the kernel (Documentation/driver-api/early-userspace/buffer-format).
package seed

import "fmt"

// Path is where the agent finds the seed.
const Path = "/vetting/seed.json"

const (
	modeDir  = 0o040700
	modeFile = 0o100600
	trailer  = "TRAILER!!!"
)

// Archive wraps content as the file Path, readable by root alone. Its length is
// a multiple of 4, as the kernel wants of every segment.
func Archive(content []byte) []byte {
	b := make([]byte, 0, 512+len(content))
	b = record(b, 1, modeDir, "vetting", nil)
	b = record(b, 2, modeFile, "vetting/seed.json", content)

	return record(b, 0, 0, trailer, nil)
}

// record appends one newc entry: a header of 13 hexadecimal fields, the name, the
// data, each padded to 4 bytes. Times and owners are zero.
func record(b []byte, inode, mode int, name string, data []byte) []byte {
	b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	b = append(append(b, name...), 0)
	b = pad(b)
	b = append(b, data...)

	return pad(b)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}

	return b
}
