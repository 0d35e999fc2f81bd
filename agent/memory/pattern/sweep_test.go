package pattern_test

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"vetting/agent/memory/pattern"
)

// memory returns an area of n tiles.
func memory(t *testing.T, n int) pattern.Area {
	t.Helper()

	a := pattern.NewArea(make([]byte, (n+1)*pattern.TileBytes))
	if a.Tiles() < n {
		t.Fatalf("%d tiles, want %d", a.Tiles(), n)
	}

	return a.Part(0, n)
}

// book is a sweep with what it told.
type book struct {
	pattern.Sweep

	misses            []pattern.Miss
	verified, written int
	steps, last       int // ends itself at the step last, if that is not 0
}

func newBook(k pattern.Kernel, a pattern.Area) *book {
	b := &book{}
	b.Sweep = pattern.Sweep{
		Kernel: k, Area: a, Miss: func(m pattern.Miss) { b.misses = append(b.misses, m) },
		Step: func(verified, written int) bool {
			b.verified, b.written, b.steps = b.verified+verified, b.written+written, b.steps+1

			return b.steps != b.last
		},
	}

	return b
}

func contents() []pattern.Pattern {
	return []pattern.Pattern{
		pattern.Solid(0), pattern.Solid(0xaaaaaaaaaaaaaaaa), pattern.Address(0), pattern.Address(0x5a5a), pattern.Random(7),
		pattern.Random(7).Inverse(), pattern.Address(3).Inverse(),
	}
}

func ops() []pattern.Op {
	return []pattern.Op{pattern.Check, pattern.Turn, pattern.TurnDown, pattern.Scatter, pattern.Move}
}

// holds compares every word of an area with what a content is to hold.
func holds(t *testing.T, a pattern.Area, c pattern.Content) {
	t.Helper()

	for w := range a.Bytes() / 8 {
		if have, want := a.Read(w), pattern.Word(c, a, w); have != want {
			t.Fatalf("word %d holds %016x, want %016x of %s", w, have, want, c)
		}
	}
}

func TestASweepLeavesWhatItSaysAndMissesNothing(t *testing.T) {
	for _, k := range pattern.Kernels() {
		a := memory(t, 260)

		for i, p := range contents() {
			from, to := pattern.Content{Pattern: p}, pattern.Content{Pattern: contents()[(i+3)%len(contents())]}

			for _, op := range ops() {
				b := newBook(k, a)
				b.Sample = 7

				b.Run(pattern.Fill, pattern.Content{}, from)

				after, whole := b.Run(op, from, to)
				if !whole || len(b.misses) != 0 {
					t.Fatalf("%s, %s: whole %v, misses %v", k, op, whole, b.misses)
				}

				holds(t, a, after)

				if b.verified < a.Bytes() || op != pattern.Check && b.written != 2*a.Bytes() {
					t.Errorf("%s, %s: %d verified, %d written of %d", k, op, b.verified, b.written, a.Bytes())
				}
			}
		}
	}
}

func TestASweepFindsEachFlippedBit(t *testing.T) {
	for _, k := range pattern.Kernels() {
		a := memory(t, 9)
		planted := []int{0, 1, 31, 32, 33, 511, 512, 2047, 4000, 9*512 - 1}

		for i, p := range contents() {
			for _, op := range ops() {
				b := newBook(k, a)
				from, to := pattern.Content{Pattern: p}, pattern.Content{Pattern: contents()[(i+1)%len(contents())]}
				b.Run(pattern.Fill, pattern.Content{}, from)

				var want []pattern.Miss

				for n, word := range planted {
					m := pattern.Miss{Word: word, Expected: a.Read(word), Got: a.Read(word) ^ 1<<(n*6)}
					a.Write(word, m.Got)
					want = append(want, m)
				}

				after, _ := b.Run(op, from, to)

				slices.SortFunc(b.misses, func(x, y pattern.Miss) int { return x.Word - y.Word })

				if !slices.Equal(b.misses, want) {
					t.Fatalf("%s, %s, %s: %v, want %v", k, op, p, b.misses, want)
				}

				if op != pattern.Check {
					holds(t, a, after) // what was wrong is written anew
				}
			}
		}
	}
}

func TestAMovedContentIsMovedAgain(t *testing.T) {
	for _, k := range pattern.Kernels() {
		a := memory(t, 600)
		b := newBook(k, a)
		c := pattern.Content{Pattern: pattern.Random(5)}

		b.Run(pattern.Fill, c, c)

		for range 3 {
			c, _ = b.Run(pattern.Move, c, c)
			holds(t, a, c)
		}

		if c.Moved != 3*pattern.MoveTiles%600 || len(b.misses) > 0 {
			t.Errorf("moved by %d, misses %v", c.Moved, b.misses)
		}
	}
}

func TestASweepEndsWhenTold(t *testing.T) {
	a := memory(t, 1024)
	c := pattern.Content{Pattern: pattern.Solid(1)}

	for _, op := range append(ops(), pattern.Fill) {
		b := newBook(pattern.Kernels()[0], a)
		b.Run(pattern.Fill, c, c)

		b.steps, b.last = 0, 2

		if _, whole := b.Run(op, c, c); whole || b.steps != 2 {
			t.Errorf("%s: whole %v after %d steps", op, whole, b.steps)
		}
	}
}

// An address line that is stuck makes two addresses one. Here the upper half of an
// area shows what was written to the lower one.
func TestOwnAddressFindsAnAddressLineThatIsStuck(t *testing.T) {
	a := memory(t, 8)
	b := newBook(pattern.Kernels()[0], a)
	c := pattern.Content{Pattern: pattern.Address(0)}
	b.Run(pattern.Fill, c, c)

	for w := range a.Bytes() / 16 {
		a.Write(w, a.Read(w+a.Bytes()/16))
	}

	b.Run(pattern.Check, c, c)

	if len(b.misses) != a.Bytes()/16 {
		t.Errorf("%d words found, want the lower half, %d", len(b.misses), a.Bytes()/16)
	}
}

func TestPatterns(t *testing.T) {
	a := memory(t, 16)

	for _, p := range contents() {
		c, inverse := pattern.Content{Pattern: p}, pattern.Content{Pattern: p.Inverse()}
		for w := range a.Bytes() / 8 {
			if pattern.Word(c, a, w) != ^pattern.Word(inverse, a, w) {
				t.Fatalf("%s and %s are not each other's inverse in word %d", c, inverse, w)
			}
		}
	}

	ones, seen := 0, map[uint64]bool{}

	for w := range a.Bytes() / 8 {
		word := pattern.Word(pattern.Content{Pattern: pattern.Random(1)}, a, w)
		ones, seen[word] = ones+bits.OnesCount64(word), true

		if own := pattern.Word(pattern.Content{Pattern: pattern.Address(9)}, a, w); own != a.Address(w)^9 {
			t.Fatalf("word %d holds %x, want its own address %x ^ 9", w, own, a.Address(w))
		}
	}

	words := a.Bytes() / 8
	if len(seen) != words || ones < words*31 || ones > words*33 {
		t.Errorf("noise repeats itself or is not even: %d different of %d words, %d ones", len(seen), words, ones)
	}

	if pattern.Word(pattern.Content{Pattern: pattern.Random(1)}, a, 5) == pattern.Word(pattern.Content{Pattern: pattern.Random(2)}, a, 5) {
		t.Error("two seeds make the same noise")
	}
}

func TestTheOrderAtRandomVisitsEachOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 16, 100, 1 << 12, 1<<12 + 1} {
		order := pattern.Order(n)
		near := 0

		for i := 1; i < n; i++ {
			if d := order[i] - order[i-1]; d == 1 || d == -1 {
				near++
			}
		}

		if n > 50 && near > n/10 {
			t.Errorf("%d of %d steps lead to a neighbour", near, n)
		}

		slices.Sort(order)

		for i, at := range order {
			if at != i {
				t.Fatalf("%d numbers: %d is missing or there twice", n, i)
			}
		}
	}
}

func TestProve(t *testing.T) {
	for _, k := range pattern.Kernels() {
		for seed := range uint64(20) {
			if err := k.Prove(memory(t, 1+int(seed)), seed); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestStream(t *testing.T) {
	for _, k := range pattern.Kernels() {
		dst, a, b := memory(t, 300), memory(t, 300), memory(t, 300)

		for _, area := range []pattern.Area{a, b} {
			newBook(k, area).Run(pattern.Fill, pattern.Content{}, pattern.One())
		}

		k.Triad(dst, a, b)

		if first, last := dst.Read(0), dst.Read(dst.Bytes()/8-1); first != math.Float64bits(4) || last != first {
			t.Errorf("%s: 1 + 3·1 is %v and %v", k, math.Float64frombits(first), math.Float64frombits(last))
		}

		k.Copy(dst, a)
		holds(t, dst, pattern.One())
	}
}

// Forget changes nothing, whatever the sizes.
func TestForget(t *testing.T) {
	for _, tiles := range []int{1, 3, 4, 5, 300} {
		a := memory(t, tiles)
		c := pattern.Content{Pattern: pattern.Random(1)}
		newBook(pattern.Kernels()[0], a).Run(pattern.Fill, c, c)

		for _, bytes := range []int{0, 4096, 100 << 10, 64 << 20} {
			for _, op := range ops() {
				pattern.Kernels()[0].Forget(a, op, bytes, func() {})
			}
		}

		holds(t, a, c)
	}
}

// A sweep makes no garbage: its process collects none until it has little memory
// left, and what it would take is memory that is not tested.
func TestASweepMakesNoGarbage(t *testing.T) {
	const tiles = 512

	for _, k := range pattern.Kernels() {
		b := newBook(k, memory(t, tiles))
		b.Sample = 64
		from, to := pattern.Content{Pattern: pattern.Random(1)}, pattern.Content{Pattern: pattern.Address(0)}

		for _, op := range append(ops(), pattern.Fill) {
			n := testing.AllocsPerRun(3, func() {
				b.Run(pattern.Fill, pattern.Content{}, from)
				b.Run(op, from, to)
			})
			if n > 16 {
				t.Errorf("%s, %s: %v allocations for %d tiles", k, op, n, tiles)
			}
		}
	}
}
