package view

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/profile"
	"vetting/ui/lookup"
	"vetting/ui/pace"
	"vetting/ui/text"
	"vetting/ui/trial"
)

// Profiles is the page of what runs can be started with.
type Profiles struct {
	Frame  Frame
	List   []core.ProfileEntry
	Hosts  []core.Host
	Chosen string // profile of the trial
	Trial  *Trial // nil: none is asked for
}

// OneProfile is the page of one of them.
type OneProfile struct {
	Frame    Frame
	Entry    core.ProfileEntry
	Hosts    []core.Host
	Times    []lookup.ModelPlan
	Versions []core.ProfileText // the newest first
}

// Editor is the page where a profile is written: as a form, or as its text.
type Editor struct {
	Frame   Frame
	Name    string
	Version int    // that was opened; 0: it is a new one
	Saved   string // its text then
	Text    string
	AsText  bool   // the text is shown, not the form
	Why     string // what is wrong with the text, for people; several lines
	Form    ProfileForm
	Below   []core.ProfileEntry // what it may extend
	Base    *core.Profile       // what it extends; nil: nothing
	Review  *Review             // nil: it was not looked at yet, or cannot be used
	Hosts   []core.Host
}

// ProfileForm is a draft as a form shows it.
type ProfileForm struct {
	Extends, Description, Scale string

	Own    bool // it has stages of its own
	Stages []core.StageName
	Config map[string]string // only what is said
	Rules  []RuleRow
}

// Review is what a text would come to.
type Review struct {
	Profile core.Profile
	Changes []ProfileChange // against the version that is saved, or else against what it extends
	Than    string          // what it differs from
	Times   []lookup.ModelPlan
	Trial   *Trial // nil: none is asked for
}

// ProfileChange is one thing that differs.
type ProfileChange struct{ What, Was, Is string }

// NewProfileForm writes a draft into the form.
func NewProfileForm(d *core.ProfileDraft) ProfileForm {
	f := ProfileForm{Extends: d.Extends, Description: d.Description, Own: len(d.Stages) > 0, Stages: d.Stages, Config: d.Config}

	if d.Scale != 0 {
		f.Scale = strconv.FormatFloat(d.Scale, 'g', -1, 64)
	}

	for i := range d.Rules {
		f.Rules = append(f.Rules, ruleRow(&d.Rules[i]))
	}

	return f
}

// ProfileChanges lists what of two profiles differs.
func ProfileChanges(was, is *core.Profile) (list []ProfileChange) {
	say := func(what, before, after string) {
		if before != after {
			list = append(list, ProfileChange{what, before, after})
		}
	}

	say("Description", was.Description, is.Description)
	say("Stages", stageNames(was.Stages), stageNames(is.Stages))
	say("Scale", number(was.Scale), number(is.Scale))

	keys := maps.Clone(was.Config)
	if keys == nil {
		keys = map[string]string{}
	}

	maps.Copy(keys, is.Config)

	for _, key := range slices.Sorted(maps.Keys(keys)) {
		say(key, was.Config[key], is.Config[key])
	}

	rules := map[string][2]string{}

	for side, p := range []*core.Profile{was, is} {
		for i := range p.Rules {
			pair := rules[p.Rules[i].ID]
			pair[side] = ruleWords(&p.Rules[i])
			rules[p.Rules[i].ID] = pair
		}
	}

	for _, id := range slices.Sorted(maps.Keys(rules)) {
		say("Limit "+id, rules[id][0], rules[id][1])
	}

	return list
}

func stageNames(stages []core.StageName) string {
	words := make([]string, len(stages))
	for i, s := range stages {
		words[i] = string(s)
	}

	return strings.Join(words, ", ")
}

func number(v float64) string {
	if v == 0 {
		return ""
	}

	return strconv.FormatFloat(v, 'g', -1, 64)
}

// or is a word, or that there is none.
func or(word, none string) string {
	if word == "" {
		return none
	}

	return word
}

// rows are the limits of the form with room for two more.
func (f *ProfileForm) rows() []RuleRow {
	blank := RuleRow{Stage: "*", Op: string(core.OpLTE), Severity: string(core.Warning)}

	return append(slices.Clone(f.Rules), blank, blank)
}

// inherited is what a setting is where nothing is said.
func (e *Editor) inherited(key string) string {
	if e.Base == nil {
		return ""
	}

	return e.Base.Config[key]
}

// setting is a field of the form.
type settingField struct {
	profile.Setting

	Value, Below string
}

// group is the settings of one stage.
type settingGroup struct {
	Stage  string
	Fields []settingField
	Said   bool // some of them are set here
}

// settings are the fields of the form, by stage in the order of the pipeline, and what
// belongs to no stage last.
func (e *Editor) settings() (groups []settingGroup) {
	var order []string
	for _, s := range core.Pipeline() {
		order = append(order, string(s))
	}

	byStage := map[string]*settingGroup{}

	for _, s := range profile.Settings() {
		stage, _, _ := strings.Cut(s.Key, ".")
		if byStage[stage] == nil {
			byStage[stage] = &settingGroup{Stage: stage}
		}

		g, value := byStage[stage], e.Form.Config[s.Key]
		g.Fields = append(g.Fields, settingField{Setting: s, Value: value, Below: e.inherited(s.Key)})
		g.Said = g.Said || value != ""

		if !slices.Contains(order, stage) {
			order = append(order, stage)
		}
	}

	for _, stage := range order {
		if byStage[stage] != nil {
			groups = append(groups, *byStage[stage])
		}
	}

	return groups
}

// belowWord says what holds where nothing is said.
func (f *settingField) belowWord() string {
	if f.Below == "" {
		return "as the stage does by itself"
	}

	return "as below: " + text.Line(f.Below)
}

// knows reports whether the value is one of those that the field may have.
func (f *settingField) knows() bool { return slices.Contains(f.Words, f.Value) }

// has reports whether a stage is ticked.
func (e *Editor) has(stage core.StageName) bool {
	if e.Form.Own || e.Base == nil {
		return slices.Contains(e.Form.Stages, stage)
	}

	return slices.Contains(e.Base.Stages, stage)
}

// ticked are the stages that are ticked, so that one can tell whether somebody changed them.
func (e *Editor) ticked() string {
	words := []string{}

	for _, stage := range core.Pipeline() {
		if e.has(stage) {
			words = append(words, string(stage))
		}
	}

	return strings.Join(words, ",")
}

// back is the view that is shown again after a form beside the editor was sent.
func (e *Editor) back() string {
	if e.AsText {
		return "text"
	}

	return "form"
}

func (f *settingField) id() string { return "set-" + strings.ReplaceAll(f.Key, ".", "-") }

// title is the head of the page.
func (e *Editor) title() string {
	if e.Version == 0 {
		return "New profile"
	}

	return "Profile " + text.Line(e.Name)
}

func pathProfile(name string) templ.SafeURL { return templ.URL("/profiles/" + url.PathEscape(name)) }

func pathEdit(name string) templ.SafeURL {
	return templ.URL("/profile-editor?name=" + url.QueryEscape(name))
}

func pathCopy(name string) templ.SafeURL {
	return templ.URL("/profile-editor?from=" + url.QueryEscape(name))
}

// originWords says where a profile comes from.
func originWords(e *core.ProfileEntry) string {
	switch e.Origin {
	case core.ProfileFile:
		return "From the configuration file, " + text.Line(e.At) + ": it is changed there."
	case core.ProfileConsole:
		return "Made in the console, version " + strconv.Itoa(e.Text.Version) + " by " + text.Line(e.Text.SetBy)
	default:
		return "Shipped with the appliance: copy it to change it."
	}
}

// modelWord names the machines of one model.
func modelWord(on pace.Machine) string {
	words := text.Line(on.Model)
	if on.Disk > 0 {
		words += ", disks of about " + diskSize(on.Disk)
	}

	return words
}

// diskSize is a size as people say it: two digits of decimal units.
func diskSize(n uint64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}
	value, unit := float64(n), 0

	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}

	step := math.Pow(10, max(0, math.Floor(math.Log10(max(value, 1)))-1))

	return strconv.FormatFloat(math.Round(value/step)*step, 'f', -1, 64) + " " + units[unit]
}

// takes says how long a run of all stages takes.
func takes(plan pace.Plan, p *core.Profile, now time.Time) string {
	left, ok := plan.Left(trial.Planned(p), now)
	guess, guessed := plan.About(trial.Planned(p), now)

	switch {
	case !ok && guessed:
		return text.Left(guess) + notMeasured
	case !ok:
		return "not known: not every stage was seen to its end with these settings"
	case left.Ranged():
		return text.Range(left.Low, left.High) + ", from " + learnedFrom(left.Runs, left.Own)
	default:
		return text.Left(left.Mid) + ", from " + learnedFrom(left.Runs, left.Own)
	}
}

// Trial is what a profile would do on a host, as a page tells it.
type Trial struct{ *trial.Trial }

// Skips says why a stage would be left out; empty: it would not.
func (t *Trial) Skips(stage core.StageName) string { return text.Line(t.Trial.Skips(stage)) }

// time says how long a stage would take.
func (t *Trial) time(stage core.StageName) string {
	span, known := t.Plan[stage]

	switch {
	case t.Skips(stage) != "":
		return ""
	case !known:
		return "not known yet"
	default:
		return spanWords(span)
	}
}

// whole says how long all of it would take.
func (t *Trial) whole(now time.Time) string {
	left, ok := t.Plan.Left(t.Steps(), now)
	if !ok {
		if guess, ok := t.Plan.About(t.Steps(), now); ok {
			return "It takes " + text.Left(guess) + notMeasured + ": a guess by the settings of the profile and the size of disks and memory."
		}

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
	case t.Fault != nil:
		return "It could not be started: what is set on this host does not fit: " + text.Line(t.Fault.Error())
	}

	ways := []string{powerWord(t.Host.Power.Method)}
	for _, way := range t.Host.Power.Then {
		ways = append(ways, powerWord(way))
	}

	return "The host is switched on " + strings.Join(ways, ", else ") + ", and boots from the network."
}

// spec says what the machine would be compared with.
func (t *Trial) spec() string {
	switch t.SpecOf() {
	case core.FromHost:
		return "It is compared with the expected spec of the host."
	case core.FromClass:
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
