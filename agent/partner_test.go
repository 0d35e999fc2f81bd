package agent_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/agent/wire"
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

// A ticket for the throughput partner is asked of the appliance, which listens at the
// address that the seed names.
func TestATicketIsAskedFor(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var (
			got traffic.Ticket
			err error
		)

		r.appliance.Partner = tickets{}
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			got, err = env.Ticket(ctx)

			return core.Result{Verdict: core.Pass}
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		want := traffic.Ticket{ID: strings.Repeat("0", 32), Key: strings.Repeat("1", 64), Server: netip.MustParseAddrPort("10.77.0.1:5201")}
		if err != nil || got != want {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// tickets hands out the same one to all.
type tickets struct{}

func (tickets) Admit(core.RunID, string) (wire.TrafficReply, error) {
	return wire.TrafficReply{Ticket: strings.Repeat("0", 32), Key: strings.Repeat("1", 64), Port: 5201}, nil
}
