package drill_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vetting/agent/cpu"
	"vetting/agent/cpu/drill"
	"vetting/agent/probe"
)

// cores makes up a machine with two threads a core.
func cores(n int) (threads []probe.Thread) {
	for i := range 2 * n {
		threads = append(threads, probe.Thread{Number: i, Online: true, Core: i % n, Siblings: []int{i % n, i%n + n}})
	}

	return threads
}

func TestARoundHasEveryKernelAndEveryMode(t *testing.T) {
	threads := cores(4)

	slots := drill.Deal(threads, time.Hour, 3, drill.RoundSize(threads))
	seen := map[string]bool{}

	for _, s := range slots {
		seen[string(s.Mode)] = true
		seen[string(s.Mode)+" "+s.Kernel] = true

		if s.For < time.Second || s.For > 2*time.Second {
			t.Errorf("a slot of %v", s.For)
		}

		want := map[drill.Mode]int{drill.Single: 1, drill.Siblings: 2}[s.Mode]
		if want == 0 {
			want = len(threads)
		}

		if len(s.CPUs) != want {
			t.Errorf("%+v", s)
		}

		if s.Mode == drill.Siblings && s.CPUs[0]%4 != s.CPUs[1]%4 {
			t.Errorf("%v do not share a core", s.CPUs)
		}
	}

	for _, k := range cpu.Kernels() {
		if !seen["all "+k.Name] {
			t.Errorf("%s was not done by all CPUs", k.Name)
		}
	}

	for _, mode := range []drill.Mode{drill.All, drill.Single, drill.Siblings, drill.Hop, drill.Step, drill.Exchange} {
		if !seen[string(mode)] {
			t.Errorf("there was no slot of the mode %s", mode)
		}
	}
}

func TestTheOrderIsDrawnByLot(t *testing.T) {
	threads := cores(4)

	order := func(seed uint64) (names []string) {
		for _, s := range drill.Deal(threads, time.Hour, seed, 20) {
			names = append(names, fmt.Sprint(s))
		}

		return names
	}

	if !slices.Equal(order(1), order(1)) || slices.Equal(order(1), order(2)) {
		t.Error("the seed does not make the order")
	}
}

func TestAShortDrillHasShortSlots(t *testing.T) {
	for _, s := range drill.Deal(cores(1), 2*time.Second, 1, 30) {
		if s.For > 200*time.Millisecond {
			t.Errorf("a slot of %v in a drill of 2 s", s.For)
		}
	}
}

func TestOneCPUAloneExchangesNothing(t *testing.T) {
	one := []probe.Thread{{Number: 0, Siblings: []int{0}}}

	for _, s := range drill.Deal(one, time.Hour, 1, 60) {
		if s.Mode != drill.All && s.Mode != drill.Step {
			t.Errorf("%+v", s)
		}
	}
}
