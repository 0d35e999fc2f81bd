package agent_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

func TestAStageGoesOnFromItsCheckpointInTheNextProcessAlone(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var (
			mu      sync.Mutex
			resumed []string
		)

		note := func(env stage.Env) {
			mu.Lock()
			defer mu.Unlock()

			resumed = append(resumed, string(env.Resume))
		}

		r.config.Stages[core.Firmware] = func(ctx context.Context, env stage.Env) core.Result {
			env.Checkpoint([]byte("of another stage"))

			return passes(time.Second)(ctx, env)
		}
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			note(env)
			env.Checkpoint([]byte("first half"))
			env.Checkpoint([]byte("second half"))
			env.Checkpoint([]byte(strings.Repeat("x", stage.MaxCheckpoint+1)))

			return passes(10*time.Minute)(ctx, env)
		}

		r.start()
		time.Sleep(time.Minute) // in the middle of SMART
		r.kill()
		r.start()
		time.Sleep(time.Minute)
		r.appliance.Book.SetState(core.StateFailedHolding)
		time.Sleep(time.Minute)
		r.appliance.Book.SetState(core.State(core.SMART))
		r.appliance.Book.Order(core.CmdRetryStage)
		time.Sleep(time.Minute)
		r.appliance.Book.Order("")

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		if want := []string{"", "second half", ""}; !slices.Equal(resumed, want) {
			t.Errorf("the stage went on from %q, want %q: begun, begun by the next process, retried", resumed, want)
		}
	})
}
