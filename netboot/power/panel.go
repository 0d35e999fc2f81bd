package power

import (
	"context"
	"math"
	"strings"
	"time"

	"vetting/core"
)

// lookTimeout bounds a look at a controller; half of it is for its sensors, which are many
// and read one by one.
const (
	lookTimeout   = 24 * time.Second
	gaugesTimeout = 12 * time.Second
	eventsTimeout = 8 * time.Second
)

// panelist is a controller that tells more than whether its machine is on.
type panelist interface {
	look(ctx context.Context) (core.Panel, error)
	locate(ctx context.Context, on bool) error
}

// look asks what the controller tells. What takes too long is left out, and said to be.
func (b bounded) look(ctx context.Context) (panel core.Panel, err error) {
	b.timeout = max(b.timeout, lookTimeout)

	err = b.do(ctx, "reading sensors and events", func(ctx context.Context) error {
		far, able := b.far.(panelist)
		if !able {
			return outcome(Unsupported, "it has no sensors and no event log")
		}

		panel, err = far.look(ctx)

		return err
	})
	panel.Way = core.PowerMethod(b.Method())

	return panel, err
}

// locate lets the machine be found by its light, or no more.
func (b bounded) locate(ctx context.Context, on bool) error {
	return b.do(ctx, "switching the light", func(ctx context.Context) error {
		far, able := b.far.(panelist)
		if !able {
			return outcome(Unsupported, "it has no light")
		}

		return far.locate(ctx, on)
	})
}

// figure is a number that can be shown and sent; nil: it is none.
func figure(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}

	return &f
}

// cut says why something is missing, in words for people.
func cut(ctx context.Context, err error, what string) string {
	switch {
	case err == nil:
		return ""
	case ctx.Err() != nil:
		return "The controller took too long to tell " + what + "."
	default:
		return "The controller does not tell " + what + "."
	}
}

// readable leaves out what does not print and is too long.
func readable(s string) string {
	const most = 200

	s = strings.Join(strings.Fields(strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}

		return r
	}, s), "")), " ")
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}

	return s
}

func lit(on bool) core.PowerState {
	if on {
		return core.PowerIsOn
	}

	return core.PowerIsOff
}
