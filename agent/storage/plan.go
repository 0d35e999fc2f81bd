package storage

import (
	"time"

	"vetting/core"
)

const (
	// request is how long a read or write is.
	request = 1 << 20
	// zones is how many places of a disk a sample is taken of.
	zones = 256
	// Edge is how much of the first, middle and last part is usually written before all
	// else.
	Edge = 64 << 20
)

// Plan is what is to be done with the disks. Those that are not armed are read.
type Plan struct {
	Share   float64       // of the disk, 0..1; 1: all of it
	Edge    int64         // bytes of the first, middle and last part that are written first
	Passes  int           // of writing and verifying; the second is the first's complement
	Random  time.Duration // of single reads all over
	Discard string        // at the end, of what is written: "", "discard" or "secure"
	// Alternate: every other pass is read backwards, zone by zone.
	Alternate bool
}

// span is a stretch of a disk that is tested from its beginning to its end, bytes.
type span struct{ offset, length int64 }

// spread lays samples over a disk: so many places, of one length, the first at its
// beginning and the last at its end; or all of it.
func spread(size int64, share float64, places int, unit int64) []span {
	size -= size % BlockSize

	length := int64(share*float64(size)) / int64(places)
	length = max(unit, (length+unit-1)/unit*unit)

	if share >= 1 || length*int64(places) >= size {
		return []span{{0, size}}
	}

	spans := make([]span, places)
	step := float64(size-length) / float64(places-1)

	for i := range spans {
		at := int64(float64(i) * step)
		spans[i] = span{at - at%BlockSize, length}
	}

	spans[places-1].offset = size - length

	return spans
}

// piece is one request.
type piece struct {
	offset int64
	length int
}

// pieces are the requests of spans, by number.
type pieces struct {
	spans []span
	first []int // number of the first request of each span
	count int
	bytes int64
}

func cut(spans []span) *pieces {
	p := &pieces{spans: spans}

	for _, s := range spans {
		p.first = append(p.first, p.count)
		p.count += int((s.length + request - 1) / request)
		p.bytes += s.length
	}

	return p
}

// at is the n-th request.
func (p *pieces) at(n int) piece {
	low, high := 0, len(p.first)
	for high-low > 1 {
		if middle := (low + high) / 2; p.first[middle] <= n {
			low = middle
		} else {
			high = middle
		}
	}

	s, at := p.spans[low], int64(n-p.first[low])*request

	return piece{s.offset + at, int(min(request, s.length-at))}
}

// place is a random block of the spans.
func (p *pieces) place(random func(n uint64) uint64) int64 {
	n := int64(random(uint64(p.bytes/BlockSize))) * BlockSize

	for _, s := range p.spans {
		if n < s.length {
			return s.offset + n
		}

		n -= s.length
	}

	return 0
}

// act is what is done in a step.
type act string

// The acts.
const (
	actWrite  act = "write"
	actVerify act = "verify"
	actRead   act = "read"
)

// step is one walk over a part of the disk.
type step struct {
	act    act
	pass   uint32
	name   string // for people
	pieces *pieces
	// backwards: each stretch of reverseZone requests is gone through from its end.
	backwards bool
}

// reverseZone is how many requests are read backwards at a time: 1 GiB.
const reverseZone = 1 << 10

// at is the n-th request of the step.
func (s *step) at(n int) piece {
	if s.backwards {
		first := n / reverseZone * reverseZone
		last := min(first+reverseZone, s.pieces.count) - 1
		n = last - (n - first)
	}

	return s.pieces.at(n)
}

// steps are the walks of a plan.
func (p *Plan) steps(size int64, write bool) (steps []step) {
	body := cut(spread(size, p.Share, zones, request))

	if !write {
		return []step{{act: actRead, name: "read", pieces: body}}
	}

	ends := cut(spread(size, min(1, 3*float64(p.Edge)/float64(size)), 3, BlockSize))
	steps = append(steps, step{act: actWrite, pass: 1, name: "write ends", pieces: ends}, step{act: actVerify, pass: 1, name: "verify ends", pieces: ends})

	for pass := uint32(1); pass <= uint32(max(1, p.Passes)); pass++ {
		verify := step{act: actVerify, pass: pass, name: "verify", pieces: body}
		if p.Alternate && pass%2 == 0 {
			verify.backwards, verify.name = true, "verify backwards"
		}

		steps = append(steps, step{act: actWrite, pass: pass, name: "write", pieces: body}, verify)
	}

	return steps
}

// bytes is how much all steps move.
func bytesOf(steps []step) (total int64) {
	for _, s := range steps {
		total += s.pieces.bytes
	}

	return total
}

// Walks are those over a disk of so many bytes, as far as a tally of it tells: what is
// done of each.
func (p *Plan) Walks(size int64, t *Tally) (walks []core.Walk) {
	if size <= 0 {
		return nil
	}

	for i, s := range p.steps(size, t.Wrote) {
		walk := core.Walk{Name: s.name, Pass: int(s.pass)}

		switch {
		case i < t.Mark.Step:
			walk.Done = 1
		case i == t.Mark.Step && s.pieces.count > 0:
			walk.Done = float64(t.Mark.Piece) / float64(s.pieces.count)
		}

		walks = append(walks, walk)
	}

	return walks
}
