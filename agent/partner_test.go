package agent_test

import (
	"context"
	"testing"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

func TestFramesAreExchangedWithTheAppliance(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var (
			got  stage.Exchange
			errs [2]error
		)

		r.appliance.Book.ClockOff = time.Hour
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			got, errs[0] = env.Partner(ctx, 7, 40)

			ctx, cancel := context.WithCancel(ctx)
			cancel()

			_, errs[1] = env.Partner(ctx, 8, 1)

			return core.Result{Verdict: core.Pass}
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		if errs[0] != nil || got.Sent != 40 || got.Received != 40 || got.SentBad != 0 || got.ReceivedBad != 0 || got.Bytes != 80*16<<10 {
			t.Errorf("exchange %+v, %v", got, errs[0])
		}

		if got.ServerTime.IsZero() || got.At.IsZero() {
			t.Errorf("times %v, %v", got.ServerTime, got.At)
		}

		if errs[1] == nil {
			t.Error("frames were exchanged although nobody waited")
		}
	})
}
