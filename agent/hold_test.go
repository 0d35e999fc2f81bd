package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent"
	"vetting/core"
)

// doors are the doors that a machine opened, one after the other.
type doors struct {
	mu     sync.Mutex
	keys   [][]string // each door's, nil: nobody was admitted
	open   int        // now
	broken int        // of the next ones break at once
}

type door struct {
	of *doors
	n  int
}

func (d *doors) next(context.Context, *slog.Logger) (agent.Door, error) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.keys = append(d.keys, nil)

	return door{of: d, n: len(d.keys) - 1}, nil
}

func (d *doors) look() (keys [][]string, open int) {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.keys, d.open
}

func (d door) HostKey() string {
	return fmt.Sprintf("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E%c", 'a'+d.n)
}

func (d door) Admit(keys []string) error {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()

	d.of.keys[d.n] = keys

	return nil
}

func (d door) Run(ctx context.Context) error {
	d.of.mu.Lock()
	broken := d.of.broken > 0
	d.of.broken--
	d.of.open++
	d.of.mu.Unlock()

	if !broken {
		<-ctx.Done()
		time.Sleep(time.Second) // for what is inside to be gone
	}

	d.of.mu.Lock()
	defer d.of.mu.Unlock()

	d.of.open--

	if broken {
		return errors.New("broken door")
	}

	return nil
}

// held runs a machine until it is held.
func held(t *testing.T, r *rig, d *doors) {
	t.Helper()

	r.appliance.Book.HoldKeys = []string{"ssh-ed25519 AAAA operator", "ssh-ed25519 AAAA terminal"}
	r.config.OpenDoor = d.next
	r.start()
	time.Sleep(10 * time.Second) // in SMART

	if _, open := d.look(); open != 0 {
		t.Fatalf("%d doors are open during a test", open)
	}

	r.appliance.Book.SetState(core.StateFailedHolding)
	time.Sleep(30 * time.Second)
}

func TestAHeldMachineLetsTheOperatorIn(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{}
		held(t, r, d)

		keys, open := d.look()
		if diff := cmp.Diff([][]string{r.appliance.Book.HoldKeys}, keys); diff != "" || open != 1 {
			t.Errorf("%d open, keys %s", open, diff)
		}

		holds := r.appliance.Book.Holds()
		if len(holds) != 1 || holds[0].IP != "10.77.0.9" || holds[0].SSHHostKey != (door{n: 0}).HostKey() {
			t.Errorf("holds %+v", holds)
		}

		r.kill()

		if _, open := d.look(); open != 0 {
			t.Error("the door is open after the process has ended")
		}
	})
}

func TestTheDoorIsShutBeforeAStageIsTriedAgain(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{}
		held(t, r, d)

		r.appliance.Book.SetState(core.State(core.SMART))
		r.appliance.Book.Order(core.CmdRetryStage)
		time.Sleep(20 * time.Second)

		if _, open := d.look(); open != 0 {
			t.Errorf("%d doors are open while a stage runs again", open)
		}

		r.appliance.Book.Order("")

		if err := r.end(); err != nil || r.off != 1 {
			t.Errorf("Run() = %v, powered off %d times", err, r.off)
		}
	})
}

func TestTheDoorIsShutWhenTheRunIsReleasedOrPoweredOff(t *testing.T) {
	for name, state := range map[string]core.State{"released": core.StateReleased, "powered off": core.StateCompleted} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				d := &doors{}
				held(t, r, d)
				r.appliance.Book.SetState(state)

				if err := r.end(); err != nil || (r.off == 1) != (state == core.StateCompleted) {
					t.Errorf("Run() = %v, powered off %d times", err, r.off)
				}

				if _, open := d.look(); open != 0 {
					t.Errorf("%d doors are open", open)
				}
			})
		})
	}
}

// Whoever is told to start anew does, and whoever does not know how powers off.
func TestAMachineThatIsToStartAnewDoes(t *testing.T) {
	for name, c := range map[string]struct{ asked, able bool }{
		"asked": {true, true}, "not asked": {false, true}, "asked, and an agent that cannot": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, r *rig) {
				restarts := 0
				r.appliance.Book.Reboot = c.asked

				if c.able {
					r.config.Restart = func() error { restarts++; return nil }
				}

				held(t, r, &doors{})
				r.appliance.Book.SetState(core.StateCompleted)

				anew := c.asked && c.able
				if err := r.end(); err != nil || (restarts == 1) != anew || (r.off == 1) == anew {
					t.Errorf("Run() = %v, restarted %d times, powered off %d times", err, restarts, r.off)
				}
			})
		})
	}
}

func TestADoorThatBreaksIsReplacedAndToldAnew(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{broken: 1}
		held(t, r, d)
		time.Sleep(5 * time.Minute)

		keys, open := d.look()
		if open != 1 || len(keys) != 2 || keys[1] == nil {
			t.Errorf("%d open, keys %v", open, keys)
		}

		holds := r.appliance.Book.Holds()
		if last := holds[len(holds)-1]; last.SSHHostKey != (door{n: 1}).HostKey() {
			t.Errorf("the appliance knows %+v", holds)
		}

		if !strings.Contains(r.console.String(), "broken door") {
			t.Error("the console does not say why")
		}

		r.kill()
	})
}

func TestTheDoorShutsByItselfWhenTheHoldIsOver(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{}
		held(t, r, d)
		r.appliance.Kill(t) // nobody is there to end it
		time.Sleep(24*time.Hour - time.Minute)

		if _, open := d.look(); open != 1 {
			t.Errorf("before its end %d doors are open", open)
		}

		time.Sleep(2 * time.Minute)

		// Another one may wait for the appliance, open to nobody.
		if keys, open := d.look(); open != 0 && keys[len(keys)-1] != nil {
			t.Errorf("after its end somebody may come in: %v", keys)
		}

		r.kill()
		r.appliance.Start(t)
	})
}

// An operator may have a new key made: the door lets it in within half a minute, and the
// one before no more. While the appliance is away, who may come in stays as it was.
func TestTheDoorLetsInWhomTheApplianceNamesNow(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{}
		held(t, r, d)
		r.appliance.Kill(t)
		time.Sleep(2 * time.Minute)

		if keys, open := d.look(); open != 1 || len(keys) != 1 {
			t.Errorf("%d open, keys %v", open, keys)
		}

		r.appliance.Book.HoldKeys = []string{"ssh-ed25519 AAAA another"}
		r.appliance.Start(t)
		time.Sleep(time.Minute)

		keys, open := d.look()
		if open != 1 || len(keys) != 1 || len(keys[0]) != 1 || keys[0][0] != "ssh-ed25519 AAAA another" {
			t.Errorf("%d open, keys %v", open, keys)
		}

		r.kill()
	})
}

// Nobody is locked out by an appliance that names nobody, and none makes a hold longer: it
// ends when was said first, although each answer says a day from now.
func TestAHoldIsNeitherEmptiedNorLengthenedByALaterAnswer(t *testing.T) {
	within(t, func(t *testing.T, r *rig) {
		d := &doors{}
		held(t, r, d)
		r.appliance.Kill(t)

		r.appliance.Book.HoldKeys = nil
		r.appliance.Start(t)
		time.Sleep(time.Minute)

		if keys, open := d.look(); open != 1 || len(keys) != 1 || len(keys[0]) != 2 {
			t.Errorf("%d open, keys %v", open, keys)
		}

		time.Sleep(24*time.Hour - 3*time.Minute)

		if keys, open := d.look(); open != 1 || len(keys) != 1 {
			t.Errorf("before its end %d open, keys %v", open, keys)
		}

		time.Sleep(4 * time.Minute)

		if keys, _ := d.look(); len(keys) == 1 {
			t.Error("the door did not shut when the hold was over")
		}

		r.kill()
	})
}
