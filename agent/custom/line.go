package custom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/problem"
)

// line is what a script may write, one JSON object a line.
type line struct {
	Type string `json:"type"`

	// step
	Name    string       `json:"name"`
	Verdict core.Verdict `json:"verdict"`
	Summary string       `json:"summary"`

	// finding
	Code     string        `json:"code"`
	Severity core.Severity `json:"severity"`
	Title    string        `json:"title"`
	Evidence string        `json:"evidence"`
	Next     string        `json:"next"`
	Part     part          `json:"part"`

	// measurement, with name
	Quantity string   `json:"quantity"`
	Value    *float64 `json:"value"`

	// progress
	Done *float64 `json:"done"`

	// log
	Text string `json:"text"`
}

type part struct {
	Kind   string `json:"kind"`
	Slot   string `json:"slot"`
	Model  string `json:"model"`
	Serial string `json:"serial"`
}

// Bounds of what a script says.
const (
	maxWord  = 128
	maxProse = 2 << 10
	maxLine  = 16 << 10
	maxBytes = 2 << 20
	maxLines = 4096
	maxSteps = 128
	maxFinds = 64
	maxMeas  = 512
)

// said is what a script has said so far.
type said struct {
	script core.Script
	now    func() time.Time

	steps    []core.SubStep
	findings []core.Finding
	samples  []core.Sample
	verdict  core.Verdict // of the last line; empty: none yet
	summary  string
	done     float64
	log      []string // lines since the caller has looked
	lines    int
}

// hear takes a line in. The error says why it cannot be taken.
func (s *said) hear(text []byte) error {
	if text = bytes.TrimSpace(text); len(text) == 0 {
		return nil
	}

	if s.lines++; s.lines > maxLines {
		return fmt.Errorf("there are more than %d lines", maxLines)
	}

	var l line

	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()

	if err := decoder.Decode(&l); err != nil {
		return fmt.Errorf("it is no line of ours: %w", err)
	}

	if decoder.More() {
		return errors.New("something follows the object; write one a line")
	}

	if s.verdict != "" {
		return errors.New("something follows the verdict, which comes last")
	}

	return s.take(&l)
}

func (s *said) take(l *line) error {
	switch l.Type {
	case "step":
		return s.step(l)
	case "finding":
		return s.finding(l)
	case "measurement":
		return s.measurement(l)
	case "progress":
		if l.Done == nil || !(*l.Done >= 0 && *l.Done <= 1) {
			return errors.New("progress needs done, from 0 to 1")
		}

		s.done = *l.Done
	case "log":
		s.log = append(s.log, clip(l.Text, maxProse))
	case "verdict":
		if !isVerdict(l.Verdict) {
			return fmt.Errorf("the verdict %.40q is none of %s", l.Verdict, strings.Join(verdictWords(), ", "))
		}

		if l.Verdict != core.Pass && l.Summary == "" {
			return fmt.Errorf("the verdict %s needs a summary that says why", l.Verdict)
		}

		s.verdict, s.summary = l.Verdict, clip(l.Summary, maxProse)
	default:
		return fmt.Errorf("the type %.40q is none of step, finding, measurement, progress, log, verdict", l.Type)
	}

	return nil
}

func isVerdict(v core.Verdict) bool { return slices.Contains(verdicts(), v) }

func verdicts() []core.Verdict {
	return []core.Verdict{core.Pass, core.Fail, core.Error, core.Skip, core.Unmeasurable}
}

func verdictWords() (words []string) {
	for _, v := range verdicts() {
		words = append(words, string(v))
	}

	return words
}

func (s *said) step(l *line) error {
	switch {
	case !isWord(l.Name):
		return fmt.Errorf("the step %.64q needs a name of 1 to %d printable letters", l.Name, maxWord)
	case !isVerdict(l.Verdict):
		return fmt.Errorf("the step %s has the verdict %.40q, none of %s", l.Name, l.Verdict, strings.Join(verdictWords(), ", "))
	case len(s.steps) == maxSteps:
		return fmt.Errorf("there are more than %d steps", maxSteps)
	}

	s.steps = append(s.steps, core.SubStep{
		Name: core.ScriptStep(s.script.Name) + " " + l.Name, Part: l.Part.clean(), Verdict: l.Verdict, Summary: clip(l.Summary, maxProse), Progress: 1,
	})

	return nil
}

func (s *said) finding(l *line) error {
	kebab := l.Code != "" && len(l.Code) <= 64 && strings.Trim(l.Code, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""

	switch {
	case !kebab:
		return fmt.Errorf("the finding's code %.64q must be lower-case letters, digits and hyphens", l.Code)
	case l.Severity.Rank() < 0:
		return fmt.Errorf("the finding %s has the severity %.40q, none of critical, warning, info", l.Code, l.Severity)
	case !isWord(l.Title) || l.Evidence == "" || l.Next == "":
		return fmt.Errorf("the finding %s needs a title, evidence and next", l.Code)
	case len(s.findings) == maxFinds:
		return fmt.Errorf("there are more than %d findings", maxFinds)
	}

	s.findings = append(s.findings, core.Finding{
		Code: "custom/" + s.script.Name + "-" + l.Code, Severity: l.Severity, Title: l.Title, Part: l.Part.clean(),
		Evidence: clip(l.Evidence, maxProse), Next: clip(l.Next, maxProse),
	})

	return nil
}

func (s *said) measurement(l *line) error {
	key := "custom/" + s.script.Name + "." + l.Name + "/" + l.Quantity

	e, known := catalogue.Lookup(key)

	switch {
	case !known || l.Name == "" || len(l.Name) > 32:
		return fmt.Errorf("the measurement %.64q has the quantity %.40q; it needs a short plain name and one of %s", l.Name, l.Quantity, strings.Join(quantities(), ", "))
	case l.Value == nil || math.IsInf(*l.Value, 0):
		return fmt.Errorf("the measurement %s has no value", l.Name)
	case len(s.samples) == maxMeas:
		return fmt.Errorf("there are more than %d measurements", maxMeas)
	}

	s.samples = append(s.samples, core.Sample{Time: s.now(), Key: key, Value: *l.Value, Unit: e.Unit})

	return nil
}

// quantities are those that a script may measure.
func quantities() (all []string) {
	for _, e := range catalogue.All() {
		if e.Kind == "custom" {
			all = append(all, e.Quantity)
		}
	}

	return all
}

func (p part) clean() core.Part {
	return core.Part{Kind: clip(p.Kind, maxWord), Slot: clip(p.Slot, maxWord), Model: clip(p.Model, maxWord), Serial: clip(p.Serial, maxWord)}
}

func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func clip(s string, most int) string {
	return strings.ToValidUTF8(s[:min(len(s), most)], "")
}

// ended is how the process ended.
type ended struct {
	fault string // code of what we ended it for, or could not start it; empty: it ended by itself
	why   string // to it
	exit  string // "exit status 3", "signal: killed"; empty: exit status 0
	tail  string // the last that it wrote to stderr
}

// judge makes the outcome of a script from what it said and how it ended. What speaks
// against the hardware counts whatever the end was; that nothing does is worth something
// only where the script says so in its last line, and ends well.
func (s *said) judge(e ended) (verdict core.Verdict, summary string, trouble []core.Finding) {
	say := func(code, evidence string) {
		if e.tail != "" {
			evidence += "; it wrote: " + e.tail
		}

		trouble = append(trouble, problem.Finding(code, "", "", core.Part{}, "custom stage "+s.script.Name+": "+evidence))
	}

	against := s.verdict == core.Fail || slices.ContainsFunc(s.steps, func(step core.SubStep) bool { return step.Verdict == core.Fail })
	critical := slices.ContainsFunc(s.findings, func(f core.Finding) bool { return f.Severity == core.Critical })
	broken := s.verdict == core.Error || slices.ContainsFunc(s.steps, func(step core.SubStep) bool { return step.Verdict == core.Error })

	switch {
	case e.fault != "":
		say(e.fault, e.why)
	case e.exit != "":
		say(problem.CustomCrashed, e.exit)
	case s.verdict == "":
		say(problem.CustomNoVerdict, fmt.Sprintf("exit status 0 after %d lines", s.lines))
	case broken && !against && !critical:
		say(problem.CustomCrashed, "it says: "+or(s.summary, "a step ended in error"))
	}

	if against && !critical {
		trouble = append(trouble, problem.Finding(problem.CustomFailed, "", "", core.Part{}, "custom stage "+s.script.Name+": "+or(s.summary, "a step failed")))
	}

	switch {
	case against || critical:
		return core.Fail, or(s.summary, "it found a fault"), trouble
	case len(trouble) > 0:
		return core.Error, trouble[0].Title, trouble
	default:
		return s.verdict, s.summary, nil
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}

	return b
}
