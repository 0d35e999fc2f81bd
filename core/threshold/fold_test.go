package threshold_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/threshold"
)

// Each rollup says of its samples what they say themselves, and has the worst of
// their badges.
func TestARollupStandsForItsSamples(t *testing.T) {
	const step = 10 * time.Second

	for seed := range uint64(100) {
		chance := rand.New(rand.NewPCG(seed, 8))
		rules, samples := someRules(chance), someSamples(chance)
		badges := threshold.Badges(rules, core.SMART, samples)
		count := 0

		for _, r := range threshold.Fold(rules, core.SMART, samples, step, nil) {
			want := core.Rollup{Time: r.Time, Key: r.Key, Min: math.Inf(1), Max: math.Inf(-1)}
			sum := 0.0

			var verdicts []core.Verdict

			for i, s := range samples {
				if s.Key != r.Key || s.Time.Before(r.Time) || !s.Time.Before(r.Time.Add(step)) {
					continue
				}

				count++

				verdicts = append(verdicts, badges[i].Verdict)

				if math.IsNaN(s.Value) {
					want.Silent++

					continue
				}

				want.Min, want.Max, want.Count, sum = min(want.Min, s.Value), max(want.Max, s.Value), want.Count+1, sum+s.Value
			}

			if r.Silent != want.Silent || r.Count != want.Count || r.Count > 0 && (r.Min != want.Min || r.Max != want.Max || math.Abs(r.Mean-sum/float64(r.Count)) > 1e-4) {
				t.Fatalf("seed %d: %+v of %+v", seed, r, want)
			}

			if worst := worstOf(verdicts); r.Verdict != worst {
				t.Fatalf("seed %d: %s %s has the badge %q, its samples %v", seed, r.Key, r.Time, r.Verdict, verdicts)
			}
		}

		if count != len(samples) {
			t.Fatalf("seed %d: %d of %d samples are in a rollup", seed, count, len(samples))
		}
	}
}

func worstOf(verdicts []core.Verdict) core.Verdict {
	for _, v := range []core.Verdict{core.Fail, core.Unmeasurable, core.Pass} {
		if slices.Contains(verdicts, v) {
			return v
		}
	}

	return ""
}

// What is folded a few keys at a time comes out as at once, as long as the keys
// that rules compare with are there.
func TestFoldingAFewKeysAtATime(t *testing.T) {
	for seed := range uint64(50) {
		chance := rand.New(rand.NewPCG(seed, 9))
		rules, samples := someRules(chance), someSamples(chance)

		var parts []core.Rollup

		for _, key := range []string{"cpu/package0/load_percent", "disk/sda/temperature_celsius", "disk/sdb/temperature_celsius", "memory/all/used_bytes", "nic/eth0/speed_mbps"} {
			some := slices.DeleteFunc(slices.Clone(samples), func(s core.Sample) bool {
				return s.Key != key && !slices.Contains(threshold.Compared(rules), s.Key)
			})
			parts = append(parts, threshold.Fold(rules, core.SMART, some, 10*time.Second, func(k string) bool { return k == key })...)
		}

		if diff := cmp.Diff(threshold.Fold(rules, core.SMART, samples, 10*time.Second, nil), parts); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
	}
}
