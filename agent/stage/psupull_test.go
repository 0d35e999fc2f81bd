package stage_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/bmc"
	"vetting/core"
	"vetting/core/profile"
)

// person is somebody at the machine, who does what the stage says or not.
type person struct {
	mu   sync.Mutex
	out  [2]bool // cords
	does func(what string, out *[2]bool)
	said []string
}

// hear is what the stage tells.
func (p *person) hear(what string, _ float64, _ time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if !strings.Contains(what, "cord") || len(p.said) > 0 && p.said[len(p.said)-1] == what {
		return
	}

	p.said = append(p.said, what)
	p.does(what, &p.out)
}

// scene is a healthy machine with the cords that are in.
func (p *person) scene(load float64, since time.Duration) bmc.Power {
	p.mu.Lock()
	defer p.mu.Unlock()

	for i, out := range p.out {
		if out {
			return bmc.LosesInput(i, 0)(load, since)
		}
	}

	return bmc.Healthy(load, since)
}

func obey(what string, out *[2]bool) {
	switch what {
	case "pull the cord of PSU1":
		out[0] = true
	case "pull the cord of PSU2":
		out[1] = true
	default:
		*out = [2]bool{}
	}
}

// Somebody is asked for each cord in turn. Nothing but that passes, and nothing is judged
// that was asked for.
func TestThePullTest(t *testing.T) {
	both := []string{"pull the cord of PSU1", "put the cord of PSU1 back", "pull the cord of PSU2", "put the cord of PSU2 back"}

	for name, c := range map[string]struct {
		does     func(what string, out *[2]bool)
		want     []string
		verdict  core.Verdict
		said     []string
		coverage string
	}{
		"as asked": {obey, nil, core.Pass, both, "cords of 2 of 2 pulled and put back"},
		"nobody comes": {
			func(string, *[2]bool) {}, []string{"critical psu/pull-missed PSU1"}, core.Error, both[:1], "cords of 0 of 2 pulled and put back",
		},
		"the other cord": {
			func(what string, out *[2]bool) {
				switch {
				case strings.Contains(what, "lost its input"):
					*out = [2]bool{true, false}
				case what == both[0]:
					*out = [2]bool{false, true}
				default:
					obey(what, out)
				}
			},
			[]string{"warning psu/pull-other PSU1"},
			core.Pass,
			[]string{both[0], "PSU2 lost its input: put its cord back, and pull that of PSU1", both[1], both[2], both[3]},
			"cords of 2 of 2 pulled and put back",
		},
		"the other cord for good": {
			func(_ string, out *[2]bool) { *out = [2]bool{false, true} },
			[]string{"critical psu/pull-missed PSU1"},
			core.Error,
			[]string{both[0], "PSU2 lost its input: put its cord back, and pull that of PSU1"},
			"cords of 0 of 2 pulled and put back",
		},
		"not put back": {
			func(what string, out *[2]bool) { out[0] = true }, []string{"critical psu/pull-open PSU1"}, core.Error, both[:2], "cords of 0 of 2 pulled and put back",
		},
	} {
		t.Run(name, func(t *testing.T) {
			who := &person{does: c.does}

			b := newPSUBench(who.scene)
			b.Config[profile.PSUPull] = "on"
			b.Progress = who.hear

			r := b.run(t)
			if got := told(r); r.Verdict != c.verdict || !slices.Equal(got, c.want) || !strings.Contains(r.Coverage, c.coverage) {
				t.Errorf("%s %q %s", r.Verdict, got, r.Coverage)
			}

			if !slices.Equal(who.said, c.said) {
				t.Errorf("%q, want %q", who.said, c.said)
			}

			// Both supplies have four sensors that measure and one of their state.
			if len(b.expected) != 10 || b.over != 1 {
				t.Errorf("expected of sensors %x, %d times over", b.expected, b.over)
			}
		})
	}
}

// No cord is pulled that may take the machine down, or that nobody would see. A test that was
// asked for and not done is never a pass.
func TestNoCordIsPulled(t *testing.T) {
	for name, c := range map[string]struct {
		scene   bmc.Scene
		change  func(*bmc.BMC)
		why     string
		verdict core.Verdict
	}{
		"a dead supply": {scene: bmc.Dead(1), why: "the machine may not survive", verdict: core.Fail},
		"not redundant": {scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Degraded = true }), why: "the machine may not survive", verdict: core.Error},
		"a single supply": {
			scene: with(func(p *bmc.Power, _ float64, _ time.Duration) { p.Supplies[1] = bmc.Supply{Absent: true} }), why: "it takes two power supplies", verdict: core.Error,
		},
		"a supply that says nothing": {
			scene: with(func(p *bmc.Power, _ float64, since time.Duration) { p.Supplies[1].Mute = since > 10*time.Minute }),
			why:   "the BMC does not tell of all power supplies", verdict: core.Error,
		},
		"a BMC that does not tell of inputs": {
			scene: bmc.Healthy,
			change: func(m *bmc.BMC) {
				m.Change(func(r []byte) {
					if r[3] == 2 && r[12] == 8 {
						r[18] = 0x07
					}
				})
			},
			why: "the BMC does not tell whether PSU1 has an input", verdict: core.Error,
		},
	} {
		t.Run(name, func(t *testing.T) { noCord(t, c.scene, c.change, c.why, c.verdict) })
	}
}

// noCord plays the stage with a pull test that must not be done.
func noCord(t *testing.T, scene bmc.Scene, change func(*bmc.BMC), why string, verdict core.Verdict) {
	t.Helper()

	b := newPSUBench(scene)
	b.Config[profile.PSUPull] = "on"

	if change != nil {
		b.change = change
	}

	b.Progress = func(what string, _ float64, _ time.Duration) {
		if strings.Contains(what, "cord") {
			t.Error(what)
		}
	}

	r := b.run(t)
	i := slices.IndexFunc(r.SubSteps, func(s core.SubStep) bool { return s.Name == "pull test" })

	if r.Verdict != verdict || i < 0 || r.SubSteps[i].Verdict != core.Error || !slices.Contains(told(r), "critical psu/pull-not-done") ||
		!strings.Contains(r.Coverage, "pull test NOT done: ") || !strings.Contains(r.Coverage, why) {
		t.Errorf("%s %s %q %+v", r.Verdict, r.Coverage, told(r), r.SubSteps)
	}
}
