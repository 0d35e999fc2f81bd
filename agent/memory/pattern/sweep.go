package pattern

// Miss is a word that did not hold what it should.
type Miss struct {
	// Word of the area; -1 for what Move keeps aside, which is not memory under test.
	Word     int
	Expected uint64
	// Got is what was read. Where it equals Expected the memory was right and the
	// comparison went wrong: the processor is to blame.
	Got uint64
}

// Op is one way of going over an area.
type Op int

// The operations. All but Fill compare every word with From before they write.
const (
	Fill     Op = iota // write To
	Check              // compare with From
	Turn               // compare with From and write To, upwards
	TurnDown           // the same, downwards
	Scatter            // the same, in random order
	Move               // compare with From and carry what was read MoveTiles towards the beginning
)

// String names the operation for people.
func (o Op) String() string {
	return [...]string{"fill", "verify", "verify and rewrite upwards", "verify and rewrite downwards", "verify and rewrite at random", "move"}[o]
}

// MoveTiles is how far Move carries.
const MoveTiles = 256

// stepTiles is how often a sweep looks up: every few hundred KiB.
const stepTiles = 64

// Sweep goes over one area. Not safe for concurrent use; Kernel and the funcs must
// be set.
type Sweep struct {
	Kernel Kernel
	Area   Area
	// Miss is told of each wrong word before anything is written over it. It may write
	// to the word, which is put right afterwards.
	Miss func(Miss)
	// Step is called after every few hundred tiles with what was verified and
	// written since; the sweep ends early when it returns false.
	Step func(verified, written int) bool
	// Sample is how often a tile that was turned is flushed out of the caches and
	// read back at once: every Sample-th; 0 is never.
	Sample int

	tracks            [streams]track
	got               chunk
	spare             []uint64 // what Move carries around the end
	verified, written int      // since the last Step
}

// Kernel is one implementation of the inner loops.
type Kernel struct{ loops }

// Kernels returns what this processor can run: the fastest first, the plain one
// that the others are held against last.
func Kernels() (all []Kernel) {
	for _, l := range fastest() {
		all = append(all, Kernel{l})
	}

	return all
}

// String names the kernel for people.
func (k Kernel) String() string { return k.name }

// Flush has the caches write the line of a word back and forget it, so that the
// next read is answered by the memory.
func (k Kernel) Flush(a Area, word int) {
	line := word &^ (keyWords - 1)
	k.flush(a.words[line : line+keyWords])
}

// Read returns a word of the area as it is now.
func (a Area) Read(word int) uint64 { return load(&a.words[word]) }

// Write sets a word of the area.
func (a Area) Write(word int, value uint64) { store(&a.words[word], value) }

// Run goes over the area once and returns what it holds afterwards. It reports
// false when Step ended it early; what the area holds is then not known.
func (s *Sweep) Run(op Op, from, to Content) (after Content, whole bool) {
	s.verified, s.written = 0, 0
	after = to

	switch op {
	case Fill:
		whole = s.walk(s.Area.Tiles(), func(i int) { s.fill(&to, i) })
	case Check:
		after = from
		whole = s.abreast(false, func(tiles []int) { s.check(&from, tiles) })
	case Turn:
		whole = s.abreast(false, func(tiles []int) { s.turn(&from, &to, tiles) })
	case TurnDown:
		whole = s.abreast(true, func(tiles []int) { s.turnDown(&from, &to, tiles) })
	case Scatter:
		whole = s.scatter(&from, &to)
	case Move:
		after, whole = s.move(from)
	}

	s.Kernel.fence()

	return after, whole
}

// walk calls do for 0 to n-1 and looks up now and then.
func (s *Sweep) walk(n int, do func(i int)) (whole bool) {
	for i := range n {
		do(i)

		if i%stepTiles == stepTiles-1 && !s.step() {
			return false
		}
	}

	return s.step()
}

// abreast calls do with the tiles that are gone over side by side: one of each
// strip of the area, upwards or downwards in all of them. What does not make a
// strip is at the area's end, and comes one by one.
func (s *Sweep) abreast(down bool, do func(tiles []int)) (whole bool) {
	rows := s.Area.Tiles() / streams
	all := rows + s.Area.Tiles()%streams
	tiles := make([]int, streams)

	return s.walk(all, func(i int) {
		if down {
			i = all - 1 - i
		}

		if i >= rows {
			tiles[0] = rows*(streams-1) + i
			do(tiles[:1])

			return
		}

		for k := range tiles {
			tiles[k] = k*rows + i
		}

		do(tiles)
	})
}

func (s *Sweep) step() bool {
	verified, written := s.verified, s.written
	s.verified, s.written = 0, 0

	return s.Step(verified, written)
}

func (s *Sweep) fill(to *Content, i int) {
	t := &s.tracks[0]
	t.set(s.Area, to, i)
	s.Kernel.fill(t.mem, t.table, &t.k)
	s.written += TileBytes
}

func (s *Sweep) check(from *Content, tiles []int) {
	tracks := s.tracks[:len(tiles)]
	for i, tile := range tiles {
		tracks[i].set(s.Area, from, tile)
	}

	for at := 0; at < tileWords; at += pieceWords {
		for i := range tracks {
			s.compare(&tracks[i], at, at+pieceWords)
		}
	}
}

func (s *Sweep) turn(from, to *Content, tiles []int) {
	tracks := s.tracks[:len(tiles)]
	for i, tile := range tiles {
		tracks[i].set(s.Area, from, tile)
		tracks[i].setNext(s.Area, to, tile)
	}

	for at := 0; at < tileWords; at += pieceWords {
		for i := range tracks {
			s.turnUp(&tracks[i], at, at+pieceWords)
		}
	}

	for i := range tracks {
		s.readBack(&tracks[i])
	}
}

func (s *Sweep) turnDown(from, to *Content, tiles []int) {
	tracks := s.tracks[:len(tiles)]
	for i, tile := range tiles {
		tracks[i].set(s.Area, from, tile)
		tracks[i].setNext(s.Area, to, tile)
	}

	for end := tileWords; end > 0; end -= pieceWords {
		for i := range tracks {
			s.turnPieceDown(&tracks[i], end-pieceWords, end)
		}
	}

	for i := range tracks {
		s.readBack(&tracks[i])
	}
}

// scatter turns chunk by chunk, each once, in an order that no prefetcher foresees.
func (s *Sweep) scatter(from, to *Content) (whole bool) {
	const perTile = tileWords / chunkWords

	order, t := newShuffle(s.Area.Tiles()*perTile), &s.tracks[0]

	return s.walk(s.Area.Tiles(), func(int) {
		for range perTile {
			at := order.next()
			t.set(s.Area, from, at/perTile)
			t.setNext(s.Area, to, at/perTile)

			word := at % perTile * chunkWords
			s.turnUp(t, word, word+chunkWords)
		}
	})
}

// move carries each tile MoveTiles towards the beginning, the first ones around to
// the end. A chunk that is wrong is written as it should be, so that it counts
// once.
func (s *Sweep) move(from Content) (after Content, whole bool) {
	n := s.Area.Tiles()
	far := min(MoveTiles, n/2)

	if far == 0 {
		return from, s.walk(n, func(i int) { s.turn(&from, &from, []int{i}) })
	}

	for i := range far { // what is wrong must be told of the memory, not of its copy
		s.check(&from, []int{i})
	}

	s.spare = append(s.spare[:0], s.Area.words[:far*tileWords]...)

	t := &s.tracks[0]
	whole = s.walk(n, func(i int) {
		t.set(s.Area, &from, (i+far)%n)

		if i >= n-far {
			t.tile, t.mem = -1, s.spare[(i+far-n)*tileWords:][:tileWords]
		}

		s.carry(t, s.Area.tile(i))
	})

	from.Moved = (from.Moved + far) % n

	return from, whole
}
