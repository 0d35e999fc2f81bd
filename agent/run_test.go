package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent"
	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/stage"
	"vetting/core"
)

func TestRunBringsAllStagesHomeAndPowersOff(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var got stage.Env // read after the process has ended

		r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
			got = env
			env.Log.Info("reading log page", "disk", "sda", "page", 2)
			env.Sensor(core.Sample{Key: "disk/sda/temperature_celsius", Value: 31, Unit: "celsius"},
				core.Sample{Key: "disk/sdb/temperature_celsius", Value: math.NaN()},
				core.Sample{Key: "NOT A KEY", Value: 1})

			return core.Result{Verdict: core.Pass, Coverage: "2 of 2 disks"}
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatalf("Run() = %v", err)
		}

		if r.off != 1 {
			t.Errorf("powered off %d times, want once", r.off)
		}

		wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)

		if diff := cmp.Diff(map[string]string{"SMART.self_test": "short"}, got.Config); diff != "" {
			t.Error(diff)
		}

		if diff := cmp.Diff([]core.ExpectedDisk{{Serial: "S1", Armed: true}, {Serial: "S2", Known: true}}, got.Disks); diff != "" {
			t.Error(diff)
		}

		samples := r.appliance.Book.Samples()
		if len(samples) != 2 || samples[0].Value != 31 || !math.IsNaN(samples[1].Value) || samples[0].Stage != core.SMART {
			t.Errorf("samples = %+v", samples)
		}

		if !strings.Contains(logOf(r), "SMART info reading log page disk=sda page=2") {
			t.Errorf("log lacks the stage's line:\n%s", logOf(r))
		}
	})
}

func wantStages(t *testing.T, r *rig, want ...core.StageName) {
	t.Helper()

	var got []core.StageName
	for _, result := range r.appliance.Book.Results() {
		got = append(got, result.Stage)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func logOf(r *rig) string {
	var b strings.Builder
	for _, l := range r.appliance.Book.Lines() {
		fmt.Fprintf(&b, "%s %s %s\n", l.Stage, l.Level, l.Text)
	}

	return b.String()
}

// The wire of the tests holds nothing back: where a certificate's length leaves bytes
// of the answer unread, both sides write, and the handshake ends by its timeout instead.
// Certificates differ in length, so that another attempt tells the reason.
func TestAWrongKeyIsRefusedBeforeAnythingIsSent(t *testing.T) {
	told := ""

	for range 25 {
		within(t, func(t *testing.T, r *rig) {
			var requests atomic.Int32
			r.appliance.Lose = func(*http.Request) bool { requests.Add(1); return false }
			r.config.Seed.SPKISHA256 = gate.SPKI(gatetest.NewCert(t).Leaf)

			r.start()
			time.Sleep(10 * time.Minute)
			r.kill()

			if r.appliance.Wire.Dials() == 0 {
				t.Error("the agent never tried")
			}

			if requests.Load() != 0 || r.appliance.Book.Attempts() != 0 {
				t.Errorf("the appliance with a wrong key saw %d requests and %d tokens, want none", requests.Load(), r.appliance.Book.Attempts())
			}

			told = r.console.String()
		})

		if strings.Contains(told, "does not hold the appliance's key") {
			return
		}
	}

	t.Errorf("the console does not say why:\n%s", told)
}

func TestNothingIsLostOrDoubledWhenTheApplianceIsAway(t *testing.T) {
	tests := []struct {
		name string
		away time.Duration
		lose bool
	}{
		{"it is restarted within seconds", 3 * time.Second, false},
		{"it is away for half an hour", 30 * time.Minute, false},
		{"answers are lost on the way", 0, true},
	}

	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				const n = 3000

				r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
					for i := range n {
						env.Sensor(core.Sample{Key: "cpu/package0/temperature_celsius", Value: float64(i)})
						env.Log.Info(fmt.Sprintf("line %d of the test", i))
						time.Sleep(time.Second)
					}

					return core.Result{Verdict: core.Pass}
				}

				var calls atomic.Int32
				r.appliance.Lose = func(q *http.Request) bool {
					return tt.lose && (calls.Add(1)%3 == 0 || strings.HasSuffix(q.URL.Path, "/claim") && r.appliance.Book.Claims() == 0)
				}

				r.start()
				time.Sleep(10 * time.Minute)

				if tt.away > 0 {
					r.appliance.Kill(t)
					time.Sleep(tt.away)
					r.appliance.Start(t)
				}

				if err := r.end(); err != nil {
					t.Fatal(err)
				}

				wantSequence(t, r, n)
				wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)

				if tt.lose && (r.appliance.Book.Repeated() == 0 || r.appliance.Book.Claims() < 2) {
					t.Error("nothing was sent twice: the test proves nothing")
				}
			})
		})
	}
}

// wantSequence demands n samples and n lines, each once, in order.
func wantSequence(t *testing.T, r *rig, n int) {
	t.Helper()

	samples := r.appliance.Book.Samples()
	if len(samples) != n {
		t.Errorf("%d samples arrived, want %d", len(samples), n)
	}

	for i := range samples {
		if samples[i].Value != float64(i) {
			t.Fatalf("sample %d has the value %v", i, samples[i].Value)
		}
	}

	at := 0

	for _, l := range r.appliance.Book.Lines() {
		if l.Text == fmt.Sprintf("line %d of the test", at) {
			at++
		} else if strings.HasSuffix(l.Text, "of the test") {
			t.Fatalf("%q came where line %d was due", l.Text, at)
		}
	}

	if at != n {
		t.Errorf("%d lines arrived, want %d", at, n)
	}
}

func TestALineKeepsItsTimeHoweverLateItIsSent(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var said time.Time // read after the process has ended

		r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
			time.Sleep(time.Minute)

			said = time.Now()
			env.Log.Warn("the line in question")
			time.Sleep(20 * time.Minute)

			return core.Result{Verdict: core.Pass}
		}

		r.start()
		time.Sleep(30 * time.Second)
		r.appliance.Kill(t)
		time.Sleep(10 * time.Minute)
		r.appliance.Start(t)

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		for _, l := range r.appliance.Book.Lines() {
			if l.Text == "the line in question" {
				if !l.Time.Equal(said) || l.Level != "warn" || l.Stage != core.SMART {
					t.Errorf("the line is %+v, said at %v", l, said)
				}

				return
			}
		}

		t.Error("the line did not arrive")
	})
}

func TestWhenMemoryIsFullTheOldestLinesGoAndALineSaysHowMany(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		const n = 3000

		long := strings.Repeat("x", 8000)

		r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
			time.Sleep(time.Minute)

			for i := range n {
				env.Log.Info(fmt.Sprintf("%d %s", i, long))
			}

			return core.Result{Verdict: core.Pass}
		}

		r.start()
		time.Sleep(30 * time.Second)
		r.appliance.Kill(t)
		time.Sleep(5 * time.Minute)
		r.appliance.Start(t)

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		var got []int

		for _, l := range r.appliance.Book.Lines() {
			if number, _, found := strings.Cut(l.Text, " xxx"); found {
				i, err := strconv.Atoi(number)
				if err != nil {
					t.Fatal(err)
				}

				got = append(got, i)
			}
		}

		if len(got) < 1000 || len(got) >= n || got[len(got)-1] != n-1 {
			t.Fatalf("%d of %d lines arrived, want the newest of them, within 32 MiB", len(got), n)
		}

		for i, number := range got {
			if number != n-len(got)+i {
				t.Fatalf("line %d came in place of %d", number, n-len(got)+i)
			}
		}

		if !strings.Contains(logOf(r), "log lines were lost lines=") {
			t.Error("no line says that lines were lost")
		}
	})
}

func TestAFullApplianceMakesTheAgentWait(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
			for i := range 60 {
				env.Sensor(core.Sample{Key: "cpu/package0/temperature_celsius", Value: float64(i)})
				env.Log.Info(fmt.Sprintf("line %d of the test", i))
			}

			return core.Result{Verdict: core.Pass}
		}
		r.appliance.Book.SetFull(true)
		r.start()
		time.Sleep(time.Minute)
		r.appliance.Book.SetFull(false)

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		wantSequence(t, r, 60)
	})
}

func TestABatchOverWhichTheApplianceBreaksDoesNotHoldUpTheRun(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.config.Stages[core.SMART] = func(_ context.Context, env stage.Env) core.Result {
			env.Sensor(core.Sample{Key: "cpu/package0/temperature_celsius", Value: 1})

			return core.Result{Verdict: core.Pass}
		}
		r.appliance.Book.SetBroken(true)
		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)

		if !strings.Contains(logOf(r), "samples were lost") {
			t.Errorf("the log does not say that a sample was lost:\n%s", logOf(r))
		}
	})
}

func TestASecondProcessOfTheBootGoesOn(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var begun atomic.Int32
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			begun.Add(1)

			return passes(2*time.Minute)(ctx, env)
		}

		r.start()
		time.Sleep(time.Minute) // in the middle of SMART
		r.kill()

		info, err := os.Stat(filepath.Join(r.config.StateDir, "session.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("session file: %v %v, want mode 0600", info, err)
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		if claims := r.appliance.Book.Claims(); claims != 1 {
			t.Errorf("claimed %d times, want once", claims)
		}

		if begun.Load() != 2 {
			t.Errorf("SMART begun %d times, want twice", begun.Load())
		}

		wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)
	})
}

func TestAResultThatWasNotAcknowledgedIsSentByTheNextProcess(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var begun atomic.Int32
		r.config.Stages[core.Firmware] = func(ctx context.Context, env stage.Env) core.Result {
			begun.Add(1)

			return passes(time.Minute)(ctx, env)
		}

		var lose atomic.Bool

		lose.Store(true)

		r.appliance.Lose = func(q *http.Request) bool {
			return lose.Load() && strings.HasSuffix(q.URL.Path, "/result") && begun.Load() > 0
		}

		r.start()
		time.Sleep(2 * time.Minute) // Firmware is taken, its answers are lost
		r.kill()

		lose.Store(false)

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		if begun.Load() != 1 || r.appliance.Book.Repeated() == 0 {
			t.Errorf("Firmware begun %d times, %d messages repeated; want 1 and some", begun.Load(), r.appliance.Book.Repeated())
		}

		wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)
	})
}

func TestAProcessThatDiesInOneStageAgainAndAgainReportsIt(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		for range 3 {
			r.start()
			time.Sleep(time.Minute) // in the middle of SMART
			r.kill()
		}

		r.start()
		time.Sleep(time.Minute)
		r.kill()

		wantFinding(t, r, core.SMART, core.Error, "agent/stage-crash")
	})
}

func wantFinding(t *testing.T, r *rig, name core.StageName, verdict core.Verdict, code string) {
	t.Helper()

	results := r.appliance.Book.Results()
	if len(results) == 0 {
		t.Fatal("no result arrived")
	}

	last := results[len(results)-1]
	if last.Stage != name || last.Verdict != verdict || len(last.Findings) != 1 || last.Findings[0].Code != code {
		t.Errorf("last result = %+v, want %s %s with %s", last, name, verdict, code)
	}
}

func TestAFaultOfTheStageIsAnErrorNotAFail(t *testing.T) {
	tests := map[string]struct {
		run  stage.Func
		code string
	}{
		"it panics": {func(context.Context, stage.Env) core.Result { panic(errFromTest) }, "agent/stage-panic"},
		"it says a verdict that does not exist": {func(context.Context, stage.Env) core.Result {
			return core.Result{Verdict: "splendid"}
		}, "agent/invalid-result"},
		"it says nothing":            {func(context.Context, stage.Env) core.Result { return core.Result{} }, "agent/invalid-result"},
		"the image does not have it": {nil, "agent/stage-unknown"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				if r.config.Stages[core.Firmware] = tt.run; tt.run == nil {
					delete(r.config.Stages, core.Firmware)
				}

				r.start()
				time.Sleep(time.Minute)
				r.kill()
				wantFinding(t, r, core.Firmware, core.Error, tt.code)
			})
		})
	}
}

func TestAHoldStopsTheStageKeepsBeatingAndRetries(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var begun, stopped atomic.Int32
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			begun.Add(1)
			out := passes(10*time.Minute)(ctx, env)

			if ctx.Err() != nil {
				stopped.Add(1)
			}

			return out
		}

		r.start()
		time.Sleep(time.Minute)
		r.appliance.Book.SetState(core.StateFailedHolding) // a threshold broke
		time.Sleep(30 * time.Second)

		if begun.Load() != 1 || stopped.Load() != 1 {
			t.Fatalf("begun %d, stopped %d; want the stage stopped", begun.Load(), stopped.Load())
		}

		beats := len(r.appliance.Book.Beats())
		time.Sleep(10 * time.Minute)

		if more := len(r.appliance.Book.Beats()) - beats; more < 39 || more > 41 {
			t.Errorf("%d heartbeats in ten minutes of the hold, want about 40", more)
		}

		r.appliance.Book.SetState(core.State(core.SMART))
		r.appliance.Book.Order(core.CmdRetryStage)
		time.Sleep(5 * time.Minute)

		if begun.Load() != 2 {
			t.Errorf("begun %d times although retry_stage came with every heartbeat; want 2", begun.Load())
		}

		r.appliance.Book.Order("")

		if err := r.end(); err != nil || r.off != 1 {
			t.Errorf("Run() = %v, powered off %d times", err, r.off)
		}

		wantStages(t, r, core.InventoryCheck, core.Firmware, core.SMART)
	})
}

func TestTheEndLeavesTheMachineToTheOperator(t *testing.T) {
	for _, state := range []core.State{core.StateReleased, core.StateCancelled} {
		t.Run(string(state), func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				r.start()
				time.Sleep(time.Minute)
				r.appliance.Book.SetState(state)

				if err := r.end(); err != nil {
					t.Errorf("Run() = %v", err)
				}

				if r.off != 0 {
					t.Error("the machine was powered off")
				}

				wantStages(t, r, core.InventoryCheck, core.Firmware)
				r.start()

				if err := r.end(); err != nil {
					t.Errorf("a second process: Run() = %v", err)
				}
			})
		})
	}
}

func TestARunThatEndedWhileTheLinkWasDownEndsForTheAgentToo(t *testing.T) {
	for state, want := range map[core.State]int{core.StateCompleted: 1, core.StateCancelled: 0} {
		t.Run(string(state), func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				r.start()
				time.Sleep(time.Minute)
				r.appliance.Kill(t)
				r.appliance.Book.SetState(state)
				r.appliance.Book.Silence()
				time.Sleep(time.Hour)
				r.appliance.Start(t)

				if err := r.end(); err != nil || r.off != want {
					t.Errorf("Run() = %v, powered off %d times, want %d", err, r.off, want)
				}
			})
		})
	}
}

func TestAnOlderBootStops(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.start()
		time.Sleep(time.Minute)
		r.appliance.Book.Fence()

		if err := r.end(); !errors.Is(err, agent.ErrFenced) {
			t.Errorf("Run() = %v, want ErrFenced", err)
		}

		if r.off != 0 {
			t.Error("the machine was powered off")
		}
	})
}

func TestAConflictMakesTheAgentFollowTheAppliance(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.config.Stages[core.Firmware] = func(context.Context, stage.Env) core.Result {
			r.appliance.Book.SetState(core.State(core.SMART)) // an operator's skip, say

			return core.Result{Verdict: core.Pass}
		}

		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		wantStages(t, r, core.InventoryCheck, core.SMART)
	})
}

// What a stage that is to be run again may pass over comes with the order for it.
func TestAfterAConflictTheAgentWaitsForAnOrder(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		var begun atomic.Int32
		r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
			begun.Add(1)

			return passes(time.Second)(ctx, env)
		}
		r.config.Stages[core.Firmware] = func(context.Context, stage.Env) core.Result {
			r.appliance.Book.SetState(core.State(core.SMART))
			r.appliance.Book.Order(core.CmdAbort)

			return core.Result{Verdict: core.Pass}
		}

		r.start()
		time.Sleep(time.Minute)

		if n := begun.Load(); n != 0 {
			t.Errorf("SMART was begun %d times without an order", n)
		}

		r.appliance.Book.Order("")

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		wantStages(t, r, core.InventoryCheck, core.SMART)
	})
}

func TestAnotherMachineGetsNoStages(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.appliance.Book.Identity = core.Identity{SMBIOSUUID: "00000000-0000-0000-0000-000000000001"}
		r.start()
		time.Sleep(9 * time.Minute)

		if tries := r.appliance.Book.Attempts(); tries != 2 {
			t.Errorf("%d calls, want hello and one claim: each further use of a spent token is an alarm", tries)
		}

		r.kill()

		if said := strings.Count(r.console.String(), "THIS MACHINE IS NOT THE REGISTERED ONE"); said != 2 {
			t.Errorf("the console says it %d times in nine minutes, want at 0 and 5:\n%s", said, r.console)
		}

		wantStages(t, r)
	})
}

func TestTheClockIsSetByTheAppliance(t *testing.T) {
	tests := map[string]struct {
		off  time.Duration
		want int
	}{
		"a clock that is right is left alone":   {0, 0},
		"a clock a little off is left alone":    {400 * time.Millisecond, 0},
		"a clock 26 years behind is set":        {26 * 365 * 24 * time.Hour, 1},
		"a clock that is five minutes ahead is": {-5 * time.Minute, 1},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				r.appliance.Book.ClockOff = tt.off
				right := time.Now().Add(tt.off)
				r.start()
				time.Sleep(time.Minute)
				r.kill()

				if len(r.clock) != tt.want {
					t.Fatalf("the clock was set to %v, want %d times", r.clock, tt.want)
				}

				if tt.want > 0 && r.clock[0].Sub(right).Abs() > time.Second {
					t.Errorf("the clock was set to %v, want %v", r.clock[0], right)
				}
			})
		})
	}
}

func TestNoTokenIsEverWrittenDown(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		r.start()

		if err := r.end(); err != nil {
			t.Fatal(err)
		}

		for _, where := range []string{r.console.String(), logOf(r), fmt.Sprint(r.config.Seed)} {
			if strings.Contains(where, r.config.Seed.BootToken) || strings.Contains(where, "session 1") {
				t.Error("a token is in a log")
			}
		}
	})
}
