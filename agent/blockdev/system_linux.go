package blockdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/diskguard"
)

// System is the Layer of the running machine.
type System struct {
	Machine probe.Machine
	Dev     string // folder of device nodes; empty: "/dev"

	mu    sync.Mutex // guards the rest
	begun time.Time  // when the survey below was begun
	disks []diskguard.Disk
}

// Survey looks at all disks. Many that ask at once share one survey that was begun after
// they asked.
func (s *System) Survey(age time.Duration) ([]diskguard.Disk, error) {
	asked := time.Now().Add(-age)

	s.mu.Lock()
	defer s.mu.Unlock()

	if s.begun.IsZero() || s.begun.Before(asked) {
		begun := time.Now()
		s.disks, s.begun = Survey(s.Machine), begun
	}

	return s.disks, nil
}

// Read opens a disk for reading.
func (s *System) Read(name string) (ReadHandle, error) {
	file, err := openRead(s.node(name))
	if err != nil {
		return nil, err
	}

	return &reading{file}, nil
}

// Ask opens an NVMe disk for questions.
func (s *System) Ask(name string) (disk.NVMe, error) { return s.Machine.Bus.NVMe(name) }

func (s *System) node(name string) string {
	if s.Dev != "" {
		return filepath.Join(s.Dev, name)
	}

	return filepath.Join("/dev", name)
}

// Write opens a disk for writing. It is the only way of the program to do so, and does
// not without a decision of the guard.
func (s *System) Write(name string, decision diskguard.Decision) (Handle, error) {
	if !decision.Allows(name) {
		return nil, fmt.Errorf("opening %q for writing without a decision: %w", name, core.ErrRefused)
	}

	if name == "" || strings.ContainsAny(name, "/.") {
		return nil, fmt.Errorf("opening disk %q: %w", name, os.ErrInvalid)
	}

	file, err := openWrite(s.node(name))
	if err != nil {
		return nil, err
	}

	return &writing{reading{file}, s}, nil
}

// openWrite opens a block device for writing: alone (O_EXCL, open(2): EBUSY while it
// is mounted or held) and around the page cache.
func openWrite(node string) (*os.File, error) {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_EXCL|unix.O_DIRECT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s for writing: %w", node, err)
	}

	return os.NewFile(uintptr(fd), node), nil
}

// openRead opens a block device for reading, around the page cache.
func openRead(node string) (*os.File, error) {
	fd, err := unix.Open(node, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", node, err)
	}

	return os.NewFile(uintptr(fd), node), nil
}

// reading reads a file by its descriptor: an os.File's ReadAt goes on after a short
// read, and hides what the disk did.
type reading struct{ file *os.File }

// ReadAt reads once.
func (r *reading) ReadAt(p []byte, offset int64) (n int, err error) {
	err = control(r.file, func(fd int) (err error) {
		n, err = unix.Pread(fd, p, offset)

		return err
	})

	return whole("reading", n, len(p), err)
}

// Close closes the file.
func (r *reading) Close() error { return r.file.Close() }

// whole makes an error of a transfer that was cut short.
func whole(what string, n, want int, err error) (int, error) {
	n = max(n, 0)

	if err == nil && n != want {
		err = fmt.Errorf("%s: %d of %d bytes came", what, n, want)
	}

	return n, err
}

// control lends the descriptor, which stays open meanwhile.
func control(file *os.File, do func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}

	var inner error

	if err := conn.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}

	return inner
}

// writing is a disk that is open for writing.
type writing struct {
	reading

	system *System
}

// WriteAt writes once.
func (w *writing) WriteAt(p []byte, offset int64) (n int, err error) {
	err = control(w.file, func(fd int) (err error) {
		n, err = unix.Pwrite(fd, p, offset)

		return err
	})

	return whole("writing", n, len(p), err)
}

// Flush waits for the disk's own cache.
func (w *writing) Flush() error {
	return control(w.file, unix.Fdatasync)
}

// Discard sends BLKDISCARD or BLKSECDISCARD.
func (w *writing) Discard(offset, length int64, secure bool) error {
	request := uint(unix.BLKDISCARD)
	if secure {
		request = unix.BLKSECDISCARD
	}

	span := [2]uint64{uint64(offset), uint64(length)}

	return control(w.file, func(fd int) error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(&span))) //nolint:gosec // the ioctl takes a pointer
		switch errno {
		case 0:
			return nil
		case unix.EOPNOTSUPP, unix.ENOTTY:
			return fmt.Errorf("discarding: %w", errors.ErrUnsupported)
		default:
			return fmt.Errorf("discarding: %w", errno)
		}
	})
}

// Erasable is the way of admin commands to what is open.
func (w *writing) Erasable(patience time.Duration) (disk.NVMe, error) {
	dev, err := disk.Erasable(w.file, patience)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}

	return dev, nil
}

// Look asks the descriptor: the kernel for number, size and sectors, the disk itself
// for its name.
func (w *writing) Look() (o diskguard.Opened, err error) {
	var stat unix.Stat_t

	err = control(w.file, func(fd int) error {
		if err := unix.Fstat(fd, &stat); err != nil {
			return fmt.Errorf("looking at the descriptor: %w", err)
		}

		if stat.Mode&unix.S_IFMT != unix.S_IFBLK {
			return fmt.Errorf("looking at the descriptor: no block device: %w", os.ErrInvalid)
		}

		return measure(fd, &o)
	})
	if err != nil {
		return o, err
	}

	o.Number = fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	o.Exclusive = true // O_EXCL, or it would not be open

	return o, w.identify(&o)
}

// measure asks for size, sectors and write protection.
func measure(fd int, o *diskguard.Opened) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&o.SizeBytes))); errno != 0 { //nolint:gosec // the ioctl takes a pointer
		return fmt.Errorf("asking for the size: %w", errno)
	}

	var err error
	if o.Block, err = unix.IoctlGetInt(fd, unix.BLKSSZGET); err != nil {
		return fmt.Errorf("asking for the sectors: %w", err)
	}

	locked, err := unix.IoctlGetInt(fd, unix.BLKROGET)
	if err != nil {
		return fmt.Errorf("asking whether it is read-only: %w", err)
	}

	o.ReadOnly = locked != 0

	return nil
}

// identify asks the disk behind the descriptor who it is. Where disks do not answer
// themselves (virtio), it is the kernel that tells of the device with this number.
func (w *writing) identify(o *diskguard.Opened) error {
	m := w.system.Machine
	name := path.Base(link(m.Root, "sys/dev/block/"+o.Number))

	if _, err := fs.Stat(m.Root, path.Join(blockDevices, name)); err != nil {
		return fmt.Errorf("looking for device %s: %w", o.Number, err)
	}

	m.Bus = opened(m.Bus, w.file)

	drive, err := m.Identify(name)
	if err != nil {
		return err
	}

	o.Serial, o.WWN = drive.Serial, drive.WWN

	return nil
}

// opened is the bus of the open disk.
func opened(bus disk.Bus, file *os.File) disk.Bus {
	if b, ok := bus.(interface{ Opened(file *os.File) disk.Bus }); ok {
		return b.Opened(file)
	}

	return disk.Opened{File: file}
}

// hugePage is the size of the kernel's large pages on the machines that the agent is for.
const hugePage = 2 << 20

// Buffer returns memory that a disk can write into and read from: whole pages, that
// no garbage collector moves or looks through. Where there is room for them they are
// large ones: a request around the page cache has the kernel look up each page that it
// touches, which costs as much as all else it does for it.
func Buffer(size int) ([]byte, error) {
	fault := func(err error) error { return fmt.Errorf("making room for %d bytes: %w", size, err) }
	if size <= 0 {
		return nil, fault(os.ErrInvalid)
	}

	slack := 0
	if size >= hugePage {
		slack = hugePage
	}

	whole, err := unix.MmapPtr(-1, 0, nil, uintptr(size+slack), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fault(err)
	}

	if slack == 0 {
		return unsafe.Slice((*byte)(whole), size), nil //nolint:gosec // of the size that was mapped
	}

	// What is before the first large page, and behind the end, is given back.
	pages := (size + os.Getpagesize() - 1) / os.Getpagesize() * os.Getpagesize()
	before := int(-uintptr(whole) % hugePage)
	start := unsafe.Add(whole, before)
	after := size + slack - before - pages

	if before > 0 {
		err = unix.MunmapPtr(whole, uintptr(before))
	}

	if after > 0 {
		err = errors.Join(err, unix.MunmapPtr(unsafe.Add(start, pages), uintptr(after)))
	}

	if err != nil {
		return nil, fault(err)
	}

	buffer := unsafe.Slice((*byte)(start), size) //nolint:gosec // what is left of the mapping
	_ = unix.Madvise(buffer, unix.MADV_HUGEPAGE) // small ones do as well

	return buffer, nil
}

// Free gives a whole buffer back.
func Free(buffer []byte) {
	if len(buffer) > 0 {
		_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(buffer)), uintptr(len(buffer))) //nolint:gosec // it is ours, or there is none
	}
}

// Reader is a disk that is open for reading alone.
type Reader struct {
	reading

	// InUse: somebody else has it open, so that its content may change.
	InUse bool
}

// OpenReader opens a disk by its node for reading: alone where nobody else has it,
// and beside others where somebody does.
func OpenReader(node string) (*Reader, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECT | unix.O_CLOEXEC

	fd, err := unix.Open(node, flags|unix.O_EXCL, 0)
	inUse := errors.Is(err, unix.EBUSY)

	if inUse {
		fd, err = unix.Open(node, flags, 0)
	}

	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", node, err)
	}

	return &Reader{reading{os.NewFile(uintptr(fd), node)}, inUse}, nil
}
