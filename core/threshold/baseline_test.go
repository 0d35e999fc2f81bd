package threshold_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/threshold"
)

// passed is a host whose disks measured so much in SMART.
func passed(name string, values ...float64) threshold.Peer {
	medians := map[string]float64{"cpu/package0/temperature_celsius": 1000}
	for i, v := range values {
		medians["disk/sd"+string(rune('a'+i))+"/temperature_celsius"] = v
	}

	return threshold.Peer{Name: name, Figures: []core.Figures{{Stage: core.SMART, Medians: medians}, {
		Stage: core.Burn, Medians: map[string]float64{temperature: 99},
	}}}
}

func golden(p threshold.Peer) threshold.Peer {
	p.Golden = true

	return p
}

// stages.md §1.7: the median of the class (5 passed hosts or more), else the golden
// host, else a constant; else it cannot be measured.
func TestWhatABaselineStandsFor(t *testing.T) {
	four := []threshold.Peer{passed("a", 30), passed("b", 31), passed("c", 35), passed("d", 60)}
	fallback := func(r *core.Rule) { r.Fallback = 25 }

	for name, c := range map[string]struct {
		peers  []threshold.Peer
		change func(*core.Rule)
		want   core.Baseline
	}{
		"five hosts":                   {append(four[:4:4], passed("e", 33)), nil, core.Baseline{Value: 33, From: "median of 5 hosts of r640"}},
		"six hosts":                    {append(four[:4:4], passed("e", 33), passed("f", 32)), fallback, core.Baseline{Value: 32.5, From: "median of 6 hosts of r640"}},
		"five, and a golden one":       {append(four[:4:4], golden(passed("e", 33))), nil, core.Baseline{Value: 33, From: "median of 5 hosts of r640"}},
		"four":                         {four, nil, core.Baseline{}},
		"four, and a constant":         {four, fallback, core.Baseline{Value: 25, From: "fallback"}},
		"four, one of them golden":     {append(four[:3:3], golden(passed("g", 40))), fallback, core.Baseline{Value: 40, From: "golden host g"}},
		"a golden host of two disks":   {[]threshold.Peer{golden(passed("g", 30, 40))}, nil, core.Baseline{Value: 35, From: "golden host g"}},
		"nobody":                       {nil, nil, core.Baseline{}},
		"the fifth measured no disk":   {append(four[:4:4], passed("e")), nil, core.Baseline{}},
		"they all measured nothing":    {[]threshold.Peer{golden(passed("g", 0))}, nil, core.Baseline{}},
		"another stage":                {append(four[:4:4], passed("e", 33)), func(r *core.Rule) { r.Stage = "Burn" }, core.Baseline{Value: 99, From: "median of 5 hosts of r640"}},
		"a rule that is about no one":  {append(four[:4:4], passed("e", 33)), func(r *core.Rule) { r.Of = "70" }, core.Baseline{}},
		"a rule that was told so much": {nil, func(r *core.Rule) { r.Of, r.Baseline = "70", core.Baseline{Value: 1, From: "me"} }, core.Baseline{}},
	} {
		r := with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of, r.Stage = "baseline", "SMART" })
		if c.change != nil {
			c.change(&r)
		}

		rules := []core.Rule{r}
		if got := threshold.Resolve(rules, "r640", c.peers)[0].Baseline; got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}

		if rules[0].Baseline != r.Baseline {
			t.Errorf("%s: the rule that was given has changed", name)
		}
	}
}

func TestABaselineIsJudgedAndTold(t *testing.T) {
	for value, want := range map[float64]core.Verdict{36: core.Pass, 44: core.Pass, 35.9: core.Fail, 44.1: core.Fail} {
		r := with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of, r.Stage = "baseline", "SMART" })
		rules := threshold.Resolve([]core.Rule{r}, "r640", []threshold.Peer{golden(passed("g", 40))})

		got := threshold.Evaluate(rules, core.SMART, values(value))
		if len(got) != 1 || got[0].Verdict != want || got[0].Limit != "within_pct 10 of 40 (golden host g)" {
			t.Errorf("%v: %+v", value, got)
		}
	}
}

// A host that is faster than its class is no worse for it.
func TestAShareOfABaselineHasOneSide(t *testing.T) {
	for value, want := range map[float64]core.Verdict{34: core.Pass, 400: core.Pass, 33.9: core.Fail} {
		r := with(rule(core.OpGTE, 85), func(r *core.Rule) { r.Of, r.Stage = "baseline", "SMART" })
		rules := threshold.Resolve([]core.Rule{r}, "r640", []threshold.Peer{golden(passed("g", 40))})

		got := threshold.Evaluate(rules, core.SMART, values(value))
		if len(got) != 1 || got[0].Verdict != want || got[0].Limit != "gte 85 % of 40 (golden host g)" {
			t.Errorf("%v: %+v", value, got)
		}
	}

	none := with(rule(core.OpGTE, 85), func(r *core.Rule) { r.Of, r.Stage = "baseline", "SMART" })
	if got := threshold.Evaluate([]core.Rule{none}, core.SMART, values(1)); len(got) != 1 || got[0].Verdict != core.Unmeasurable {
		t.Errorf("without a baseline: %+v", got)
	}
}

func TestMediansOfAStage(t *testing.T) {
	samples := append(values(3, 1, math.NaN(), 2), core.Sample{Key: "disk/sdb/temperature_celsius", Value: math.Inf(1)},
		core.Sample{Key: "nic/eth0/speed_mbps", Value: 4}, core.Sample{Key: "nic/eth0/speed_mbps", Value: 1})

	want := map[string]float64{temperature: 2, "nic/eth0/speed_mbps": 2.5}
	if diff := cmp.Diff(want, threshold.Medians(samples)); diff != "" {
		t.Error(diff)
	}
}
