package pattern

// streams is how many tiles are gone over side by side, in pieces: the processor
// fetches ahead in each of them. On Zen 3, where it was measured, one core reads a
// third more in a second than from one tile alone, and rewrites a sixth more.
const (
	streams    = 4
	pieceWords = 64
)

// track is a tile that is being gone over.
type track struct {
	tile       int // of the area; -1: what Move has put aside
	mem        []uint64
	table      []uint64 // what it holds, but for the key
	next       []uint64 // what it gets, likewise
	k, nextKey key
}

func (t *track) set(a Area, c *Content, tile int) {
	t.tile, t.mem, t.table = tile, a.tile(tile), a.view(c, tile, &t.k)
}

func (t *track) setNext(a Area, c *Content, tile int) { t.next = a.view(c, tile, &t.nextKey) }

// compare checks words [from, to) of a track. What is wrong is put right, so that
// it counts again only where it is wrong again.
func (s *Sweep) compare(t *track, from, to int) {
	s.verified += (to - from) * 8

	for from < to {
		right := s.Kernel.check(t.mem[from:to], t.table[from:], &t.k, &s.got)
		if from += right; from == to {
			return
		}

		s.miss(t, from)
		fillPlain(t.mem[from:from+chunkWords], t.table[from:], &t.k)
		from += chunkWords
	}
}

// turnUp checks words [from, to) of a track and writes what they are to hold next.
func (s *Sweep) turnUp(t *track, from, to int) {
	s.verified += (to - from) * 8
	s.written += (to - from) * 8

	for from < to {
		right := s.Kernel.turn(t.mem[from:to], t.table[from:], &t.k, t.next[from:], &t.nextKey, &s.got)
		if from += right; from == to {
			return
		}

		s.miss(t, from)
		fillPlain(t.mem[from:from+chunkWords], t.next[from:], &t.nextKey)
		from += chunkWords
	}
}

// turnPieceDown is turnUp from the last word to the first.
func (s *Sweep) turnPieceDown(t *track, from, to int) {
	s.verified += (to - from) * 8
	s.written += (to - from) * 8

	for from < to {
		right := s.Kernel.turnDown(t.mem[from:to], t.table[from:], &t.k, t.next[from:], &t.nextKey, &s.got)
		if to -= right; from == to {
			return
		}

		to -= chunkWords
		s.miss(t, to)
		fillPlain(t.mem[to:to+chunkWords], t.next[to:], &t.nextKey)
	}
}

// readBack has a sampled tile come from memory right after it was written.
func (s *Sweep) readBack(t *track) {
	if s.Sample == 0 || t.tile%s.Sample != 0 {
		return
	}

	s.Kernel.flush(t.mem)

	t.table, t.k = t.next, t.nextKey
	s.compare(t, 0, tileWords)
}

// carry checks a track and writes what was read to dst. A chunk that is wrong is
// written as it should be.
func (s *Sweep) carry(t *track, dst []uint64) {
	s.verified += tileWords * 8
	s.written += tileWords * 8

	for from := 0; from < tileWords; {
		right := s.Kernel.move(dst[from:], t.mem[from:], t.table[from:], &t.k, &s.got)
		if from += right; from == tileWords {
			return
		}

		s.miss(t, from)
		fillPlain(dst[from:from+chunkWords], t.table[from:], &t.k)
		from += chunkWords
	}
}

// miss tells of the words in s.got, which was read at a word of a track, that are
// not what they should be.
func (s *Sweep) miss(t *track, at int) {
	found := false

	for w, got := range s.got {
		if expected := t.table[at+w] ^ t.k[w%keyWords]; got != expected {
			found = true

			s.Miss(Miss{Word: t.word(at + w), Expected: expected, Got: got})
		}
	}

	if !found {
		s.Miss(Miss{Word: t.word(at), Expected: s.got[0], Got: s.got[0]})
	}
}

// word is the area's number of a word of the track.
func (t *track) word(at int) int {
	if t.tile < 0 {
		return -1
	}

	return t.tile*tileWords + at
}

// Forget has the caches forget what they may still hold of the end of a sweep,
// bytes at most: a sweep the other way would begin there. alive is called now and
// then.
func (k Kernel) Forget(a Area, op Op, bytes int, alive func()) {
	rows := a.Tiles() / streams
	each := min(rows, bytes/TileBytes/streams+1)

	for strip := range streams {
		from := (strip+1)*rows - each
		if op == TurnDown {
			from = strip * rows
		}

		for i := range each {
			k.flush(a.tile(from + i))

			if i%stepTiles == 0 {
				alive()
			}
		}
	}

	last := max(rows*streams, a.Tiles()-bytes/TileBytes) // what Fill and Move write last, and what makes no strip

	for i := last; i < a.Tiles(); i++ {
		k.flush(a.tile(i))
	}
}
