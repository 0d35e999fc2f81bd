package blockdev

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"vetting/core/diskguard"
)

// Wish is a person's wish to have a whole disk replaced by the image of a boot medium.
type Wish struct {
	Name  string          // of the kernel: "sdb"
	Shown diskguard.Shown // what the person was shown of it
	Said  string          // serial number, or model where there is none; see diskguard.Replacement
	Fixed bool            // it need not be a stick
	Needs int64           // bytes
}

// windowSize is how much of a medium is held in memory at a time.
const windowSize = 1 << 20

// Medium is a disk that is open to be replaced. What is written into one stretch of
// windowSize is held until another one is written or read, or Flush; the bytes of its
// blocks that nobody wrote are zero: who writes two parts of one block does so one after
// the other. Safe for concurrent use.
type Medium struct {
	handle Handle
	disk   diskguard.Disk
	size   int64
	block  int64

	mu       sync.Mutex // guards the rest
	window   []byte     // memory for the disk to read from and write into
	at       int64      // where it begins on the medium
	low, end int64      // what of it was written and is held; equal: nothing
	read     bool       // it holds what the medium has
}

// Look finds the disk of a name among all that are there. The error is ErrAbsent when
// there is none.
func Look(layer Layer, name string) (disk diskguard.Disk, others []diskguard.Disk, err error) {
	disks, err := layer.Survey(0)
	if err != nil {
		return disk, nil, fmt.Errorf("looking at the disks: %w", err)
	}

	i := slices.IndexFunc(disks, func(d diskguard.Disk) bool { return d.Name == name })
	if i < 0 {
		return disk, nil, fmt.Errorf("looking for %q: %w", name, ErrAbsent)
	}

	return disks[i], slices.Delete(slices.Clone(disks), i, i+1), nil
}

// Replace opens a disk to be replaced, if it may be; see diskguard.MayReplace, which is
// asked before it is opened and again when it is. The error is a *Refused, ErrAbsent, or
// that of reading or opening it. Nothing is written by Replace itself.
func Replace(layer Layer, wish Wish) (*Medium, error) {
	facts, err := replacement(layer, &wish)
	if err != nil {
		return nil, err
	}

	decision := diskguard.MayReplace(facts)
	if !decision.Allowed() {
		return nil, &Refused{facts.Disk, decision}
	}

	handle, err := layer.Write(wish.Name, decision)
	if err != nil {
		return nil, fmt.Errorf("opening %s for writing: %w", wish.Name, err)
	}

	m, err := confirmMedium(layer, &wish, handle)
	if err != nil {
		handle.Close()

		return nil, err
	}

	return m, nil
}

func replacement(layer Layer, wish *Wish) (*diskguard.Replacement, error) {
	disk, others, err := Look(layer, wish.Name)
	if err != nil {
		return nil, err
	}

	return &diskguard.Replacement{Disk: disk, Others: others, Said: wish.Said, Fixed: wish.Fixed, Shown: wish.Shown, Needs: uint64(max(wish.Needs, 0))}, nil
}

func confirmMedium(layer Layer, wish *Wish, handle Handle) (*Medium, error) {
	facts, err := replacement(layer, wish)
	if err != nil {
		return nil, err
	}

	opened, err := handle.Look()
	if err != nil {
		return nil, fmt.Errorf("asking the open %s who it is: %w", wish.Name, err)
	}

	facts.Opened = &opened

	if d := diskguard.MayReplace(facts); !d.Allowed() {
		return nil, &Refused{facts.Disk, d}
	}

	window, err := Buffer(windowSize)
	if err != nil {
		return nil, err
	}

	return &Medium{handle: handle, disk: facts.Disk, size: int64(opened.SizeBytes), block: int64(opened.Block), window: window, at: -1}, nil
}

// Size is how many bytes the medium has.
func (m *Medium) Size() int64 { return m.size }

// WriteAt takes bytes of the image.
func (m *Medium) WriteAt(p []byte, offset int64) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.window == nil || offset < 0 || offset > m.size || int64(len(p)) > m.size-offset {
		return 0, fmt.Errorf("writing %d bytes at %d of %s, which has %d: %w", len(p), offset, m.disk.Name, m.size, ErrOutside)
	}

	for n < len(p) {
		if err := m.turn(offset + int64(n)); err != nil {
			return n, err
		}

		if m.read {
			clear(m.window)
			m.read = false
		}

		from := offset + int64(n) - m.at
		copied := int64(copy(m.window[from:], p[n:]))

		if m.low == m.end {
			m.low, m.end = from, from
		}

		m.low, m.end = min(m.low, from), max(m.end, from+copied)
		n += int(copied)
	}

	return n, nil
}

// turn has the window hold what is at offset, and writes what it held. m.mu is held.
func (m *Medium) turn(offset int64) error {
	at := offset - offset%windowSize
	if at == m.at {
		return nil
	}

	if err := m.settle(); err != nil {
		return err
	}

	clear(m.window)
	m.at, m.read = at, false

	return nil
}

// settle writes what is held, whole blocks. m.mu is held.
func (m *Medium) settle() error {
	if m.low == m.end {
		return nil
	}

	low, end := m.low-m.low%m.block, (m.end+m.block-1)/m.block*m.block

	if _, err := m.handle.WriteAt(m.window[low:end], m.at+low); err != nil {
		return fmt.Errorf("writing to %s at byte %d: %w", m.disk.Name, m.at+low, err)
	}

	m.low, m.end = 0, 0

	return nil
}

// ReadAt reads what is on the medium, around the page cache.
func (m *Medium) ReadAt(p []byte, offset int64) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.window == nil || offset < 0 || offset > m.size {
		return 0, fmt.Errorf("reading at %d of %s, which has %d: %w", offset, m.disk.Name, m.size, ErrOutside)
	}

	for n < len(p) {
		if offset+int64(n) == m.size {
			return n, io.EOF
		}

		if err := m.turn(offset + int64(n)); err != nil {
			return n, err
		}

		if err := m.settle(); err != nil {
			return n, err
		}

		size := min(windowSize, m.size-m.at)

		if !m.read {
			if _, err := m.handle.ReadAt(m.window[:size], m.at); err != nil {
				return n, fmt.Errorf("reading from %s at byte %d: %w", m.disk.Name, m.at, err)
			}

			m.read = true
		}

		n += copy(p[n:], m.window[offset+int64(n)-m.at:size])
	}

	return n, nil
}

// Flush returns when all that was written is on the medium.
func (m *Medium) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()

	if err := m.settle(); err != nil {
		return err
	}

	return m.handle.Flush()
}

// Close closes the disk; what was not flushed is lost.
func (m *Medium) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.window != nil {
		Free(m.window)
		m.window = nil
	}

	return m.handle.Close()
}
