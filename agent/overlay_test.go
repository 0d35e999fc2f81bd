package agent_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

// Of an overlay that did not arrive whole nothing is run: no custom stage, and no stage
// that might use its tools.
func TestNothingIsRunBesideAnOverlayThatIsNotWhole(t *testing.T) {
	for _, whole := range []bool{true, false} {
		within(t, func(t *testing.T, r *rig) {
			var played, watched atomic.Bool

			r.appliance.Book.Overlays = []core.Overlay{{Name: "acme", SHA256: strings.Repeat("a", 64), Bytes: 512, Unpacked: 10, Files: 1, Manifest: strings.Repeat("b", 64)}}
			r.config.Whole = func(stage.Env) bool { return whole }
			r.config.Custom = func(context.Context, core.StageName, stage.Env, *core.Result) stage.Seen {
				if whole {
					return stage.Seen{}
				}

				return stage.Seen{Errors: []core.Finding{{Code: "overlay/incomplete", Severity: core.Critical, Title: "not whole"}}}
			}
			r.config.Watches = append(r.config.Watches, func(context.Context, core.StageName, stage.Env, context.CancelCauseFunc) func() stage.Seen {
				watched.Store(true)

				return func() stage.Seen { return stage.Seen{} }
			})
			r.config.Stages[core.InventoryCheck] = func(context.Context, stage.Env) core.Result {
				played.Store(true)

				return core.Result{Verdict: core.Pass}
			}

			r.start()

			if whole {
				if err := r.end(); err != nil {
					t.Fatal(err)
				}
			} else { // it is held
				time.Sleep(time.Minute)
				r.kill()
			}

			results := r.appliance.Book.Results()
			if len(results) == 0 || played.Load() != whole || watched.Load() != whole || (results[0].Verdict == core.Error) == whole {
				t.Errorf("whole %t: played %t, watched %t, %+v", whole, played.Load(), watched.Load(), results)
			}
		})
	}
}
