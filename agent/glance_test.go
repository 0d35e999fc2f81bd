package agent_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/screen"
	"vetting/core"
)

// gaze keeps what the screen shows. It implements gate.Screen, too.
type gaze struct {
	mu   sync.Mutex
	all  []screen.View
	last time.Time
}

func (g *gaze) show(v screen.View) {
	g.mu.Lock()
	defer g.mu.Unlock()

	g.all, g.last = append(g.all, v), time.Now()
}

func (g *gaze) now() screen.View {
	g.mu.Lock()
	defer g.mu.Unlock()

	return g.all[len(g.all)-1]
}

func (g *gaze) Page(run core.RunID) (address string, code []string) {
	return "https://console/runs/" + string(run), []string{"#"}
}

func (g *gaze) Left(context.Context, core.RunID) (low, high time.Duration, guess bool) {
	return time.Hour, 2 * time.Hour, true
}

// TestTheScreenShowsTheStage and what the appliance knows of the run, that it has fallen
// silent, and the verdict before the power goes.
func TestTheScreenShowsTheStage(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		g := &gaze{}
		r.config.Show = g.show
		r.appliance.Kill(t)

		r.appliance.Screen = g
		r.appliance.Book.Outlook = core.Outlook{Stage: 3, Stages: 12, Warnings: 2}
		r.start()
		later(35 * time.Second) // nobody answers yet

		if v := g.now(); v.Silent.IsZero() || v.Trouble == "" || !strings.Contains(v.Phase, "Asking the appliance") {
			t.Errorf("%+v", v)
		}

		r.appliance.Start(t)
		later(time.Minute)

		v := g.now()
		if v.Stage != "SMART" || v.SubStep != "half" || v.Number != 3 || v.Count != 12 || v.Warnings != 2 || v.Done != 0.5 ||
			v.LeftLow != time.Hour || v.LeftHigh != 2*time.Hour || !v.LeftGuess || !strings.HasSuffix(v.Page, string(r.appliance.Book.Run)) || !slices.Equal(v.QR, []string{"#"}) || !v.Silent.IsZero() {
			t.Errorf("%+v", v)
		}

		r.appliance.Kill(t)
		later(time.Minute)

		if v := g.now(); v.Silent.IsZero() || v.Stage != "SMART" || v.Trouble == "" {
			t.Errorf("%+v", v)
		}

		r.appliance.Start(t)

		if err := r.end(); err != nil || g.now().Verdict != screen.Pass || time.Since(g.last) < 5*time.Second {
			t.Errorf("%v after %v: %+v", err, time.Since(g.last), g.now())
		}
	})
}

// TestNothingIsShownAfterTheEnd: what was made before may be slow to be shown, and must not
// take the place of what is said at the end, or after it.
func TestNothingIsShownAfterTheEnd(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		g := &gaze{}
		r.config.Show = func(v screen.View) {
			if v.Next == "" {
				time.Sleep(900 * time.Millisecond)
			}

			g.show(v)
		}
		r.start()
		later(time.Minute)

		if err := r.end(); err != nil || g.now().Next == "" {
			t.Errorf("%v: %+v", err, g.now())
		}

		shown := g.last
		later(time.Minute)

		if !g.last.Equal(shown) {
			t.Errorf("shown again %v later: %+v", g.last.Sub(shown), g.now())
		}
	})
}

// TestTheScreenShowsTheHold with the verdict that brought it about, and nothing of it once
// the stage is run again.
func TestTheScreenShowsTheHold(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		g := &gaze{}
		r.config.Show = g.show
		until := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)

		r.appliance.Book.Outlook = core.Outlook{Verdict: core.Fail, Critical: 1, HoldUntil: until}
		r.start()
		later(20 * time.Second)
		r.appliance.Book.SetState(core.StateFailedHolding)
		later(20 * time.Second)

		if v := g.now(); !v.Held || v.Verdict != screen.Fail || !v.HeldUntil.Equal(until) || v.Critical != 1 || v.Login != "" {
			t.Errorf("%+v", v)
		}

		r.appliance.Book.SetState(core.StateReleased)

		if err := r.end(); err != nil || g.now().Verdict != screen.Fail || g.now().Held || g.now().Next == "" {
			t.Errorf("%v: %+v", err, g.now())
		}
	})
}

// TestTheScreenSaysWhyThereIsNoRun: a machine that is not the registered one is told so,
// and is not silent.
func TestTheScreenSaysWhyThereIsNoRun(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		g := &gaze{}
		r.config.Show = g.show
		r.appliance.Book.Identity = core.Identity{SMBIOSUUID: "another", BoardSerial: "B2"}

		r.start()
		later(2 * time.Minute)

		if v := g.now(); !strings.Contains(v.Phase, "NOT THE REGISTERED ONE") || !v.Silent.IsZero() || v.Host != string(r.config.MAC) {
			t.Errorf("%+v", v)
		}

		r.kill()
	})
}

func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
