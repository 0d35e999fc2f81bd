package cpu_test

import (
	"testing"

	"vetting/agent/cpu"
)

// A flipped bit of any lane, early or late, changes the answer. Only the last bits
// of a small x can fall to the rounding of the next step, and rarely do.
func TestAFlippedBitIsNotLost(t *testing.T) {
	const trials = 2000

	lost := 0

	for i := range trials {
		seed, lane, bit, steps := uint64(i), i*7%96, i*11%64, []int{0, 1, 5, 50, 2000}[i%5]
		if bit == 62 {
			continue // makes the number so large that it leaves for infinity; that is seen, but takes no luck
		}

		if cpu.FMAFlip(seed, lane, bit, steps) {
			continue
		}

		lost++

		if bit > 16 && bit != 63 {
			t.Errorf("seed %d, lane %d, bit %d, %d steps before the end: the error is gone", seed, lane, bit, steps)
		}
	}

	t.Logf("%d of %d flips were lost", lost, trials)

	if lost > trials/20 {
		t.Errorf("%d of %d flips were lost", lost, trials)
	}
}
