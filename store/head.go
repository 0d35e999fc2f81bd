package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"syscall"
)

// The high-water mark is a file beside the ledger that says which commit was
// acknowledged last. Badger cuts its log at the first entry it cannot read and
// says nothing; with the mark, a ledger that ends before what was acknowledged
// is noticed. It is written and synced after the commit and before the
// acknowledgement, so a ledger may be ahead of its mark but never behind.
//
// The file has two slots a page apart, used in turn, so that a torn write
// leaves the one before.
const (
	headMagic  = "VTHEAD1\n"
	headSlot   = 4096
	headLength = len(headMagic) + 8 + 8 + 4
)

type headFile struct {
	file *os.File

	mu    sync.Mutex // guards stood and the file
	stood mark
}

// openHead opens the file, made when it is missing, and writes now into it.
func openHead(path string, now mark) (*headFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the high-water mark: %w", err)
	}

	h := &headFile{file: f, stood: now}

	if err := h.fill(now); err != nil {
		return nil, errors.Join(err, f.Close())
	}

	return h, nil
}

// fill writes both slots, so that no block has to be found for them later, when
// the disk may be full.
func (h *headFile) fill(now mark) error {
	var page [headSlot]byte

	copy(page[:], encodeHead(now))

	for slot := range int64(2) {
		if _, err := h.file.WriteAt(page[:], slot*headSlot); err != nil {
			return fmt.Errorf("writing the high-water mark: %w", err)
		}
	}

	if err := h.file.Sync(); err != nil {
		return fmt.Errorf("syncing the high-water mark: %w", err)
	}

	return syncDir(h.file.Name())
}

// raise records that everything up to now may be acknowledged. It is safe for
// concurrent use: who comes while the mark is being written finds it, more often
// than not, already above its own.
func (h *headFile) raise(now mark) error {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.stood.commit >= now.commit {
		return nil
	}

	if _, err := h.file.WriteAt(encodeHead(now), int64(now.commit%2)*headSlot); err != nil {
		return fmt.Errorf("writing the high-water mark: %w", err)
	}

	// The file's size never changes, so its data alone is enough.
	if err := syscall.Fdatasync(int(h.file.Fd())); err != nil {
		return fmt.Errorf("syncing the high-water mark: %w", err)
	}

	h.stood = now

	return nil
}

func (h *headFile) close() error { return h.file.Close() }

func encodeHead(m mark) []byte {
	out := append(make([]byte, 0, headLength), headMagic...)
	out = binary.BigEndian.AppendUint64(out, m.commit)
	out = binary.BigEndian.AppendUint64(out, m.seq)

	return binary.BigEndian.AppendUint32(out, crc32.Checksum(out, castagnoli()))
}

// decodeHead reads one slot.
func decodeHead(slot []byte) (m mark, ok bool) {
	if len(slot) < headLength || string(slot[:len(headMagic)]) != headMagic {
		return mark{}, false
	}

	body := slot[:headLength-4]
	if crc32.Checksum(body, castagnoli()) != binary.BigEndian.Uint32(slot[headLength-4:]) {
		return mark{}, false
	}

	return mark{
		commit: binary.BigEndian.Uint64(body[len(headMagic):]),
		seq:    binary.BigEndian.Uint64(body[len(headMagic)+8:]),
	}, true
}

// readHead returns the higher of the two slots. os.ErrNotExist when there is no
// file, a Problem when neither slot is whole.
func readHead(path string) (mark, error) {
	f, err := os.Open(path)
	if err != nil {
		return mark{}, fmt.Errorf("opening the high-water mark: %w", err)
	}
	defer f.Close()

	var (
		best  mark
		found bool
	)

	for slot := range int64(2) {
		var page [headLength]byte

		if _, err := f.ReadAt(page[:], slot*headSlot); err != nil && !errors.Is(err, io.EOF) {
			return mark{}, fmt.Errorf("reading the high-water mark: %w", err)
		}

		m, ok := decodeHead(page[:])
		if ok && m.commit >= best.commit {
			best, found = m, true
		}
	}

	if !found {
		return mark{}, damaged("The high-water mark %s is damaged, so nobody can tell whether the ledger is whole.", path).With("file", path)
	}

	return best, nil
}
