package blockdev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/diskguard"
	"vetting/core/problem"
)

// Standing is how the run stands: what all its disks have in common.
type Standing struct {
	Destructive, Live bool
	Expected          []core.ExpectedDisk
	Protected         []string
}

// Prober looks at a disk for somebody's data. It only reads.
type Prober func(ctx context.Context, r io.ReaderAt, disk diskguard.Disk) (diskguard.Probe, error)

// Request is a wish to write to a disk. All fields are set but Override and Moved.
type Request struct {
	Serial   string // as it is armed
	Standing Standing
	Override diskguard.Override
	Probe    Prober
	// Lease returns until when the run may write; it is asked before every write.
	Lease func() time.Time
	Now   func() time.Time
	// Moved is called every second while the disks are looked at, which may take minutes
	// where one of them does not answer; nil: nobody asks. Safe for concurrent use.
	Moved func()
}

// Refused says that a disk is not opened, or not written to any more, and why.
type Refused struct {
	Disk     diskguard.Disk // as far as known
	Decision diskguard.Decision
}

// Error lists the reasons.
func (r *Refused) Error() string {
	return fmt.Sprintf("refusing to write to %s: %s", r.Disk.Name, r.Decision)
}

// ErrNoLease means that the appliance does not let the run write at this moment.
// Nothing was written; with a new lease the same write may be tried again.
var ErrNoLease = errors.New("no lease to write")

// ErrAbsent means that no disk with the armed serial number is there.
var ErrAbsent = errors.New("no such disk is there")

// ErrProbe means that the disk could not be looked at for somebody's data.
var ErrProbe = errors.New("looking for data")

// ErrLook means that the disk, while it was written, could not be looked at again. That
// says nothing of the write, which was not tried.
var ErrLook = errors.New("looking again")

// ErrOutside means that a write was outside the disk, or not of whole blocks.
var ErrOutside = errors.New("outside the armed range")

// lookAgain is how often the disk is looked at while it is written.
const lookAgain = 30 * time.Second

// lookPatience is for how long a look may take and still counts as one that goes on.
const lookPatience = 15 * time.Minute

// Device is an armed disk that is open for writing. Safe for concurrent use.
type Device struct {
	layer  Layer
	handle Handle
	disk   diskguard.Disk
	opened diskguard.Opened
	probe  diskguard.Probe

	mu      sync.Mutex // guards the rest
	request Request
	looked  time.Time
	over    error // why nothing is written any more
}

// Open opens the disk that has the serial number for writing, if it may be. The error
// is a *Refused, ErrAbsent, or that of reading or opening it. Nothing is ever written
// by Open itself.
func Open(ctx context.Context, layer Layer, request Request) (*Device, error) {
	facts, err := look(layer, &request, 0)
	if err != nil {
		return nil, err
	}

	if facts.Probe, err = readProbe(ctx, layer, &request, facts.Disk); err != nil {
		return nil, err
	}

	facts.Now = request.Now()

	decision := diskguard.MayOpen(facts)
	if !decision.Allowed() {
		return nil, &Refused{facts.Disk, decision}
	}

	handle, err := layer.Write(facts.Disk.Name, decision)
	if err != nil {
		return nil, fmt.Errorf("opening %s for writing: %w", facts.Disk.Name, err)
	}

	d, err := confirm(ctx, layer, request, handle)
	if err != nil {
		handle.Close()

		return nil, err
	}

	return d, nil
}

// confirm looks at everything again, now that the disk is open, and at what is open
// itself.
func confirm(ctx context.Context, layer Layer, request Request, handle Handle) (*Device, error) {
	facts, err := look(layer, &request, 0)
	if err != nil {
		return nil, err
	}

	opened, err := handle.Look()
	if err != nil {
		return nil, fmt.Errorf("asking the open %s who it is: %w", facts.Disk.Name, err)
	}

	facts.Opened = &opened

	// What counts is what is on this descriptor, whatever was read by name.
	if facts.Probe, err = request.Probe(ctx, handle, facts.Disk); err != nil {
		return nil, fmt.Errorf("%w on %s: %w", ErrProbe, facts.Disk.Name, err)
	}

	facts.Now = request.Now()

	if d := diskguard.MayWrite(facts); !d.Allowed() {
		return nil, &Refused{facts.Disk, d}
	}

	return &Device{
		layer: layer, handle: handle, disk: facts.Disk, opened: opened, probe: facts.Probe, request: request, looked: facts.Now,
	}, nil
}

// look finds the disk among all that are there.
func look(layer Layer, request *Request, age time.Duration) (*diskguard.Facts, error) {
	var (
		disks []diskguard.Disk
		err   error
	)

	during(request.Moved, lookPatience, func() { disks, err = layer.Survey(age) })

	if err != nil {
		return nil, fmt.Errorf("looking at the disks: %w", err)
	}

	i := slices.IndexFunc(disks, func(d diskguard.Disk) bool { return d.Serial == request.Serial })
	if i < 0 || request.Serial == "" {
		return nil, fmt.Errorf("looking for serial %q: %w", request.Serial, ErrAbsent)
	}

	s := &request.Standing

	return &diskguard.Facts{
		Now: request.Now(), Lease: request.Lease(), Destructive: s.Destructive, Live: s.Live, Expected: s.Expected, Protected: s.Protected,
		Override: request.Override, Disk: disks[i], Others: slices.Delete(slices.Clone(disks), i, i+1),
	}, nil
}

// during calls moved every second while something is under way, for so long at most.
func during(moved func(), patience time.Duration, do func()) {
	if moved == nil {
		do()

		return
	}

	var ticking sync.WaitGroup

	over := make(chan struct{})

	ticking.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()

		for range patience / time.Second {
			select {
			case <-over:
				return
			case <-ticker.C:
				moved()
			}
		}
	})

	do()
	close(over)
	ticking.Wait()
}

func readProbe(ctx context.Context, layer Layer, request *Request, disk diskguard.Disk) (probe diskguard.Probe, err error) {
	if request.Probe == nil {
		return probe, nil // the guard refuses a disk that was not looked at
	}

	r, err := layer.Read(disk.Name)
	if err != nil {
		return probe, fmt.Errorf("opening %s for reading: %w", disk.Name, err)
	}
	defer r.Close()

	if probe, err = request.Probe(ctx, r, disk); err != nil {
		return probe, fmt.Errorf("%w on %s: %w", ErrProbe, disk.Name, err)
	}

	return probe, nil
}

// Disk is what is open.
func (d *Device) Disk() diskguard.Disk { return d.disk }

// Found is what was on the disk when it was opened.
func (d *Device) Found() diskguard.Probe { return d.probe }

// ReadAt reads whole blocks.
func (d *Device) ReadAt(p []byte, offset int64) (int, error) { return d.handle.ReadAt(p, offset) }

// WriteAt writes whole blocks, if the run still may. ErrNoLease, ErrLook, ErrOutside or
// a *Refused when nothing was written.
func (d *Device) WriteAt(p []byte, offset int64) (int, error) {
	n, _, err := d.WriteTimed(p, offset)

	return n, err
}

// WriteTimed is WriteAt, and says how long the disk took for it: without the time that
// other disks take to be looked at.
func (d *Device) WriteTimed(p []byte, offset int64) (n int, took time.Duration, err error) {
	if err := d.may(offset, int64(len(p))); err != nil {
		return 0, 0, err
	}

	begin := time.Now()
	n, err = d.handle.WriteAt(p, offset)

	return n, time.Since(begin), err
}

// Discard gives a range up, if the run still may write.
func (d *Device) Discard(offset, length int64, secure bool) error {
	if err := d.may(offset, length); err != nil {
		return err
	}

	return d.handle.Discard(offset, length, secure)
}

// Flush returns when all that was written is on the medium.
func (d *Device) Flush() error { return d.handle.Flush() }

// Close closes the disk. Nothing is written afterwards.
func (d *Device) Close() error {
	d.mu.Lock()
	d.over = io.ErrClosedPipe
	d.mu.Unlock()

	return d.handle.Close()
}

// may is asked before every write. Once it has refused for another reason than the
// lease, it refuses for ever.
func (d *Device) may(offset, length int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.over != nil {
		return d.over
	}

	size, block := int64(d.opened.SizeBytes), int64(d.opened.Block)
	if offset < 0 || length <= 0 || offset > size || length > size-offset || offset%block != 0 || length%block != 0 {
		return fmt.Errorf("writing %d bytes at %d of %s, which has %d: %w", length, offset, d.disk.Name, size, ErrOutside)
	}

	if now := d.request.Now(); now.Sub(d.looked) >= lookAgain {
		if err := d.check(lookAgain / 2); err != nil {
			return err
		}

		d.looked = now
	}

	if !d.request.Now().Before(d.request.Lease()) {
		return ErrNoLease
	}

	return nil
}

// look finds the disk again, and asks what is open.
func (d *Device) look(age time.Duration) (*diskguard.Facts, error) {
	facts, err := look(d.layer, &d.request, age)
	if err != nil {
		return nil, err
	}

	opened, err := d.handle.Look()
	facts.Opened = &opened

	return facts, err
}

// check looks at the disk while it is written, or takes a look that is at most so old. Its
// content is ours by now; all else must be as it was. d.mu is held.
func (d *Device) check(age time.Duration) error {
	facts, err := d.look(age)
	if err != nil {
		facts, err = d.look(0) // a disk says once that it, or its link, was reset
	}

	if err != nil {
		d.over = fmt.Errorf("%w at %s: %w", ErrLook, d.disk.Name, err)

		return d.over
	}

	facts.Opened.Exclusive = d.opened.Exclusive // it is, as long as it is open

	decision := diskguard.MayGoOn(facts)

	switch {
	case decision.Allowed():
		return nil
	case len(decision.Reasons) == 1 && decision.Has(problem.StorageNoLease):
		return ErrNoLease
	default:
		d.over = &Refused{facts.Disk, decision}

		return d.over
	}
}
