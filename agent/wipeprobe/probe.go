package wipeprobe

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
)

// What a signature is used for, in the words of blkid.
const (
	Filesystem     = "filesystem"
	RAID           = "raid"
	Crypto         = "crypto"
	Other          = "other"
	PartitionTable = "partition-table"
)

// Signature is a trace of a format that was written to the disk.
type Signature struct {
	Name   string // blkid's TYPE or PTTYPE, as "ext4" or "gpt"
	Usage  string // Filesystem, RAID, Crypto, Other or PartitionTable
	Offset int64  // where the magic is, in bytes
	Label  string // what the owner called it; for a dos table the types of its partitions
	UUID   string // as blkid prints it
}

// Region is a stretch of the disk that could not be read.
type Region struct {
	Offset, Length int64
	Err            error
}

// Report is what was seen.
type Report struct {
	Signatures []Signature // by offset
	Samples    int         // blocks that were read: 256 spaced over the disk, and those where signatures are
	NonBlank   int         // of these, how many are neither all zeros nor all ones, as erased flash reads
	Unreadable []Region    // by offset; what is there is not known
}

// Blank reports whether everything that was looked at could be read and is empty.
func (r Report) Blank() bool {
	return r.Samples > 0 && r.NonBlank == 0 && len(r.Signatures) == 0 && len(r.Unreadable) == 0
}

const (
	spaced    = 256 // samples over the whole disk
	minSector = 512
	maxSector = 64 << 10
)

// Probe looks at a disk of size bytes whose logical sectors are of sector bytes.
// Reads are of whole sectors at multiples of one, at most 64 KiB; those of O_DIRECT
// need an aligned buffer of the reader's own. A disk that is smaller than size shows
// as an unreadable region. It fails when size or sector make no sense, or ctx ends.
func Probe(ctx context.Context, r io.ReaderAt, size int64, sector int) (Report, error) {
	if sector < minSector || sector > maxSector || sector&(sector-1) != 0 {
		return Report{}, fmt.Errorf("probing disk: sectors of %d bytes; 512 to 64 KiB, a power of two, are known", sector)
	}

	if size < int64(sector) {
		return Report{}, fmt.Errorf("probing disk: %d bytes are not one sector of %d", size, sector)
	}

	d := &disk{
		reader: r, size: size &^ (minSector - 1), sector: int64(sector), chunks: map[int64][]byte{},
		stopped: func() bool { return ctx.Err() != nil },
	}

	for _, look := range looks() {
		look(d)
	}

	d.sample()

	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("probing disk: %w", err)
	}

	return d.report(), nil
}

// looks are all that is looked for. Partition tables come last: whether a boot sector
// is one depends on what else it is.
func looks() []func(*disk) {
	return []func(*disk){
		(*disk).magics,
		(*disk).md, (*disk).jmicron, (*disk).silicon, (*disk).via,
		(*disk).lvm1, (*disk).luks, (*disk).fileVault, (*disk).bitLockerToGo,
		(*disk).ext, (*disk).fat, (*disk).xfsLog, (*disk).hfs, (*disk).udf, (*disk).zfs, (*disk).ufs, (*disk).sysv,
		(*disk).squashfs, (*disk).gfs, (*disk).scoutfs, (*disk).minix, (*disk).nilfs,
		(*disk).sun, (*disk).mac, (*disk).mbr, (*disk).atari,
	}
}

// found adds a signature; one that two rules see counts once.
func (d *disk) found(s Signature) {
	same := func(o Signature) bool { return o.Name == s.Name && o.Offset == s.Offset }
	if !slices.ContainsFunc(d.signatures, same) {
		d.signatures = append(d.signatures, s)
	}
}

// has reports whether a signature of one of these names is known so far.
func (d *disk) has(names ...string) bool {
	return slices.ContainsFunc(d.signatures, func(s Signature) bool { return slices.Contains(names, s.Name) })
}

// sample reads blocks spaced over the whole disk, the first and the last among them.
func (d *disk) sample() {
	length := d.piece()
	blocks := d.size / length

	for i, last := int64(0), int64(-1); i < spaced && blocks > 0; i++ {
		// As (blocks-1)*i/255, which could overflow.
		block := (blocks-1)/(spaced-1)*i + (blocks-1)%(spaced-1)*i/(spaced-1)

		// Fewer blocks than samples, or a block whose chunk was looked at already.
		if _, known := d.chunks[block*length/chunkSize]; block == last || known {
			continue
		}

		last = block

		if d.failed >= 2*patience {
			d.bad = append(d.bad, Region{block * length, d.size - block*length, d.bad[len(d.bad)-1].Err})

			return
		}

		d.count(d.load(block*length, length))
	}
}

// report sums up what was read.
func (d *disk) report() Report {
	r := Report{Signatures: d.signatures, Samples: d.samples, NonBlank: d.nonBlank, Unreadable: d.unreadable()}

	slices.SortStableFunc(r.Signatures, func(a, b Signature) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Name, b.Name))
	})

	return r
}
