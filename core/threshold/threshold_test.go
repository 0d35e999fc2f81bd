package threshold_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/core"
	"vetting/core/threshold"
)

const temperature = "disk/sda/temperature_celsius"

func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// values makes samples of the disk's temperature, a second apart.
func values(vs ...float64) (samples []core.Sample) {
	for i, v := range vs {
		samples = append(samples, core.Sample{Time: start().Add(time.Duration(i) * time.Second), Key: temperature, Value: v})
	}

	return samples
}

func rule(op core.Op, value float64) core.Rule {
	return core.Rule{ID: "r", Stage: "*", Key: "disk/*/temperature_celsius", Op: op, Value: value, Severity: core.Critical}
}

// with changes a rule.
func with(r core.Rule, change func(*core.Rule)) core.Rule {
	change(&r)

	return r
}

func TestOneRule(t *testing.T) {
	nan := math.NaN()

	for name, c := range map[string]struct {
		rule    core.Rule
		samples []core.Sample
		want    core.Verdict
		value   float64
	}{
		"lt holds below":            {rule(core.OpLT, 50), values(49.9), core.Pass, 49.9},
		"lt is broken at":           {rule(core.OpLT, 50), values(50), core.Fail, 50},
		"lte holds at":              {rule(core.OpLTE, 50), values(50), core.Pass, 50},
		"lte is broken above":       {rule(core.OpLTE, 50), values(50.1), core.Fail, 50.1},
		"gt holds above":            {rule(core.OpGT, 50), values(50.1), core.Pass, 50.1},
		"gt is broken at":           {rule(core.OpGT, 50), values(50), core.Fail, 50},
		"gte holds at":              {rule(core.OpGTE, 50), values(50), core.Pass, 50},
		"gte is broken below":       {rule(core.OpGTE, 50), values(49.9), core.Fail, 49.9},
		"the worst value is told":   {rule(core.OpLT, 50), values(30, 45, 20), core.Pass, 45},
		"the worst below a floor":   {rule(core.OpGT, 10), values(30, 45, 20), core.Pass, 20},
		"one stray sample of three": {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Count = 3 }), values(60, 60, 40, 60, 60), core.Pass, 60},
		"three in a row":            {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Count = 3 }), values(40, 60, 60, 60), core.Fail, 60},
		"not long enough":           {with(rule(core.OpLT, 50), func(r *core.Rule) { r.For = 3 * time.Second }), values(60, 60, 60, 40), core.Pass, 60},
		"long enough":               {with(rule(core.OpLT, 50), func(r *core.Rule) { r.For = 3 * time.Second }), values(60, 60, 60, 60), core.Fail, 60},
		"both for and count":        {with(rule(core.OpLT, 50), func(r *core.Rule) { r.For, r.Count = time.Second, 4 }), values(60, 60, 60), core.Pass, 60},
		"a gap is no good value":    {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Count = 2 }), values(60, nan, 60), core.Fail, 60},
		"no number at all":          {rule(core.OpLT, 50), values(nan, nan), core.Unmeasurable, nan},
		"no number, but required":   {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Required = true }), values(nan), core.Error, nan},
		"an infinite value":         {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Required = true }), values(math.Inf(-1)), core.Error, nan},
		"a required value missing":  {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Required = true }), nil, core.Error, nan},
		"missing, of this stage":    {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Stage = "SMART" }), nil, core.Unmeasurable, nan},
		"missing, of any stage":     {rule(core.OpLT, 50), nil, "", nan},
		"another stage's rule":      {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Stage, r.Required = "Burn", true }), values(90), "", nan},
		"a glob over stages":        {with(rule(core.OpLT, 50), func(r *core.Rule) { r.Stage = "S*" }), values(90), core.Fail, 90},
		"another stage's samples": {
			rule(core.OpLT, 50), []core.Sample{{Time: start(), Key: temperature, Value: 90, Stage: core.Burn}}, "", nan,
		},
		"within a constant":  {with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of = "100" }), values(91, 110), core.Pass, 110},
		"outside a constant": {with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of = "100" }), values(89), core.Fail, 89},
		"a baseline nobody has": {
			with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of = "baseline" }), values(89), core.Unmeasurable, nan,
		},
		"a baseline nobody has, required": {
			with(rule(core.OpWithinPct, 10), func(r *core.Rule) { r.Of, r.Required = "baseline", true }), values(89), core.Error, nan,
		},
	} {
		got := threshold.Evaluate([]core.Rule{c.rule}, core.SMART, c.samples)

		if c.want == "" {
			if len(got) != 0 {
				t.Errorf("%s: %+v", name, got)
			}

			continue
		}

		if len(got) != 1 || got[0].Verdict != c.want || !alike(got[0].Value, c.value) {
			t.Errorf("%s: %+v, want %s of %v", name, got, c.want, c.value)
		}
	}
}

func alike(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestWithinPctOfAnotherKey(t *testing.T) {
	r := with(rule(core.OpWithinPct, 5), func(r *core.Rule) { r.Key, r.Of = temperature, "disk/sdb/temperature_celsius" })

	got := threshold.Evaluate([]core.Rule{r}, core.SMART, append(values(0, 50),
		core.Sample{Time: start(), Key: "disk/sdb/temperature_celsius", Value: 40}))

	if len(got) != 1 || got[0].Verdict != core.Fail || got[0].Limit != "within_pct 5 of disk/sdb/temperature_celsius" {
		t.Errorf("%+v", got)
	}
}

// decisions.md: "most specific rule wins, ties to the stricter".
func TestWhichRuleCounts(t *testing.T) {
	named := func(id, stage, key string, op core.Op, value float64, s core.Severity) core.Rule {
		return core.Rule{ID: id, Stage: stage, Key: key, Op: op, Value: value, Severity: s}
	}

	any, disk, one := "*/*/temperature_celsius", "disk/*/temperature_celsius", temperature

	for name, c := range map[string]struct {
		rules []core.Rule
		want  string
	}{
		"an exact key beats a glob":       {[]core.Rule{named("glob", "*", disk, core.OpLT, 10, core.Critical), named("exact", "*", one, core.OpLT, 90, core.Critical)}, "exact"},
		"a longer glob beats a shorter":   {[]core.Rule{named("any", "*", any, core.OpLT, 10, core.Critical), named("disk", "*", disk, core.OpLT, 90, core.Critical)}, "disk"},
		"a named stage beats all":         {[]core.Rule{named("all", "*", disk, core.OpLT, 10, core.Critical), named("smart", "SMART", disk, core.OpLT, 90, core.Critical)}, "smart"},
		"the key counts before the stage": {[]core.Rule{named("stage", "SMART", disk, core.OpLT, 10, core.Critical), named("key", "*", one, core.OpLT, 90, core.Critical)}, "key"},
		"a tie goes to the lower ceiling": {[]core.Rule{named("90", "*", disk, core.OpLT, 90, core.Critical), named("80", "*", disk, core.OpLT, 80, core.Critical)}, "80"},
		"a tie goes to the higher floor":  {[]core.Rule{named("5", "*", disk, core.OpGT, 5, core.Critical), named("9", "*", disk, core.OpGT, 9, core.Critical)}, "9"},
		"lt is stricter than lte":         {[]core.Rule{named("lte", "*", disk, core.OpLTE, 80, core.Critical), named("lt", "*", disk, core.OpLT, 80, core.Critical)}, "lt"},
		"warning and critical both count": {[]core.Rule{named("warn", "*", disk, core.OpLT, 50, core.Warning), named("crit", "*", disk, core.OpLT, 80, core.Critical)}, "warn crit"},
		"floor and ceiling both count":    {[]core.Rule{named("floor", "*", disk, core.OpGT, 5, core.Critical), named("ceiling", "*", disk, core.OpLT, 80, core.Critical)}, "floor ceiling"},
	} {
		for range 2 {
			var ids []string
			for _, e := range threshold.Evaluate(c.rules, core.SMART, values(40)) {
				ids = append(ids, e.Rule)
			}

			want := strings.Fields(c.want)
			slices.Sort(want)
			slices.Sort(ids)

			if !slices.Equal(ids, want) {
				t.Errorf("%s: %v", name, ids)
			}

			slices.Reverse(c.rules) // the order they are written in says nothing
		}
	}
}

func TestABreachIsToldOnceWhenItHappens(t *testing.T) {
	j := threshold.New([]core.Rule{with(rule(core.OpLT, 50), func(r *core.Rule) { r.Count = 2 })}, core.SMART)

	if b := j.Add(values(60)); len(b) != 0 {
		t.Errorf("too early: %+v", b)
	}

	trial := j.Clone()
	if b := trial.Add(values(61)); len(b) != 1 || b[0].Key != temperature || b[0].Limit != "lt 50" {
		t.Errorf("%+v", b)
	}

	if got := j.Evaluations(); got[0].Verdict != core.Pass {
		t.Error("the clone is not independent")
	}

	if b := trial.Add(values(70)); len(b) != 0 {
		t.Errorf("told twice: %+v", b)
	}

	if got := trial.Evaluations(); got[0].Verdict != core.Fail || got[0].Value != 70 {
		t.Errorf("%+v", got)
	}
}

// reliability.md §5: "random permutations give equal verdicts".
func TestTheOrderOfArrivalSaysNothing(t *testing.T) {
	rules := []core.Rule{
		with(rule(core.OpLT, 50), func(r *core.Rule) { r.For = 2 * time.Second }),
		with(rule(core.OpGT, 10), func(r *core.Rule) { r.ID, r.Count = "floor", 2 }),
	}
	samples := values(40, 60, 60, 60, 9, 30, 9, 9, math.NaN(), 55)
	want := threshold.Evaluate(rules, core.SMART, samples)
	random := rand.New(rand.NewPCG(1, 2))

	for range 200 {
		random.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })

		if diff := cmp.Diff(want, threshold.Evaluate(rules, core.SMART, samples), cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*core.Rule)
		word   string
	}{
		"no id":                        {func(r *core.Rule) { r.ID = "" }, "no id"},
		"an unknown stage":             {func(r *core.Rule) { r.Stage = "smart" }, "stage"},
		"no stage":                     {func(r *core.Rule) { r.Stage = "" }, "stage"},
		"an unknown key":               {func(r *core.Rule) { r.Key = "disk/*/temprature_celsius" }, "sample key"},
		"a key of two words":           {func(r *core.Rule) { r.Key = "disk/*" }, "sample key"},
		"a broken pattern":             {func(r *core.Rule) { r.Key = "disk/[/temperature_celsius" }, "sample key"},
		"an unknown comparison":        {func(r *core.Rule) { r.Op = "<" }, "op"},
		"a limit that is no number":    {func(r *core.Rule) { r.Value = math.NaN() }, "number"},
		"an unknown severity":          {func(r *core.Rule) { r.Severity = "bad" }, "severity"},
		"a negative time":              {func(r *core.Rule) { r.For = -1 }, "for"},
		"within_pct of nothing":        {func(r *core.Rule) { r.Op = core.OpWithinPct }, "within_pct"},
		"within_pct of zero":           {func(r *core.Rule) { r.Op, r.Of = core.OpWithinPct, "0" }, "of is"},
		"within_pct of an unknown key": {func(r *core.Rule) { r.Op, r.Of = core.OpWithinPct, "a/b/c" }, "of is"},
		"a share of an unknown key":    {func(r *core.Rule) { r.Of = "a/b/c" }, "of is"},
		"a negative share":             {func(r *core.Rule) { r.Of, r.Value = "5", -1 }, "percentage"},
	} {
		r := rule(core.OpLT, 50)
		c.change(&r)

		err := threshold.Check([]core.Rule{r})
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if err := threshold.Check([]core.Rule{rule(core.OpLT, 50), rule(core.OpLT, 60)}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("one id twice: %v", err)
	}

	if err := threshold.Check([]core.Rule{with(rule(core.OpWithinPct, 50), func(r *core.Rule) { r.Of = temperature })}); err != nil {
		t.Error(err)
	}
}

func TestEndlessKeysAreBounded(t *testing.T) {
	j := threshold.New([]core.Rule{rule(core.OpLT, 50)}, core.SMART)

	for i := range 10000 {
		j.Add([]core.Sample{{Time: start(), Key: "disk/" + strings.Repeat("x", i%100) + string(rune('a'+i%26)) + time.Duration(i).String() + "/temperature_celsius", Value: 90}})
	}

	all := j.Evaluations()
	if n := len(all); n != 4097 || all[4096].Verdict != core.Error {
		t.Errorf("%d evaluations, the last %+v", n, all[n-1])
	}
}

// FuzzJudge: whatever a machine sends, judging does not panic and never says pass
// of a key without a number.
func FuzzJudge(f *testing.F) {
	f.Add(temperature, 55.0, int64(3), "disk/*/temperature_celsius", "lt", 50.0)
	f.Add("a/b/c", math.NaN(), int64(-1), "[", "within_pct", math.Inf(1))

	f.Fuzz(func(t *testing.T, key string, value float64, at int64, glob, op string, limit float64) {
		r := core.Rule{ID: "r", Stage: "*", Key: glob, Op: core.Op(op), Value: limit, Of: "3", Severity: core.Critical}
		_ = threshold.Check([]core.Rule{r})

		got := threshold.Evaluate([]core.Rule{r}, core.SMART, []core.Sample{{Time: time.Unix(at, 0), Key: key, Value: value}})
		for _, e := range got {
			if e.Verdict == core.Pass && (math.IsNaN(value) || math.IsInf(value, 0)) {
				t.Errorf("%v passed", value)
			}
		}
	})
}
