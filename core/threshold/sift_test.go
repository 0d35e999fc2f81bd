package threshold_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/core"
	"vetting/core/threshold"
)

// someRules are rules of every kind over a few keys.
func someRules(chance *rand.Rand) (rules []core.Rule) {
	ops := []core.Op{core.OpLT, core.OpLTE, core.OpGT, core.OpGTE, core.OpWithinPct}
	keys := []string{"disk/*/temperature_celsius", "disk/sda/temperature_celsius", "cpu/*/load_percent", "nic/*/speed_mbps"}

	for i := range 1 + chance.IntN(4) {
		r := core.Rule{
			ID: fmt.Sprint("r", i), Stage: "*", Key: keys[chance.IntN(len(keys))], Op: ops[chance.IntN(len(ops))],
			Value: float64(chance.IntN(100)), Severity: []core.Severity{core.Critical, core.Warning}[chance.IntN(2)],
			Count: chance.IntN(4), For: time.Duration(chance.IntN(4)) * time.Second, Required: chance.IntN(2) == 0,
		}
		if r.Op == core.OpWithinPct || chance.IntN(3) == 0 {
			r.Of = []string{"50", "baseline", "disk/sdb/temperature_celsius"}[chance.IntN(3)]
			r.Baseline = core.Baseline{Value: 40, From: "golden host g"}
		}

		rules = append(rules, r)
	}

	return rules
}

// someSamples are a minute of a few keys, in the order of their times, mostly calm.
func someSamples(chance *rand.Rand) (samples []core.Sample) {
	keys := []string{"disk/sda/temperature_celsius", "disk/sdb/temperature_celsius", "cpu/package0/load_percent", "memory/all/used_bytes"}
	wild := chance.IntN(30)

	for i := range 60 {
		for _, key := range keys {
			v := float64(40 + chance.IntN(5))

			switch {
			case chance.IntN(100) < wild:
				v = float64(chance.IntN(100))
			case chance.IntN(40) == 0:
				v = math.NaN()
			}

			samples = append(samples, core.Sample{Time: start().Add(time.Duration(i) * time.Second), Key: key, Value: v})
		}

		samples = append(samples, core.Sample{Time: start().Add(time.Duration(i) * time.Second), Key: "nic/eth0/speed_mbps", Value: math.NaN()})
	}

	return samples
}

// What is kept on a disk that is nearly full gives the same verdicts, extremes,
// breaches and changes as everything would.
func TestVerdictsDependOnTheTellingSamplesAlone(t *testing.T) {
	kept, all := 0, 0

	for seed := range uint64(400) {
		chance := rand.New(rand.NewPCG(seed, 7))
		rules, samples := someRules(chance), someSamples(chance)
		j := threshold.New(rules, core.SMART)

		var telling []core.Sample

		for rest := samples; len(rest) > 0; {
			n := min(len(rest), 4*(1+chance.IntN(5)))
			_, some := j.Sift(rest[:n])
			telling, rest = append(telling, some...), rest[n:]
		}

		want, got := threshold.Evaluate(rules, core.SMART, samples), threshold.Evaluate(rules, core.SMART, telling)
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Fatalf("seed %d: rules %+v\n%s", seed, rules, diff)
		}

		counts := cmpopts.IgnoreFields(core.Trail{}, "Count", "Silent", "First", "Last")
		lead := cmpopts.IgnoreFields(core.TrailBreach{}, "Samples")

		if diff := cmp.Diff(threshold.Trails(rules, core.SMART, samples), threshold.Trails(rules, core.SMART, telling), counts, lead); diff != "" {
			t.Fatalf("seed %d: rules %+v\n%s", seed, rules, diff)
		}

		kept, all = kept+len(telling), all+len(samples)
	}

	if kept > all/2 {
		t.Errorf("%d of %d samples tell", kept, all)
	}
}

// Where nothing is wrong, next to nothing is kept.
func TestACalmSeriesIsKeptInAFewSamples(t *testing.T) {
	rules := []core.Rule{rule(core.OpLT, 85)}

	var samples []core.Sample
	for i := range 3600 {
		samples = append(samples, core.Sample{Time: start().Add(time.Duration(i) * time.Second), Key: temperature, Value: float64(40 + i%7)},
			core.Sample{Time: start().Add(time.Duration(i) * time.Second), Key: "memory/all/used_bytes", Value: float64(i)})
	}

	if _, telling := threshold.New(rules, core.SMART).Sift(samples); len(telling) != 7 {
		t.Errorf("%d samples of %d tell", len(telling), len(samples))
	}
}
