package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/stage"
	"vetting/core"
)

// watcher is a watch that takes notes.
type watcher struct {
	mu    sync.Mutex // a clock that test and stage wait for orders nothing
	began []core.StageName
	ended int
	halt  context.CancelCauseFunc
	seen  stage.Seen
}

// stop halts the stage that is running.
func (w *watcher) stop(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.halt(why)
}

// lives is which watches began, and how many ended.
func (w *watcher) lives() (began []core.StageName, ended int) {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.Clone(w.began), w.ended
}

func (w *watcher) watch(_ context.Context, name core.StageName, _ stage.Env, halt context.CancelCauseFunc) func() stage.Seen {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.began, w.halt = append(w.began, name), halt

	return func() stage.Seen {
		w.mu.Lock()
		defer w.mu.Unlock()

		w.ended++

		if name == core.SMART {
			return w.seen
		}

		return stage.Seen{}
	}
}

func TestWatchesSurroundEveryStageAndTheirEvidenceCounts(t *testing.T) {
	const code = "ras/machine-check"

	found := func(severity core.Severity) stage.Seen {
		return stage.Seen{
			Findings: []core.Finding{{Code: code, Severity: severity, Title: "A machine check"}},
			SubSteps: []core.SubStep{{Name: "error counters", Verdict: core.Pass, Progress: 1}},
		}
	}

	blind := func(severity core.Severity) stage.Seen {
		seen := found(severity)
		seen.Errors = []core.Finding{{Code: code, Severity: core.Critical, Title: "Nobody watched"}}

		return seen
	}

	for name, c := range map[string]struct {
		seen stage.Seen
		play stage.Func
		want core.Verdict
	}{
		"nobody could watch":               {blind(core.Info), passes(time.Minute), core.Error},
		"evidence, and nobody could watch": {blind(core.Critical), passes(time.Minute), core.Fail},
		"nothing seen":                     {stage.Seen{}, passes(time.Minute), core.Pass},
		"a warning":                        {found(core.Warning), passes(time.Minute), core.Pass},
		"evidence":                         {found(core.Critical), passes(time.Minute), core.Fail},
		"evidence of a broken stage": {
			found(core.Critical), func(context.Context, stage.Env) core.Result { panic("boom") }, core.Fail,
		},
		"a skip does not hide evidence": {
			found(core.Critical), func(context.Context, stage.Env) core.Result {
				return core.Result{Verdict: core.Skip, SkipReason: "none there"}
			}, core.Fail,
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				w := &watcher{seen: c.seen}
				r.config.Watches = []stage.Watch{w.watch}
				r.config.Stages[core.SMART] = c.play

				r.start()
				time.Sleep(5 * time.Minute)

				results := r.appliance.Book.Results()
				began, ended := w.lives()

				if len(results) != 3 || !slices.Equal(began, []core.StageName{core.InventoryCheck, core.Firmware, core.SMART}) || ended != 3 {
					t.Fatalf("%d results, watches began at %v and ended %d times", len(results), began, ended)
				}

				smart := results[2]
				if smart.Verdict != c.want || smart.SkipReason != "" && c.want == core.Fail {
					t.Errorf("verdict %s (%s), want %s", smart.Verdict, smart.SkipReason, c.want)
				}

				told := slices.ContainsFunc(smart.Findings, func(f core.Finding) bool { return f.Code == code })
				if told != (len(c.seen.Findings) > 0) || len(c.seen.SubSteps) > 0 && len(smart.SubSteps) == 0 {
					t.Errorf("findings %+v, sub-steps %+v", smart.Findings, smart.SubSteps)
				}

				if c.want != core.Pass {
					r.kill()

					return
				}

				if err := r.end(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestAWatchHaltsAStage(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		w := &watcher{seen: stage.Seen{Findings: []core.Finding{{Code: "sensor/emergency-stop", Severity: core.Critical, Title: "Too hot"}}}}
		r.config.Watches = []stage.Watch{w.watch}
		r.config.Stages[core.SMART] = passes(24 * time.Hour)

		r.start()
		time.Sleep(time.Minute)
		w.stop(errors.New("the CPU is at 101 °C"))
		time.Sleep(time.Minute)

		results := r.appliance.Book.Results()
		if len(results) != 3 || results[2].Verdict != core.Fail || r.appliance.Book.State() != core.StateFailedHolding {
			t.Errorf("results %+v, state %s", results, r.appliance.Book.State())
		}

		if !strings.Contains(logOf(r), "101 °C") {
			t.Error("the log does not say why")
		}

		r.kill()
	})
}

func TestAFileOfAStageArrivesWhateverHappens(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, r *rig){
		"nothing happens": func(*testing.T, *rig) {},
		"the appliance is away": func(t *testing.T, r *rig) {
			r.appliance.Kill(t)
			time.Sleep(10 * time.Minute)
			r.appliance.Start(t)
		},
		"the agent restarts meanwhile": func(t *testing.T, r *rig) {
			r.appliance.Kill(t)
			time.Sleep(30 * time.Second)
			r.kill()
			r.appliance.Start(t)
			r.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				kept := false

				r.config.Stages[core.SMART] = func(ctx context.Context, env stage.Env) core.Result {
					time.Sleep(30 * time.Second)

					if !kept { // by the first process alone
						env.Keep("../kernel log.txt", []byte("mce: nothing\n"))
						kept = true
					}

					return passes(time.Minute)(ctx, env)
				}

				r.start()
				time.Sleep(20 * time.Second)
				disturb(t, r)

				if err := r.end(); err != nil {
					t.Fatal(err)
				}

				files := r.appliance.Book.Artifacts()
				if len(files) != 1 || files[0].Name != "-kernel-log.txt" || files[0].Stage != core.SMART {
					t.Fatalf("files %+v", files)
				}

				if got := string(r.appliance.Book.Artifact(files[0].SHA256)); got != "mce: nothing\n" {
					t.Errorf("content %q", got)
				}
			})
		})
	}
}
