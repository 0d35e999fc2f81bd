package pattern

import (
	"fmt"
	"math/rand/v2"
)

// Sizes in 64-bit words. Memory is tested in tiles of a page, and looked at in
// chunks of four cache lines.
const (
	TileBytes  = 4096
	tileWords  = TileBytes / 8
	chunkWords = 32
	keyWords   = 8 // a cache line
)

// key is laid over each cache line of a tile.
type key = [keyWords]uint64

// Pattern says what each word of memory is to hold, from its address alone: word w
// of a tile is table[w] ^ key[w%8], where both may depend on the tile's address.
// The zero Pattern is not usable. Safe for concurrent use.
type Pattern struct {
	name    string
	table   []uint64
	windows uint64 // parts of the table that tiles may begin at, line by line; 1: all take its beginning
	address bool   // the tile's address goes into the key
	flip    uint64 // goes into every word
	seed    uint64 // of windows and keys, where there is more than one window
}

// Solid holds the same word everywhere.
func Solid(word uint64) Pattern {
	return Pattern{name: fmt.Sprintf("%016x", word), table: make([]uint64, tileWords), windows: 1, flip: word}
}

// Address holds in each word its own address XOR mask: where an address line is
// stuck or crossed, two addresses are one and at most one of them can be right.
func Address(mask uint64) Pattern {
	table := make([]uint64, tileWords)
	for w := range table {
		table[w] = uint64(w) * 8
	}

	return Pattern{name: "own address", table: table, windows: 1, address: true, flip: mask}
}

// Random holds what looks like noise and can be made again from the seed: each
// tile takes another window of a table of noise under another key.
func Random(seed uint64) Pattern {
	const windows = 192

	source, table := rand.NewPCG(seed, 0), make([]uint64, tileWords+windows*keyWords)
	for w := range table {
		table[w] = source.Uint64()
	}

	return Pattern{name: fmt.Sprintf("random %016x", seed), table: table, windows: windows, seed: seed}
}

// Inverse has every bit the other way round.
func (p Pattern) Inverse() Pattern {
	p.flip = ^p.flip
	p.name += " inverted"

	if p.windows == 1 && !p.address {
		p.name = fmt.Sprintf("%016x", p.flip)
	}

	return p
}

// String names the pattern for people.
func (p Pattern) String() string { return p.name }

// tile returns what the tile at an address holds. The table is shared and must
// not be written to.
func (p Pattern) tile(address uint64, k *key) (table []uint64) {
	if p.windows > 1 {
		state := p.seed ^ address
		for w := range k {
			k[w] = splitmix(&state) ^ p.flip
		}

		at := splitmix(&state) % p.windows * keyWords

		return p.table[at : at+tileWords]
	}

	word := p.flip
	if p.address {
		word ^= address
	}

	for w := range k {
		k[w] = word
	}

	return p.table
}

// splitmix is the SplitMix64 generator: it turns neighbouring states into
// unrelated words (Steele, Lea, Flood, OOPSLA 2014).
func splitmix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb

	return z ^ z>>31
}

// Content is what an area holds: a pattern, that was perhaps moved along.
type Content struct {
	Pattern
	// Moved counts the tiles by which the content was moved towards the area's
	// beginning: tile i holds what was made for tile i+Moved, around the end.
	Moved int
}
