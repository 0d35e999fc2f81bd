package pattern

import "unsafe"

// Area is memory under test: whole tiles, mapped outside of what the garbage
// collector owns. One sweep at a time may go over it.
type Area struct{ words []uint64 }

// NewArea takes the whole tiles of mem.
func NewArea(mem []byte) Area {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(mem))) //nolint:gosec // where the memory begins, to cut it at a tile's boundary
	skip := int((TileBytes - start%TileBytes) % TileBytes)

	if len(mem) < skip+TileBytes {
		return Area{}
	}

	tiles := (len(mem) - skip) / TileBytes

	first := (*uint64)(unsafe.Pointer(&mem[skip])) //nolint:gosec // aligned to a tile

	return Area{words: unsafe.Slice(first, tiles*tileWords)} //nolint:gosec // that many are in mem
}

// Bytes is the size of the area.
func (a Area) Bytes() int { return len(a.words) * 8 }

// Address is where a word stands in the address space of the process.
func (a Area) Address(word int) uint64 { return a.start() + uint64(word)*8 }

// Part returns the tiles [from, to) as an area of their own.
func (a Area) Part(from, to int) Area { return Area{words: a.words[from*tileWords : to*tileWords]} }

// Tiles is how many the area has.
func (a Area) Tiles() int { return len(a.words) / tileWords }

func (a Area) start() uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.words)))) //nolint:gosec // the address itself is what is asked for
}

func (a Area) tile(i int) []uint64 { return a.words[i*tileWords : (i+1)*tileWords] }

// view returns what tile i holds of a content.
func (a Area) view(c *Content, i int, k *key) (table []uint64) {
	return c.tile(a.start()+uint64((i+c.Moved)%a.Tiles())*TileBytes, k)
}
