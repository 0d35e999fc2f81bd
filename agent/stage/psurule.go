package stage

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"vetting/agent/psu"
	"vetting/core"
	"vetting/core/problem"
)

// Limits of stages.md §3.11.
const (
	shareApart   = 20.0 // points of percent
	shareLoad    = 0.30 // of what all supplies can give
	leastYield   = 0.80
	yieldLoad    = 0.20 // of what the supply can give
	sagging      = 0.05
	leastVolts   = 2.5  // no output of a supply is lower
	warmestInlet = 40.0 // °C
)

// Codes that say that something was not tested.
const (
	notPowered  = problem.PSUNotTested
	notObserved = problem.PSUNotObserved
	pullMissed  = problem.PSUPullMissed
	pullOpen    = problem.PSUPullOpen
	pullNotDone = problem.PSUPullNotDone
)

// psuRule is a row of the criteria.
type psuRule struct {
	id    string
	whole bool // only of a stage that came to its end
	judge func(x *psuExam, out *psu.Outcome) []core.Finding
}

func psuRules() []psuRule {
	return []psuRule{
		{"psu-states", false, (*psuExam).states},
		{"psu-redundancy", false, (*psuExam).redundancy},
		{"psu-count", true, (*psuExam).missing},
		{"psu-voltages", false, (*psuExam).voltages},
		{"psu-sag", true, (*psuExam).sags},
		{"psu-models", true, (*psuExam).models},
		{"psu-share", true, (*psuExam).shares},
		{"psu-efficiency", true, (*psuExam).yields},
		{"psu-inlet", true, (*psuExam).inlet},
		{"psu-observed", true, (*psuExam).observed},
		{"psu-cpus", false, (*psuExam).cpus},
		{"psu-pull", true, (*psuExam).pulled},
	}
}

// findings applies the rules: all of them to a stage that came to its end.
func (x *psuExam) findings(out *psu.Outcome, ended bool) (all []core.Finding) {
	for _, rule := range psuRules() {
		if rule.whole && !ended {
			continue
		}

		for _, f := range rule.judge(x, out) {
			f.Stage = core.PSU
			all = append(all, f)
		}
	}

	return all
}

func powered(code string, severity core.Severity, part core.Part, format string, args ...any) core.Finding {
	return problem.Finding(code, severity, core.PSU, part, fmt.Sprintf(format, args...))
}

// part is the supply of a slot; the machine's supplies together where there is none.
func (x *psuExam) part(slot string) core.Part {
	for i := range x.survey.Supplies {
		if x.survey.Supplies[i].Slot == slot {
			return x.survey.Supplies[i].Part()
		}
	}

	return core.Part{Kind: "psu"}
}

// when says in words when a state was told.
func when(e *psu.Event) string {
	words := fmt.Sprintf("from the first look on (%s)", e.Phase)
	if !e.First {
		words = fmt.Sprintf("%s after the stage began (%s)", e.After.Round(time.Second), e.Phase)
	}

	if !e.Still {
		words += ", and no more at the end"
	}

	return words
}

// states judges what is told of single supplies, if it was so at the beginning or came.
func (x *psuExam) states(out *psu.Outcome) (found []core.Finding) {
	codes := map[psu.State]string{
		psu.Failed: "psu/failed", psu.Predicted: "psu/failure-predicted", psu.InputLost: "psu/input-lost", psu.InputOut: "psu/input-out-of-range",
		psu.Misconfigured: "psu/configuration", psu.Absent: "psu/vanished", psu.OnBattery: "psu/on-battery",
	}

	for i := range out.Seen.Events {
		e := &out.Seen.Events[i]
		if code, known := codes[e.State]; known && e.Slot != "" {
			found = append(found, powered(code, "", x.part(e.Slot), "%s tells %q, %s", e.Detector, e.State, when(e)))
		}
	}

	return onceEach(found)
}

// redundancy judges what is told of all supplies together. A machine that has a single
// supply was not redundant before.
func (x *psuExam) redundancy(out *psu.Outcome) (found []core.Finding) {
	single := x.bays(out) == 1

	for i := range out.Seen.Events {
		e := &out.Seen.Events[i]
		part := core.Part{Kind: "psu", Slot: e.Detector}

		switch {
		case e.State == psu.Lost && single && e.First:
			found = append(found, powered("psu/redundancy-lost", core.Warning, part, "%s tells %q, %s; the machine has one power supply", e.Detector, e.State, when(e)))
		case e.State == psu.Lost:
			found = append(found, powered("psu/redundancy-lost", "", part, "%s tells %q, %s", e.Detector, e.State, when(e)))
		case e.State == psu.Degraded:
			found = append(found, powered("psu/redundancy-degraded", "", part, "%s tells %q, %s", e.Detector, e.State, when(e)))
		}
	}

	return found
}

// bays counts the supplies that are in their bays, as far as the BMC tells: boards have
// sensors of empty bays as well. Adapters of portable machines are none.
func (x *psuExam) bays(out *psu.Outcome) (n int) {
	for i := range x.survey.Supplies {
		if s := &x.survey.Supplies[i]; !out.Seen.Empty[s.Slot] && !x.survey.Adapter(s.Slot) {
			n++
		}
	}

	return n
}

// cut reports whether the list of the BMC's sensors was read to its end.
func (x *psuExam) cut() bool { return x.survey.BMC && x.survey.Err != nil }

// missing compares the number of supplies with what is expected.
func (x *psuExam) missing(out *psu.Outcome) []core.Finding {
	part := core.Part{Kind: "psu"}

	switch n := len(x.watched()); {
	case x.expect == 0 || n >= x.expect:
		return nil
	case len(out.Seen.Present) == 0 && len(out.Seen.Empty) == 0:
		return []core.Finding{powered(notObserved, "", part, "%d are expected: %s", x.expect, x.whyBlind())}
	case x.cut():
		return []core.Finding{powered(notObserved, "", part, "%d are expected, %d were seen, and the list of the BMC's sensors broke off: %s", x.expect, n, x.survey.Err)}
	default:
		var there []string
		for _, s := range x.watched() {
			there = append(there, s.Slot)
		}

		return []core.Finding{powered("psu/missing", "", part, "%d are there (%s), %d are expected", n, strings.Join(there, ", "), x.expect)}
	}
}

// faulted reports whether a supply told of a fault: what it measures follows from that.
func (x *psuExam) faulted(out *psu.Outcome, slot string) bool {
	return slices.ContainsFunc(out.Seen.Events, func(e psu.Event) bool {
		return e.Slot == slot && slices.Contains([]psu.State{psu.Failed, psu.InputLost, psu.Absent}, e.State)
	})
}

// channelPart is what a channel measures.
func (x *psuExam) channelPart(c *psu.Channel) core.Part {
	if c.Slot != "" {
		return x.part(c.Slot)
	}

	return core.Part{Kind: "board", Slot: c.Name}
}

// voltages judges voltages beyond limits, but for those that broke down under load only.
func (x *psuExam) voltages(out *psu.Outcome) (found []core.Finding) {
	for i := range out.Seen.Crossings {
		c := &out.Seen.Crossings[i]
		if x.faulted(out, c.Channel.Slot) || out.Seen.Empty[c.Channel.Slot] || loaded(c) {
			continue
		}

		code, severity := "psu/voltage", core.Warning

		switch {
		case x.mistaken(out, c):
		case c.Fatal:
			severity = core.Critical
		case c.Channel.Named:
			code = "psu/rail"
		}

		found = append(found, powered(code, severity, x.channelPart(c.Channel), "%s", beyond(c)))
	}

	return gravest(found)
}

// dead reports whether an output or a rail was at less than half of its lower limit while
// the machine ran on.
func dead(c *psu.Crossing) bool {
	return c.Low && c.Channel.Quantity != psu.InputVolts && c.Worst < c.Limit/2
}

// mistaken reports whether a voltage that no machine runs on says more of its sensor than of
// what it measures: the supply tells that it is well, or the machine would not have run on
// it, or something of the board is switched off. What was there at rest and broke down is
// believed, but for rails that stop the machine.
func (x *psuExam) mistaken(out *psu.Outcome, c *psu.Crossing) bool {
	if !dead(c) {
		return false
	}

	board := c.Channel.Quantity == psu.Rail && !battery.MatchString(c.Channel.Name)

	switch {
	case x.idle(out, c.Channel) >= c.Limit/2:
		return board && c.Channel.Nominal > 0
	case c.Channel.Slot == "":
		return board
	default:
		return x.well(out, c.Channel.Slot)
	}
}

// battery finds the sensor of the board's own battery in names: a machine runs without it.
var battery = regexp.MustCompile(`(?i)bat`) //nolint:gochecknoglobals // made once, never changed

// idle is what a channel measured at rest, or all along where it told nothing then.
func (x *psuExam) idle(out *psu.Outcome, c *psu.Channel) float64 {
	for i := range x.survey.Channels {
		if &x.survey.Channels[i] != c || i >= len(out.Seen.Series) {
			continue
		}

		if idle := out.Seen.Series[i].Median(psu.Rest); !math.IsNaN(idle) {
			return idle
		}

		return out.Seen.Series[i].Median(psu.Load, psu.Slow, psu.Medium, psu.Fast, psu.After)
	}

	return math.NaN()
}

// well reports whether a detector of a supply tells that it is there, and none tells
// anything against it.
func (x *psuExam) well(out *psu.Outcome, slot string) bool {
	told := slices.ContainsFunc(x.survey.Detectors, func(d psu.Detector) bool { return d.Slot == slot && !slices.Contains(out.Seen.Silent, d.Name) })
	against := slices.ContainsFunc(out.Seen.Events, func(e psu.Event) bool { return e.Slot == slot })

	return told && out.Seen.Present[slot] && !against
}

// beyond tells of a voltage beyond a limit.
func beyond(c *psu.Crossing) string {
	way, of := "above", "upper"
	if c.Low {
		way, of = "below", "lower"
	}

	kind := "non-critical"

	switch {
	case c.Fatal:
		kind = "critical"
	case c.Channel.Named:
		kind = "customary"
	}

	var phases []string
	for _, p := range slices.Sorted(maps.Keys(c.Phases)) {
		phases = append(phases, string(p))
	}

	return fmt.Sprintf("%s was at %.2f V, %s its %s %s limit of %.2f V: %s", c.Channel.Name, c.Worst, way, of, kind, c.Limit, strings.Join(phases, ", "))
}

// loaded reports whether a voltage was too low under load and never at rest.
func loaded(c *psu.Crossing) bool {
	return c.Low && c.Channel.Quantity != psu.InputVolts && !c.Phases[psu.Rest] && !c.Phases[psu.After]
}

// gravest keeps the gravest finding of each code and part.
func gravest(found []core.Finding) []core.Finding {
	slices.SortStableFunc(found, func(a, b core.Finding) int { return rankOf(a.Severity) - rankOf(b.Severity) })

	return onceEach(found)
}

func rankOf(s core.Severity) int {
	return slices.Index([]core.Severity{core.Critical, core.Warning, core.Info}, s)
}

// sags judges outputs and rails that break down under load.
func (x *psuExam) sags(out *psu.Outcome) (found []core.Finding) {
	for i := range out.Seen.Crossings {
		c := &out.Seen.Crossings[i]
		if !loaded(c) || x.faulted(out, c.Channel.Slot) || out.Seen.Empty[c.Channel.Slot] {
			continue
		}

		severity := core.Warning
		if c.Fatal && !x.mistaken(out, c) {
			severity = core.Critical
		}

		found = append(found, powered("psu/sag", severity, x.channelPart(c.Channel), "%s", beyond(c)))
	}

	for i := range x.survey.Channels {
		c := &x.survey.Channels[i]
		if c.Quantity != psu.OutputVolts && (c.Quantity != psu.Rail || c.Nominal == 0) || x.faulted(out, c.Slot) || out.Seen.Empty[c.Slot] {
			continue
		}

		series := x.series(i)
		idle, low := series.Median(psu.Rest), series.Low(psu.Load, psu.Slow, psu.Medium, psu.Fast)

		var severity core.Severity

		switch {
		case !(low < idle*(1-sagging)): // or nothing was measured
			continue
		case low > idle/2:
		case idle < leastVolts || !broke(series, idle/2): // a sensor that is wrong
			continue
		case c.Quantity == psu.OutputVolts:
			severity = core.Critical
		}

		found = append(found, powered("psu/sag", severity, x.channelPart(c), "%s fell from %.2f V idle to %.2f V under load, by %.1f %%", c.Name, idle, low, 100*(1-low/idle)))
	}

	return gravest(found)
}

// broke reports whether two readings in a row under load were below a voltage.
func broke(s psu.Series, below float64) bool {
	for _, phase := range []psu.Phase{psu.Load, psu.Slow, psu.Medium, psu.Fast} {
		for i, value := range s[phase] {
			if i > 0 && value <= below && s[phase][i-1] <= below {
				return true
			}
		}
	}

	return false
}

// models compares the supplies with each other.
func (x *psuExam) models(*psu.Outcome) (found []core.Finding) {
	var first *psu.Supply

	for _, s := range x.watched() {
		model := s.Part().Model

		switch {
		case model == "":
		case first == nil:
			first = s
		case model != first.Part().Model || differ(s.ID.Part, first.ID.Part) || s.ID.Watts != first.ID.Watts && s.ID.Watts*first.ID.Watts != 0:
			found = append(found, powered("psu/models-differ", "", s.Part(), "%s is %s, %s is %s", s.Slot, describe(s), first.Slot, describe(first)))
		case differ(s.ID.Version, first.ID.Version):
			found = append(found, powered("psu/firmware-differs", "", s.Part(), "%s has revision %s, %s has %s", s.Slot, s.ID.Version, first.Slot, first.ID.Version))
		}
	}

	return found
}

// differ reports whether two words are both there and not alike.
func differ(a, b string) bool { return a != b && a != "" && b != "" }

// describe is a supply in words: "Lab Power LP-800 LP-800-A, 800 W".
func describe(s *psu.Supply) string {
	var words []string

	for _, w := range []string{s.ID.Manufacturer, s.ID.Model, s.ID.Part} {
		if w != "" {
			words = append(words, w)
		}
	}

	text := strings.Join(words, " ")
	if s.ID.Watts > 0 {
		text += fmt.Sprintf(", %d W", s.ID.Watts)
	}

	return text
}

// load is what a supply gave at full load in watts, or took in where it does not tell what
// it gave; NaN: it tells neither.
func (x *psuExam) load(s *psu.Supply) float64 {
	if out := x.measured(s.Slot, psu.OutputWatts).Median(psu.Load); !math.IsNaN(out) {
		return out
	}

	return x.measured(s.Slot, psu.InputWatts).Median(psu.Load)
}

// share is what part of the load a supply carried at full load, in percent; NaN: it is the
// only one, or one of them does not tell.
func (x *psuExam) share(s *psu.Supply) float64 {
	all := x.watched()
	if len(all) < 2 {
		return math.NaN()
	}

	sum := 0.0
	for _, o := range all {
		sum += x.load(o)
	}

	return 100 * x.load(s) / sum
}

// shares judges how supplies share the load, where there is enough of it to share: with
// little, many machines keep a supply in reserve.
func (x *psuExam) shares(out *psu.Outcome) []core.Finding {
	var (
		most, least *psu.Supply
		sum, gives  float64
	)

	for _, s := range x.watched() {
		if x.faulted(out, s.Slot) || s.ID.Watts == 0 || math.IsNaN(x.share(s)) {
			return nil
		}

		sum, gives = sum+x.load(s), gives+float64(s.ID.Watts)

		if most == nil || x.share(s) > x.share(most) {
			most = s
		}

		if least == nil || x.share(s) < x.share(least) {
			least = s
		}
	}

	if most == nil || sum <= shareLoad*gives || x.share(most)-x.share(least) <= shareApart {
		return nil
	}

	return []core.Finding{powered("psu/load-share", "", most.Part(), "%s carried %.0f %% and %s %.0f %% of %.0f W at full load, %.0f %% of what they can give",
		most.Slot, x.share(most), least.Slot, x.share(least), sum, 100*sum/gives)}
}

// unshared says why it was not judged how supplies share the load; empty: it was, or there
// is nothing to share.
func (x *psuExam) unshared() string {
	var (
		dumb, unrated []string
		sum, gives    float64
	)

	for _, s := range x.watched() {
		switch {
		case x.faulted(x.out, s.Slot):
			return "" // it is told what is wrong
		case math.IsNaN(x.load(s)):
			dumb = append(dumb, s.Slot)
		case s.ID.Watts == 0:
			unrated = append(unrated, s.Slot)
		}

		sum, gives = sum+x.load(s), gives+float64(s.ID.Watts)
	}

	switch {
	case len(x.watched()) < 2:
		return ""
	case len(dumb) > 0:
		return "no power of " + strings.Join(dumb, ", ") + " is told"
	case len(unrated) > 0:
		return "no capacity of " + strings.Join(unrated, ", ") + " is told"
	case sum <= shareLoad*gives:
		return fmt.Sprintf("full load was %.0f %% of what they can give, of the %.0f %% that it takes", 100*sum/gives, 100*shareLoad)
	default:
		return ""
	}
}

// efficiency is what came out of a supply of what went in at full load; NaN: it does not
// tell both, or something that cannot be.
func (x *psuExam) efficiency(s *psu.Supply) float64 {
	const rounding = 1.02

	in, out := x.measured(s.Slot, psu.InputWatts).Median(psu.Load), x.measured(s.Slot, psu.OutputWatts).Median(psu.Load)
	if yield := out / in; in > 0 && out > 0 && yield <= rounding {
		return yield
	}

	return math.NaN()
}

// yields judges what supplies turn into heat.
func (x *psuExam) yields(out *psu.Outcome) (found []core.Finding) {
	for _, s := range x.watched() {
		gives := x.measured(s.Slot, psu.OutputWatts).Median(psu.Load)
		yield := x.efficiency(s)

		if s.ID.Watts == 0 || x.faulted(out, s.Slot) || gives <= yieldLoad*float64(s.ID.Watts) || math.IsNaN(yield) || yield >= leastYield {
			continue
		}

		found = append(found, powered("psu/inefficient", "", s.Part(), "%.0f W of %.0f W came out of %s, %.0f %%, at %.0f %% of its %d W",
			gives, x.measured(s.Slot, psu.InputWatts).Median(psu.Load), s.Slot, 100*yield, 100*gives/float64(s.ID.Watts), s.ID.Watts))
	}

	return found
}

// inlet judges the air that the machine takes in.
func (x *psuExam) inlet(*psu.Outcome) (found []core.Finding) {
	for i := range x.survey.Channels {
		c := &x.survey.Channels[i]
		if !c.Inlet {
			continue
		}

		all := x.series(i).In(psu.Rest, psu.Load, psu.Slow, psu.Medium, psu.Fast, psu.After)
		if n := len(all); n > 1 && all[n-2] > warmestInlet && all[n-1] < 120 { // twice at least, and no end of a scale
			found = append(found, powered("psu/inlet-hot", "", core.Part{Kind: "board", Slot: c.Name}, "%s was at %.0f °C", c.Name, all[n-2]))
		}
	}

	return found
}

// observed says what was not seen.
func (x *psuExam) observed(out *psu.Outcome) (found []core.Finding) {
	part := core.Part{Kind: "psu"}
	hasDetectors := slices.ContainsFunc(x.survey.Detectors, func(d psu.Detector) bool { return d.Slot != "" })

	switch {
	case out.Seen.Blind && hasDetectors:
		return []core.Finding{powered(notObserved, "", part, "the last look brought no answer; %d whole ones did before", out.Seen.Looks)}
	case len(x.watched()) == 0 && x.expect == 0:
		return []core.Finding{powered(problem.PSUUnobservable, "", part, "%s", x.whyBlind())}
	}

	if x.cut() {
		found = append(found, powered(notObserved, core.Warning, part, "the list of the BMC's sensors broke off: %s", x.survey.Err))
	}

	if phases := out.Seen.Unheard; hasDetectors && len(phases) > 0 {
		severity := core.Warning
		if slices.Contains(phases, psu.Load) { // what the stage is for
			severity = ""
		}

		found = append(found, powered(notObserved, severity, part, "the BMC told nothing in these phases: %s", phaseWords(phases)))
	}

	for _, slot := range x.blank() {
		found = append(found, powered("psu/bay-unobserved", "", x.part(slot), "the sensors of %s measured nothing in %d looks", slot, out.Seen.Looks))
	}

	for _, name := range out.Seen.Silent {
		i := slices.IndexFunc(x.survey.Detectors, func(d psu.Detector) bool { return d.Name == name })
		if i >= 0 {
			found = append(found, powered("psu/silent", "", x.part(x.survey.Detectors[i].Slot), "%s told nothing at the last look", name))
		}
	}

	return found
}

func phaseWords(phases []psu.Phase) string {
	var words []string
	for _, p := range phases {
		words = append(words, string(p))
	}

	return strings.Join(words, ", ")
}

// cpus are the rules of CPUStress that are about results and workers: without their work
// there was no load.
func (x *psuExam) cpus(out *psu.Outcome) []core.Finding {
	v := &cpuView{threads: x.threads, gone: x.gone, virtual: x.virtual, shared: true, noSMT: x.machine.SMTOff(), out: out.CPU}
	found := slices.Concat(miscompares(v), disputes(v), workerFailures(v), workerErrors(v), leftMeanwhile(v))

	for _, fault := range out.CPU.Faults {
		found = append(found, powered(notPowered, "", core.Part{Kind: "cpu"}, "%s", fault))
	}

	idle := 0

	for n, t := range out.CPU.Cores {
		if t.Blocks == 0 && t.Left == 0 && !slices.Contains(x.gone, n) {
			idle++
		}
	}

	if all := len(out.CPU.Cores); all == 0 || idle > 0 {
		found = append(found, powered(notPowered, "", core.Part{Kind: "cpu"}, "%d of %d CPUs did nothing", idle, all))
	}

	return found
}
