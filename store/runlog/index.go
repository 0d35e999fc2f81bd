package runlog

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"
)

const (
	indexEvery = 64 << 10 // bytes of a file between entries of its index
	recalled   = 256      // batches whose answers are kept in memory
	maxLine    = 64 << 10 // longer ones were not written by us
)

// index is what is known of a file without reading it: how far it is whole, the
// number of its last line, where some of its batches begin, and what the last
// batches were answered.
type index struct {
	size    int64  // end of the last whole batch
	last    uint64 // number of the last line
	batches []spot // in order, a batch each indexEvery bytes
	answers map[name]uint64
	recent  []name         // keys of answers, oldest first
	highest map[int]uint64 // the highest batch of each epoch
	damaged int            // batches whose checksum is wrong
}

// spot is the beginning of a batch and the number of the line before it.
type spot struct {
	before uint64
	offset int64
}

func newIndex() *index {
	return &index{answers: map[name]uint64{}, highest: map[int]uint64{}}
}

// add records a batch that lies behind all others. One that is damaged is not
// remembered by its name, so that it may be sent again.
func (x *index) add(b found) {
	if n := len(x.batches); n == 0 || x.size-x.batches[n-1].offset >= indexEvery {
		x.batches = append(x.batches, spot{before: x.last, offset: x.size})
	}

	x.size += b.size

	if !b.whole {
		x.damaged++
		x.last = max(x.last, min(b.Last, x.last+b.lines))

		return
	}

	x.last = b.Last
	x.answers[b.name()] = b.Last
	x.recent = append(x.recent, b.name())
	x.highest[b.Epoch] = max(x.highest[b.Epoch], b.Seq)

	if len(x.recent) > 2*recalled {
		for _, old := range x.recent[:recalled] {
			delete(x.answers, old)
		}

		x.recent = append(x.recent[:0], x.recent[recalled:]...)
	}
}

// forgotten reports whether n may be in the file though no answer is in memory.
func (x *index) forgotten(n name) bool {
	highest, seen := x.highest[n.epoch]

	return seen && n.seq <= highest && len(x.recent) >= recalled
}

// from returns where to begin reading for the lines after a number.
func (x *index) from(after uint64) int64 {
	i := sort.Search(len(x.batches), func(i int) bool { return x.batches[i].before > after })
	if i == 0 {
		return 0
	}

	return x.batches[i-1].offset
}

// found is a batch in a file.
type found struct {
	ending

	size  int64  // of the batch with its end, in bytes
	lines uint64 // without its end
	whole bool   // its checksum holds
}

// scan reads a file from the beginning and calls each for every batch that has
// an end.
func scan(r io.Reader, each func(found)) error {
	in := bufio.NewReaderSize(r, maxLine)
	table := crc32.MakeTable(crc32.Castagnoli)

	var (
		b   found
		sum uint32
	)

	for {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // what is left has no end
		}

		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("reading log: %w", err)
		}

		b.size += int64(len(text))

		e, ends := parseEnding(text)
		if !ends {
			b.lines++

			sum = crc32.Update(sum, table, text)

			continue
		}

		b.ending, b.whole = e, e.checksum(sum) == e.CRC
		each(b)

		b, sum = found{}, 0
	}
}

// build makes the index of a file.
func build(r io.Reader) (*index, error) {
	x := newIndex()

	return x, scan(r, x.add)
}
