package drill

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"vetting/agent/cpu"
	"vetting/agent/probe"
)

const (
	retests   = 3 // of the same seed, and of other seeds, and on each other CPU
	witnesses = 2 // other CPUs
)

// Suspect is a CPU that gave a wrong answer in one kernel.
type Suspect struct {
	Thread   probe.Thread
	Kernel   string
	Variant  string
	First    Wrong
	Mistakes int // altogether in this kernel
	Blocks   int // done in it
	// Again counts wrong answers among Retests of the same seed; Other those among
	// as many of other seeds.
	Again, Other, Retests int
	Others                []Witness // the same seed on other CPUs
	Celsius               float64   // NaN: not known
}

// Witness is another CPU that did the block again.
type Witness struct {
	CPU   int
	Wrong int
	Of    int
}

// Evidence tells all that is known, in one line.
func (s *Suspect) Evidence() string {
	var b strings.Builder

	fmt.Fprintf(&b, "%s: %d of %d blocks of the kernel %s (%s) were wrong", s.Thread, s.Mistakes, s.Blocks, s.Kernel, s.Variant)
	fmt.Fprintf(&b, "; the first: seed %#x gave %016x, %s %016x", s.First.Seed, s.First.Got, wanted(s.First.Known), s.First.Want)

	if s.First.Differ > 0 {
		fmt.Fprintf(&b, ", %d words differ:", s.First.Differ)

		for _, l := range s.First.Lanes {
			fmt.Fprintf(&b, " lane %d xor %016x", l.Index, l.Xor)
		}
	}

	if s.First.MHz > 0 {
		fmt.Fprintf(&b, ", at %.0f MHz", s.First.MHz)
	}

	if !math.IsNaN(s.Celsius) {
		fmt.Fprintf(&b, " and %.0f °C", s.Celsius)
	}

	fmt.Fprintf(&b, "; tried again on it: wrong %d of %d times, with other seeds %d of %d", s.Again, s.Retests, s.Other, s.Retests)

	for _, w := range s.Others {
		fmt.Fprintf(&b, "; on CPU %d: wrong %d of %d times", w.CPU, w.Wrong, w.Of)
	}

	return b.String()
}

func wanted(known bool) string {
	if known {
		return "known is"
	}

	return "others gave"
}

// compare looks for wrong answers in the reports of a slot.
func (d *drill) compare(ctx context.Context, kernel string, seed uint64, reports []Report) {
	wrong := map[int]Wrong{} // the first, by CPU
	count := map[int]int{}

	for i := range reports {
		r := &reports[i]
		if count[r.CPU] = r.Mistakes; len(r.Wrong) > 0 {
			wrong[r.CPU] = r.Wrong[0]
		}
	}

	trusted := slices.DeleteFunc(slices.Clone(reports), func(r Report) bool { return len(r.Wrong) > 0 })

	for i := range freshSeeds {
		for n, w := range d.outliers(ctx, kernel, seed+uint64(i), i, trusted) {
			if _, known := wrong[n]; !known {
				wrong[n] = w
				count[n]++
			}
		}
	}

	for _, n := range slices.Sorted(maps.Keys(wrong)) {
		d.suspect(ctx, n, kernel, wrong[n], count[n])
	}
}

// outliers finds the CPUs whose digest of a fresh seed is not that of most. Where no
// digest has most of the votes, plain Go has one more on each CPU.
func (d *drill) outliers(ctx context.Context, kernel string, seed uint64, index int, reports []Report) map[int]Wrong {
	said, votes := map[int]uint64{}, map[uint64]int{}

	for i := range reports {
		if r := &reports[i]; index < len(r.Digests) {
			said[r.CPU] = r.Digests[index]
			votes[r.Digests[index]]++
		}
	}

	if len(votes) < 2 {
		return nil
	}

	want, most := winner(votes)
	if 2*most <= len(said) {
		order := Order{Kernel: kernel, Repeat: &Repeat{Seed: seed, Times: 1, Plain: true}}

		for _, r := range d.crew.together(ctx, d.crew.able(), order) {
			for _, digest := range r.Digests {
				votes[digest]++
			}
		}

		want, _ = winner(votes)
	}

	odd := map[int]Wrong{}

	for n, got := range said {
		if got != want {
			odd[n] = Wrong{Seed: seed, Want: want, Got: got}
		}
	}

	return odd
}

// winner is the digest with most votes; of two alike the smaller, so that nothing
// depends on the order of a map.
func winner(votes map[uint64]int) (digest uint64, most int) {
	for _, v := range slices.Sorted(maps.Keys(votes)) {
		if votes[v] > most {
			digest, most = v, votes[v]
		}
	}

	return digest, most
}

// suspect notes a wrong answer, and has it tried again if it is the first of its
// CPU in this kernel.
func (d *drill) suspect(ctx context.Context, n int, kernel string, w Wrong, mistakes int) {
	tally := d.out.Cores[n]
	if tally == nil {
		return
	}

	for i := range d.out.Suspects {
		if s := &d.out.Suspects[i]; s.Thread.Number == n && s.Kernel == kernel {
			s.Mistakes += mistakes
			s.Blocks = tally.Kernels[kernel]

			return
		}
	}

	s := Suspect{
		Thread: tally.Thread, Kernel: kernel, First: w, Mistakes: mistakes, Blocks: tally.Kernels[kernel], Retests: retests, Celsius: math.NaN(),
	}
	if d.Heat != nil {
		s.Celsius = d.Heat(tally.Thread)
	}

	d.retest(ctx, &s)

	if s.disputed() {
		if !slices.Contains(d.out.Disputed, kernel) {
			d.out.Disputed = append(d.out.Disputed, kernel)
		}

		return
	}

	d.out.Suspects = append(d.out.Suspects, s)
}

// disputed: every other CPU contradicts the known answer each time, and so does
// this one. All cannot be broken in the same way.
func (s *Suspect) disputed() bool {
	return s.First.Known && s.Again == s.Retests && len(s.Others) > 0 &&
		!slices.ContainsFunc(s.Others, func(w Witness) bool { return w.Wrong < w.Of })
}

// retest does the block again: on the same CPU, there with other seeds, and on
// others.
func (d *drill) retest(ctx context.Context, s *Suspect) {
	self := d.crew.of(s.Thread.Number)
	again := Order{Kernel: s.Kernel, Repeat: &Repeat{Seed: s.First.Seed, Times: retests, Want: &s.First.Want, Known: s.First.Known}}

	for _, r := range d.crew.together(ctx, []*member{self}, again) {
		s.Again, s.Variant = r.Mistakes, r.Variant

		switch {
		case s.First.Differ > 0:
		case r.Differ > 0:
			s.First.Lanes, s.First.Differ = r.Before, r.Differ
		case len(r.Wrong) > 0:
			s.First.Lanes, s.First.Differ = r.Wrong[0].Lanes, r.Wrong[0].Differ
		}
	}

	if answers, err := cpu.Known(s.Kernel); err == nil {
		for i := range retests {
			other := Order{Kernel: s.Kernel, Repeat: &Repeat{Seed: cpu.Seed(i), Times: 1, Want: &answers[i], Known: true}}
			for _, r := range d.crew.together(ctx, []*member{self}, other) {
				s.Other += r.Mistakes
			}
		}
	}

	for _, m := range d.witnesses(s.Thread) {
		for _, r := range d.crew.together(ctx, []*member{m}, again) {
			s.Others = append(s.Others, Witness{CPU: r.CPU, Wrong: r.Mistakes, Of: r.Blocks})
		}
	}
}

// witnesses picks CPUs of other cores: one near and one far where there are both.
func (d *drill) witnesses(t probe.Thread) (list []*member) {
	others := slices.DeleteFunc(d.crew.able(), func(m *member) bool { return m.thread.Number == t.Number })

	distance := func(m *member) int {
		switch {
		case slices.Contains(t.Siblings, m.thread.Number):
			return 2 // shares the very core: the last to ask
		case m.thread.Package == t.Package:
			return 0
		default:
			return 1
		}
	}

	slices.SortStableFunc(others, func(a, b *member) int { return distance(a) - distance(b) })

	if len(others) == 0 {
		return nil
	}

	list = others[:1]

	far := slices.IndexFunc(others, func(m *member) bool { return distance(m) == 1 })

	switch {
	case far > 0:
		list = append(slices.Clone(list), others[far])
	case len(others) > 1:
		list = others[:witnesses]
	}

	return list
}
