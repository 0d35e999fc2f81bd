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

// Two machines are brought together by the appliance; what one offers is what the other
// is told.
func TestAMachineIsMetThroughTheAppliance(t *testing.T) {
	mine := traffic.Peer{
		Ticket: traffic.Ticket{ID: strings.Repeat("2", 32), Key: strings.Repeat("3", 64), Server: netip.MustParseAddrPort("10.77.0.9:40001")}, Mbps: 25000,
	}

	within(t, func(t *testing.T, r *rig) {
		var (
			got  [2]traffic.Meeting
			errs [2]error
			host = &hostess{}
		)

		r.appliance.Meetings = host
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			got[0], errs[0] = env.Pair(ctx, traffic.Expect, "", mine)
			got[1], errs[1] = env.Pair(ctx, traffic.Done, got[0].ID, mine)

			return core.Result{Verdict: core.Pass}
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		told := mine
		told.Host = "rack1-u05"

		if errs[0] != nil || got[0] != (traffic.Meeting{ID: "m", At: traffic.Turn, Peer: told}) {
			t.Errorf("%+v %v", got[0], errs[0])
		}

		if errs[1] != nil || got[1] != (traffic.Meeting{ID: "m", At: traffic.Over}) {
			t.Errorf("%+v %v", got[1], errs[1])
		}

		if len(host.asked) != 2 || !host.asked[0].Patient || host.asked[1].Step != wire.PairDone || host.asked[1].Meeting != "m" || host.asked[1].Mine != nil {
			t.Errorf("%+v", host.asked)
		}
	})
}

// hostess has each machine meet itself.
type hostess struct{ asked []wire.Pair }

func (h *hostess) Pair(_ context.Context, _ core.RunID, ask wire.Pair) (wire.PairReply, error) {
	h.asked = append(h.asked, ask)

	if ask.Step != wire.PairOffer {
		return wire.PairReply{State: wire.PairOver, Meeting: "m"}, nil
	}

	peer := *ask.Mine
	peer.Host = "rack1-u05"

	return wire.PairReply{State: wire.PairTurn, Meeting: "m", Peer: &peer}, nil
}

// tickets hands out the same one to all.
type tickets struct{}

func (tickets) Admit(core.RunID, string) (wire.TrafficReply, error) {
	return wire.TrafficReply{Ticket: strings.Repeat("0", 32), Key: strings.Repeat("1", 64), Port: 5201}, nil
}
