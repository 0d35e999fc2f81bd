package storage

import (
	"fmt"
	"math/bits"
	"slices"
)

// Kind says what is wrong with a block or a request.
type Kind string

// What can be wrong.
const (
	ReadError  Kind = "read error"
	WriteError Kind = "write error"
	Corrupt    Kind = "corrupt"    // bits have changed
	Dropped    Kind = "dropped"    // what was there before is still there
	Misplaced  Kind = "misplaced"  // another block of this disk, of this pass
	Swapped    Kind = "swapped"    // misplaced, and the other has this one
	Wrapped    Kind = "wrapped"    // misplaced, always by as much: the disk is smaller than it says
	Crossed    Kind = "crossed"    // a block of another disk of this run
	Unsteady   Kind = "unsteady"   // the second reading gave other data
	Vanished   Kind = "vanished"   // the disk does not answer any more
	Unfinished Kind = "unfinished" // the test could not go on
)

// Wrong is something that was wrong.
type Wrong struct {
	Kind   Kind   `json:"kind"`
	Offset int64  `json:"offset"` // bytes
	Length int    `json:"length"`
	Pass   uint32 `json:"pass,omitempty"`
	Text   string `json:"text"`            // the evidence
	Other  int64  `json:"other,omitempty"` // of a misplaced block: where it belongs
	Code   string `json:"code,omitempty"`  // of core/problem, where a gate has shut
}

// judge says what is wrong with a block that is not the one that was wanted. Of before
// it knows the stamp that the block had, if any, before it was written.
func (p *pattern) judge(b []byte, want Stamp) Wrong {
	w := Wrong{Offset: int64(want.Offset), Length: BlockSize, Pass: want.Pass}
	found, whole := p.read(b)

	switch {
	case whole && found.Seed == want.Seed && found.Disk == want.Disk && found.Pass == want.Pass:
		w.Kind, w.Other = Misplaced, int64(found.Offset)
		w.Text = fmt.Sprintf("the block of offset %d is there", found.Offset)
	case whole && found.Seed == want.Seed && found.Disk != want.Disk:
		w.Kind, w.Text = Crossed, fmt.Sprintf("a block of another disk is there, of its offset %d", found.Offset)
	case whole:
		w.Kind, w.Text = Dropped, fmt.Sprintf("a block of an earlier pass or run is there, of offset %d", found.Offset)
	case blank(b):
		w.Kind, w.Text = Dropped, fmt.Sprintf("it is blank (%02x)", b[0])
	default:
		w.Kind, w.Text = p.differs(b, want)
	}

	return w
}

// differs compares a block with the one it should be. One that has nothing of it is
// what was there before.
func (p *pattern) differs(b []byte, want Stamp) (kind Kind, text string) {
	var right [BlockSize]byte

	p.block(right[:], want)

	var (
		wrong, first  int
		wanted, found byte
	)

	for i := range min(BlockSize, len(b)) {
		x := b[i] ^ right[i]
		if x != 0 && wrong == 0 {
			first, wanted, found = i, right[i], b[i]
		}

		wrong += bits.OnesCount8(x)
	}

	// Of two blocks that have nothing to do with each other half of the bits differ.
	if wrong > BlockSize*8*2/5 {
		return Dropped, "what was there before is still there"
	}

	return Corrupt, fmt.Sprintf("%d bits differ, the first at byte %d: wanted %02x, got %02x", wrong, first, wanted, found)
}

// sortOut looks at misplaced blocks together: two that stand in each other's place are
// swapped; three and more that are all off by as much say that the disk is smaller than
// it tells.
func sortOut(wrongs []Wrong) []Wrong {
	wrongs = slices.Clone(wrongs)
	at, shifts := map[[2]int64]int{}, map[int64]int{}

	for i, w := range wrongs {
		if w.Kind == Misplaced {
			at[[2]int64{w.Offset, w.Other}] = i
			shifts[w.Other-w.Offset]++
		}
	}

	for i := range wrongs {
		w := &wrongs[i]
		if w.Kind != Misplaced {
			continue
		}

		_, back := at[[2]int64{w.Other, w.Offset}]

		switch shift := w.Other - w.Offset; {
		case back:
			w.Kind, w.Text = Swapped, w.Text+", and the one of this offset is there"
		case shift > 0 && shifts[shift] >= 3: // what was written behind the end came out at the beginning
			w.Kind, w.Text = Wrapped, fmt.Sprintf("%s, as everywhere: the disk begins again after %d bytes", w.Text, shift)
		}
	}

	return wrongs
}
