package threshold_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/threshold"
)

const cpuKey = "cpu/package0/temperature_celsius"

// series makes samples a second apart.
func series(values ...float64) (all []core.Sample) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i, v := range values {
		all = append(all, core.Sample{Time: start.Add(time.Duration(i) * time.Second), Key: cpuKey, Value: v})
	}

	return all
}

func hot(change func(*core.Rule)) []core.Rule {
	r := core.Rule{ID: "hot", Stage: "*", Key: "cpu/*/temperature_celsius", Op: core.OpLTE, Value: 80, Severity: core.Critical}
	if change != nil {
		change(&r)
	}

	return []core.Rule{r}
}

func TestATrailTellsExtremesCountsChangesAndTheSamplesAroundABreach(t *testing.T) {
	all := series(50, 51, 52, 53, 54, 55, 81, 90, math.NaN(), 60, 82, 61)

	trails := threshold.Trails(hot(nil), core.CPUStress, all)
	if len(trails) != 1 {
		t.Fatalf("%d trails", len(trails))
	}

	got := trails[0]
	if got.Count != 11 || got.Bad != 3 || got.Silent != 1 || got.Min != 50 || got.Max != 90 || got.Verdict != core.Fail || got.Limit != "lte 80" {
		t.Errorf("%+v", got)
	}

	verdicts := []core.Verdict{}
	for _, c := range got.Changes {
		verdicts = append(verdicts, c.Verdict)
	}

	if diff := cmp.Diff([]core.Verdict{core.Fail, core.Pass, core.Fail, core.Pass}, verdicts); diff != "" || got.Changed != 4 {
		t.Errorf("%d changes: %s", got.Changed, diff)
	}

	if got.Breached != 2 || len(got.Breaches) != 2 || !got.Breaches[0].From.Equal(all[6].Time) || !got.Breaches[0].To.Equal(all[9].Time) {
		t.Fatalf("%+v", got.Breaches)
	}

	values := []float64{}
	for _, s := range got.Breaches[0].Samples {
		values = append(values, s.Value)
	}

	if diff := cmp.Diff([]float64{51, 52, 53, 54, 55, 81, 90}, values); diff != "" {
		t.Error(diff)
	}
}

func TestATrailIsShortHoweverLongTheStage(t *testing.T) {
	values := make([]float64, 100_000)
	for i := range values {
		values[i] = 79 + float64(i%4) // in and out
	}

	got := threshold.Trails(hot(nil), core.CPUStress, series(values...))

	raw, err := json.Marshal(got)
	if err != nil || len(raw) > 8<<10 || got[0].Breached != 25_000 || got[0].Count != 100_000 {
		t.Errorf("%d bytes, %d breaches of %d: %v", len(raw), got[0].Breached, got[0].Count, err)
	}
}

func TestABreachThatMustLastIsNoChangeBefore(t *testing.T) {
	rules := hot(func(r *core.Rule) { r.Count = 3 })

	got := threshold.Trails(rules, core.CPUStress, series(81, 82, 50, 81, 82, 83, 50))[0]
	if got.Bad != 5 || got.Changed != 2 || got.Breached != 2 || got.Verdict != core.Fail {
		t.Errorf("%+v", got)
	}

	want := []core.Verdict{core.Pass, core.Pass, core.Pass, core.Pass, core.Pass, core.Fail, core.Pass}

	badges := threshold.Badges(rules, core.CPUStress, series(81, 82, 50, 81, 82, 83, 50))
	for i, b := range badges {
		if b.Verdict != want[i] {
			t.Errorf("sample %d: %+v", i, b)
		}
	}
}

// reliability.md §5: "random permutations give equal verdicts".
func TestTrailsAndBadgesDoNotDependOnTheOrder(t *testing.T) {
	rules := hot(func(r *core.Rule) { r.For = 2 * time.Second })
	all := series(50, 81, 82, 83, 84, 50, math.NaN(), 85, 86, 50)
	trails, badges := threshold.Trails(rules, core.SMART, all), threshold.Badges(rules, core.SMART, all)
	random := rand.New(rand.NewPCG(1, 2))

	for range 50 {
		shuffled := slices.Clone(all)
		random.Shuffle(len(shuffled), func(i, k int) { shuffled[i], shuffled[k] = shuffled[k], shuffled[i] })

		if diff := cmp.Diff(trails, threshold.Trails(rules, core.SMART, shuffled)); diff != "" {
			t.Fatal(diff)
		}

		for i, b := range threshold.Badges(rules, core.SMART, shuffled) {
			at := slices.IndexFunc(all, func(s core.Sample) bool { return s.Time.Equal(shuffled[i].Time) })
			if b != badges[at] {
				t.Fatalf("%v: %+v, was %+v", shuffled[i], b, badges[at])
			}
		}
	}
}

func TestASampleShowsTheGravestRuleItBroke(t *testing.T) {
	rules := append(hot(nil), core.Rule{ID: "warm", Stage: "*", Key: "cpu/*/temperature_celsius", Op: core.OpLT, Value: 70, Severity: core.Warning})

	for value, want := range map[float64]threshold.Badge{
		50: {Rule: "hot", Severity: core.Critical, Verdict: core.Pass},
		75: {Rule: "warm", Severity: core.Warning, Verdict: core.Fail},
		90: {Rule: "hot", Severity: core.Critical, Verdict: core.Fail},
	} {
		if got := threshold.Badges(rules, core.SMART, series(value))[0]; got != want {
			t.Errorf("%v: %+v", value, got)
		}
	}

	if got := threshold.Badges(nil, core.SMART, series(90))[0]; got != (threshold.Badge{}) {
		t.Errorf("without rules: %+v", got)
	}
}

// decisions.md: "most specific rule wins, ties to the stricter". What was said of
// this host is more specific than what was said of all.
func TestTheRuleOfTheHostCountsOverTheProfiles(t *testing.T) {
	rules := hot(nil)
	rules = append(rules, core.Rule{
		ID: "hot-here", Stage: "*", Key: "cpu/*/temperature_celsius", Op: core.OpLTE, Value: 95, Severity: core.Critical, From: core.FromHost,
	})

	if got := threshold.Evaluate(rules, core.SMART, series(90)); got[0].Rule != "hot-here" || got[0].Verdict != core.Pass {
		t.Errorf("%+v", got)
	}

	rules[0].Key = cpuKey // more specific about the key

	if got := threshold.Evaluate(rules, core.SMART, series(90)); got[0].Rule != "hot" || got[0].Verdict != core.Fail {
		t.Errorf("%+v", got)
	}
}
