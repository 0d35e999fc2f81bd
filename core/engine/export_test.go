package engine

import (
	"context"

	"vetting/core"
)

// GiveTurn is giveTurn, as by a dispatcher whose index is behind the ledger.
func (e *Engine) GiveTurn(ctx context.Context, id core.RunID) (started bool, err error) {
	return e.giveTurn(ctx, id)
}

// Passes is passes, for what a test can hardly bring about from outside: writes of
// one run that overlap.
type Passes struct{ passes *passes }

// NewPasses remembers nothing yet.
func NewPasses() Passes { return Passes{newPasses()} }

// Begin begins a write of a run; end tells that it left the run in an epoch.
func (p Passes) Begin(run core.RunID) (end func(of core.RunID, epoch int)) {
	o := p.passes.begin(run)

	return func(of core.RunID, epoch int) { p.passes.end(o, &facts{epoch: epoch, at: standing{run: of}}) }
}

// Epoch is what is remembered of a run; 0: nothing.
func (p Passes) Epoch(run core.RunID) int {
	if known, _ := p.passes.look(run); known != nil {
		return known.epoch
	}

	return 0
}
