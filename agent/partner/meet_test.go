package partner_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/partner"
	"vetting/agent/wire"
	"vetting/core"
)

// lounge is where machines meet, and who is in the stage.
type lounge struct {
	partner.Meetings

	mu      sync.Mutex
	testing map[core.RunID]string
}

func newLounge(runs ...core.RunID) *lounge {
	l := &lounge{testing: map[core.RunID]string{}}
	for _, run := range runs {
		l.testing[run] = "host " + string(run)
	}

	l.Testing = func(context.Context) map[core.RunID]string {
		l.mu.Lock()
		defer l.mu.Unlock()

		out := map[core.RunID]string{}
		for run, host := range l.testing {
			out[run] = host
		}

		return out
	}

	return l
}

func (l *lounge) gone(run core.RunID) {
	l.mu.Lock()
	defer l.mu.Unlock()

	delete(l.testing, run)
}

func offer(addr string) wire.Pair {
	return wire.Pair{Step: wire.PairOffer, Mine: &wire.Peer{Address: addr, Port: 40001, Mbps: 25000, Host: "it calls itself something"}}
}

func (l *lounge) ask(t *testing.T, run core.RunID, ask wire.Pair) wire.PairReply {
	t.Helper()

	reply, err := l.Pair(t.Context(), run, ask)
	if err != nil {
		t.Fatal(err)
	}

	return reply
}

// meets has a wait and b come, and returns what each is told.
func (l *lounge) meets(t *testing.T) (first, second wire.PairReply) {
	t.Helper()

	told := make(chan wire.PairReply)

	go func() { told <- l.ask(t, "a", offer("10.77.0.9")) }()

	synctest.Wait()

	second = l.ask(t, "b", offer("10.77.0.10"))
	first = <-told

	if first.State != wire.PairTurn || second.State != wire.PairServe || first.Meeting == "" || first.Meeting != second.Meeting {
		t.Fatalf("%+v and %+v", first, second)
	}

	return first, second
}

// TestTwoMachinesMeasureEachOther: the one who came first has the first turn, each is told
// the other's port, under the name that the appliance knows, and each is told of the end.
func TestTwoMachinesMeasureEachOther(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := newLounge("a", "b")
		first, second := l.meets(t)

		if p := first.Peer; p.Address != "10.77.0.10" || p.Host != "host b" || p.Mbps != 25000 {
			t.Errorf("%+v", p)
		}

		if p := second.Peer; p.Address != "10.77.0.9" || p.Host != "host a" {
			t.Errorf("%+v", p)
		}

		step := func(run core.RunID, step, want string) {
			t.Helper()

			if got := l.ask(t, run, wire.Pair{Step: step, Meeting: first.Meeting}); got.State != want {
				t.Errorf("%s of %s: %s, want %s", step, run, got.State, want)
			}
		}

		step("b", wire.PairWait, wire.PairServe) // after five seconds
		step("b", wire.PairDone, wire.PairServe) // it is not its turn
		step("a", wire.PairWait, wire.PairTurn)
		step("a", wire.PairDone, wire.PairServe)
		step("a", wire.PairDone, wire.PairServe) // said again
		step("b", wire.PairWait, wire.PairTurn)

		told := make(chan wire.PairReply)

		go func() { told <- l.ask(t, "a", wire.Pair{Step: wire.PairWait, Meeting: first.Meeting}) }()

		synctest.Wait()
		step("b", wire.PairDone, wire.PairOver)

		if over := <-told; over.State != wire.PairOver || over.Peer != nil {
			t.Errorf("%+v", over)
		}

		step("c", wire.PairWait, wire.PairGone) // a stranger
	})
}

// TestWhoIsAloneNeedNotWait, and who is not waits five seconds at a time.
func TestWhoIsAloneNeedNotWait(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()

		if got := newLounge("a").ask(t, "a", offer("10.77.0.9")); got.State != wire.PairAlone || time.Since(begun) != 0 {
			t.Errorf("%s after %v", got.State, time.Since(begun))
		}

		coming := newLounge("a")
		coming.Coming = func(context.Context) map[core.RunID]string { return map[core.RunID]string{"b": "b"} }

		if got := coming.ask(t, "a", offer("10.77.0.9")); got.State != wire.PairAlone {
			t.Errorf("%s, with one that may take hours", got.State)
		}

		if got := newLounge("a", "b").ask(t, "a", offer("10.77.0.9")); got.State != wire.PairWaiting || time.Since(begun) != 5*time.Second {
			t.Errorf("%s after %v", got.State, time.Since(begun))
		}

		patient := offer("10.77.0.9")
		patient.Patient = true

		if got := coming.ask(t, "a", patient); got.State != wire.PairWaiting || time.Since(begun) != 10*time.Second {
			t.Errorf("%s after %v", got.State, time.Since(begun))
		}
	})
}

// TestWhoCannotBeMet is told so: a machine that is in another stage, whose address is of
// another network, or that is the same machine.
func TestWhoCannotBeMet(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := newLounge("a", "b")
		l.Has = func(addr net.Addr) bool { return addr.String() != "192.0.2.1:40001" }

		if _, err := l.Pair(t.Context(), "c", offer("10.77.0.9")); !errors.Is(err, core.ErrConflict) {
			t.Errorf("a run in another stage: %v", err)
		}

		if _, err := l.Pair(t.Context(), "a", offer("192.0.2.1")); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("a foreign address: %v", err)
		}

		told := make(chan wire.PairReply)

		go func() { told <- l.ask(t, "a", offer("10.77.0.9")) }()

		synctest.Wait()

		if got := l.ask(t, "b", offer("10.77.0.9")); got.State != wire.PairWaiting {
			t.Errorf("the same address met itself: %+v", got)
		}

		<-told
	})
}

// TestAMachineThatIsGone is not waited for.
func TestAMachineThatIsGone(t *testing.T) {
	t.Parallel()

	for name, leave := range map[string]func(t *testing.T, l *lounge, id string){
		"its run went on": func(_ *testing.T, l *lounge, _ string) { l.gone("a") },
		"it left":         func(t *testing.T, l *lounge, id string) { l.ask(t, "a", wire.Pair{Step: wire.PairLeave, Meeting: id}) },
		"it offers again": func(t *testing.T, l *lounge, _ string) { l.ask(t, "a", offer("10.77.0.9")) },
		"the meeting is unknown": func(_ *testing.T, l *lounge, _ string) {
			l.Meetings = partner.Meetings{Testing: l.Testing} //nolint:govet // as after a start of the appliance
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) {
				l := newLounge("a", "b")
				first, _ := l.meets(t)
				leave(t, l, first.Meeting)

				if got := l.ask(t, "b", wire.Pair{Step: wire.PairWait, Meeting: first.Meeting}); got.State != wire.PairGone || got.Peer != nil {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}
