package blockdev

import (
	"io"
	"time"

	"vetting/agent/disk"
	"vetting/core/diskguard"
)

// Layer is what a Device stands on: the machine's disks, or in tests a pretence of
// them. Safe for concurrent use.
type Layer interface {
	// Survey looks at all disks that are there; what it says is at most that old.
	Survey(age time.Duration) ([]diskguard.Disk, error)
	// Read opens a disk for reading, by its kernel name.
	Read(name string) (ReadHandle, error)
	// Write opens a disk for reading and writing, alone, around the page cache, if the
	// decision of the guard is about this disk and allows it.
	Write(name string, decision diskguard.Decision) (Handle, error)
}

// Asker is a Layer whose disks can be asked in their own words.
type Asker interface {
	Layer
	// Ask opens an NVMe disk, by its kernel name, for questions alone: commands that change
	// nothing on a medium.
	Ask(name string) (disk.NVMe, error)
}

// ReadHandle is an open disk.
type ReadHandle interface {
	io.ReaderAt
	io.Closer
}

// Handle is a disk that is open for writing. Offsets and lengths are whole blocks.
// Safe for concurrent use.
type Handle interface {
	ReadHandle
	io.WriterAt

	// Look asks the open disk itself who and how large it is.
	Look() (diskguard.Opened, error)
	// Flush returns when all that was written is on the medium.
	Flush() error
	// Discard tells the disk that a range is not needed any more; with secure, that it
	// and its copies are to be made unreadable. errors.ErrUnsupported where the disk
	// cannot.
	Discard(offset, length int64, secure bool) error
	// Erasable is the disk as one that can be formatted or sanitized; each command may
	// take so long. errors.ErrUnsupported where it is no NVMe disk.
	Erasable(patience time.Duration) (disk.NVMe, error)
}
