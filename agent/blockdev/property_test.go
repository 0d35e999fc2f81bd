package blockdev_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/core"
	"vetting/core/diskguard"
)

// medium is a disk of the world, whatever it is called.
type medium struct {
	serial, wwn, model string
	size               uint64
	transport          string
	foreign            bool // it holds somebody's data
	written            int
	nvme               *subsystem // it is a namespace of it; nil: it is no NVMe disk
}

// world is a machine whose disks come, go and change their names while they are used.
// Each step of an open is a moment at which something may happen.
type world struct {
	chance *rand.Rand
	now    time.Time
	lease  time.Time
	disks  map[string]*medium // by name; what is not in it is unplugged
	all    []*medium
	calm   bool // nothing happens
	t      *testing.T
	faults []string
}

var errUnplugged = errors.New("unplugged")

const names = "abcdefgh"

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		chance: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), disks: map[string]*medium{}, t: t,
	}
	w.lease = w.now.Add(time.Minute)

	for i := range 5 {
		w.all = append(w.all, &medium{
			serial: fmt.Sprintf("S%d", i), wwn: fmt.Sprintf("5000c500a000000%d", i), model: "M", size: 1 << 20, transport: "sata", foreign: w.chance.IntN(4) == 0,
		})
		w.disks["sd"+names[i:i+1]] = w.all[i]
	}

	// An armed one has a subsystem for itself, the other shares one with a disk that is not
	// armed; what their controllers can do, and say, is anything.
	one, two := w.anySubsystem(), w.anySubsystem()
	w.all[0].nvme, w.all[1].nvme, w.all[3].nvme = one, two, two
	one.spaces, two.spaces = w.all[:1], []*medium{w.all[1], w.all[3]}

	return w
}

func (w *world) anySubsystem() *subsystem {
	return &subsystem{
		formats: w.chance.IntN(4) > 0, fna: byte(w.chance.IntN(8)), sanitizes: uint32(w.chance.IntN(8)), manages: w.chance.IntN(2) == 0,
		several: w.chance.IntN(4) == 0, listless: w.chance.IntN(4) == 0, refuses: w.chance.IntN(8) == 0,
	}
}

// armed are the disks that may be overwritten: the first two.
func (w *world) expected() (disks []core.ExpectedDisk) {
	for i := range 5 {
		disks = append(disks, core.ExpectedDisk{
			Serial: fmt.Sprintf("S%d", i), WWN: fmt.Sprintf("5000c500a000000%d", i), Model: "M", SizeBytes: 1 << 20, Armed: i < 2,
		})
	}

	return disks
}

func (w *world) mayBeWritten(m *medium) bool {
	return slices.ContainsFunc(w.expected(), func(e core.ExpectedDisk) bool {
		return e.Armed && e.Serial == m.serial && e.WWN == m.wwn && m.transport == "sata"
	})
}

func (w *world) free() string {
	for _, c := range names {
		if name := "sd" + string(c); w.disks[name] == nil {
			return name
		}
	}

	return ""
}

func (w *world) anyName() string {
	known := slices.Sorted(maps.Keys(w.disks))
	if len(known) == 0 {
		return ""
	}

	return known[w.chance.IntN(len(known))]
}

// happen lets something happen, or nothing.
func (w *world) happen() {
	w.now = w.now.Add(time.Duration(w.chance.IntN(2000)) * time.Millisecond)

	if w.calm || w.chance.IntN(3) > 0 {
		return
	}

	switch w.chance.IntN(9) {
	case 0: // two disks change their names
		a, b := w.anyName(), w.anyName()
		if a != "" {
			w.disks[a], w.disks[b] = w.disks[b], w.disks[a]
		}
	case 1: // one is pulled
		delete(w.disks, w.anyName())
	case 2: // one that was pulled, or never there, is plugged in
		m := w.all[w.chance.IntN(len(w.all))]
		if name := w.free(); name != "" && !slices.Contains(slices.Collect(maps.Values(w.disks)), m) {
			w.disks[name] = m
		}
	case 3: // a stranger comes, which has the serial number of another
		if name := w.free(); name != "" && len(w.all) < 12 {
			m := &medium{serial: fmt.Sprintf("S%d", w.chance.IntN(3)), wwn: fmt.Sprintf("beef%d", len(w.all)), model: "M", size: 1 << 20, transport: "sata"}
			w.all = append(w.all, m)
			w.disks[name] = m
		}
	case 4: // the same on a USB bridge, which tells the WWN of the disk behind it
		if name := w.free(); name != "" && len(w.all) < 12 {
			i := w.chance.IntN(3)
			m := &medium{serial: fmt.Sprintf("S%d", i), wwn: fmt.Sprintf("5000c500a000000%d", i), model: "M", size: 1 << 20, transport: "usb"}
			w.all = append(w.all, m)
			w.disks[name] = m
		}
	case 5:
		w.lease = w.now // taken back
	case 6:
		w.now = w.now.Add(time.Minute) // a long silence
	case 7:
		w.now = w.now.Add(diskguard.OverrideLife)
		w.lease = w.now.Add(time.Minute)
	default:
		w.lease = w.now.Add(time.Minute)
	}
}

// Survey is what a look at the machine shows.
func (w *world) Survey(time.Duration) (disks []diskguard.Disk, err error) {
	w.happen()
	defer w.happen()

	for i, name := range slices.Sorted(maps.Keys(w.disks)) {
		m := w.disks[name]
		disks = append(disks, diskguard.Disk{
			Name: name, Number: w.number(m), Serial: m.serial, WWN: m.wwn, Model: m.model, SizeBytes: m.size, Block: 512, Transport: m.transport,
		})
		_ = i
	}

	return disks, nil
}

// number is the disk's own as long as it is plugged in.
func (w *world) number(m *medium) string { return fmt.Sprintf("8:%d", 16*slices.Index(w.all, m)) }

func (w *world) open(name string) (*handle, error) {
	w.happen()
	defer w.happen()

	if m := w.disks[name]; m != nil {
		return &handle{w, m}, nil
	}

	return nil, errUnplugged
}

func (w *world) Read(name string) (blockdev.ReadHandle, error) { return w.open(name) }

// Ask reaches whatever has the name, with questions.
func (w *world) Ask(name string) (disk.NVMe, error) {
	h, err := w.open(name)
	if err != nil || h.m.nvme == nil {
		return nil, errUnplugged
	}

	return &drive{subsystem: h.m.nvme, erase: func(bool) { w.faults = append(w.faults, name+" was erased by a question") }}, nil
}

func (w *world) Write(name string, decision diskguard.Decision) (blockdev.Handle, error) {
	if !decision.Allows(name) {
		w.faults = append(w.faults, name+" was opened for writing without a decision")
	}

	return w.open(name)
}

// handle stays with its disk whatever that is called.
type handle struct {
	w *world
	m *medium
}

func (h *handle) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)

	if h.m.foreign {
		p[0] = 1
	}

	return len(p), nil
}

// WriteAt records the write, and judges it.
func (h *handle) WriteAt(p []byte, offset int64) (int, error) {
	switch {
	case !h.w.mayBeWritten(h.m):
		h.w.faults = append(h.w.faults, fmt.Sprintf("%+v was written and is not armed", *h.m))
	case !h.w.now.Before(h.w.lease):
		h.w.faults = append(h.w.faults, fmt.Sprintf("written at %v, the lease ended at %v", h.w.now, h.w.lease))
	case offset < 0 || offset+int64(len(p)) > int64(h.m.size):
		h.w.faults = append(h.w.faults, fmt.Sprintf("written at %d", offset))
	}

	h.m.written++

	return len(p), nil
}

func (h *handle) Discard(offset, length int64, _ bool) error {
	_, err := h.WriteAt(make([]byte, length), offset)

	return err
}

func (h *handle) Erasable(time.Duration) (disk.NVMe, error) {
	h.w.happen()
	defer h.w.happen()

	if h.m.nvme == nil {
		return nil, errors.ErrUnsupported
	}

	return &drive{subsystem: h.m.nvme, erase: func(all bool) {
		for _, m := range h.m.nvme.spaces {
			if m == h.m || all {
				_, _ = (&handle{h.w, m}).WriteAt(make([]byte, 512), 0) // it records
			}
		}
	}}, nil
}

func (h *handle) Look() (diskguard.Opened, error) {
	h.w.happen()
	defer h.w.happen()

	return diskguard.Opened{Exclusive: true, Number: h.w.number(h.m), Serial: h.m.serial, WWN: h.m.wwn, SizeBytes: h.m.size, Block: 512}, nil
}

func (*handle) Flush() error { return nil }

func (*handle) Close() error { return nil }

// probe reads the first block.
func (w *world) probe(_ context.Context, r io.ReaderAt, _ diskguard.Disk) (p diskguard.Probe, err error) {
	w.happen()
	defer w.happen()

	var first [512]byte
	if _, err := r.ReadAt(first[:], 0); err != nil {
		return p, err
	}

	p = diskguard.Probe{Done: true, At: w.now, Samples: 1, BlankOnly: true}
	if first[0] != 0 {
		p.Signatures = []string{"ext4"}
	}

	return p, nil
}

func (w *world) request(serial string, override bool) blockdev.Request {
	r := blockdev.Request{
		Serial: serial, Standing: blockdev.Standing{Destructive: true, Live: true, Expected: w.expected()},
		Probe: w.probe, Lease: func() time.Time { return w.lease }, Now: func() time.Time { return w.now },
	}
	if override {
		r.Override = diskguard.Override{Given: true, Until: w.now.Add(diskguard.OverrideLife)}
	}

	return r
}

// use opens a disk and writes to it here and there, and outside.
func (w *world) use(tally map[string]int) {
	// Any serial number may be asked for, armed or not.
	r := w.request(fmt.Sprintf("S%d", w.chance.IntN(6)), w.chance.IntN(2) == 0)

	device, err := blockdev.Open(w.t.Context(), w, r)
	if err != nil {
		tally["not opened"]++

		if refused := (*blockdev.Refused)(nil); errors.As(err, &refused) {
			for _, reason := range refused.Decision.Reasons {
				tally[reason.Code]++
			}
		}

		return
	}

	tally["opened"]++

	// Waiting for what another process began tells nobody to begin.
	if _, err := blockdev.Await(w.t.Context(), w, r.Serial, device.Disk().WWN, blockdev.Erasure{Name: "Sanitize", Action: 2}, blockdev.Progress{
		Note: func(blockdev.Erasure) error { return nil }, Told: func(float64) {},
	}, func(io.ReaderAt) error { return nil }); err == nil {
		w.t.Error("an erasure that nobody began is done")
	}

	for range w.chance.IntN(12) {
		w.happen()

		offset := int64(w.chance.IntN(1<<12)-64) * 512
		length := int64(w.chance.IntN(16)) * 512

		switch w.chance.IntN(8) {
		case 0:
			err = device.Discard(offset, length, true)
		case 1:
			if _, err = device.Erase(w.t.Context(), blockdev.Progress{Note: func(blockdev.Erasure) error { w.happen(); return nil }, Told: func(float64) { w.happen() }}); err == nil {
				tally["erased"]++
			}
		default:
			_, err = device.WriteAt(make([]byte, length), offset)
		}

		switch {
		case err == nil:
			tally["written"]++
		case errors.Is(err, blockdev.ErrNoLease):
			tally["no lease"]++
		case errors.Is(err, blockdev.ErrOutside):
			tally["outside"]++
		case errors.Is(err, errors.ErrUnsupported):
			tally["not erasable"]++
		default:
			tally["stopped"]++
		}
	}

	if err := device.Close(); err != nil {
		w.t.Error(err)
	}

	if _, err := device.WriteAt(make([]byte, 512), 0); err == nil {
		w.t.Error("a closed device was written")
	}

	if _, err := device.Erase(w.t.Context(), blockdev.Progress{}); err == nil {
		w.t.Error("a closed device was erased")
	}
}

// Whatever happens to names, disks, leases and overrides in the midst of an open or
// of writing, no write reaches a disk that is not armed, or without a lease.
func TestNoWriteReachesADiskThatIsNotArmed(t *testing.T) {
	tally := map[string]int{}

	for seed := range uint64(4000) {
		w := newWorld(t, seed)
		w.calm = seed%4 == 0

		for range 4 {
			w.use(tally)
		}

		if len(w.faults) > 0 {
			t.Fatalf("seed %d: %v", seed, w.faults)
		}

		for _, m := range w.all {
			if m.written > 0 && !w.mayBeWritten(m) {
				t.Fatalf("seed %d: %+v", seed, *m)
			}
		}
	}

	t.Log(tally)

	for _, what := range []string{
		"opened", "not opened", "written", "no lease", "outside", "stopped", "erased", "not erasable",
		"storage/not-armed", "storage/other-disk", "storage/same-serial", "storage/removable", "storage/twin", "storage/no-lease",
		"storage/foreign-data", "storage/changed",
	} {
		if tally[what] < 20 {
			t.Errorf("%s only %d times: the test proves little", what, tally[what])
		}
	}
}

// A disk with somebody's data is written only while an override for it counts.
func TestForeignDataIsNotWrittenWithoutAnOverride(t *testing.T) {
	opened := 0

	for seed := range uint64(5000) {
		w := newWorld(t, seed)
		w.all[0].foreign = true
		r := w.request("S0", w.chance.IntN(2) == 0)
		until, given := r.Override.Until, r.Override.Given

		if w.chance.IntN(2) == 0 {
			w.now = w.now.Add(diskguard.OverrideLife)
			w.lease = w.now.Add(time.Minute)
		}

		begun := w.now

		device, err := blockdev.Open(t.Context(), w, r)
		if err != nil {
			continue
		}

		opened++

		if !given || !begun.Before(until) {
			t.Fatalf("seed %d: %+v was opened at %v, the override %v counts until %v", seed, device.Disk(), begun, given, until)
		}

		if p := device.Found(); len(p.Signatures) == 0 {
			t.Errorf("seed %d: found %+v", seed, p)
		}
	}

	if opened < 100 {
		t.Errorf("only %d were opened", opened)
	}
}
