package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bits of an entry of /proc/self/pagemap (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagePresent = 1 << 63
	pageNumber  = 1<<55 - 1
)

// pageTable tells the physical pages of this process. Safe for concurrent use.
type pageTable struct {
	file *os.File
	size uint64 // of a page
}

func openPageTable() (*pageTable, error) {
	file, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil, fmt.Errorf("opening the page table: %w", err)
	}

	return &pageTable{file: file, size: uint64(os.Getpagesize())}, nil
}

func (t *pageTable) close() { t.file.Close() }

// entries reads the entries of the pages from an address on; into has 8 bytes for
// each.
func (t *pageTable) entries(address uint64, into []byte) error {
	_, err := t.file.ReadAt(into, int64(address/t.size*8))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the page table: %w", err)
	}

	return err
}

// physical returns the physical address of an address; 0 when it is not known.
func (t *pageTable) physical(address uint64) uint64 {
	var entry [8]byte

	if t.entries(address, entry[:]) != nil {
		return 0
	}

	e := binary.LittleEndian.Uint64(entry[:])
	if e&pagePresent == 0 || e&pageNumber == 0 {
		return 0
	}

	return e&pageNumber*t.size + address%t.size
}

// survey reads which physical pages a plot has, into a digest for each 2 MiB. The
// first time it is remembered; from the second time on, what is as it was the
// first time counts as tested, and what is not as moved.
func (t *pageTable) survey(p *plot, ram []Range, count *Pages) error {
	perHuge := int(hugeBytes / t.size)
	entries := make([]byte, perHuge*8)
	before, first := p.pages, p.pages == nil

	if first {
		p.pages = make([]uint64, p.area.Bytes()/hugeBytes)
	}

	for i := range p.pages {
		if err := t.entries(p.area.Address(0)+uint64(i)*hugeBytes, entries); err != nil {
			return err
		}

		digest, in, other := t.digest(entries, ram)

		switch {
		case first:
			p.pages[i] = digest
		case digest != before[i]:
			count.Moved += in + other
		default:
			count.Tested += in
			count.Other += other
		}

		count.Known = count.Known || in+other > 0
	}

	return nil
}

// digest hashes entries (FNV-1a over page numbers), and adds up the bytes of those
// in memory of the machine and of others. Where it is not known what is memory, all
// is.
func (t *pageTable) digest(entries []byte, ram []Range) (digest, in, other uint64) {
	const basis, prime = 0xcbf29ce484222325, 0x100000001b3

	digest = basis

	for at := 0; at < len(entries); at += 8 {
		e := binary.LittleEndian.Uint64(entries[at:])
		number := e & pageNumber
		digest = (digest ^ number) * prime

		switch {
		case e&pagePresent == 0 || number == 0:
		case len(ram) == 0 || inside(ram, number*t.size):
			in += t.size
		default:
			other += t.size
		}
	}

	return digest, in, other
}

// isHuge reports whether the 2 MiB at an address are one stretch of physical
// memory that begins at a multiple of 2 MiB: a huge page, or as good as one.
func (t *pageTable) isHuge(address uint64) bool {
	first, last := t.physical(address), t.physical(address+hugeBytes-1)

	return first != 0 && first%hugeBytes == 0 && last == first+hugeBytes-1
}
