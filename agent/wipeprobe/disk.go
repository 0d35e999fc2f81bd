package wipeprobe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"slices"
)

const (
	chunkSize = 64 << 10
	pieceSize = 4 << 10

	// patience is how many pieces may fail before chunks that fail are no longer tried
	// piece by piece, and half of how many before the probe gives up: a dying disk
	// takes seconds for each.
	patience = 16
)

// disk reads in chunks that it keeps, and remembers what could not be read.
type disk struct {
	reader       io.ReaderAt
	size, sector int64
	stopped      func() bool

	chunks     map[int64][]byte // by number; nil for what could not be read
	bad        []Region
	failed     int // pieces
	samples    int
	nonBlank   int
	signatures []Signature
}

// at returns n bytes from an offset, or nil where some of them are not on the disk or
// cannot be read.
func (d *disk) at(offset int64, n int) []byte {
	if offset < 0 || n <= 0 || int64(n) > d.size || offset > d.size-int64(n) {
		return nil
	}

	for number := offset / chunkSize; number <= (offset+int64(n)-1)/chunkSize; number++ {
		if d.chunk(number) == nil {
			return nil
		}
	}

	if slices.ContainsFunc(d.bad, func(b Region) bool { return b.Offset < offset+int64(n) && offset < b.Offset+b.Length }) {
		return nil
	}

	within := int(offset % chunkSize)
	if first := d.chunks[offset/chunkSize]; within+n <= len(first) {
		return first[within : within+n]
	}

	all := make([]byte, 0, n)

	for len(all) < n {
		part := d.chunks[offset/chunkSize][offset%chunkSize:]
		part = part[:min(len(part), n-len(all))]
		all = append(all, part...)
		offset += int64(len(part))
	}

	return all
}

// end returns n bytes from an offset before the end of the disk, as at does.
func (d *disk) end(before int64, n int) []byte { return d.at(d.size-before, n) }

// is reports whether the bytes at an offset are these.
func (d *disk) is(offset int64, magic string) bool {
	return string(d.at(offset, len(magic))) == magic && magic != ""
}

// chunk returns one chunk, shorter at the end of the disk, or nil.
func (d *disk) chunk(number int64) []byte {
	if have, known := d.chunks[number]; known {
		return have
	}

	start := number * chunkSize
	length := min(chunkSize, (d.size-start)/d.sector*d.sector)

	if length <= 0 || d.stopped() {
		return nil
	}

	data := make([]byte, length)
	if err := d.fill(data, start); err != nil {
		data = d.pieces(start, length, err)
	} else {
		d.count(data)
	}

	d.chunks[number] = data

	return data
}

// pieces reads a chunk that cannot be read as a whole piece by piece.
func (d *disk) pieces(start, length int64, err error) []byte {
	data, good := make([]byte, length), []byte(nil)

	for at := int64(0); at < length; at += d.piece() {
		part := data[at:min(at+d.piece(), length)]

		if d.failed < patience && !d.stopped() {
			err = d.fill(part, start+at)
		}

		if err != nil {
			d.failed++
			d.bad = append(d.bad, Region{start + at, int64(len(part)), err})

			continue
		}

		good = append(good, part...)
	}

	if good == nil {
		return nil
	}

	d.count(good)

	return data
}

// piece is the size of the smallest read.
func (d *disk) piece() int64 { return max(pieceSize, d.sector) }

// load reads a piece that no chunk holds; nil where it cannot.
func (d *disk) load(offset, length int64) []byte {
	part := make([]byte, length)

	if d.stopped() {
		return nil
	}

	if err := d.fill(part, offset); err != nil {
		d.failed++
		d.bad = append(d.bad, Region{offset, length, err})

		return nil
	}

	return part
}

// fill reads exactly part.
func (d *disk) fill(part []byte, offset int64) error {
	n, err := d.reader.ReadAt(part, offset)

	switch {
	case n == len(part):
		return nil // readers may say io.EOF with the last bytes
	case err == nil, err == io.EOF: //nolint:errorlint // io.EOF is never wrapped by an io.ReaderAt
		return io.ErrUnexpectedEOF
	default:
		return err
	}
}

// count adds what was read, if anything was, to the samples.
func (d *disk) count(data []byte) {
	if len(data) == 0 {
		return
	}

	d.samples++

	if v := data[0]; v != 0 && v != 0xff || bytes.Count(data, data[:1]) != len(data) {
		d.nonBlank++
	}
}

// unreadable returns the regions in order, neighbours as one.
func (d *disk) unreadable() (regions []Region) {
	slices.SortFunc(d.bad, func(a, b Region) int { return cmp.Compare(a.Offset, b.Offset) })

	for _, r := range d.bad {
		if n := len(regions); n > 0 && regions[n-1].Offset+regions[n-1].Length >= r.Offset {
			regions[n-1].Length = max(regions[n-1].Length, r.Offset+r.Length-regions[n-1].Offset)

			continue
		}

		regions = append(regions, r)
	}

	return regions
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
