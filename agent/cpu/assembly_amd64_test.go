package cpu_test

import (
	"slices"
	"testing"

	"vetting/agent/cpu"
)

// The assembly is plain Go to the bit, for any seed and any number of steps, odd
// ones and none included.
func TestAssemblyIsPlainGo(t *testing.T) {
	ran, seeds := 0, uint64(40)
	if slowly {
		seeds = 2
	}

	for _, p := range cpu.Pairs(cpu.Detect()) {
		if !p.Has {
			t.Logf("%s: this CPU has no such instructions", p.Name)

			continue
		}

		ran++

		for seed := range seeds {
			for _, steps := range []int{0, 1, 2, 3, 17, 300} {
				if fast, plain := p.Run(seed*0x1234567, steps); !slices.Equal(fast, plain) {
					t.Fatalf("%s, seed %d, %d steps:\n%x\n%x", p.Name, seed, steps, fast, plain)
				}
			}
		}
	}

	t.Logf("%d pieces of assembly compared", ran)
}

func FuzzAssembly(f *testing.F) {
	f.Add(uint64(1), uint16(1))
	f.Add(^uint64(0), uint16(999))

	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		for _, p := range cpu.Pairs(cpu.Detect()) {
			if !p.Has {
				continue
			}

			if fast, plain := p.Run(seed, int(steps%1000)); !slices.Equal(fast, plain) {
				t.Fatalf("%s, seed %d, %d steps:\n%x\n%x", p.Name, seed, steps, fast, plain)
			}
		}
	})
}
