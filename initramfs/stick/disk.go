package stick

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// sector is the unit of a GPT, of FAT and of BIOS calls; block that of a CD.
const (
	sector = 512
	block  = 2048
	mib    = 1 << 20
)

// Disk is a finished image: pieces of known content, and blank between them.
type Disk struct {
	Size   int64 // bytes
	pieces []piece
}

// piece is a stretch of the image; without data it is to be blanked, whatever was on
// the medium before.
type piece struct {
	at, size int64
	data     io.ReaderAt
	table    bool // of partitions
}

func (d *Disk) put(at int64, data []byte) {
	d.pieces = append(d.pieces, piece{at: at, size: int64(len(data)), data: bytes.NewReader(data)})
}

func (d *Disk) putTable(at int64, data []byte) {
	d.put(at, data)
	d.pieces[len(d.pieces)-1].table = true
}

func (d *Disk) blank(at, size int64) {
	d.pieces = append(d.pieces, piece{at: at, size: size})
}

// settle sorts the pieces, and refuses those that overlap or stick out.
func (d *Disk) settle() error {
	slices.SortStableFunc(d.pieces, func(a, b piece) int { return cmp.Compare(a.at, b.at) })

	end := int64(0)
	for _, p := range d.pieces {
		if p.at < end || p.size < 0 {
			return fmt.Errorf("laying out the image: two parts meet at byte %d", p.at)
		}

		end = p.at + p.size
	}

	if end > d.Size {
		return fmt.Errorf("laying out the image: it needs %d bytes and has %d", end, d.Size)
	}

	return nil
}

// chunk is how much is copied at a time.
const chunk = 1 << 20

// flusher is a medium that holds back what is written to it.
type flusher interface{ Flush() error }

func flush(w io.WriterAt) error {
	if medium, ok := w.(flusher); ok {
		return medium.Flush()
	}

	return nil
}

// WriteAt writes the pieces, and leaves what is between them as it is: a new file must
// be given its size before, and a used medium keeps old data there that no file system
// of the image knows of. progress, which may be nil, is told of the bytes written and
// of how many there are; an error of its ends the writing.
//
// The partition tables are blanked first and written last, with a Flush between where w
// has one: a stick that is pulled meanwhile, or loses its power, is one that no firmware
// starts, and not half a kit.
func (d *Disk) WriteAt(w io.WriterAt, progress func(done, all int64) error) error {
	var done, all int64
	for _, p := range d.pieces {
		all += p.size

		if p.table {
			if _, err := w.WriteAt(make([]byte, p.size), p.at); err != nil {
				return fmt.Errorf("blanking the partition table: %w", err)
			}
		}
	}

	advance := func(n int64) error {
		done += n

		if progress == nil {
			return nil
		}

		return progress(done, all)
	}

	for _, tables := range []bool{false, true} {
		if err := flush(w); err != nil {
			return fmt.Errorf("writing the image out: %w", err)
		}

		for _, p := range d.pieces {
			if p.table != tables {
				continue
			}

			if err := p.write(w, advance); err != nil {
				return err
			}
		}
	}

	return nil
}

// write copies the piece, and tells of each part.
func (p piece) write(w io.WriterAt, advance func(n int64) error) error {
	buffer := make([]byte, min(chunk, p.size))

	for at := int64(0); at < p.size; {
		part := buffer[:min(chunk, p.size-at)]
		if err := p.read(part, at); err != nil {
			return err
		}

		if _, err := w.WriteAt(part, p.at+at); err != nil {
			return fmt.Errorf("writing the image: %w", err)
		}

		at += int64(len(part))

		if err := advance(int64(len(part))); err != nil {
			return err
		}
	}

	return nil
}

// Compare reads the pieces back, and tells the first byte that is another.
func (d *Disk) Compare(r io.ReaderAt, progress func(done, all int64) error) error {
	var done, all int64
	for _, p := range d.pieces {
		all += p.size
	}

	want, got := make([]byte, chunk), make([]byte, chunk)

	for _, p := range d.pieces {
		for at := int64(0); at < p.size; at += chunk {
			n := min(chunk, p.size-at)
			if err := p.read(want[:n], at); err != nil {
				return err
			}

			if _, err := r.ReadAt(got[:n], p.at+at); err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("reading the image back: %w", err)
			}

			if !bytes.Equal(want[:n], got[:n]) {
				return fmt.Errorf("reading the image back: what was written within %d bytes from %d on is not what is read; the medium is bad", n, p.at+at)
			}

			done += n

			if progress == nil {
				continue
			}

			if err := progress(done, all); err != nil {
				return err
			}
		}
	}

	return nil
}

// WriteTo writes the whole image, blanks included, from its first byte to its last.
func (d *Disk) WriteTo(w io.Writer) (written int64, err error) {
	buffer := make([]byte, chunk)
	next := slices.Clone(d.pieces)

	for written < d.Size {
		part := buffer[:min(chunk, d.Size-written)]
		clear(part)

		for len(next) > 0 && next[0].at < written+int64(len(part)) {
			if err := next[0].overlay(part, written); err != nil {
				return written, err
			}

			if next[0].at+next[0].size > written+int64(len(part)) {
				break
			}

			next = next[1:]
		}

		n, err := w.Write(part)
		written += int64(n)

		if err != nil {
			return written, fmt.Errorf("writing the image: %w", err)
		}
	}

	return written, nil
}

// overlay puts what the piece has between from and the end of part into part.
func (p piece) overlay(part []byte, from int64) error {
	begin, end := max(p.at, from), min(p.at+p.size, from+int64(len(part)))
	if begin >= end {
		return nil
	}

	return p.read(part[begin-from:end-from], begin-p.at)
}

func (p piece) read(part []byte, at int64) error {
	if p.data == nil {
		clear(part)

		return nil
	}

	if n, err := p.data.ReadAt(part, at); n < len(part) {
		return fmt.Errorf("reading what goes into the image: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}

	return nil
}

// up rounds n up to a multiple of unit.
func up(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
