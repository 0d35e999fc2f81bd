package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
	"vetting/core/problem"
)

const (
	// tellEach is how often it is told how a disk is.
	tellEach = 2 * time.Second
	// keepPatience is how long it is waited until that is kept, and keepPoll how often it
	// is looked.
	keepPatience = 30 * time.Second
	keepPoll     = 50 * time.Millisecond
)

// crew tests all the disks of a job. Its fields are set before it begins.
type crew struct {
	Job

	layer   blockdev.Asker
	reader  func(d Disk) (r reader, inUse bool, err error)
	live    bool // the system runs in memory
	look    Look // nil: nothing is written
	now     func() time.Time
	pattern *pattern
	buffer  func(size int) ([]byte, error)
	free    func([]byte)
	lane    func(name string) lane
	tell    func(Tally)

	lease atomic.Int64
	kept  atomic.Uint64 // the Note of the latest tally that was kept

	// telling is held from the look at how a disk stands until that is told: what is told
	// never goes back, and whoever keeps a Note has all that was noted before it.
	telling sync.Mutex
	notes   uint64 // tallies that were to be kept at once; guarded by telling
}

// obey takes in what the worker is told.
func (c *crew) obey(o Order) {
	c.lease.Store(o.Lease)
	c.kept.Store(max(c.kept.Load(), o.Kept))
}

// say tells how the test of a disk stands.
func (c *crew) say(x *exam, end bool) {
	c.telling.Lock()
	defer c.telling.Unlock()

	c.tell(x.told(end))
}

// note tells how the test of a disk stands, which is to be kept at once.
func (c *crew) note(x *exam) (number uint64) {
	c.telling.Lock()
	defer c.telling.Unlock()

	c.notes++

	t := x.told(false)
	t.Note = c.notes
	c.tell(t)

	return t.Note
}

// keep tells how the test of a disk stands, and returns whether that is kept where a later
// process finds it. It waits for that, but not for good.
func (c *crew) keep(ctx context.Context, x *exam) (kept bool) {
	number := c.note(x)

	for waited := time.Duration(0); c.kept.Load() < number; waited += keepPoll {
		if waited >= keepPatience {
			return false
		}

		x.moved()

		if !pause(ctx, keepPoll) {
			return false
		}
	}

	return true
}

type reader interface {
	io.ReaderAt
	io.Closer
}

// lane is how it is seen that a thread does not hang.
type lane interface {
	Tick()
	End()
}

// run tests the disks. First of all those that are to be written are opened: where one
// of them may not be, nothing is tested at all, so that the operator hears of it at
// once and nobody waits hours for the others.
func (c *crew) run(ctx context.Context) {
	c.lease.Store(c.Lease)

	exams, ok := c.open(ctx)
	defer func() {
		for _, x := range exams {
			c.say(x.exam, true)
			x.close()
		}
	}()

	if !ok {
		return
	}

	var telling, work sync.WaitGroup

	over, stopTelling := context.WithCancel(ctx)

	telling.Go(func() {
		for pause(over, tellEach) {
			for _, x := range exams {
				c.say(x.exam, false)
			}
		}
	})

	places := c.places()

	for _, x := range exams {
		if x.reader == nil && !x.awaits() { // it could not be opened, and says so, or was tested before
			continue
		}

		work.Go(func() {
			if place := places[x.Group]; place != nil {
				select {
				case place <- struct{}{}:
					defer func() { <-place }()
				case <-ctx.Done():
					return
				}
			}

			l := c.lane("disk " + x.Name)
			defer l.End()

			x.moved = l.Tick

			c.test(ctx, x.exam)
		})
	}

	work.Wait()
	stopTelling()
	telling.Wait()
}

// test tests one disk, or waits for what a worker before this one has told it to do.
func (c *crew) test(ctx context.Context, x *exam) {
	if x.awaits() {
		c.await(ctx, x)
	} else {
		x.run(ctx)
	}
}

// places are the seats of each controller.
func (c *crew) places() map[string]chan struct{} {
	places := map[string]chan struct{}{}

	for group, most := range c.Most {
		if most > 0 {
			places[group] = make(chan struct{}, most)
		}
	}

	return places
}

// opened is an exam and what it has open.
type opened struct {
	*exam

	close func()
}

// open opens all disks. It returns false when one that is to be written may not be.
func (c *crew) open(ctx context.Context) (exams []opened, ok bool) {
	exams = make([]opened, len(c.Disks))
	refused := make([]bool, len(c.Disks))

	var work sync.WaitGroup

	for i, d := range c.Disks {
		work.Go(func() {
			l := c.lane("opening " + d.Name)
			defer l.End()

			exams[i], refused[i] = c.openOne(ctx, d, l)
		})
	}

	work.Wait()

	ok = true
	for _, r := range refused {
		ok = ok && !r
	}

	return exams, ok
}

func (c *crew) openOne(ctx context.Context, d Disk, l lane) (o opened, refused bool) {
	x := &exam{
		Disk: d, plan: c.Plan, seed: c.Seed, pattern: c.pattern, buffer: c.buffer, free: c.free, moved: l.Tick,
		stop: func() {}, // replaced when it runs
	}
	x.keep = func(ctx context.Context) bool { return c.keep(ctx, x) }
	o = opened{x, func() {}}

	if x.tested() || x.awaits() {
		x.begin()

		return o, false
	}

	if !d.Write {
		r, inUse, err := c.reader(d)
		x.begin()

		if err != nil {
			x.wrong(Wrong{Kind: Unfinished, Text: err.Error(), Code: problem.StorageNotTested})

			return o, false
		}

		x.reader, x.tally.InUse = r, inUse
		o.close = func() { _ = r.Close() } // nothing was written

		return o, false
	}

	// The lane is that of the opening, and later that of the test.
	device, err := c.openPatiently(ctx, d, func() { x.moved() })
	if err != nil {
		x.begin()
		x.tally.Refused = reasons(err)

		return o, true
	}

	x.reader, x.writer = device, device
	x.begin()
	x.tally.Found = foundWords(device.Found())
	x.adopt(device.Disk())

	o.close = func() { _ = device.Close() } // what was written was flushed, and verified

	return o, false
}

// await waits for a disk that a worker before this one has told to erase itself: nothing is
// begun a second time. Only where the disk was never told, which its own log says, its
// test goes on as that of any other.
func (c *crew) await(ctx context.Context, x *exam) {
	told := *x.tally.Mark.Erasing // nobody else has it yet

	a, err := blockdev.Await(ctx, c.layer, x.Serial, x.WWN, told, x.progress(ctx), x.readable)

	switch {
	case ctx.Err() != nil:
	case errors.Is(err, blockdev.ErrNeverBegun):
		c.goOn(ctx, x)
	case err != nil:
		x.over("NOT discarded: " + told.Name + ": " + err.Error())
	default:
		x.over(c.gone(ctx, x, a))
	}
}

// goOn opens the disk for what is left to do.
func (c *crew) goOn(ctx context.Context, x *exam) {
	device, err := c.openPatiently(ctx, x.Disk, x.moved)
	if err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()

		x.tally.Refused = reasons(err)

		return
	}

	defer device.Close() //nolint:errcheck // what was written was flushed, and verified

	x.mu.Lock()
	x.reader, x.writer, x.tally.Mark.Erasing = device, device, nil
	x.adopt(device.Disk())
	x.mu.Unlock()

	x.run(ctx)
}

// gone looks whether what was written to a disk is gone, and says what came of its
// erasure.
func (c *crew) gone(ctx context.Context, x *exam, a blockdev.Awaited) (outcome string) {
	name := x.tally.Mark.Erasing.Name

	r, err := c.layer.Read(a.Name)
	if err != nil {
		return "NOT discarded: " + name + ": " + err.Error()
	}
	defer r.Close() //nolint:errcheck // nothing was written

	x.reader = r

	switch why := x.remains(ctx, x.plan.steps(x.Bytes, true)); {
	case why == "":
		return "erased: " + name + ", which an agent began that was started again meanwhile"
	case a.Begun:
		return "NOT discarded, although the disk says so (" + name + "): " + why
	default:
		return "NOT discarded: nobody knows whether the disk was told (" + name + "), and " + why
	}
}

// openPatience is how long a disk is waited for that somebody has open.
const openPatience = time.Minute

// openPatiently opens a disk to write. An agent that was just started again has no lease
// until the appliance has answered it, and the worker of the one before may be about to let
// go of the disk: both are waited for. Whatever else is in the way is said at once.
func (c *crew) openPatiently(ctx context.Context, d Disk, moved func()) (*blockdev.Device, error) {
	request := c.request(d, moved)

	for leased, waited := time.Duration(0), time.Duration(0); ; {
		// A look at the disk costs it hundreds of reads: the lease comes first.
		for c.Destructive && !c.now().Before(request.Lease()) && leased < leasePatience {
			leased += leasePoll

			moved()

			if !pause(ctx, leasePoll) {
				return nil, ctx.Err()
			}
		}

		device, err := blockdev.Open(ctx, c.layer, request)

		switch {
		case noLease(err) && leased < leasePatience:
			leased += leasePoll
		case errors.Is(err, syscall.EBUSY) && waited < openPatience:
			waited += leasePoll
		default:
			return device, err
		}

		moved()

		if !pause(ctx, leasePoll) {
			return nil, ctx.Err()
		}
	}
}

// noLease reports whether the lease alone is in the way.
func noLease(err error) bool {
	var refused *blockdev.Refused

	return errors.As(err, &refused) && len(refused.Decision.Reasons) == 1 && refused.Decision.Has(problem.StorageNoLease)
}

// adopt takes over what the open disk is, which counts more than what was known before.
func (e *exam) adopt(d diskguard.Disk) {
	e.Name, e.Bytes, e.Block = d.Name, int64(d.SizeBytes), d.Block
	e.tally.Name = d.Name
	e.curves = map[act]*curve{actRead: newCurve(e.Bytes), actWrite: newCurve(e.Bytes)}
	e.tally.Total = bytesOf(e.plan.steps(e.Bytes, true))
}

func (c *crew) request(d Disk, moved func()) blockdev.Request {
	r := blockdev.Request{
		Serial: d.Serial, Probe: c.prober(moved), Now: c.now, Lease: func() time.Time { return since(c.lease.Load()) },
		Moved:    moved,
		Standing: blockdev.Standing{Destructive: c.Destructive, Live: c.live, Expected: c.Expected, Protected: c.Protected},
	}

	if d.Override {
		r.Override = diskguard.Override{Given: true, Until: since(c.OverrideUntil)}
	}

	return r
}

// reasons are the words of an open that did not come about.
func reasons(err error) (list []Reason) {
	var refused *blockdev.Refused

	switch {
	case errors.As(err, &refused):
		for _, r := range refused.Decision.Reasons {
			list = append(list, Reason{r.Code, r.Evidence})
		}
	case errors.Is(err, blockdev.ErrAbsent):
		list = append(list, Reason{problem.StorageMissing, err.Error()})
	case errors.Is(err, blockdev.ErrProbe):
		list = append(list, Reason{problem.StorageNotProbed, err.Error()})
	default:
		list = append(list, Reason{problem.StorageNotExclusive, err.Error()})
	}

	return list
}

func foundWords(p diskguard.Probe) string {
	if len(p.Signatures) > 0 {
		return strings.Join(p.Signatures, ", ")
	}

	if p.Foreign > 0 {
		return fmt.Sprintf("%d of %d samples were not blank", p.Foreign, p.Samples)
	}

	return fmt.Sprintf("%d samples, blank or of an earlier test", p.Samples)
}

// canary plants faults in blocks in memory and looks whether each is found.
func (c *crew) canary() bool {
	var block [BlockSize]byte

	s := Stamp{Seed: c.Seed, Disk: 1, Offset: 1 << 30, Pass: 1}
	c.pattern.block(block[:], s)

	if !c.pattern.right(block[:], s) {
		return false
	}

	elsewhere := s
	elsewhere.Offset += BlockSize

	if c.pattern.right(block[:], elsewhere) {
		return false
	}

	for _, at := range []int{atBody, BlockSize / 2, atSum - 1, atSum} {
		block[at] ^= 0x08

		if c.pattern.right(block[:], s) {
			return false
		}

		block[at] ^= 0x08
	}

	return c.pattern.right(block[:], s)
}
