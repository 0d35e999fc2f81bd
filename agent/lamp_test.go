package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
)

// bulbs are the lights of a machine; it notes what goes on and off.
type bulbs struct {
	mu    sync.Mutex
	steps []string
	dark  time.Time // when the last went off
}

func (b *bulbs) note(step string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.steps = append(b.steps, step)
}

func (b *bulbs) look() []string {
	b.mu.Lock()
	defer b.mu.Unlock()

	return slices.Clone(b.steps)
}

func (b *bulbs) show(ctx context.Context, kind, name string, lit func(string)) error {
	if name == "dark" {
		b.note("dark")

		return errors.New("no enclosure knows the disk dark")
	}

	if ctx.Err() == nil {
		b.note("on " + kind + " " + name)
		lit("Slot 05")
		<-ctx.Done()
	}

	b.note("off " + name)

	b.mu.Lock()
	b.dark = time.Now()
	b.mu.Unlock()

	return nil
}

func logged(r *rig, text string) bool {
	return slices.ContainsFunc(r.appliance.Book.Lines(), func(l core.LogLine) bool { return strings.Contains(l.Text, text) })
}

func TestALightIsOnUntilItsTimeIsOverOrAnotherIsWished(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		b := &bulbs{}
		r.config.Light = b.show

		light := func(kind, name string, d time.Duration) {
			r.appliance.Book.Light(&core.Light{Kind: kind, Name: name, Until: time.Now().Add(d)})
		}

		light(core.LightDisk, "early", time.Hour)
		held(t, r, &doors{})
		r.appliance.Book.Light(nil)
		time.Sleep(30 * time.Second)

		if want := []string{"on disk early", "off early"}; !slices.Equal(b.look(), want) {
			t.Errorf("held, and then no more wished: %q", b.look())
		}

		light(core.LightDisk, "A", time.Minute)
		time.Sleep(40 * time.Second)
		light(core.LightNIC, "eth0", time.Hour) // longer than a light may be
		time.Sleep(30 * time.Second)

		if want := []string{"on disk A", "off A", "on nic eth0"}; !slices.Equal(b.look()[2:], want) {
			t.Errorf("two in turn: %q", b.look())
		}

		time.Sleep(core.LightMost)

		if want := "off eth0"; b.look()[len(b.look())-1] != want {
			t.Errorf("after ten minutes: %q", b.look())
		}

		light(core.LightDisk, "dark", 5*time.Minute)
		time.Sleep(2 * time.Minute)

		if n := len(b.look()); n != 7 || !logged(r, "no enclosure knows the disk dark") || !logged(r, "Slot 05") {
			t.Errorf("what has no light is tried again, or not told: %q", b.look())
		}

		r.kill()
	})
}

// A light that is on though its time is over was left on by an agent that died: the next one puts
// it out, once. A port blinks by itself no longer than it was told.
func TestALightThatWasLeftOnIsPutOut(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		b := &bulbs{}
		r.config.Light = b.show

		r.appliance.Book.Light(&core.Light{Kind: core.LightDisk, Name: "A", Until: time.Now().Add(-time.Minute)})
		held(t, r, &doors{})
		time.Sleep(2 * time.Minute)

		r.appliance.Book.Light(&core.Light{Kind: core.LightNIC, Name: "eth0", Until: time.Now().Add(-time.Minute)})
		time.Sleep(time.Minute)

		// One of its own that is over is off already.
		r.appliance.Book.Light(&core.Light{Kind: core.LightDisk, Name: "B", Until: time.Now().Add(40 * time.Second)})
		time.Sleep(2 * time.Minute)

		if want := []string{"off A", "on disk B", "off B"}; !slices.Equal(b.look(), want) {
			t.Errorf("%q", b.look())
		}

		r.kill()
	})
}

// A light ends by itself when its time is over: the next order may never come.
func TestALightEndsWithoutAnOrder(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		b := &bulbs{}
		r.config.Light = b.show
		held(t, r, &doors{})

		until := time.Now().Add(103 * time.Second) // between two heartbeats
		r.appliance.Book.Light(&core.Light{Kind: core.LightDisk, Name: "A", Until: until})
		time.Sleep(2 * time.Minute)

		b.mu.Lock()
		dark := b.dark
		b.mu.Unlock()

		if late := dark.Sub(until).Abs(); late > time.Second {
			t.Errorf("off %s from when it was to be", late)
		}

		r.kill()
	})
}

func TestALightGoesOffBeforeAStageIsTriedAgainAndWithTheProcess(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"retry": func(r *rig) {
			r.appliance.Book.SetState(core.State(core.SMART))
			r.appliance.Book.Order(core.CmdRetryStage)
			time.Sleep(20 * time.Second)
		},
		"the end": func(r *rig) { r.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				b := &bulbs{}
				r.config.Light = b.show
				held(t, r, &doors{})
				r.appliance.Book.Light(&core.Light{Kind: core.LightDisk, Name: "A", Until: time.Now().Add(5 * time.Minute)})
				time.Sleep(30 * time.Second)
				end(r)

				if want := []string{"on disk A", "off A"}; !slices.Equal(b.look(), want) {
					t.Errorf("%q", b.look())
				}

				if name == "retry" {
					r.kill()
				}
			})
		})
	}
}
