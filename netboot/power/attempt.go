package power

import (
	"context"
	"errors"
	"time"
)

// Attempt is one call to one way, for the trace of a boot.
type Attempt struct {
	Method  Method        `json:"method"`
	Action  string        `json:"action"` // "on", "cycle", "pxe", "state"
	Address string        `json:"address,omitempty"`
	Outcome Outcome       `json:"outcome"`
	Code    string        `json:"code,omitempty"`   // entry of core/problem; empty when all went well
	Detail  string        `json:"detail,omitempty"` // cleaned, without secrets
	Took    time.Duration `json:"took"`
}

// Worked reports whether the last attempt did what was wanted.
func Worked(attempts []Attempt) bool {
	return len(attempts) > 0 && attempts[len(attempts)-1].Outcome == OK
}

// TryOn switches a machine on by the first of the ways, in their order, that
// does it, and returns every attempt, in order. The last one tells how it ended.
func TryOn(ctx context.Context, ways []Way) []Attempt {
	var all []Attempt

	for _, way := range ways {
		a := try(ctx, way, "on", way.On)
		all = append(all, a)

		if a.Outcome == OK || ctx.Err() != nil {
			return all
		}
	}

	return all
}

// TryBoot makes a machine start from the network by the first of the ways, in
// their order, that does it: it sets the next start to the network where that
// can be set, then switches the machine on, or restarts it when it is on. A way
// that cannot set the next start is used all the same, since most machines that
// are vetted start from the network first. Every attempt is returned, in order;
// the last one tells how it ended.
func TryBoot(ctx context.Context, ways []Way) []Attempt {
	var all []Attempt

	for _, way := range ways {
		all = append(all, boot(ctx, way)...)

		if Worked(all) || ctx.Err() != nil {
			return all
		}
	}

	return all
}

// boot tries one way. Only the attempts that matter are returned: asking for
// what a method never has is none.
func boot(ctx context.Context, way Way) (all []Attempt) {
	if way.Method() != WoL && way.Method() != Manual {
		a := try(ctx, way, "pxe", way.OneTimePXE)
		all = append(all, a)

		if hopeless(a.Outcome) {
			return all
		}
	}

	state, err := way.State(ctx)
	if hopeless(OutcomeOf(err)) {
		return append(all, attempt(way, "state", err, 0))
	}

	if state == On {
		return append(all, try(ctx, way, "cycle", way.Cycle))
	}

	return append(all, try(ctx, way, "on", way.On))
}

// hopeless reports whether the next call to the same way would end alike.
func hopeless(o Outcome) bool {
	switch o {
	case WrongPassword, Unreachable, Timeout, Untrusted, Stopped:
		return true
	default:
		return false
	}
}

func try(ctx context.Context, way Way, action string, act func(context.Context) error) Attempt {
	start := time.Now()
	err := act(ctx)

	return attempt(way, action, err, time.Since(start))
}

func attempt(way Way, action string, err error, took time.Duration) Attempt {
	a := Attempt{Method: way.Method(), Action: action, Outcome: OutcomeOf(err), Took: took}

	if b, ok := way.(bounded); ok {
		a.Address = b.target.shown()
	}

	var f *Fault
	if errors.As(err, &f) {
		a.Detail, a.Code = f.Detail, f.Outcome.Code()
	}

	return a
}
