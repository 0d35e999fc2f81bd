package stage_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/ipmi"
	"vetting/agent/machines"
	"vetting/agent/psu"
	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/cmd/vetting-lab/bmc"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
	"vetting/core/profile"
)

// psuBench is a machine with an emulated BMC, whose CPUs' work is played.
type psuBench struct {
	*bench

	scene  bmc.Scene
	wrap   func(ipmi.BMC) ipmi.BMC // what stands between the machine and its BMC
	change func(*bmc.BMC)
	cpus   func(*drill.Outcome)
	halt   func(*drill.Options) // called before each slot
	files  fstest.MapFS         // instead of all that the machine has but its CPUs; nil: it has its own
	none   bool                 // the machine has no BMC
	states [][]byte
	cancel context.CancelCauseFunc // of the stage under way

	expected []byte // sensors whose events were the test's own
	over     int    // times that this ended
}

func (b *psuBench) expect(_ context.Context, sensors []byte) (over func()) {
	b.expected = sensors

	return func() { b.over++ }
}

func newPSUBench(scene bmc.Scene) *psuBench {
	b := &psuBench{
		bench: newBench(map[string]string{profile.PSUDuration: "15m"}), scene: scene, wrap: func(m ipmi.BMC) ipmi.BMC { return m },
		change: func(*bmc.BMC) {}, cpus: func(*drill.Outcome) {}, halt: func(*drill.Options) {},
	}
	b.Checkpoint = func(state []byte) bool {
		b.states = append(b.states, state)

		return true
	}

	return b
}

// works stands for the CPUs: it plays the slots that are dealt, and loads the machine.
func (b *psuBench) works(machine *bmc.BMC) func(context.Context, drill.Options) drill.Outcome {
	return func(ctx context.Context, o drill.Options) drill.Outcome {
		out := drill.Outcome{Cores: map[int]*drill.Tally{}, Exits: map[int]worker.Exit{}}
		for _, t := range o.Threads {
			out.Cores[t.Number], out.Exits[t.Number] = &drill.Tally{Thread: t, Blocks: 1000}, worker.Exit{Reason: worker.Done}
		}

		for {
			b.halt(&o)

			s, more := o.Next()
			if !more || ctx.Err() != nil {
				break
			}

			for left := s.For; left > 0; left -= s.On + s.Off {
				machine.SetLoad(1)

				if s.On == 0 {
					time.Sleep(left)

					break
				}

				time.Sleep(s.On)
				machine.SetLoad(0)
				time.Sleep(s.Off)
			}

			out.Slots++

			o.Noted(&out)
		}

		machine.SetLoad(0)
		b.cpus(&out)

		return out
	}
}

// run plays the stage, in time that does not pass.
func (b *psuBench) run(t *testing.T) (result core.Result) {
	t.Helper()

	m := machines.Open(t, "dell-poweredge-r740-2.12.2").Machine()
	if b.files != nil {
		m.Root = justCPUs(t, m.Root, b.files)
	}

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)

		b.cancel = cancel
		machine := bmc.New(b.scene)
		machine.SetLoad(0)
		b.change(machine)

		if m.BMC = b.wrap(machine); b.none {
			m.BMC = nil
		}

		course := func(ctx context.Context, o psu.Options) *psu.Outcome {
			o.Drill = b.works(machine)

			return psu.Run(ctx, o)
		}

		result = stage.PSU(m, func(*slog.Logger) drill.Starter { return worker.Runner{} }, course, b.expect)(ctx, b.Env)
	})

	return result
}

// justCPUs adds the CPUs of a machine to files.
func justCPUs(t *testing.T, root fs.FS, files fstest.MapFS) fs.FS {
	t.Helper()

	err := fs.WalkDir(root, "sys/devices/system/cpu", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}

		content, err := fs.ReadFile(root, name)
		files[name] = &fstest.MapFile{Data: content}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return files
}

// with is a healthy machine with something changed.
func with(change func(p *bmc.Power, load float64, since time.Duration)) bmc.Scene {
	return func(load float64, since time.Duration) bmc.Power {
		p := bmc.Healthy(load, since)
		change(&p, load, since)

		return p
	}
}

// collapses is a supply whose output is well idle and gone under load.
func collapses(load float64, since time.Duration) bmc.Power {
	p := bmc.Healthy(load, since)
	p.Supplies[1].Volts *= 1 - load

	return p
}

// limited gives a sensor a lower critical threshold alone; 0: none at all.
func limited(name string, volts float64) func(*bmc.BMC) {
	return func(m *bmc.BMC) {
		m.Change(func(r []byte) {
			const mask, lowerCritical, at, step = 18, 1 << 1, 40, 0.06

			switch {
			case !strings.HasSuffix(string(r), name):
			case volts == 0:
				r[mask] = 0
			default:
				r[mask], r[at] = lowerCritical, byte(volts/step)
			}
		})
	}
}

// told are the findings, each by severity, code and slot.
func told(r core.Result) (all []string) {
	for _, f := range r.Findings {
		all = append(all, strings.TrimSpace(string(f.Severity)+" "+f.Code+" "+f.Part.Slot))
	}

	slices.Sort(all)

	return all
}

// Whatever may be wrong with power supplies has a finding of its own, and what is well
// has none.
func TestPSU(t *testing.T) {
	const minute = time.Minute

	for name, c := range map[string]struct {
		scene   bmc.Scene
		change  func(*bmc.BMC)
		expect  string
		want    []string
		verdict core.Verdict
	}{
		"healthy":             {scene: bmc.Healthy, verdict: core.Pass},
		"as many as expected": {scene: bmc.Healthy, expect: "2", verdict: core.Pass},
		"a dead supply": {
			scene: bmc.Dead(0), verdict: core.Fail, want: []string{"critical psu/failed PSU1", "critical psu/redundancy-lost PS Redundancy"},
		},
		"a supply that loses its input": {
			scene: bmc.LosesInput(1, 30*time.Second), verdict: core.Fail,
			want: []string{"critical psu/input-lost PSU2", "critical psu/redundancy-lost PS Redundancy"},
		},
		"a supply that loses its input under pulses": {
			scene: bmc.LosesInput(0, 9*minute), verdict: core.Fail,
			want: []string{"critical psu/input-lost PSU1", "critical psu/redundancy-lost PS Redundancy"},
		},
		"a supply that loses its input for a while": {
			scene: func(load float64, since time.Duration) bmc.Power {
				if since > 5*minute {
					return bmc.Healthy(load, since)
				}

				return bmc.LosesInput(1, 4*minute)(load, since)
			},
			verdict: core.Fail, want: []string{"critical psu/input-lost PSU2", "critical psu/redundancy-lost PS Redundancy"},
		},
		"a supply that will fail": {
			scene:   with(func(p *bmc.Power, _ float64, since time.Duration) { p.Supplies[1].Predicted = since > minute }),
			verdict: core.Fail, want: []string{"critical psu/failure-predicted PSU2"},
		},
		"an input out of range": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) {
				p.Supplies[0].InputOut, p.Supplies[0].InputVolts = true, 180
			}),
			verdict: core.Fail, want: []string{"critical psu/input-out-of-range PSU1"},
		},
		"a supply that does not fit": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Misplaced = true }),
			verdict: core.Fail, want: []string{"critical psu/configuration PSU1"},
		},
		"a supply that vanishes": {
			scene:   with(func(p *bmc.Power, _ float64, since time.Duration) { p.Supplies[1].Absent = since > minute }),
			verdict: core.Fail, want: []string{"critical psu/vanished PSU2"},
		},
		"an empty bay": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1] = bmc.Supply{Absent: true} }),
			verdict: core.Pass,
		},
		"fewer than expected": {
			scene:  with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1] = bmc.Supply{Absent: true} }),
			expect: "2", verdict: core.Fail, want: []string{"critical psu/missing"},
		},
		"redundancy lost without a reason": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Lost = true }),
			verdict: core.Fail, want: []string{"critical psu/redundancy-lost PS Redundancy"},
		},
		"a single supply, which is not redundant": {
			scene:  with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Lost = true }),
			change: func(m *bmc.BMC) { m.Without(func(r []byte) bool { return strings.Contains(string(r), "PSU2") }) },
			want:   []string{"warning psu/redundancy-lost PS Redundancy"}, verdict: core.Pass,
		},
		"an empty bay, so that nothing is redundant": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1], p.Lost = bmc.Supply{Absent: true}, true }),
			want:  []string{"warning psu/redundancy-lost PS Redundancy"}, verdict: core.Pass,
		},
		"a rail whose sensor reads nothing": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Volts = 0.5 }), verdict: core.Pass, want: []string{"warning psu/voltage PSU1"},
		},
		"an output that reads nothing, of a supply that does not say how it is": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Volts = 0.5 }),
			change:  func(m *bmc.BMC) { m.Without(func(r []byte) bool { return strings.Contains(string(r), "PSU1 Status") }) },
			verdict: core.Fail, want: []string{"critical psu/voltage PSU1"},
		},
		"an output that collapses under load": {
			scene: collapses, verdict: core.Fail, want: []string{"critical psu/sag PSU2"},
		},
		"an output without thresholds that collapses under load": {
			scene: collapses, change: limited("PSU2 VOUT", 0), verdict: core.Fail, want: []string{"critical psu/sag PSU2"},
		},
		"an output without thresholds that reads nothing": {
			scene:  with(func(p *bmc.Power, load float64, _ time.Duration) { p.Supplies[1].Volts = 0.5 - 0.4*load }),
			change: limited("PSU2 VOUT", 0), verdict: core.Pass,
		},
		"an output that collapses for good": {
			scene: with(func(p *bmc.Power, _ float64, since time.Duration) {
				if since > 2*minute {
					p.Supplies[1].Volts = 0.5
				}
			}),
			verdict: core.Fail, want: []string{"critical psu/sag PSU2", "critical psu/voltage PSU2"},
		},
		"a rail of the board that reads nothing": {
			scene:  with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Rail = 0.3 }),
			change: limited("12V", 10.8), verdict: core.Pass, want: []string{"warning psu/voltage 12V"},
		},
		"a rail of the board that reads nothing under load, while the machine runs on": {
			scene:  with(func(p *bmc.Power, load float64, _ time.Duration) { p.Rail *= 1 - load }),
			change: limited("12V", 10.8), verdict: core.Pass, want: []string{"warning psu/sag 12V"},
		},
		"a battery of the board that is empty": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Rail = 0.3 }),
			change: func(m *bmc.BMC) {
				limited("12V", 2.4)(m)
				m.Change(func(r []byte) {
					if i := strings.LastIndex(string(r), "12V"); i > 0 {
						copy(r[i:], "BAT")
					}
				})
			},
			verdict: core.Fail, want: []string{"critical psu/voltage BAT"},
		},
		"redundancy degraded": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Degraded = true }),
			verdict: core.Pass, want: []string{"warning psu/redundancy-degraded PS Redundancy"},
		},
		"a hogging supply": {scene: bmc.Hogs, verdict: core.Pass, want: []string{"warning psu/load-share PSU1"}},
		"a supply in reserve while there is little load": {
			scene: func(_ float64, since time.Duration) bmc.Power { return bmc.Hogs(0.1, since) }, verdict: core.Pass,
		},
		"a supply that carries a little more": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) {
				for i, share := range []float64{1.18, 0.82} {
					p.Supplies[i].Input, p.Supplies[i].Output = p.Supplies[i].Input*share, p.Supplies[i].Output*share
				}
			}),
			verdict: core.Pass,
		},
		"a sagging supply":                         {scene: bmc.Sags(1, 0.8), verdict: core.Pass, want: []string{"warning psu/sag PSU2"}},
		"a supply that sags below what it may":     {scene: bmc.Sags(1, 1.5), verdict: core.Fail, want: []string{"critical psu/sag PSU2"}},
		"a supply that sags a little":              {scene: bmc.Sags(1, 0.3), verdict: core.Pass},
		"a supply whose output is wrong all along": {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Volts = 10.4 }), verdict: core.Fail, want: []string{"critical psu/voltage PSU1"}},
		"an output beyond its first limit":         {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Volts = 12.8 }), verdict: core.Pass, want: []string{"warning psu/voltage PSU1"}},
		"an output wrong in a single reading": {
			scene: with(func(p *bmc.Power, _ float64, since time.Duration) {
				if since > 50*time.Second && since < 60*time.Second { // it is looked at each 11 s
					p.Supplies[0].Volts = 10.4
				}
			}),
			verdict: core.Pass,
		},
		"a rail that is off":          {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Rail = 11.2 }), verdict: core.Pass, want: []string{"warning psu/rail 12V"}},
		"a rail within its tolerance": {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Rail = 11.5 }), verdict: core.Pass},
		"a rail that cannot be one":   {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Rail = 3.1 }), verdict: core.Pass},
		"an inefficient supply": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Input = p.Supplies[0].Output / 0.77 }),
			verdict: core.Pass, want: []string{"warning psu/inefficient PSU1"},
		},
		"a supply that just is not": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Input = p.Supplies[0].Output / 0.82 }),
			verdict: core.Pass,
		},
		"warm air":  {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Inlet = 43 }), verdict: core.Pass, want: []string{"warning psu/inlet-hot Inlet Temp"}},
		"fresh air": {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Inlet = 39 }), verdict: core.Pass},
		"two models": {
			scene: bmc.Healthy, change: func(m *bmc.BMC) { m.SetModel(2, "LP-750", "LP-750-B", "1.2") }, verdict: core.Pass,
			want: []string{"warning psu/models-differ PSU2"},
		},
		"two revisions": {
			scene: bmc.Healthy, change: func(m *bmc.BMC) { m.SetModel(2, "LP-800", "LP-800-A", "1.1") }, verdict: core.Pass,
			want: []string{"warning psu/firmware-differs PSU2"},
		},
		"a supply of which nothing is told": {
			scene:   with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1].Mute = true }),
			verdict: core.Pass, want: []string{"info psu/bay-unobserved PSU2"},
		},
		"a supply that falls silent": {
			scene:   with(func(p *bmc.Power, _ float64, since time.Duration) { p.Supplies[1].Mute = since > 3*minute }),
			verdict: core.Pass, want: []string{"warning psu/silent PSU2"},
		},
		"a BMC without sensors of supplies": {
			scene: bmc.Healthy, change: func(m *bmc.BMC) { m.Without(func(r []byte) bool { return strings.Contains(string(r), "PS") }) },
			verdict: core.Pass, want: []string{"info psu/unobservable"},
		},
		"a BMC without sensors of supplies that are expected": {
			scene: bmc.Healthy, change: func(m *bmc.BMC) { m.Without(func(r []byte) bool { return strings.Contains(string(r), "PS") }) },
			expect: "2", verdict: core.Error, want: []string{"critical psu/not-observed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPSUBench(c.scene)
			b.Config[profile.PSUExpect] = c.expect

			if c.change != nil {
				b.change = c.change
			}

			r := b.run(t)
			if got := told(r); r.Verdict != c.verdict || !slices.Equal(got, c.want) {
				t.Errorf("%s %q, want %s %q: %+v", r.Verdict, got, c.verdict, c.want, r.Findings)
			}

			for _, f := range r.Findings {
				if _, known := problem.Lookup(f.Code); !known || f.Stage != core.PSU || f.Next == "" || f.Evidence == "" || f.Part.Kind == "" {
					t.Errorf("%+v", f)
				}

				if strings.HasPrefix(f.Part.Slot, "PSU") && (f.Part.Model == "" || f.Part.Serial == "") {
					t.Errorf("the part is not named: %+v", f.Part)
				}
			}

			for _, s := range slices.Concat(b.samples, r.Measurements) {
				if err := catalogue.Check(s.Key, s.Unit); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// How supplies share the load is judged where they tell what they give and can give, and
// there is load. Where it was not, the coverage says so.
func TestSharesThatAreNotJudged(t *testing.T) {
	for name, c := range map[string]struct {
		scene  bmc.Scene
		change func(*bmc.BMC)
		want   string // of the coverage; empty: nothing
		found  []string
	}{
		"a hogging supply":               {scene: bmc.Hogs, found: []string{"warning psu/load-share PSU1"}},
		"one whose capacity is not told": {bmc.Hogs, func(m *bmc.BMC) { m.Unrated(2) }, "load share NOT tested: no capacity of PSU2 is told", nil},
		"two whose capacity is not told": {bmc.Healthy, func(m *bmc.BMC) { m.Unrated(1); m.Unrated(2) }, "load share NOT tested: no capacity of PSU1, PSU2 is told", nil},
		"supplies that do not tell their power": {bmc.Hogs, func(m *bmc.BMC) {
			m.Without(func(r []byte) bool {
				return strings.Contains(string(r), "PIN") || strings.Contains(string(r), "POUT")
			})
		}, "load share NOT tested: no power of PSU1, PSU2 is told", nil},
		"little load":                            {with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[0].Output, p.Supplies[1].Output = 100, 20 }), nil, "load share NOT tested: full load was 8 % of what they can give, of the 30 % that it takes", nil},
		"a single supply":                        {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1] = bmc.Supply{Absent: true} })},
		"a dead supply, of which the rest comes": {scene: bmc.Dead(1), found: []string{"critical psu/failed PSU2", "critical psu/redundancy-lost PS Redundancy"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPSUBench(c.scene)
			b.files = fstest.MapFS{} // SMBIOS tells of capacities, too

			if c.change != nil {
				b.change = c.change
			}

			r := b.run(t)
			if _, says, _ := strings.Cut(r.Coverage, "load share NOT tested"); (says != "") != (c.want != "") || !strings.Contains(r.Coverage, c.want) {
				t.Errorf("coverage %q, want %q", r.Coverage, c.want)
			}

			if got := told(r); !slices.Equal(got, c.found) {
				t.Errorf("found %q, want %q", got, c.found)
			}
		})
	}
}

func TestWhatPSUTells(t *testing.T) {
	b := newPSUBench(bmc.Healthy)
	r := b.run(t)

	if want := "15m0s of idle, full load and pulses, 2 of 2 power supplies observed, 128 W idle, 1128 W at full load"; r.Coverage != want {
		t.Errorf("coverage %q, want %q", r.Coverage, want)
	}

	var names []string
	for _, s := range r.SubSteps {
		names = append(names, s.Name)
	}

	if !slices.Equal(names, []string{"phases", "cpus", "PSU1", "PSU2"}) || !strings.Contains(r.SubSteps[3].Summary, "gives out 60 W and 520 W") {
		t.Errorf("%+v", r.SubSteps)
	}

	for _, key := range []string{"psu/psu1/input_watts", "psu/psu2/output_volts", "psu/system/input_watts", "board/bmc-12v/voltage_volts"} {
		if n := len(slices.DeleteFunc(slices.Clone(b.samples), func(s core.Sample) bool { return s.Key != key })); n < 60 || n > 90 {
			t.Errorf("%d samples of %s in 15 minutes", n, key)
		}
	}

	if len(r.Measurements) != 4 || r.Measurements[0].Key != "psu/psu1/load_share_percent" || r.Measurements[0].Value != 50 {
		t.Errorf("%+v", r.Measurements)
	}

	if !slices.IsSorted(b.done) || b.done[len(b.done)-1] != 1 {
		t.Errorf("progress %v", b.done)
	}
}

// A machine that tells nothing of its supplies is judged by its survival, and says so.
func TestPSUsThatNobodySees(t *testing.T) {
	b := newPSUBench(bmc.Healthy)
	b.none = true

	r := b.run(t)
	if r.Verdict != core.Pass || !slices.Equal(told(r), []string{"info psu/unobservable"}) || !strings.Contains(r.Coverage, "power supplies NOT observed: no BMC and no meter tells of them") {
		t.Errorf("%s %s %q", r.Verdict, r.Coverage, told(r))
	}
}

// flaky is a BMC that stops answering.
type flaky struct {
	ipmi.BMC

	mu   sync.Mutex
	dead bool
}

func (f *flaky) Do(req ipmi.Request) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.dead {
		return nil, errors.New("no answer")
	}

	return f.BMC.Do(req)
}

// selective is a BMC that does not answer some questions, for a while.
type selective struct {
	ipmi.BMC

	deaf func(req ipmi.Request) bool
}

func (s *selective) Do(req ipmi.Request) ([]byte, error) {
	if s.deaf(req) {
		return []byte{0xcb}, nil
	}

	return s.BMC.Do(req)
}

// A supply whose sensor answers with errors is not one without faults, and a BMC that told
// nothing while there was load has told nothing of it, whatever it says afterwards.
func TestABMCThatAnswersInParts(t *testing.T) {
	const reading = 0x2d // IPMI 2.0 §35.14

	for name, c := range map[string]struct {
		deaf    func(after time.Duration, sensor byte, states map[byte]bool) bool
		want    []string
		verdict core.Verdict
	}{
		"a sensor that ends in errors": {
			func(after time.Duration, sensor byte, states map[byte]bool) bool {
				return after > 2*time.Minute && sensor == lowest(states)
			},
			[]string{"warning psu/silent PSU1"},
			core.Pass,
		},
		"a sensor that is busy now and then": {nil, nil, core.Pass},
		"deaf under load": {
			func(after time.Duration, _ byte, _ map[byte]bool) bool {
				return after > 56*time.Second && after < 9*time.Minute
			},
			[]string{"critical psu/not-observed"},
			core.Error,
		},
		"deaf in pulses": {
			func(after time.Duration, _ byte, _ map[byte]bool) bool {
				return after > 100*time.Second && after < 14*time.Minute
			},
			[]string{"warning psu/not-observed"},
			core.Pass,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var (
				begin  time.Time
				asked  = map[byte]bool{}
				missed = map[byte]int{}
			)

			b := newPSUBench(bmc.Healthy)
			b.wrap = func(m ipmi.BMC) ipmi.BMC {
				return &selective{BMC: m, deaf: func(req ipmi.Request) bool {
					if req.Command != reading || len(req.Data) == 0 {
						return false
					}

					if begin.IsZero() {
						begin = time.Now()
					}

					asked[req.Data[0]] = true

					if c.deaf == nil { // each second question is refused
						missed[req.Data[0]]++

						return missed[req.Data[0]]%2 == 1
					}

					return c.deaf(time.Since(begin), req.Data[0], asked)
				}}
			}

			if r := b.run(t); r.Verdict != c.verdict || !slices.Equal(told(r), c.want) {
				t.Errorf("%s %q: %+v", r.Verdict, told(r), r.Findings)
			}
		})
	}
}

// lowest is the lowest sensor of all: the state of the first supply.
func lowest(sensors map[byte]bool) byte {
	least := byte(0xff)
	for s := range sensors {
		least = min(least, s)
	}

	return least
}

// A BMC that does not answer any more in the midst of the stage makes it an error: what
// the supplies did under load is not known.
func TestABMCThatStopsAnswering(t *testing.T) {
	b := newPSUBench(bmc.Healthy)

	var link *flaky

	b.wrap = func(m ipmi.BMC) ipmi.BMC {
		link = &flaky{BMC: m}

		return link
	}
	b.halt = func(*drill.Options) {
		link.mu.Lock()
		defer link.mu.Unlock()

		link.dead = true
	}

	r := b.run(t)
	if r.Verdict != core.Error || !slices.Equal(told(r), []string{"critical psu/not-observed"}) {
		t.Errorf("%s %q", r.Verdict, told(r))
	}
}

// Supplies that the kernel reads itself, and an adapter that is pulled.
func TestSuppliesOfTheKernel(t *testing.T) {
	chip := func(bus, volts, in, out string) fstest.MapFS {
		dir := "sys/class/hwmon/hwmon9" + bus

		return fstest.MapFS{
			dir + "/name": {Data: []byte("dps650ab\n")}, dir + "/in1_label": {Data: []byte("vin\n")}, dir + "/in1_input": {Data: []byte(volts)},
			dir + "/power1_label": {Data: []byte("pin\n")}, dir + "/power1_input": {Data: []byte(in)},
			dir + "/power2_label": {Data: []byte("pout1\n")}, dir + "/power2_input": {Data: []byte(out)},
		}
	}

	for name, c := range map[string]struct {
		files   []fstest.MapFS
		want    []string
		watched string
	}{
		"two on PMBus":               {[]fstest.MapFS{chip("0", "230000", "300000000", "270000000"), chip("1", "231000", "310000000", "280000000")}, nil, "2 of 2 power supplies observed, 610 W idle"},
		"a regulator with its names": {[]fstest.MapFS{chip("0", "12000", "30000000", "27000000")}, []string{"info psu/unobservable"}, "power supplies NOT observed"},
		"an adapter": {
			[]fstest.MapFS{{"sys/class/power_supply/AC/type": {Data: []byte("Mains\n")}, "sys/class/power_supply/AC/online": {Data: []byte("1\n")}}},
			nil,
			"1 of 1 power supply observed",
		},
		"a battery alone": {
			[]fstest.MapFS{{"sys/class/power_supply/AC/type": {Data: []byte("Mains\n")}, "sys/class/power_supply/AC/online": {Data: []byte("0\n")}}},
			[]string{"warning psu/on-battery AC"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPSUBench(bmc.Healthy)
			b.none, b.files = true, fstest.MapFS{}

			for _, files := range c.files {
				for file, content := range files {
					b.files[file] = content
				}
			}

			if r := b.run(t); r.Verdict != core.Pass || !slices.Equal(told(r), c.want) || !strings.Contains(r.Coverage, c.watched) {
				t.Errorf("%s %q %s", r.Verdict, told(r), r.Coverage)
			}
		})
	}
}

// A CPU that computes wrongly fails the stage, and work that was not done is an error.
func TestTheWorkOfPSU(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*drill.Outcome)
		want    string
		verdict core.Verdict
	}{
		"a wrong result": {func(out *drill.Outcome) {
			out.Suspects = []drill.Suspect{{Thread: out.Cores[0].Thread, Kernel: "multiply-add"}}
		}, "cpustress/miscompare", core.Fail},
		"a CPU that did nothing":   {func(out *drill.Outcome) { out.Cores[1].Blocks = 0 }, "psu/not-tested", core.Error},
		"a worker that was killed": {func(out *drill.Outcome) { out.Exits[1] = worker.Exit{Reason: worker.Killed} }, "worker/killed", core.Error},
	} {
		b := newPSUBench(bmc.Healthy)
		b.cpus = c.change

		if r := b.run(t); r.Verdict != c.verdict || len(find(r, c.want)) != 1 {
			t.Errorf("%s: %s %q", name, r.Verdict, told(r))
		}
	}

	b := newPSUBench(bmc.Healthy)
	b.Config[profile.PSUDuration] = "soon"

	if r := b.run(t); r.Verdict != core.Error || r.Coverage != "nothing was tested" {
		t.Errorf("%s %s", r.Verdict, r.Coverage)
	}
}

// What was found is kept, and a process that comes after goes on from there.
func TestPSUGoesOn(t *testing.T) {
	b := newPSUBench(bmc.LosesInput(1, 30*time.Second))

	if b.run(t); len(b.states) == 0 {
		t.Fatal("nothing was kept")
	}

	half := b.states[len(b.states)/2]

	b = newPSUBench(bmc.Healthy)
	b.Resume = half

	r := b.run(t)
	if r.Verdict != core.Fail || !slices.Equal(told(r), []string{"critical psu/input-lost PSU2", "critical psu/redundancy-lost PS Redundancy"}) {
		t.Errorf("%s %q", r.Verdict, told(r))
	}

	if strings.HasPrefix(r.Coverage, "15m0s") {
		t.Errorf("it began anew: %s", r.Coverage)
	}
}

// A stage that is stopped tells what it has found.
func TestPSUThatIsStopped(t *testing.T) {
	for name, c := range map[string]struct {
		scene   bmc.Scene
		verdict core.Verdict
	}{"healthy": {bmc.Healthy, core.Error}, "input lost": {bmc.LosesInput(1, 30*time.Second), core.Fail}} {
		b := newPSUBench(c.scene)
		slots := 0
		b.halt = func(*drill.Options) {
			if slots++; slots == 50 {
				b.cancel(errors.New("the appliance says abort"))
			}
		}

		if r := b.run(t); r.Verdict != c.verdict || len(find(r, "stage/interrupted")) != 1 {
			t.Errorf("%s: %s %q", name, r.Verdict, told(r))
		}
	}
}
