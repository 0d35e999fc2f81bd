package view

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/ui/pace"
	"vetting/ui/text"
)

// Profiles is the page of what runs can be started with.
type Profiles struct {
	Frame  Frame
	List   []core.Profile
	Hosts  []core.Host
	Chosen string // profile of the trial
	Trial  *Trial // nil: none is asked for
}

// Trial is what a profile would do on a host.
type Trial struct {
	Profile core.Profile
	Host    core.Host
	Class   *core.Class // nil: it has none
	Run     core.Run    // as it would be, with all of its stages before it
	Plan    pace.Plan
}

// skips says why a stage would be left out; empty: it would not.
func (t *Trial) skips(stage core.StageName) string {
	if why := t.Host.Overrides.Skip[stage]; why != "" {
		return "left out on this host: " + text.Line(why)
	}

	if t.Class != nil && t.Class.Overrides.Skip[stage] != "" {
		return "left out on this class: " + text.Line(t.Class.Overrides.Skip[stage])
	}

	return ""
}

// time says how long a stage would take.
func (t *Trial) time(stage core.StageName) string {
	span, known := t.Plan[stage]

	switch {
	case t.skips(stage) != "":
		return ""
	case !known:
		return "not known yet"
	case span.Ranged():
		return text.Range(span.Low, span.High)
	default:
		return text.Left(max(time.Second, span.Mid))
	}
}

// whole says how long all of it would take.
func (t *Trial) whole(now time.Time) string {
	run := t.Run
	run.Stages = slices.DeleteFunc(slices.Clone(run.Stages), func(st core.Stage) bool { return t.skips(st.Name) != "" })

	left, ok := t.Plan.Left(&run, now)
	if !ok {
		return "How long it takes is not known: no run of this profile has passed all of its stages yet."
	}

	words := text.Left(left.Mid)
	if left.Ranged() {
		words = text.Range(left.Low, left.High)
	}

	return "It takes " + words + ", from " + learnedFrom(left.Runs, left.Own) + "."
}

// starts says what would happen first.
func (t *Trial) starts() string {
	switch {
	case t.Host.Quarantine != "":
		return "It could not be started: the host is quarantined."
	case t.Host.CurrentRun != "":
		return "It could not be started now: a run is under way on this host."
	}

	ways := []string{powerWord(t.Host.Power.Method)}
	for _, way := range t.Host.Power.Then {
		ways = append(ways, powerWord(way))
	}

	return "The host is switched on " + strings.Join(ways, ", else ") + ", and boots from the network."
}

// spec says what the machine would be compared with.
func (t *Trial) spec() string {
	switch {
	case t.Host.SpecYAML != "":
		return "It is compared with the expected spec of the host."
	case t.Class != nil && t.Class.SpecYAML != "":
		return "It is compared with the expected spec of the class " + text.Line(t.Class.Name) + "."
	default:
		return "There is no expected spec: missing parts are not noticed."
	}
}

// writes says what would happen to the disks.
func (t *Trial) writes() string {
	if !slices.Contains(t.Profile.Stages, core.Storage) {
		return "No disk is written to: the profile has no Storage stage."
	}

	if t.Profile.Config["Storage.mode"] == "destructive" {
		return "Only disks that are armed when the run is started are overwritten; of all others the surface is read. None is armed by this page."
	}

	return "No disk is written to: the profile only reads."
}

// settingsOf lists the settings of a profile.
func settingsOf(p *core.Profile) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(p.Config)) {
		list = append(list, text.Line(key)+" = "+text.Line(p.Config[key]))
	}

	return list
}

// mustBe writes the condition of a rule.
func mustBe(r *core.Rule) string {
	words := opWord(r.Op) + " " + strconv.FormatFloat(r.Value, 'f', -1, 64)

	if r.Of != "" {
		words += " % of " + text.Line(r.Of)
	}

	if r.For > 0 {
		words += ", broken for " + text.Duration(r.For)
	}

	if r.Count > 1 {
		words += ", " + strconv.Itoa(r.Count) + " samples"
	}

	if r.Required {
		words += "; must be measured"
	}

	return strings.Replace(words, "within % of", "within", 1)
}
