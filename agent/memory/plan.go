package memory

import (
	"math/rand/v2"
	"time"

	"vetting/agent/memory/pattern"
)

// Patterns says what a pass consists of.
type Patterns string

// The choices.
const (
	// Short writes own addresses, noise and AA/55, each with its inverse.
	Short Patterns = "short"
	// Full is a March C- of three solid words and three kinds of noise, own
	// addresses, a block move, random order, threads of the other node, and
	// retention.
	Full Patterns = "full"
)

// step is one way through all the memory, or a wait.
type step struct {
	op     pattern.Op
	to     pattern.Pattern // what is there afterwards; unused by Check and Move
	idle   time.Duration   // first wait as long
	remote bool            // by threads of another node
}

// Solid words: each bit beside its like, beside its opposite, and in pairs.
const (
	zeros  = 0
	stripe = 0xaaaaaaaaaaaaaaaa
	pairs  = 0x3333333333333333
)

// plan returns a pass. Whatever is in memory before is compared while the first
// step writes, unless nothing is known of it.
func plan(j *job, pass int, known bool) (steps []step) {
	chance := rand.New(rand.NewPCG(j.Seed, uint64(pass))) //nolint:gosec // contents are no secret
	own := pattern.Address(chance.Uint64() &^ 7)

	begin := pattern.Fill
	if known {
		begin = pattern.Turn
	}

	steps = append(steps, step{op: begin, to: own}, step{op: pattern.Turn, to: own.Inverse()}, step{op: pattern.TurnDown, to: own})

	if j.Patterns == Short {
		noise, bars := pattern.Random(chance.Uint64()), pattern.Solid(stripe)
		steps = append(
			steps, step{op: pattern.Turn, to: noise}, step{op: pattern.TurnDown, to: noise.Inverse()},
			step{op: pattern.Turn, to: bars}, step{op: pattern.TurnDown, to: bars.Inverse()}, step{op: pattern.Turn, to: bars},
		)
	} else {
		steps = append(steps, full(chance, len(j.Remote) > 0, j.Retention)...)
	}

	return append(steps, step{op: pattern.Check})
}

func full(chance *rand.Rand, remote bool, retention time.Duration) (steps []step) {
	noise := func() pattern.Pattern { return pattern.Random(chance.Uint64()) }

	for _, p := range []pattern.Pattern{pattern.Solid(zeros), pattern.Solid(stripe), pattern.Solid(pairs), noise(), noise(), noise()} {
		steps = append(steps, march(p)...)
	}

	moved, far, kept := noise(), noise(), noise()

	return append(
		steps,
		step{op: pattern.Turn, to: moved}, step{op: pattern.Move}, step{op: pattern.Move},
		step{op: pattern.Scatter, to: far},
		step{op: pattern.Turn, to: far.Inverse(), remote: remote}, step{op: pattern.TurnDown, to: kept, remote: remote},
		step{op: pattern.Turn, to: kept.Inverse(), idle: retention}, step{op: pattern.Check, idle: retention},
	)
}

// march is March C- (van de Goor): w0, up r0 w1, up r1 w0, down r0 w1, down r1 w0,
// r0. The first write also reads what was there, and the last read is the next
// step's.
func march(p pattern.Pattern) []step {
	inverse := p.Inverse()

	return []step{
		{op: pattern.Turn, to: p},
		{op: pattern.Turn, to: inverse},
		{op: pattern.Turn, to: p},
		{op: pattern.TurnDown, to: inverse},
		{op: pattern.TurnDown, to: p},
	}
}

// weight is about how long an operation takes, for the estimate of the time left.
func (s *step) weight() float64 {
	weight := map[pattern.Op]float64{
		pattern.Fill: 1, pattern.Check: 2, pattern.Turn: 3, pattern.TurnDown: 3, pattern.Move: 3, pattern.Scatter: 30,
	}[s.op]
	if s.remote {
		weight *= 2
	}

	return weight
}

// name is what a step is called in the progress and in a fault.
func (s *step) name() string {
	name := s.op.String()
	if s.op != pattern.Check && s.op != pattern.Move {
		name += ", " + s.to.String()
	}

	if s.idle > 0 {
		name += ", after " + s.idle.String()
	}

	if s.remote {
		name += ", from the other node"
	}

	return name
}
