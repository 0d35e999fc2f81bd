package engine_test

import (
	"testing"

	"vetting/core"
	"vetting/core/engine"
)

// What a write left is good only if no other write of the run was under way.
func TestWhatAWriteLeftIsRememberedIfItWasAlone(t *testing.T) {
	const run, other core.RunID = "01RUN", "01OTHER"

	for name, c := range map[string]struct {
		writes func(p engine.Passes)
		want   int
	}{
		"alone":                {func(p engine.Passes) { p.Begin(run)(run, 1) }, 1},
		"one after the other":  {func(p engine.Passes) { p.Begin(run)(run, 1); p.Begin(run)(run, 2) }, 2},
		"of another run":       {func(p engine.Passes) { p.Begin(run)(other, 1) }, 0},
		"beside another run's": {func(p engine.Passes) { end := p.Begin(other); p.Begin(run)(run, 1); end(other, 9) }, 1},
		"another under way":    {func(p engine.Passes) { end := p.Begin(run); p.Begin(run); end(run, 1) }, 0},
		"the later ends first": {func(p engine.Passes) {
			first := p.Begin(run)
			second := p.Begin(run)
			second(run, 2)
			first(run, 1)
		}, 0},
		"the later ends last": {func(p engine.Passes) {
			first := p.Begin(run)
			second := p.Begin(run)
			first(run, 1)
			second(run, 2)
		}, 0},
		"and begun again": {func(p engine.Passes) { p.Begin(run)(run, 1); p.Begin(run) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := engine.NewPasses()
			c.writes(p)

			if got := p.Epoch(run); got != c.want {
				t.Errorf("it is remembered in epoch %d, not %d", got, c.want)
			}
		})
	}
}
