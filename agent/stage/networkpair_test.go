package stage_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"vetting/agent/traffic"
	"vetting/core"
	"vetting/core/profile"
)

// Serve stands for the running system.
func (b *netBench) Serve(_ context.Context, _, addr string) (traffic.Peer, func(), error) {
	b.serving++

	return traffic.Peer{Ticket: traffic.Ticket{ID: "mine", Server: netip.MustParseAddrPort(addr + ":40001")}}, func() { b.serving-- }, b.unserved
}

// peered is a machine whose port is faster than the appliance lets it show, and what the
// appliance answers when it looks for another machine.
func peered(b *netBench, script ...traffic.Meeting) *netBench {
	b.change = func(r *traffic.Report) {
		for _, f := range r.Flows() {
			slower(f, 40)
			f.Appliance.BusiestCPU = 99
		}

		b.change = func(*traffic.Report) {} // the next test is with the other machine
	}

	b.Pair = func(_ context.Context, step traffic.Step, id string, mine traffic.Peer) (traffic.Meeting, error) {
		b.steps = append(b.steps, step)

		if step == traffic.Leave {
			return traffic.Meeting{At: traffic.Gone}, nil
		}

		if len(script) == 0 || mine.ID != "mine" || mine.Mbps != 10_000 || step > traffic.Expect && id != "m" {
			return traffic.Meeting{}, errors.New("nobody knows what you want")
		}

		next := script[0]
		script = script[1:]

		return next, nil
	}

	return b
}

func meets(at ...traffic.Moment) (script []traffic.Meeting) {
	for _, m := range at {
		met := traffic.Meeting{At: m}
		if m == traffic.Turn || m == traffic.Serve {
			met.ID, met.Peer = "m", traffic.Peer{Ticket: traffic.Ticket{Server: netip.MustParseAddrPort("10.77.0.51:40001")}, Host: "rack1-u05", Mbps: 10_000}
		}

		script = append(script, met)
	}

	return script
}

// TestAPortThatTheApplianceIsTooSlowFor is measured with another machine, and is known to
// be fast then; each way to meet ends with both having had their turn.
func TestAPortThatTheApplianceIsTooSlowFor(t *testing.T) {
	for name, script := range map[string][]traffic.Meeting{
		"the first turn":          meets(traffic.Waiting, traffic.Turn, traffic.Serve, traffic.Serve, traffic.Over),
		"the second turn":         meets(traffic.Serve, traffic.Serve, traffic.Turn, traffic.Over),
		"a turn that is lost":     meets(traffic.Turn, traffic.Turn, traffic.Over),
		"the other leaves later":  meets(traffic.Turn, traffic.Gone),
		"nobody answers any more": meets(traffic.Turn),
	} {
		t.Run(name, func(t *testing.T) {
			b := peered(newNetBench(), script...)
			r := b.run(t)

			if r.Verdict != core.Pass || len(find(r, "network/pair-slow")) > 0 || strings.Contains(r.Coverage, "NOT judged") || !strings.Contains(r.Coverage, "eth0 speed measured with rack1-u05") {
				t.Errorf("%s %+v: %s", r.Verdict, r.Findings, r.Coverage)
			}

			if b.asked.Mbps != 0 || b.asked.LineMbps != 10_000 || b.serving != 0 || b.dropped != 1 {
				t.Errorf("asked for %+v, %d ports are served, %d addresses given back", b.asked, b.serving, b.dropped)
			}

			if !strings.Contains(r.SubSteps[0].Summary, "with rack1-u05 sent") || b.steps[len(b.steps)-1] != traffic.Leave {
				t.Errorf("%+v, %v", r.SubSteps, b.steps)
			}

			if !slices.ContainsFunc(r.Measurements, func(s core.Sample) bool { return s.Key == "nic/eth0/pair_sent_mbps" && s.Value > 9000 }) {
				t.Errorf("%+v", r.Measurements)
			}
		})
	}
}

// TestNobodyToBeMeasuredWith: the port's speed stays unknown, which is told and fails
// nothing.
func TestNobodyToBeMeasuredWith(t *testing.T) {
	for name, c := range map[string]struct {
		script []traffic.Meeting
		setup  func(b *netBench)
		why    string
	}{
		"alone":                        {meets(traffic.Alone), nil, "no other machine was there"},
		"the other leaves at once":     {meets(traffic.Serve, traffic.Gone), nil, "the other machine left"},
		"an appliance of old":          {nil, nil, "does not bring machines together"},
		"a port that cannot be served": {meets(traffic.Turn), func(b *netBench) { b.unserved = errors.New("no port is free") }, "no port is free"},
		"a test that breaks off": {meets(traffic.Turn, traffic.Over), func(b *netBench) {
			first := b.change
			b.change = func(r *traffic.Report) {
				first(r)
				b.change = func(r *traffic.Report) {
					*r = traffic.Report{Phase: "sending", Err: errors.New("connection reset by peer")}
				}
			}
		}, "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			b := peered(newNetBench(), c.script...)
			if c.setup != nil {
				c.setup(b)
			}

			r := b.run(t)
			if r.Verdict != core.Pass || !strings.Contains(r.Coverage, "speed NOT judged") || strings.Contains(r.Coverage, "measured with") || !strings.Contains(r.SubSteps[0].Summary, c.why) {
				t.Errorf("%s %q, %q", r.Verdict, r.Coverage, r.SubSteps[0].Summary)
			}
		})
	}
}

// TestWhatTwoMachinesFind is nobody's fault alone: what is slow fails neither, and what was
// altered lets neither pass.
func TestWhatTwoMachinesFind(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(r *traffic.Report)
		code     string
		severity core.Severity
		verdict  core.Verdict
	}{
		"a pair that is fast":       {func(*traffic.Report) {}, "", "", core.Pass},
		"a pair that is slow":       {func(r *traffic.Report) { slower(&r.Down, 50) }, "network/pair-slow", core.Warning, core.Pass},
		"a pair without a CPU left": {func(r *traffic.Report) { slower(&r.Down, 50); r.Up.Appliance.BusiestCPU = 99 }, "network/pair-slow", core.Info, core.Pass},
		"a pair that alters data":   {func(r *traffic.Report) { r.BothUp.Bad = 1 }, "network/pair-corruption", core.Critical, core.Error},
	} {
		t.Run(name, func(t *testing.T) {
			b := peered(newNetBench(), meets(traffic.Turn, traffic.Over)...)
			first := b.change
			b.change = func(r *traffic.Report) {
				first(r)
				b.change = c.change
			}

			r := b.run(t)
			found := find(r, c.code)

			if r.Verdict != c.verdict || c.code != "" && (len(found) != 1 || found[0].Severity != c.severity || found[0].Part.Slot != "eth0") {
				t.Errorf("%s %+v", r.Verdict, r.Findings)
			}
		})
	}
}

// TestWhoIsMeasuredWithAnother: whoever is too fast for the appliance, and whom the profile
// names.
func TestWhoIsMeasuredWithAnother(t *testing.T) {
	for name, c := range map[string]struct {
		setup func(b *netBench)
		pairs bool
	}{
		"the appliance is fast enough": {func(b *netBench) { b.change = func(*traffic.Report) {} }, false},
		"always": {func(b *netBench) {
			b.change = func(*traffic.Report) {}
			b.Config[profile.NetworkPair] = "always"
		}, true},
		"never":             {func(b *netBench) { b.Config[profile.NetworkPair] = "never" }, false},
		"a virtual machine": {func(b *netBench) { b.files["sys/class/dmi/id/sys_vendor"] = text("QEMU") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := peered(newNetBench(), meets(traffic.Alone)...)
			c.setup(b)
			b.run(t)

			if len(b.steps) > 0 != c.pairs || c.pairs && b.steps[0] != traffic.Expect {
				t.Errorf("%v", b.steps)
			}
		})
	}

	b := newNetBench()
	b.Config[profile.NetworkPair] = "sometimes"

	if r := b.run(t); r.Verdict != core.Error || !strings.Contains(r.Findings[0].Evidence, "sometimes") {
		t.Errorf("%+v", r)
	}

	b = peered(newNetBench(), meets(traffic.Turn, traffic.Over)...)
	b.change = func(r *traffic.Report) {
		for _, f := range r.Flows() {
			slower(f, 40)
			f.Appliance.BusiestCPU = 99
		}
	}

	if r := b.run(t); !strings.Contains(r.Coverage, "NOT judged") {
		t.Errorf("a pair that shows nothing: %s", r.Coverage)
	}
}
