package blockdev_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
	"vetting/core/problem"
)

// plate is a stick in memory that takes whole blocks only, and as a machine with it in
// its only port the Layer of its own.
type plate struct {
	blockdev.Handle

	disk    diskguard.Disk
	opened  string // serial number that the open stick tells
	content []byte
	wrote   int
	flushed bool
}

func newPlate(size int) *plate {
	p := &plate{content: make([]byte, size), opened: "AA01"}
	p.disk = diskguard.Disk{Name: "sdb", Number: "8:16", Serial: "AA01", Model: "Stick", SizeBytes: uint64(size), Block: 512, Transport: "usb"}

	return p
}

func (p *plate) Survey(time.Duration) ([]diskguard.Disk, error) { return []diskguard.Disk{p.disk}, nil }

func (p *plate) Look() (diskguard.Opened, error) {
	return diskguard.Opened{Exclusive: true, Number: p.disk.Number, Serial: p.opened, SizeBytes: p.disk.SizeBytes, Block: p.disk.Block}, nil
}

func (p *plate) block(b []byte, at int64) error {
	if at%512 != 0 || len(b)%512 != 0 || at+int64(len(b)) > int64(len(p.content)) {
		return fmt.Errorf("%d bytes at %d", len(b), at)
	}

	return nil
}

func (p *plate) WriteAt(b []byte, at int64) (int, error) {
	p.wrote += len(b)

	return copy(p.content[at:], b), p.block(b, at)
}

func (p *plate) ReadAt(b []byte, at int64) (int, error) {
	return copy(b, p.content[at:]), p.block(b, at)
}

func (p *plate) Flush() error { p.flushed = true; return nil }
func (p *plate) Close() error { return nil }

func (p *plate) Discard(int64, int64, bool) error { return errors.ErrUnsupported }

func (p *plate) Read(string) (blockdev.ReadHandle, error) { return p, nil }

func (p *plate) Write(name string, decision diskguard.Decision) (blockdev.Handle, error) {
	if !decision.Allows(name) {
		return nil, errors.New("without a decision")
	}

	return p, nil
}

// What is written in any pieces, in their order, is on the medium and is what is read
// back; what nobody wrote to is as it was.
func TestAMediumTakesAnyPieces(t *testing.T) {
	const size = 5<<20 + 512

	p := newPlate(size)
	for i := range p.content {
		p.content[i] = 0xaa
	}

	m, err := blockdev.Replace(p, blockdev.Wish{Name: "sdb", Said: "AA01", Shown: p.disk.Shown(), Needs: size})
	if err != nil {
		t.Fatal(err)
	}

	rng := rand.New(rand.NewPCG(1, 2))
	want := bytes.Clone(p.content)

	for at := 0; at < size; {
		part := make([]byte, min(1+rng.IntN(300_000), size-at))
		for i := range part {
			part[i] = byte(rng.Uint32())
		}

		if n, err := m.WriteAt(part, int64(at)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}

		copy(want[at:], part)
		at += len(part)

		if skip := (at + 511) / 512 * 512; rng.IntN(4) == 0 && skip+1<<20 < size {
			clear(want[at:skip])
			at = skip + 512*rng.IntN(3000)
		}
	}

	// The gaps within one stretch are blank, those between stretches as they were.
	if err := m.Flush(); err != nil || !p.flushed {
		t.Fatal(err)
	}

	for i := range want {
		if want[i] != p.content[i] && (want[i] != 0xaa || p.content[i] != 0) {
			t.Fatalf("byte %d is %x, wanted %x", i, p.content[i], want[i])
		}
	}

	got := make([]byte, 2<<20)
	for _, at := range []int64{0, 1, 1<<20 - 7, size - 2<<20} {
		if n, err := m.ReadAt(got, at); n != len(got) || err != nil || !bytes.Equal(got, p.content[at:at+int64(n)]) {
			t.Errorf("at %d: %d bytes, %v", at, n, err)
		}
	}

	if n, err := m.ReadAt(got[:100], size-50); n != 50 || !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}

	if n, err := m.WriteAt(got[:2], size-1); n != 0 || !errors.Is(err, blockdev.ErrOutside) {
		t.Error(n, err)
	}

	if err := m.Close(); err != nil {
		t.Error(err)
	}

	if n, err := m.WriteAt(got[:2], 0); n != 0 || err == nil {
		t.Error("a medium that is closed takes bytes")
	}
}

// Nothing is written to what may not be, nor to what turns out to be another stick once
// it is open.
func TestOnlyTheStickThatIsMeantIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*plate, *blockdev.Wish)
		code  string
	}{
		"a disk":               {func(p *plate, _ *blockdev.Wish) { p.disk.Transport = "nvme" }, problem.StickNotUSB},
		"mounted":              {func(p *plate, _ *blockdev.Wish) { p.disk.Mounts = []string{"/media"} }, problem.StorageInUse},
		"a word":               {func(_ *plate, w *blockdev.Wish) { w.Said = "yes" }, problem.StickNotMeant},
		"too large":            {func(_ *plate, w *blockdev.Wish) { w.Needs = 2 << 20 }, problem.StickTooSmall},
		"renumbered":           {func(p *plate, _ *blockdev.Wish) { p.disk.Number = "8:32" }, problem.StorageChanged},
		"of another size":      {func(p *plate, _ *blockdev.Wish) { p.disk.SizeBytes *= 2 }, problem.StorageChanged},
		"plugged in meanwhile": {func(p *plate, _ *blockdev.Wish) { p.disk.Attached = "10" }, problem.StorageChanged},
		"swapped":              {func(p *plate, _ *blockdev.Wish) { p.opened = "AA02" }, problem.StorageChanged},
		"not there":            {func(_ *plate, w *blockdev.Wish) { w.Name = "sdc" }, ""},
		"no name":              {func(_ *plate, w *blockdev.Wish) { w.Name = "" }, ""},
	} {
		p := newPlate(1 << 20)
		w := blockdev.Wish{Name: "sdb", Said: "AA01", Shown: p.disk.Shown(), Needs: 1 << 20}
		c.spoil(p, &w)

		m, err := blockdev.Replace(p, w)
		refused, _ := errors.AsType[*blockdev.Refused](err)

		if m != nil || p.wrote > 0 || c.code == "" && !errors.Is(err, blockdev.ErrAbsent) || c.code != "" && (refused == nil || !refused.Decision.Has(c.code)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
