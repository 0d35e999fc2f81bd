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
	"vetting/core/diskguard"
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

			if !env.Checkpoint([]byte("second half")) {
				t.Error("what is kept is said not to be")
			}

			if env.Checkpoint([]byte(strings.Repeat("x", stage.MaxCheckpoint+1))) {
				t.Error("what is too large is said to be kept")
			}

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

// What a stage may pass over counts until the appliance's time, also for a process that
// was started meanwhile; and no longer than an override lives, whatever the appliance says.
func TestAnOverrideEndsWhenTheApplianceSays(t *testing.T) {
	for name, c := range map[string]struct{ given, counts time.Duration }{
		"as it says":        {10 * time.Minute, 10 * time.Minute},
		"a clock that errs": {10 * time.Hour, diskguard.OverrideLife},
	} {
		within(t, func(t *testing.T, r *rig) {
			var (
				mu    sync.Mutex
				ends  []time.Time
				flags [][]string
			)

			r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
				mu.Lock()
				ends, flags = append(ends, env.OverrideUntil), append(flags, env.Overrides)
				mu.Unlock()

				return passes(10*time.Minute)(ctx, env)
			}

			r.start()
			time.Sleep(time.Minute) // in the middle of SMART
			r.appliance.Book.SetState(core.StateFailedHolding)
			time.Sleep(time.Minute)
			r.appliance.Book.SetState(core.State(core.SMART))

			begin := time.Now()

			r.appliance.Book.PassOver(begin.Add(c.given), "override-wipe-probe:A1")
			r.appliance.Book.Order(core.CmdRetryStage)
			time.Sleep(time.Minute)
			r.appliance.Book.Order("")
			r.kill()
			time.Sleep(2 * time.Minute)
			r.start()
			time.Sleep(time.Minute)

			if err := r.end(); err != nil {
				t.Fatal(err)
			}

			if len(ends) != 3 || !ends[0].IsZero() || len(flags[0]) > 0 || !slices.Equal(flags[2], []string{"override-wipe-probe:A1"}) {
				t.Fatalf("%s: %v %v", name, ends, flags)
			}

			// An order comes with the next heartbeat.
			if late := ends[1].Sub(begin.Add(c.counts)); late < 0 || late > 30*time.Second || !ends[2].Equal(ends[1]) {
				t.Errorf("%s: counts until %v, given %v", name, ends, begin.Add(c.given))
			}
		})
	}
}
