package engine

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"vetting/core"
)

// crockford is the alphabet of ULIDs, in which the order of the letters is the
// order of the numbers.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ids makes run numbers: ULIDs (github.com/ulid/spec), 48 bits of milliseconds
// and 80 of chance. Each is greater than the one before, even when the clock goes
// back, so that the order of the numbers is the order of the queue.
type ids struct {
	random io.Reader

	mu   sync.Mutex // guards last
	last [16]byte
}

// next returns the number of a run created now.
func (g *ids) next(now time.Time) (core.RunID, error) {
	g.mu.Lock()
	defer g.mu.Unlock()

	var id [16]byte

	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16) // #nosec G115 -- 48 bits last until the year 10889

	if _, err := io.ReadFull(g.random, id[6:]); err != nil {
		return "", fmt.Errorf("drawing a run number: %w", err)
	}

	if string(id[:]) <= string(g.last[:]) {
		id = successor(g.last)
	}

	g.last = id

	return encode(id), nil
}

// past makes all further numbers greater than one in the ledger.
func (g *ids) past(id core.RunID) {
	raw, ok := decode(id)

	g.mu.Lock()
	defer g.mu.Unlock()

	if ok && string(raw[:]) > string(g.last[:]) {
		g.last = raw
	}
}

func successor(id [16]byte) [16]byte {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			break
		}
	}

	return id
}

// encode writes 128 bits as 26 letters of 5 bits, the first of which has 3.
func encode(id [16]byte) core.RunID {
	var text [26]byte

	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])

	for i := len(text) - 1; i >= 0; i-- {
		text[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}

	return core.RunID(text[:])
}

func decode(id core.RunID) (raw [16]byte, ok bool) {
	if len(id) != 26 {
		return raw, false
	}

	var hi, lo uint64

	for i := range len(id) {
		v := -1

		for j := range len(crockford) {
			if crockford[j] == id[i] {
				v = j
			}
		}

		if v < 0 {
			return raw, false
		}

		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}

	binary.BigEndian.PutUint64(raw[:8], hi)
	binary.BigEndian.PutUint64(raw[8:], lo)

	return raw, true
}
