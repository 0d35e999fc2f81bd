package diskread

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/worker"
)

const (
	request  = 1 << 20 // bytes of a read
	inZone   = 32      // requests
	most     = 64      // wrong things that are told of a disk
	tellEach = 2 * time.Second
)

// Work is the worker.
func Work(ctx context.Context, c *worker.Child) error {
	var job Job
	if err := c.Config(&job); err != nil {
		return err
	}

	c.Canary(canary(job.Seed), "a flipped bit in one of two readings")

	var readers []*reader

	for _, t := range job.Targets {
		r, err := open(t, job)
		if err != nil {
			c.Say(EventWrong, Wrong{Name: t.Name, Error: err.Error()})

			continue
		}

		defer r.close()

		readers = append(readers, r)
	}

	if len(readers) == 0 && len(job.Targets) > 0 {
		return errors.New("no disk could be opened")
	}

	c.Ready(fmt.Sprintf("%d disks", len(readers)))

	var work sync.WaitGroup

	for _, r := range readers {
		work.Go(func() { r.run(ctx, c) })
	}

	work.Wait()

	return nil
}

// canary flips a bit of a copy and looks whether the comparison sees it.
func canary(seed uint64) bool {
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // contents are no secret
	first := make([]byte, request)

	for i := range first {
		first[i] = byte(chance.Uint32())
	}

	sum := checksum(first)
	first[chance.IntN(len(first))] ^= 1 << chance.IntN(8)

	return checksum(first) != sum
}

// checksum is CRC-32C: it sees every error of up to 32 bits in a row, and hardware
// computes it faster than any disk reads.
func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// reader reads one disk. It is used by one goroutine.
type reader struct {
	Target

	file   *blockdev.Reader
	buffer []byte // one request, aligned to a page
	chance *rand.Rand
	fault  *Fault
	tally  Tally
	told   time.Time
	wrongs int
	zones  int
	reads  int // of the zone that gets a fault
}

// open opens the disk alone where nobody else has it, and beside others where
// somebody does.
func open(t Target, job Job) (*reader, error) {
	file, err := blockdev.OpenReader(t.Path)
	if err != nil {
		return nil, err
	}

	buffer, err := blockdev.Buffer(request)
	if err != nil {
		_ = file.Close() // nothing was written

		return nil, err
	}

	r := &reader{
		Target: t, file: file, buffer: buffer, tally: Tally{Name: t.Name, InUse: file.InUse},
		chance: rand.New(rand.NewPCG(job.Seed, checksumOf(t.Name))), //nolint:gosec // an order, no secret
	}
	if job.Fault != nil && job.Fault.Name == t.Name {
		r.fault = job.Fault
	}

	return r, nil
}

func checksumOf(name string) uint64 { return uint64(checksum([]byte(name))) }

func (r *reader) close() {
	blockdev.Free(r.buffer)
	_ = r.file.Close() // nothing was written
}

// run reads zones until ctx ends.
func (r *reader) run(ctx context.Context, c *worker.Child) {
	lane := c.Lane("disk " + r.Name)
	defer lane.End()
	defer func() { c.Say(EventTally, r.tally) }()

	for ctx.Err() == nil && r.wrongs < most {
		r.zone(ctx, c, lane)
		r.zones++
	}
}

// zone reads a stretch twice.
func (r *reader) zone(ctx context.Context, c *worker.Child, lane *worker.Lane) {
	stretch := uint64(request * inZone)
	count := max(1, r.Bytes/stretch)
	start := r.chance.Uint64N(count) * stretch

	var sums [inZone]uint32

	for pass := range 2 {
		for i := range sums {
			offset := start + uint64(i)*request //nolint:gosec // i is small

			length := r.length(offset)
			if length == 0 || ctx.Err() != nil {
				return
			}

			lane.Tick()

			sum, ok := r.read(c, offset, length)

			switch {
			case !ok:
				return
			case pass == 0:
				sums[i] = sum
			case r.tally.InUse:
			case sum != sums[i]:
				r.differs(c, offset, length, sums[i], sum)
			default:
				r.tally.Compared += uint64(length)
			}
		}

		if r.tally.InUse {
			return
		}
	}
}

// length is how much can be read at an offset: whole blocks to the end of the disk.
func (r *reader) length(offset uint64) int {
	if offset >= r.Bytes {
		return 0
	}

	left := min(request, r.Bytes-offset)

	return int(left) / r.Block * r.Block
}

// read reads once and returns the checksum.
func (r *reader) read(c *worker.Child, offset uint64, length int) (sum uint32, ok bool) {
	begin := time.Now()
	n, err := r.file.ReadAt(r.buffer[:length], int64(offset)) //nolint:gosec // disks are smaller
	took := time.Since(begin)

	r.tally.Slowest = max(r.tally.Slowest, took)

	if err != nil {
		r.wrongs++
		c.Say(EventWrong, Wrong{Name: r.Name, Offset: offset, Length: length, Error: err.Error()})

		return 0, false
	}

	r.tally.Bytes += uint64(n)
	r.strike()

	if now := time.Now(); now.Sub(r.told) >= tellEach {
		r.told = now

		c.Say(EventTally, r.tally)
	}

	return checksum(r.buffer[:length]), true
}

// strike plants the fault that a test asked for: in the first request of the second
// reading of its zone.
func (r *reader) strike() {
	if r.fault == nil || r.fault.Zone != r.zones {
		return
	}

	if r.reads++; r.reads == inZone+1 {
		r.buffer[len(r.buffer)/2] ^= 0x10
	}
}

// differs reads a third time, and tells.
func (r *reader) differs(c *worker.Child, offset uint64, length int, first, second uint32) {
	r.wrongs++

	third, ok := r.read(c, offset, length)
	c.Say(EventWrong, Wrong{Name: r.Name, Offset: offset, Length: length, Steady: ok && (third == first || third == second)})
}
