package pattern_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vetting/agent/memory/pattern"
)

// round is one call of a loop: its inputs, and all that it leaves behind.
type round struct {
	mem, dst, table, next []uint64
	key, nextKey          [8]uint64
	got                   [32]uint64
	right                 int
}

// newRound makes up memory that holds what it should but for some words.
func newRound(seed uint64, chunks, faults int) *round {
	r := rand.New(rand.NewPCG(seed, 2))
	n := chunks * 32
	c := &round{mem: make([]uint64, n), dst: make([]uint64, n), table: make([]uint64, n), next: make([]uint64, n)}

	for i := range c.key {
		c.key[i], c.nextKey[i] = r.Uint64(), r.Uint64()
	}

	for i := range n {
		c.table[i], c.next[i] = r.Uint64(), r.Uint64()
		c.mem[i] = c.table[i] ^ c.key[i%8]
	}

	for range min(faults, n) {
		c.mem[r.IntN(n)] ^= 1 << r.IntN(64)
	}

	return c
}

// calls are the loops that compare or write, by name.
func calls() map[string]func(pattern.Loops, *round) {
	return map[string]func(pattern.Loops, *round){
		"fill":  func(l pattern.Loops, c *round) { l.Fill(c.mem, c.table, &c.key) },
		"check": func(l pattern.Loops, c *round) { c.right = l.Check(c.mem, c.table, &c.key, &c.got) },
		"turn":  func(l pattern.Loops, c *round) { c.right = l.Turn(c.mem, c.table, &c.key, c.next, &c.nextKey, &c.got) },
		"turn down": func(l pattern.Loops, c *round) {
			c.right = l.TurnDown(c.mem, c.table, &c.key, c.next, &c.nextKey, &c.got)
		},
		"move": func(l pattern.Loops, c *round) { c.right = l.Move(c.dst, c.mem, c.table, &c.key, &c.got) },
		"copy": func(l pattern.Loops, c *round) { l.Copy(c.dst, c.mem) },
	}
}

func compare(t *testing.T, seed uint64, chunks, faults int) {
	t.Helper()

	kernels := pattern.Kernels()
	plain := pattern.LoopsOf(kernels[len(kernels)-1])

	for name, call := range calls() {
		want := newRound(seed, chunks, faults)
		call(plain, want)

		if want.right == len(want.mem) {
			want.got = [32]uint64{} // what is read last is told only where it is wrong
		}

		for _, k := range kernels[:len(kernels)-1] {
			have := newRound(seed, chunks, faults)
			call(pattern.LoopsOf(k), have)

			if have.right != want.right || have.got != want.got || !slices.Equal(have.mem, want.mem) || !slices.Equal(have.dst, want.dst) {
				t.Errorf("%s, %s, seed %d, %d chunks, %d faults: differs from the plain one: right %d, want %d", k, name, seed, chunks, faults, have.right, want.right)
			}
		}
	}
}

func TestTheFastLoopsDoWhatThePlainOnesDo(t *testing.T) {
	for chunks := range 20 {
		for faults := range 4 {
			compare(t, uint64(chunks*7+faults), chunks, faults)
		}
	}
}

// The plain loops are what the others are held against; here is what holds them.
func TestThePlainLoops(t *testing.T) {
	all := pattern.Kernels()
	plain := pattern.LoopsOf(all[len(all)-1])

	for faulty := -1; faulty < 5; faulty++ {
		for name, call := range calls() {
			c := newRound(3, 5, 0)
			before := slices.Clone(c.mem)

			if faulty >= 0 {
				c.mem[faulty*32+7] ^= 1 << 40
			}

			was := slices.Clone(c.mem)
			call(plain, c)

			right, next := len(was), newRound(3, 5, 0)
			for i := range next.next {
				next.next[i] ^= next.nextKey[i%8]
			}

			if faulty >= 0 {
				right = faulty * 32
			}

			var want []uint64

			switch name {
			case "fill":
				want, right = before, 0
			case "check", "move", "copy":
				want = was
			case "turn":
				want = slices.Concat(next.next[:right], was[right:])
			case "turn down":
				if faulty >= 0 {
					right = (4 - faulty) * 32
				}

				want = slices.Concat(was[:len(was)-right], next.next[len(was)-right:])
			}

			if name == "copy" {
				right = 0
			}

			if c.right != right || !slices.Equal(c.mem, want) {
				t.Errorf("%s, fault in chunk %d: %d words right, want %d", name, faulty, c.right, right)
			}

			if name == "move" && !slices.Equal(c.dst, slices.Concat(was[:right], make([]uint64, len(was)-right))) {
				t.Errorf("move, fault in chunk %d: what was moved is not what was right", faulty)
			}

			if faulty >= 0 && name != "fill" && name != "copy" && c.got[7] != was[faulty*32+7] {
				t.Errorf("%s, fault in chunk %d: what was read is not kept", name, faulty)
			}
		}
	}
}

func TestTriad(t *testing.T) {
	a, b := make([]float64, 96), make([]float64, 96)
	for i := range a {
		a[i], b[i] = float64(i)*1.5, 1/float64(i+1)
	}

	for _, k := range pattern.Kernels() {
		dst := make([]float64, 96)
		pattern.LoopsOf(k).Triad(dst, a, b)

		for i := range dst {
			// A compiler may fuse multiply and add, which rounds once instead of twice.
			if diff := dst[i] - (a[i] + 3*b[i]); diff > 1e-12 || diff < -1e-12 {
				t.Fatalf("%s: %v at %d, want %v", k, dst[i], i, a[i]+3*b[i])
			}
		}
	}
}

func FuzzLoops(f *testing.F) {
	f.Add(uint64(1), uint8(4), uint8(1))
	f.Add(uint64(2), uint8(0), uint8(0))
	f.Add(uint64(3), uint8(16), uint8(200))

	f.Fuzz(func(t *testing.T, seed uint64, chunks, faults uint8) {
		compare(t, seed, int(chunks%65), int(faults))
	})
}
