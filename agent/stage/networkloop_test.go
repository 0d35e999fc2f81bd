package stage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/profile"
)

// loopBench is what a machine's ports make of each other.
type loopBench struct {
	domains map[string]int // port to broadcast domain
	oneWay  bool           // only frames to ports of a later name pass
	hearErr error
	openErr error
	endErr  error
	change  func(r *traffic.Report)
	during  func()
	pairs   []string // that were measured: the moved port first
	asked   traffic.Schedule
	open    int // loops that are not ended
	after   func()
}

func (b *netBench) Hear(_ context.Context, ports []string, _ time.Duration) (func(from, to string) bool, error) {
	l := b.loops

	return func(from, to string) bool {
		return slices.Contains(ports, from) && slices.Contains(ports, to) && l.domains[from] == l.domains[to] && (!l.oneWay || from < to)
	}, l.hearErr
}

func (b *netBench) Loop(_ context.Context, moves, stays string) (*stage.Loop, error) {
	l := b.loops
	if l.openErr != nil {
		return nil, l.openErr
	}

	l.open++
	l.pairs = append(l.pairs, moves+" "+stays)

	return &stage.Loop{
		Inside: func(f func()) error { f(); return nil },
		Measure: func(_ context.Context, s traffic.Schedule, o stage.Observer) *traffic.Report {
			l.asked = s
			o.Phase("sending", 0.5, time.Minute)
			o.Moved(1)

			r := soundReport()
			if l.change != nil {
				l.change(r)
			}

			if l.during != nil {
				l.during()
			}

			return r
		},
		End: func() error {
			l.open--

			if l.after != nil {
				l.after()
			}

			return l.endErr
		},
	}, nil
}

// newLoopBench is a machine with four ports that have links, of which eth0 is the one that
// it booted from; all are on the test network.
func newLoopBench() *netBench {
	b := newNetBench()
	b.Config[profile.NetworkSelfLoop] = "always"

	for i := range 4 {
		dir := fmt.Sprintf("sys/class/net/eth%d/", i)
		for name, f := range b.files {
			if rest, ok := strings.CutPrefix(name, "sys/class/net/eth0/"); ok && i > 0 {
				b.files[dir+rest] = f
			}
		}

		b.files[dir+"address"] = text(fmt.Sprintf("52:54:00:00:00:0%d", i+1))
	}

	return b
}

// TestPortsAreTestedWithEachOther: each that can be is in a pair, the boot port is never
// the one that moves, and all is brought back.
func TestPortsAreTestedWithEachOther(t *testing.T) {
	away := func(ports ...string) func(b *netBench) {
		return func(b *netBench) {
			b.address = func(port string, _ int) error {
				if slices.Contains(ports, port) {
					return fmt.Errorf("%w: it was offered 192.168.1.7", stage.ErrElsewhere)
				}

				return nil
			}
		}
	}

	for name, c := range map[string]struct {
		setup    func(b *netBench)
		pairs    []string
		coverage []string
		found    int // network/loop-untested
	}{
		"all on one network":       {func(*netBench) {}, []string{"eth1 eth2", "eth3 eth0"}, []string{"eth1 and eth2 tested with each other", "eth3 and eth0 tested with each other"}, 0},
		"not asked for":            {func(b *netBench) { b.Config[profile.NetworkSelfLoop] = "never" }, nil, nil, 0},
		"the profile says nothing": {func(b *netBench) { delete(b.Config, profile.NetworkSelfLoop) }, nil, nil, 0},
		"of equal speeds": {func(b *netBench) {
			b.files["sys/class/net/eth2/speed"], b.files["sys/class/net/eth0/speed"] = text("1000"), text("1000")
		}, []string{"eth1 eth3", "eth2 eth0"}, nil, 0},
		"different VLANs": {
			func(b *netBench) { b.loops.domains = map[string]int{"eth1": 1, "eth2": 2, "eth3": 3} }, nil,
			[]string{"eth0 NOT tested with another port", "eth3 NOT tested with another port"},
			4,
		},
		"two and two": {func(b *netBench) { b.loops.domains = map[string]int{"eth1": 1, "eth3": 1} }, []string{"eth1 eth3", "eth2 eth0"}, nil, 0},
		"three of one network": {
			func(b *netBench) { b.loops.domains = map[string]int{"eth0": 1} }, []string{"eth1 eth2", "eth3 eth1"}, []string{"eth0 NOT tested with another port"}, 1,
		},
		"frames that pass one way":      {func(b *netBench) { b.loops.oneWay = true }, nil, []string{"eth1 NOT tested with another port"}, 4},
		"a port of another network":     {away("eth2"), []string{"eth1 eth3", "eth1 eth0"}, nil, 0},
		"all others of another network": {away("eth1", "eth2", "eth3"), nil, []string{"ports NOT tested with each other: fewer than two"}, 1},
		"two functions of one port": {func(b *netBench) {
			b.files["sys/class/net/eth1/phys_port_id"], b.files["sys/class/net/eth2/phys_port_id"] = text("00c0ff"), text("00c0ff")
		}, []string{"eth1 eth3", "eth2 eth0"}, nil, 0},
		"functions of others' cards": {func(b *netBench) {
			b.files["sys/class/net/eth1/device"] = &fstest.MapFile{Data: []byte("../../../0000:01:10.0"), Mode: 0o777 | fs.ModeSymlink}
			b.files["sys/0000:01:10.0/physfn"] = text("")
		}, []string{"eth2 eth3", "eth2 eth0"}, nil, 0},
		"nobody knows the boot port":     {func(b *netBench) { b.BootMAC = "52:54:00:00:00:99" }, nil, []string{"which port the machine booted from is not known"}, 1},
		"it is not known who hears whom": {func(b *netBench) { b.loops.hearErr = errors.New("operation not permitted") }, nil, []string{"which ports hear each other is not known"}, 1},
		"a port that cannot be moved":    {func(b *netBench) { b.loops.openErr = errors.New("device or resource busy") }, nil, []string{"eth1 and eth2 NOT tested with each other"}, 2},
		"a connection that never is made": {func(b *netBench) {
			b.loops.change = func(r *traffic.Report) {
				*r = traffic.Report{Phase: "planted faults", Err: errors.New("no route to host")}
			}
		}, []string{"eth1 eth2", "eth3 eth0"}, []string{"eth1 and eth2 NOT tested with each other"}, 2},
	} {
		b := newLoopBench()
		c.setup(b)

		r := b.run(t)
		if r.Verdict != core.Pass || !slices.Equal(b.loops.pairs, c.pairs) || b.loops.open != 0 || len(find(r, "network/loop-untested")) != c.found {
			t.Errorf("%s: %s, %q, %d are not ended: %+v", name, r.Verdict, b.loops.pairs, b.loops.open, r.Findings)
		}

		for _, words := range c.coverage {
			if !strings.Contains(r.Coverage, words) {
				t.Errorf("%s: coverage %q has no %q", name, r.Coverage, words)
			}
		}

		for _, f := range r.Findings {
			if f.Severity == core.Critical || f.Evidence == "" {
				t.Errorf("%s: %+v", name, f)
			}
		}

		for _, m := range r.Measurements {
			if err := catalogue.Check(m.Key, m.Unit); err != nil {
				t.Error(err)
			}
		}

		if told := slices.ContainsFunc(r.Measurements, func(s core.Sample) bool { return strings.HasSuffix(s.Key, "/loop_sent_mbps") && s.Value > 9000 }); told != (len(c.pairs) > 0 && c.found == 0 || name == "three of one network") {
			t.Errorf("%s: %+v", name, r.Measurements)
		}
	}
}

// TestWhatPortsFindOfEachOther: each fault has its code and verdict, and a sound loop none.
func TestWhatPortsFindOfEachOther(t *testing.T) {
	t.Parallel()

	ends := func(err error, proven bool) func(b *netBench) {
		return func(b *netBench) {
			b.loops.change = func(r *traffic.Report) { *r = traffic.Report{Proven: proven, Phase: "sending", Err: err} }
		}
	}
	file := func(name, value string) func(b *netBench) {
		return func(b *netBench) { b.loops.during = func() { b.files["sys/class/net/"+name] = text(value) } }
	}

	for name, c := range map[string]struct {
		setup    func(b *netBench)
		code     string
		severity core.Severity
		verdict  core.Verdict
		slot     string
	}{
		"a sound loop":            {func(*netBench) {}, "", "", core.Pass, ""},
		"a frame that is altered": {func(b *netBench) { b.loops.change = func(r *traffic.Report) { r.BothUp.Bad = 1 } }, "network/loop-corruption", core.Critical, core.Fail, "eth1"},
		"a canary that is missed": {ends(&traffic.CanaryError{Frames: 8}, false), "network/canary-missed", core.Critical, core.Error, "eth1"},
		"a loop that stalls":      {ends(traffic.ErrStalled, true), "network/loop-broken", core.Critical, core.Error, "eth1"},
		"a slow loop":             {func(b *netBench) { b.loops.change = func(r *traffic.Report) { slower(&r.Down, 50) } }, "network/loop-slow", core.Warning, core.Pass, "eth1"},
		"a loop without a CPU left": {func(b *netBench) {
			b.loops.change = func(r *traffic.Report) {
				slower(&r.Down, 50)
				r.Down.BusiestCPU = 99
			}
		}, "network/loop-slow", core.Info, core.Pass, "eth1"},
		"a link that does not come back": {func(b *netBench) {
			b.loops.after = func() { b.files["sys/class/net/eth2/carrier"] = text("0") }
		}, "network/loop-link-lost", core.Critical, core.Fail, "eth2"},
		"a port that does not come back":            {func(b *netBench) { b.loops.endErr = errors.New("no such device") }, "network/loop-not-restored", core.Critical, core.Error, "eth1"},
		"a link that flaps, of the port that moved": {file("eth1/carrier_changes", "5"), "network/flap", core.Critical, core.Fail, "eth1"},
		"a link that flaps, of the port that stays": {file("eth2/carrier_changes", "5"), "network/flap", core.Critical, core.Fail, "eth2"},
		"damaged frames":                            {file("eth2/statistics/rx_crc_errors", "20"), "network/errors", core.Critical, core.Fail, "eth2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a link is waited for

			b := newLoopBench()
			b.files["sys/class/net/eth3/carrier"] = text("0")
			c.setup(b)

			r := b.run(t)
			found := find(r, c.code)

			if r.Verdict != c.verdict || b.loops.open != 0 || c.code == "" && len(r.Findings) != 0 ||
				c.code != "" && (len(found) == 0 || found[0].Severity != c.severity || found[0].Part.Slot != c.slot || found[0].Next == "") {
				t.Errorf("%s, %d are not ended: %+v", r.Verdict, b.loops.open, r.Findings)
			}

			if c.code == "" && (b.loops.asked.Mbps != 0 || b.loops.asked.LineMbps != 10_000 || !strings.Contains(r.SubSteps[1].Summary, "to eth2 9400 Mbit/s") || !strings.Contains(r.SubSteps[2].Summary, "to eth1 9400 Mbit/s")) {
				t.Errorf("%+v, %+v", b.loops.asked, r.SubSteps)
			}
		})
	}

	b := newLoopBench()
	b.Config[profile.NetworkSelfLoop] = "sometimes"

	if r := b.run(t); r.Verdict != core.Error || !strings.Contains(r.Findings[0].Evidence, "sometimes") {
		t.Errorf("%+v", r)
	}
}

// TestPortsWithoutTheAppliance that lead to each other are tested all the same.
func TestPortsWithoutTheAppliance(t *testing.T) {
	b := newLoopBench()
	b.address = func(port string, _ int) error {
		if port == "eth1" || port == "eth2" {
			return errors.New("no answer")
		}

		return nil
	}
	b.loops.domains = map[string]int{"eth1": 1, "eth2": 1}

	r := b.run(t)
	found := find(r, "network/port-untested")

	if !strings.Contains(r.Coverage, "4 of 4 ports with a link tested; eth0 at 10000 Mbit/s, eth1 with another port alone, eth2 with another port alone, eth3") || strings.Contains(r.Coverage, "eth1 NOT") {
		t.Error(r.Coverage)
	}

	if r.Verdict != core.Pass || len(found) != 2 || found[0].Severity != core.Info || r.SubSteps[1].Verdict != core.Pass || !strings.HasPrefix(r.SubSteps[1].Summary, "NOT tested with the appliance") {
		t.Errorf("%s %+v %+v", r.Verdict, r.Findings, r.SubSteps)
	}

	b.address = func(string, int) error { return errors.New("no answer") }
	b.loops.pairs = nil

	if r := b.run(t); r.Verdict != core.Pass || len(find(r, "network/nothing-tested")) != 0 {
		t.Errorf("no port has an address: %s %+v", r.Verdict, r.Findings)
	}
}

// TestALoopThatIsStopped is ended, and so it is when the stage panics.
func TestALoopThatIsStopped(t *testing.T) {
	b := newLoopBench()
	ctx, cancel := context.WithCancel(t.Context())
	b.loops.during = cancel
	b.loops.change = func(r *traffic.Report) { r.Err = context.Canceled }

	r := stage.Network(probe.Machine{Root: b.files, Ports: b}, b)(ctx, b.Env)
	if r.Verdict != core.Error || len(find(r, "stage/interrupted")) != 1 || b.loops.open != 0 {
		t.Errorf("%d are not ended: %+v", b.loops.open, r)
	}

	b = newLoopBench()
	b.loops.during = func() { panic("a fault") }

	func() {
		defer func() {
			if recover() == nil || b.loops.open != 0 {
				t.Errorf("%d are not ended", b.loops.open)
			}
		}()

		stage.Network(probe.Machine{Root: b.files, Ports: b}, b)(t.Context(), b.Env)
	}()
}
