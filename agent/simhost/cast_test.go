package simhost_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vetting/agent/simhost"
	"vetting/agent/wire"
	"vetting/core"
)

// Every pretend machine ends as its sentence says. (misses-dimm passes here: this
// rig reads no spec.)
func TestEveryCharacterEndsAsItSays(t *testing.T) {
	want := map[string]struct {
		state   core.State
		verdict core.Verdict
	}{
		"healthy":     {core.StateCompleted, core.Pass},
		"misses-dimm": {core.StateCompleted, core.Pass},
		"bad-disk":    {core.StateFailedHolding, core.Fail},
		"hot":         {core.StateFailedHolding, core.Fail},
		"silent":      {core.StateFailedHolding, core.Error},
		"resets":      {core.StateFailedHolding, core.Fail},
		"impostor":    {core.StateCompleted, core.Pass},
		"chatty":      {core.StateCompleted, core.Pass},
		"hangs":       {core.State(core.SMART), ""},
		"liar":        {core.StateFailedHolding, core.Error},
	}

	for i, c := range simhost.Cast(len(want)) {
		name, _, _ := strings.Cut(c.Name, "-"+string(rune('0'+i)))

		t.Run(name, func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				var said safeBuffer

				c.Dial, c.Log = s.Wire.Dial, slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), &said), nil))

				end := s.live(c, netip.MustParseAddr("10.77.0.9"))
				run := s.vet(c.MAC)

				time.Sleep(10 * time.Minute) // in the bubble

				got := record[core.Run](s, core.TableRun, string(run))
				if got.State != want[name].state || got.Verdict != want[name].verdict {
					t.Errorf("%s is %s with verdict %q, want %+v; findings %+v", c.Name, got.State, got.Verdict, want[name], got.Findings)
				}

				if name == "healthy" {
					told(t, &got)
				}

				if c.Temper == simhost.Impostor {
					s.vet(c.MAC)
					time.Sleep(5 * time.Minute)

					if record[core.Host](s, core.TableHost, string(c.MAC)).Quarantine == "" {
						t.Error("the impostor was let in on its second run")
					}
				}

				if c.Temper == simhost.Liar && !strings.Contains(said.String(), "has lied\" believed=0") {
					t.Errorf("the appliance believes a liar:\n%s", said.String())
				}

				end()
			})
		})
	}
}

// told is whether every stage of the agent says what it covered, part by part, and
// its sensors were judged: what a demo shows is what a real machine would.
func told(t *testing.T, run *core.Run) {
	t.Helper()

	judged := map[string]bool{}

	for i := range run.Stages {
		st := &run.Stages[i]
		for _, e := range st.Evaluations {
			judged[e.Rule] = e.Verdict == core.Pass || judged[e.Rule]
		}

		if st.Name.ByAppliance() || st.Name == core.InventoryCheck || st.Name == core.Firmware {
			continue
		}

		if st.Coverage == "" || len(st.SubSteps) < 2 {
			t.Errorf("%s says %q, with the parts %+v", st.Name, st.Coverage, st.SubSteps)
		}
	}

	for _, rule := range []string{"disk-hot", "no-headroom", "dimm-warm"} {
		if !judged[rule] {
			t.Errorf("nothing passed the rule %s: %v", rule, judged)
		}
	}
}

// vet registers the machine, where it is not, and starts a run on it.
func (s *site) vet(mac core.MAC) core.RunID {
	s.t.Helper()

	_, _ = s.engine.RegisterHost(s.t.Context(), "op", core.Host{MAC: mac, Name: "cast", Power: core.Power{Method: core.PowerManual}})

	run, err := s.engine.StartRun(s.t.Context(), mac, core.StartRun{Profile: "quick", Who: "op"})
	if err != nil {
		s.t.Fatal(err)
	}

	return run.ID
}

// live lets the machine live; the function returned ends it.
func (s *site) live(c *simhost.Character, addr netip.Addr) func() {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)

	go func() {
		ended <- c.Live(ctx, s.t.TempDir(), func(ctx context.Context, done core.RunID) (seed wire.Seed, err error) {
			for ctx.Err() == nil {
				time.Sleep(time.Second)

				d := s.engine.Decide(core.BootClient{MAC: c.MAC, Kind: core.ClientIPXE, Addr: addr})
				if d.Action != core.BootVet || d.Run == done {
					continue
				}

				nonce, err := s.engine.Arm(ctx, c.MAC, addr)
				if err != nil {
					return seed, err
				}

				raw, err := s.engine.Seed(ctx, nonce, addr, false)
				if err != nil {
					return seed, err
				}

				return seed, json.Unmarshal(raw, &seed)
			}

			return seed, ctx.Err()
		})
	}()

	return func() {
		cancel()
		<-ended
	}
}

// A demo of chosen faults has healthy machines and these, in turn.
func TestACastOfChosenFaults(t *testing.T) {
	t.Parallel()

	cast, err := simhost.CastOf(7, []string{"thermal", "net"})
	if err != nil {
		t.Fatal(err)
	}

	names := make([]string, 0, len(cast))
	for _, c := range cast {
		names = append(names, c.Name)
	}

	if got, want := strings.Join(names, " "), "healthy-0 hot-1 silent-2 healthy-3 hot-4 silent-5 healthy-6"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	if _, err := simhost.CastOf(1, []string{"fire"}); err == nil || !strings.Contains(err.Error(), "disk, net, ram, reset, thermal") {
		t.Errorf("a fault that there is not: %v", err)
	}
}
