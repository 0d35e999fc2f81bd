package storage_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/storage"
)

const (
	mib  = 1 << 20
	size = 24 * mib
	seed = 0x1234
)

func target(f *fake) storage.Disk {
	return storage.Disk{Name: f.name, Serial: f.serial, Bytes: f.size, Block: 512, Depth: 4, Write: true}
}

func full() storage.Plan {
	return storage.Plan{Share: 1, Edge: mib, Passes: 1, Random: time.Second, Discard: "discard"}
}

// examine tests a disk, by writing.
func examine(t *testing.T, f *fake, plan storage.Plan, change func(d *storage.Disk)) (tally storage.Tally) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		d := target(f)
		if change != nil {
			change(&d)
		}

		tally = storage.Examine(t.Context(), d, plan, seed, f, f)
	})

	return tally
}

// kinds counts what was wrong.
func kinds(tally storage.Tally) map[storage.Kind]int {
	found := map[storage.Kind]int{}
	for _, w := range tally.Mark.Wrong {
		found[w.Kind]++
	}

	return found
}

func TestAGoodDiskIsWrittenAndVerifiedAllOver(t *testing.T) {
	for name, plan := range map[string]storage.Plan{
		"full": full(), "twice": {Share: 1, Edge: mib, Passes: 2, Random: time.Second}, "sampled": {Share: 0.02, Edge: mib, Passes: 1},
	} {
		f := newFake(size)
		tally := examine(t, f, plan, nil)

		if len(tally.Mark.Wrong) > 0 || !tally.Over || !tally.Wrote || tally.Done != tally.Total || f.outside > 0 || f.flushes == 0 {
			t.Errorf("%s: %+v", name, tally)
		}

		if plan.Share == 1 && (tally.Mark.Verified < int64(plan.Passes)*size || tally.Mark.Written < int64(plan.Passes)*size) {
			t.Errorf("%s: verified %d, written %d", name, tally.Mark.Verified, tally.Mark.Written)
		}

		if plan.Discard != "" && (!f.blank() || tally.Discard != "discarded") {
			t.Errorf("%s: %q, blank %v", name, tally.Discard, f.blank())
		}

		if plan.Passes == 2 && !storage.Ours(f.data[8*mib:]) {
			t.Errorf("%s: what is left is not ours", name)
		}

		if plan.Random > 0 && (tally.Random.Total == 0 || tally.Random.Quantile(0.5) < 4*time.Millisecond || tally.Random.Quantile(0.5) > 6*time.Millisecond) {
			t.Errorf("%s: random reads %+v", name, tally.Random)
		}

		if len(tally.Curves["write"]) < 20 || len(tally.Slow["read"])+len(tally.Slow["write"]) > 0 {
			t.Errorf("%s: %d points, slow %v", name, len(tally.Curves["write"]), tally.Slow)
		}
	}
}

func TestFaultsOfDisksAreNamed(t *testing.T) {
	const a, b = 5*mib + 8192, 17*mib + 4096

	for name, c := range map[string]struct {
		fault func(f *fake)
		kind  storage.Kind
		count int // 0: any
		at    int64
		text  string
	}{
		"a flipped bit": {func(f *fake) {
			f.damage = func(offset int64, p []byte) {
				if offset == a {
					p[1000] ^= 4
				}
			}
		}, storage.Corrupt, 1, a, "1 bits differ, the first at byte 1000"},
		"two swapped blocks": {func(f *fake) {
			f.place = func(offset int64) int64 {
				switch offset {
				case a:
					return b
				case b:
					return a
				}

				return offset
			}
		}, storage.Swapped, 2, a, "and the one of this offset is there"},
		"a dropped write": {func(f *fake) {
			f.place = func(offset int64) int64 {
				if offset == a {
					return -1
				}

				return offset
			}
		}, storage.Dropped, 1, a, "blank"},
		"a write to another place": {func(f *fake) {
			f.place = func(offset int64) int64 {
				if offset == b {
					return a
				}

				return offset
			}
		}, storage.Misplaced, 1, a, "the block of offset"},
		"a capacity that wraps": {func(f *fake) {
			f.place = func(offset int64) int64 { return offset % (20 * mib) }
			f.from = f.place
		}, storage.Wrapped, 0, 0, "begins again after 20971520 bytes"},
		"no capacity behind": {func(f *fake) {
			f.place = func(offset int64) int64 {
				if offset >= 16*mib {
					return -1
				}

				return offset
			}
		}, storage.Dropped, 0, 0, "blank"},
		"no write that arrives": {func(f *fake) { f.place = func(int64) int64 { return -1 } }, storage.Dropped, 0, 0, "blank"},
		"an unreadable block":   {func(f *fake) { f.readFails = func(offset int64) bool { return offset == a } }, storage.ReadError, 0, a, "reading at"},
		"an unwritable block":   {func(f *fake) { f.writeFail = func(offset int64) bool { return offset == a } }, storage.WriteError, 1, 5 * mib, "writing at"},
		"vanishing":             {func(f *fake) { f.gone = func(n int) bool { return n > 30 } }, storage.Vanished, 1, 0, "cannot be read either"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(size)
			c.fault(f)

			plan := full()
			plan.Random = 0
			tally := examine(t, f, plan, nil)
			found := kinds(tally)

			if found[c.kind] == 0 || c.count > 0 && found[c.kind] != c.count {
				t.Errorf("found %v, want %d %s: %+v", found, c.count, c.kind, tally.Mark.Wrong)
			}

			i := slices.IndexFunc(tally.Mark.Wrong, func(w storage.Wrong) bool {
				return w.Kind == c.kind && strings.Contains(w.Text, c.text) && (c.at == 0 || w.Offset == c.at)
			})
			if i < 0 {
				t.Errorf("nothing at %d says %q: %+v", c.at, c.text, tally.Mark.Wrong)
			}

			if f.discards > 0 {
				t.Error("the evidence was discarded")
			}

			if f.outside > 0 {
				t.Error("it was written outside")
			}
		})
	}
}

// The planted faults must be found.
func TestADiskThatHidesWhatIsWrongIsNotTested(t *testing.T) {
	f := newFake(size)
	f.damage = func(offset int64, p []byte) { storage.Fill(p, f.serial, seed, offset, 1) }

	if tally := examine(t, f, full(), nil); tally.Over || len(tally.Mark.Wrong) != 1 || tally.Mark.Wrong[0].Code != "storage/canary-missed" {
		t.Errorf("%+v", tally.Mark.Wrong)
	}
}

// The lease is waited for at the end, too.
func TestADiscardWaitsForTheLease(t *testing.T) {
	f := newFake(size)
	f.refuses = 30

	if tally := examine(t, f, full(), nil); tally.Discard != "discarded" || !f.blank() {
		t.Errorf("%q", tally.Discard)
	}
}

// What is to be unreadable is erased by the disk itself where it can, and looked for
// afterwards, whoever says that it is gone.
func TestWhatIsToBeUnreadable(t *testing.T) {
	done := func() error { return nil }

	for name, c := range map[string]struct {
		change func(f *fake)
		want   string
		blank  bool
	}{
		"erases itself":            {func(f *fake) { f.erases = done }, "erased: Format NVM", true},
		"waits for the lease":      {func(f *fake) { f.erases, f.refuses = done, 30 }, "erased: Format NVM", true},
		"fails to":                 {func(f *fake) { f.erases, f.keeps = func() error { return errIO }, true }, "NOT discarded: Format NVM: input/output error", false},
		"says so alone":            {func(f *fake) { f.erases, f.keeps = done, true }, "NOT discarded, although the disk says so (erased: Format NVM): what was written at 0 is still there", false},
		"discards securely":        {func(f *fake) { f.secures = true }, "discarded securely", true},
		"discards in words":        {func(f *fake) { f.secures, f.keeps = true, true }, "NOT discarded, although the disk says so (discarded securely): what was written at 0 is still there", false},
		"can do neither":           {func(*fake) {}, storage.CannotDiscard + " (it has no Format NVM: unsupported operation)", false},
		"cannot be read afterward": {func(f *fake) { f.erases = func() error { f.readFails = func(int64) bool { return true }; return nil } }, "NOT discarded, although the disk says so (erased: Format NVM): it cannot be read at 0: reading at 0: input/output error", true},
	} {
		f := newFake(size)
		c.change(f)

		plan := full()
		plan.Discard = "secure"

		if tally := examine(t, f, plan, nil); tally.Discard != c.want || f.blank() != c.blank || !tally.Over {
			t.Errorf("%s: %q, blank %v, over %v", name, tally.Discard, f.blank(), tally.Over)
		}
	}
}

// A disk of less than a block has nothing to read at random.
func TestADiskOfNoBlock(t *testing.T) {
	f := newFake(2048)

	synctest.Test(t, func(t *testing.T) {
		if tally := storage.Examine(t.Context(), target(f), storage.Plan{Share: 1, Random: time.Second}, seed, f, nil); len(tally.Mark.Wrong) > 0 {
			t.Errorf("%+v", tally)
		}
	})
}

// A disk that cannot be read for long stretches is given up soon: each failure may take
// it half a minute.
func TestADiskThatFailsAllOver(t *testing.T) {
	f := newFake(96 * mib)
	f.readFails = func(offset int64) bool { return offset >= 8*mib && offset%(2*mib) == 4096 }

	var tally storage.Tally

	synctest.Test(t, func(t *testing.T) {
		tally = storage.Examine(t.Context(), target(f), storage.Plan{Share: 1}, seed, f, nil)
	})

	if n := kinds(tally)[storage.ReadError]; tally.Over || n < 16 || n > 24 || f.requests > 150 {
		t.Errorf("%d errors, %d requests: %+v", n, f.requests, tally.Mark.Wrong)
	}
}

// The second pass finds what the first left behind where its writes are dropped.
func TestADroppedWriteOfTheSecondPass(t *testing.T) {
	f := newFake(size)
	writes := map[int64]int{}
	f.place = func(offset int64) int64 {
		if writes[offset]++; offset == 12*mib+4096 && writes[offset] > 1 {
			return -1
		}

		return offset
	}

	plan := full()
	plan.Passes, plan.Random = 2, 0

	tally := examine(t, f, plan, nil)
	if found := kinds(tally); found[storage.Dropped] != 1 || !strings.Contains(tally.Mark.Wrong[0].Text, "earlier pass") {
		t.Errorf("%+v", tally.Mark.Wrong)
	}
}

func TestAZoneThatIsSlow(t *testing.T) {
	f := newFake(96 * mib)
	f.takes = func(offset int64) time.Duration {
		if offset >= 40*mib && offset < 45*mib {
			return 50 * time.Millisecond
		}

		return 5 * time.Millisecond
	}

	plan := full()
	plan.Random = 0

	tally := examine(t, f, plan, nil)
	if len(tally.Mark.Wrong) > 0 {
		t.Errorf("%+v", tally.Mark.Wrong)
	}

	for _, what := range []string{"read", "write"} {
		if n := len(tally.Slow[what]); n < 4 || n > 6 || tally.Slow[what][0].Offset != 40*mib {
			t.Errorf("%s: %+v", what, tally.Slow[what])
		}
	}
}

// A disk that is only read is not written, and part of it is read twice.
func TestADiskThatIsOnlyRead(t *testing.T) {
	for name, damage := range map[string]bool{"steady": false, "unsteady": true} {
		f := newFake(size)
		reads := 0

		if damage {
			f.damage = func(offset int64, p []byte) {
				if offset == 0 {
					if reads++; reads == 2 {
						p[7] ^= 1
					}
				}
			}
		}

		var tally storage.Tally

		synctest.Test(t, func(t *testing.T) {
			tally = storage.Examine(t.Context(), target(f), storage.Plan{Share: 1, Random: time.Second, Discard: "discard"}, seed, f, nil)
		})

		if f.written+f.discards+f.flushes > 0 || tally.Wrote || tally.Mark.Read < size || !tally.Over {
			t.Errorf("%s: written %d: %+v", name, f.written, tally)
		}

		if found := kinds(tally); damage && found[storage.Unsteady] != 1 || !damage && (len(found) > 0 || tally.Mark.Compared < 2*mib) {
			t.Errorf("%s: %v, compared %d", name, found, tally.Mark.Compared)
		}
	}
}

// With passes by turns the second is read backwards, each GiB by itself, and nothing is
// left out.
func TestEveryOtherPassIsReadBackwards(t *testing.T) {
	const gib = 1 << 30

	order := storage.ReadOrder(storage.Plan{Share: 1, Edge: mib, Passes: 3, Alternate: true}, 2*gib+gib/2)
	forward, back := order["verify 1"], order["verify backwards 2"]

	if !slices.Equal(forward, order["write 2"]) || !slices.Equal(forward, order["verify 3"]) || !slices.IsSorted(forward) || len(forward) != 2560 {
		t.Errorf("%d requests forward", len(forward))
	}

	if len(back) != len(forward) || back[0] != gib-mib || back[1023] != 0 || back[1024] != 2*gib-mib || back[2048] != 2*gib+gib/2-mib || back[2559] != 2*gib {
		t.Errorf("backwards: %d, %v", len(back), back[:min(3, len(back))])
	}

	slices.Sort(back)

	if !slices.Equal(back, forward) {
		t.Error("backwards leaves something out")
	}

	if _, there := storage.ReadOrder(storage.Plan{Share: 1, Edge: mib, Passes: 2}, gib)["verify backwards 2"]; there {
		t.Error("a plan that reads forward reads backwards")
	}
}

// What is read backwards is verified as the rest is, goes on where it was, and is no
// measure of the disk's speed.
func TestReadingBackwards(t *testing.T) {
	plan := storage.Plan{Share: 1, Edge: mib, Passes: 2, Alternate: true}

	f := newFake(size)
	tally := examine(t, f, plan, nil)

	if len(tally.Mark.Wrong) > 0 || !tally.Over || tally.Bytes.Backwards != size || tally.Bytes.Read != 2*size+4*mib {
		t.Errorf("a good disk: %+v", tally)
	}

	// Each request takes 5 ms, four at a time.
	if want := time.Duration(size/mib+3+3) / 4 * 5 * time.Millisecond; tally.Reading > 2*want {
		t.Errorf("read for %v, want about %v: not backwards", tally.Reading, want)
	}

	// The rest of the last step, of a disk that has one bit wrong at its beginning.
	mark := tally.Mark
	mark.Step, mark.Piece = 5, 20
	f.damage = func(offset int64, p []byte) {
		if offset == 0 {
			p[9] ^= 1
		}
	}

	rest := examine(t, f, plan, func(d *storage.Disk) { d.Resume = &storage.Tally{Mark: mark} })
	if kinds(rest)[storage.Corrupt] != 1 || rest.Bytes.Read != 4*mib || rest.Bytes.Written != 0 {
		t.Errorf("the rest: %+v", rest)
	}
}

// A test that is stopped goes on where it was: nothing is tested twice that was done,
// and what was wrong before is not forgotten.
func TestATestGoesOnWhereItWas(t *testing.T) {
	f := newFake(size)
	f.damage = func(offset int64, p []byte) {
		if offset == 0 {
			p[9] ^= 1
		}
	}

	plan := full()
	plan.Random = 0
	plan.Discard = ""

	var first, second storage.Tally

	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Millisecond)
		defer stop()

		first = storage.Examine(ctx, target(f), plan, seed, f, f)
	})

	if first.Over || first.Mark.Step == 0 || first.Done >= first.Total {
		t.Fatalf("%+v", first)
	}

	wrongs := first.Mark.Wrongs
	before := f.requests

	second = examine(t, f, plan, func(d *storage.Disk) { d.Resume = &storage.Tally{Mark: first.Mark} })
	if !second.Over || second.Mark.Wrongs <= 0 || second.Mark.Wrongs < wrongs || second.Done != second.Total {
		t.Errorf("%+v", second)
	}

	fresh := newFake(size)
	examine(t, fresh, plan, nil)

	if again := f.requests - before; again >= fresh.requests {
		t.Errorf("%d requests, from the beginning %d", again, fresh.requests)
	}
}

func TestBlocksSayWhatTheyAre(t *testing.T) {
	b := make([]byte, 8192)
	storage.Fill(b, "S1", seed, 1<<40, 1)

	if _, right := storage.Judge(b[:4096], "S1", seed, 1<<40, 1); !right {
		t.Error("a good block is not right")
	}

	for name, c := range map[string]struct {
		serial string
		seed   uint64
		offset int64
		pass   uint32
		kind   storage.Kind
	}{
		"another offset":  {"S1", seed, 1<<40 + 4096, 1, storage.Misplaced},
		"another disk":    {"S2", seed, 1 << 40, 1, storage.Crossed},
		"an earlier run":  {"S1", seed + 1, 1 << 40, 1, storage.Dropped},
		"an earlier pass": {"S1", seed, 1 << 40, 2, storage.Dropped},
	} {
		if w, right := storage.Judge(b[:4096], c.serial, c.seed, c.offset, c.pass); right || w.Kind != c.kind || w.Text == "" {
			t.Errorf("%s: %+v, %v", name, w, right)
		}
	}

	// Any flipped bit is seen.
	chance := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		at := chance.IntN(4096)
		b[at] ^= 1 << chance.IntN(8)

		if w, right := storage.Judge(b[:4096], "S1", seed, 1<<40, 1); right || w.Kind != storage.Corrupt {
			t.Fatalf("byte %d: %+v, right %v", at, w, right)
		}

		storage.Fill(b, "S1", seed, 1<<40, 1)
	}

	// The passes turn every bit of the noise over, and no two blocks share theirs.
	other := make([]byte, 4096)
	storage.Fill(other, "S1", seed, 1<<40, 2)

	for i := 40; i < 4088; i++ {
		if b[i]^other[i] != 0xff {
			t.Fatalf("byte %d: %02x and %02x", i, b[i], other[i])
		}
	}

	if !storage.Canary() {
		t.Error("the canary is not found")
	}
}

func TestWhereSamplesLie(t *testing.T) {
	for _, c := range []struct {
		size  int64
		share float64
	}{{20e12, 0.02}, {480103981056, 0.02}, {512 * mib, 0.02}, {10 * mib, 0.02}, {1e12 + 512, 1}, {4096 * 5, 1}} {
		spans := storage.Spread(c.size, c.share, 256, mib)
		end := int64(0)

		for _, s := range spans {
			if s[0] < end || s[0]%4096 != 0 || s[1] <= 0 || s[0]+s[1] > c.size {
				t.Errorf("%d: %v after %d", c.size, s, end)
			}

			end = s[0] + s[1]
		}

		if spans[0][0] != 0 || c.size-end >= 4096 {
			t.Errorf("%d: from %d to %d", c.size, spans[0][0], end)
		}

		covered := int64(0)

		if len(storage.Requests(spans)) > 1<<20 {
			continue
		}

		for i, r := range storage.Requests(spans) {
			covered += r[1]
			if r[1] <= 0 || r[1] > mib || r[0]%4096 != 0 {
				t.Fatalf("%d: request %d is %v", c.size, i, r)
			}
		}

		want := int64(0)
		for _, s := range spans {
			want += s[1]
		}

		if covered != want {
			t.Errorf("%d: %d of %d bytes", c.size, covered, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var h storage.Histogram

	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}

	for share, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second, 0: time.Millisecond} {
		if got := h.Quantile(share); got < want*99/100 || got > want*9/8+time.Millisecond {
			t.Errorf("%v: %v", share, got)
		}
	}

	if n := h.Over(500 * time.Millisecond); n < 400 || n > 500 {
		t.Errorf("%d took longer than half a second", n)
	}

	if (&storage.Histogram{}).Quantile(0.5) != 0 {
		t.Error("nothing took time")
	}
}

// A block is the noise, which is the same for all, with the key of its stamp on it, and the
// CRC-32C of all that is before it, however it was come by.
func TestBlocksHaveTheChecksumOfTheirBytes(t *testing.T) {
	var (
		noise  [512]uint64
		source = rand.New(rand.NewPCG(0x76657474, 0x696e67))
		chance = rand.New(rand.NewPCG(1, 2))
	)

	for i := range noise {
		noise[i] = source.Uint64()
	}

	for range 500 {
		var b [4096]byte

		run, offset, pass := chance.Uint64(), int64(chance.Uint64N(1<<50))&^4095, chance.Uint32()
		storage.Fill(b[:], fmt.Sprint(run), run, offset, pass)

		// The last four bytes of the body are those of the key alone, and so tell half of it.
		key := binary.LittleEndian.Uint64(b[40:]) ^ noise[5]
		for i := 40; i < 4088; i += 8 {
			if binary.LittleEndian.Uint64(b[i:]) != noise[i/8]^key {
				t.Fatalf("byte %d of run %d, offset %d, pass %d", i, run, offset, pass)
			}
		}

		if binary.LittleEndian.Uint32(b[4088:]) != uint32(key) || binary.LittleEndian.Uint32(b[4092:]) != crc32.Checksum(b[:4092], crc32.MakeTable(crc32.Castagnoli)) {
			t.Fatalf("run %d, offset %d, pass %d: %x", run, offset, pass, b[4088:])
		}
	}
}
