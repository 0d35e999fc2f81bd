package wipeprobe_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"vetting/agent/wipeprobe"
)

// liar is a disk that does as its function says.
type liar func(p []byte, at int64) (int, error)

func (l liar) ReadAt(p []byte, at int64) (int, error) { return l(p, at) }

var errMedium = errors.New("medium error")

func TestSaysThatABlankDiskIsBlank(t *testing.T) {
	t.Parallel()

	for name, value := range map[string]byte{"zeros": 0, "ones, as erased flash": 0xff} {
		for _, size := range []int64{512, 4096, 100 << 10, mib, 1<<40 + 512, 1<<63 - 1} {
			got, err := wipeprobe.Probe(t.Context(), liar(func(p []byte, _ int64) (int, error) {
				for i := range p {
					p[i] = value
				}

				return len(p), nil
			}), size, 512)
			if err != nil {
				t.Fatal(err)
			}

			if !got.Blank() {
				t.Errorf("%s, %d bytes: %+v", name, size, got)
			}

			if size > mib && got.Samples < 256 {
				t.Errorf("%s, %d bytes: %d samples", name, size, got.Samples)
			}
		}
	}
}

func TestSamplesTheWholeDisk(t *testing.T) {
	t.Parallel()

	const size = 1 << 40

	var seen []int64

	// Data of no format in the middle third alone.
	got, err := wipeprobe.Probe(t.Context(), liar(func(p []byte, at int64) (int, error) {
		clear(p)

		seen = append(seen, at)

		if at > size/3 && at < size/3*2 {
			p[len(p)-1] = 1
		}

		return len(p), nil
	}), size, 4096)
	if err != nil {
		t.Fatal(err)
	}

	if got.NonBlank < 80 || got.NonBlank > 90 || len(got.Signatures) > 0 || got.Blank() {
		t.Errorf("%d of %d samples are not blank, want a third of 256", got.NonBlank, got.Samples)
	}

	slices.Sort(seen)

	if seen[0] != 0 {
		t.Errorf("the first block read is at %d", seen[0])
	}

	for i := range len(seen) - 1 {
		if gap := seen[i+1] - seen[i]; gap > size/250 {
			t.Errorf("nothing read between %d and %d", seen[i], seen[i+1])
		}
	}
}

func TestReadsWholeSectors(t *testing.T) {
	t.Parallel()

	for _, sector := range []int{512, 4096, 65536} {
		size := int64(64*mib + sector)

		_, err := wipeprobe.Probe(t.Context(), liar(func(p []byte, at int64) (int, error) {
			if at%int64(sector) != 0 || len(p)%sector != 0 || len(p) == 0 || len(p) > 64<<10 || at+int64(len(p)) > size || at < 0 {
				t.Errorf("reading %d bytes at %d of sectors of %d", len(p), at, sector)
			}

			clear(p)

			return len(p), nil
		}), size, sector)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReportsWhatCannotBeRead(t *testing.T) {
	t.Parallel()

	const size = 1 << 30

	label := put(512, map[int]any{0: "LABELONE", 24: "LVM2 001", 32: lvmRaw})
	disk := sparse{size, map[int64]string{512: label}}

	for name, c := range map[string]struct {
		bad  func(at, end int64) bool
		want []int64 // offset and length of each
		lvm  bool
	}{
		"one sector beside a signature": {func(at, end int64) bool { return at <= 40<<10 && end > 40<<10 }, []int64{40 << 10, 4096}, true},
		"the sector of a signature":     {func(at, _ int64) bool { return at < 1024 }, []int64{0, 4096}, false},
		"two sectors at the end":        {func(_, end int64) bool { return end > size-8192 }, []int64{size - 8192, 8192}, true},
		"all of it":                     {func(int64, int64) bool { return true }, []int64{0, size}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			reads := 0

			got, err := wipeprobe.Probe(t.Context(), liar(func(p []byte, at int64) (int, error) {
				reads++

				if c.bad(at, at+int64(len(p))) {
					return 0, errMedium
				}

				return disk.ReadAt(p, at)
			}), size, 512)
			if err != nil {
				t.Fatal(err)
			}

			if got.Blank() || len(got.Unreadable) == 0 {
				t.Fatalf("%+v", got)
			}

			first, last := got.Unreadable[0], got.Unreadable[len(got.Unreadable)-1]
			if first.Offset != c.want[0] || last.Offset+last.Length != c.want[0]+c.want[1] || !errors.Is(first.Err, errMedium) {
				t.Errorf("unreadable are %+v, want %v", got.Unreadable, c.want)
			}

			if c.lvm != (len(got.Signatures) == 1) {
				t.Errorf("found %+v", got.Signatures)
			}

			if reads > 1000 {
				t.Errorf("%d reads of a disk that cannot be read", reads)
			}
		})
	}

	got, _ := wipeprobe.Probe(t.Context(), liar(func([]byte, int64) (int, error) { return 0, errMedium }), size, 512)
	if got.Samples != 0 || got.NonBlank != 0 {
		t.Errorf("%d samples of which nothing was read", got.Samples)
	}
}

func TestSurvivesADiskThatIsSmallerThanItSays(t *testing.T) {
	t.Parallel()

	disk := strings.NewReader(put(8*mib, map[int]any{0: "XFSB"}))

	got, err := wipeprobe.Probe(t.Context(), disk, 1<<40, 512)
	if err != nil {
		t.Fatal(err)
	}

	if len(got.Signatures) != 1 || got.Signatures[0].Name != "xfs" {
		t.Errorf("found %+v", got.Signatures)
	}

	if len(got.Unreadable) == 0 || !errors.Is(got.Unreadable[0].Err, io.ErrUnexpectedEOF) || got.Unreadable[0].Offset < 8*mib {
		t.Errorf("unreadable are %+v", got.Unreadable)
	}

	// A reader that returns less, and no reason.
	got, err = wipeprobe.Probe(t.Context(), liar(func(p []byte, _ int64) (int, error) { clear(p); return len(p) / 2, nil }), mib, 512)
	if err != nil || got.Blank() || got.Samples > 0 || len(got.Unreadable) != 1 || got.Unreadable[0].Length != mib {
		t.Errorf("short reads: %+v, %v", got, err)
	}
}

func TestRefusesSizesThatMakeNoSense(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		size   int64
		sector int
	}{{0, 512}, {-1, 512}, {511, 512}, {mib, 0}, {mib, 256}, {mib, 520}, {mib, 1 << 20}, {2048, 4096}} {
		if got, err := wipeprobe.Probe(t.Context(), sparse{}, c.size, c.sector); err == nil || got.Blank() {
			t.Errorf("size %d, sector %d: %+v", c.size, c.sector, got)
		}
	}
}

func TestStopsWhenTold(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	reads := 0

	got, err := wipeprobe.Probe(ctx, liar(func(p []byte, _ int64) (int, error) {
		if reads++; reads == 3 {
			cancel()
		}

		clear(p)

		return len(p), nil
	}), 1<<40, 512)

	if !errors.Is(err, context.Canceled) || got.Blank() || reads > 4 {
		t.Errorf("%+v, %v after %d reads", got, err, reads)
	}
}

// FuzzProbe probes disks with two pieces of anything on them.
func FuzzProbe(f *testing.F) {
	for _, x := range fixtures() {
		for at, b := range x.bytes {
			f.Add(int64(64*mib), at, b, int64(0), "")
		}
	}

	f.Add(int64(1<<62), int64(0), "\x00\x00", int64(1<<62-512), "EFI PART")
	f.Add(int64(mib), int64(16<<10), "\x01\x01\x00\x00\xff\xff\xff\xff", int64(16<<10+12), "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff")

	f.Fuzz(func(t *testing.T, size, at int64, a string, other int64, b string) {
		if len(a) > 4096 || len(b) > 4096 {
			return
		}

		got, err := wipeprobe.Probe(t.Context(), sparse{size, map[int64]string{at: a, other: b}}, size, 512)
		if err != nil {
			if size >= 512 {
				t.Errorf("size %d: %v", size, err)
			}

			return
		}

		if len(got.Unreadable) > 0 {
			t.Errorf("unreadable: %+v", got.Unreadable)
		}

		for _, s := range got.Signatures {
			if s.Name == "" || s.Usage == "" || s.Offset < 0 || s.Offset >= size {
				t.Errorf("found %+v on a disk of %d bytes", s, size)
			}
		}
	})
}
