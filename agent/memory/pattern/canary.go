package pattern

import (
	"fmt"
	"math/rand/v2"
)

// canaryTiles is how much of an area is used to prove the loops.
const canaryTiles = 16

// Prove plants a flipped bit for every operation and kind of content in the first
// tiles of an area, and returns an error unless exactly that word is found, with
// what it should hold and what it holds. What the tiles hold afterwards is not
// known.
func (k Kernel) Prove(a Area, seed uint64) error {
	a = a.Part(0, min(canaryTiles, a.Tiles()))
	chance := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // where a fault is planted is no secret

	for _, op := range []Op{Check, Turn, TurnDown, Scatter, Move} {
		for _, p := range []Pattern{Solid(0), Address(0), Random(seed)} {
			if err := k.prove(a, op, p, chance); err != nil {
				return fmt.Errorf("%s, %s, %s: %w", k, op, p, err)
			}
		}
	}

	return nil
}

func (k Kernel) prove(a Area, op Op, p Pattern, chance *rand.Rand) error {
	var misses []Miss

	s := Sweep{
		Kernel: k, Area: a, Sample: 3,
		Miss: func(m Miss) { misses = append(misses, m) }, Step: func(int, int) bool { return true },
	}
	from, to := Content{Pattern: p}, Content{Pattern: p.Inverse()}

	s.Run(Fill, Content{}, from)

	word, bit := chance.IntN(len(a.words)), uint64(1)<<chance.IntN(64)
	want := Miss{Word: word, Expected: a.Read(word), Got: a.Read(word) ^ bit}
	a.Write(word, want.Got)

	after, _ := s.Run(op, from, to)

	if len(misses) != 1 || misses[0] != want {
		return fmt.Errorf("a planted fault %+v was reported as %+v", want, misses)
	}

	if op == Check {
		a.Write(word, want.Expected)
	}

	misses = nil
	s.Run(Check, after, Content{})

	if len(misses) > 0 {
		return fmt.Errorf("what was written came back as %+v", misses[0])
	}

	return nil
}
