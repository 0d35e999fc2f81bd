package baseline

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"vetting/core"
)

// Bounds of one text.
const (
	maxRules = 1000
	maxList  = 256
	maxWord  = 256
	maxNote  = 1024
)

// Baseline is a text of rules.
type Baseline struct {
	// Rules are held against all firmware that they match.
	Rules []Rule `yaml:"rules"`
	// Without names rules of the appliance's own catalogue that shall not count.
	Without Texts `yaml:"without"`
}

// Rule says which versions of some firmware are good. Patterns may have *, ? and
// [abc]; case does not count. Of exact, min, deny and cohort it has one.
type Rule struct {
	ID     string `yaml:"id"`     // a word of its own
	Class  string `yaml:"class"`  // pattern over the host's model class; empty: all hosts
	System string `yaml:"system"` // pattern over the machine's product name, with or without its manufacturer; empty: all
	Part   string `yaml:"part"`   // kind of the part: one of Kinds
	Name   string `yaml:"name"`   // pattern over the name of the firmware ("ME", "option ROM"); empty: that of the part itself, "BIOS" of a board
	Model  Texts  `yaml:"model"`  // patterns over the part's model; empty: all

	Exact  Texts `yaml:"exact"`  // it must be one of these
	Min    Text  `yaml:"min"`    // it must not be older
	Deny   Texts `yaml:"deny"`   // patterns: it must be none of these
	Cohort int   `yaml:"cohort"` // it must be what most of at least so many hosts of the model have

	Required bool          `yaml:"required"` // no such firmware, or one that cannot be judged, is an error
	Severity core.Severity `yaml:"severity"` // default: critical for deny, else warning
	Why      string        `yaml:"why"`      // what is wrong with other versions
	Next     string        `yaml:"next"`     // what a technician does; default: as the list of reason codes has it
	Source   string        `yaml:"source"`   // where the maker says so
}

// Kinds lists the kinds of parts that have firmware.
func Kinds() []string {
	return []string{"board", "bmc", "cpu", "disk", "gpu", "hba", "nic", "psu", "tpm"}
}

// The kinds of rules, as core.FirmwareCheck has them.
const (
	kindExact  = "exact"
	kindMin    = "min"
	kindDeny   = "deny"
	kindCohort = "cohort"
)

// kind says which kind of rule it is; r is valid.
func (r *Rule) kind() string {
	switch {
	case len(r.Exact) > 0:
		return kindExact
	case r.Min != "":
		return kindMin
	case len(r.Deny) > 0:
		return kindDeny
	default:
		return kindCohort
	}
}

// Else is how grave it is to break the rule.
func (r *Rule) Else() core.Severity {
	switch {
	case r.Severity != "":
		return r.Severity
	case len(r.Deny) > 0:
		return core.Critical
	default:
		return core.Warning
	}
}

// About says for people which firmware of which hosts the rule is about.
func (r *Rule) About() string {
	words := []string{}

	for _, field := range []struct{ name, value string }{
		{"class", r.Class}, {"system", r.System}, {"model", strings.Join(r.Model, ", ")}, {"name", r.Name},
	} {
		if field.value != "" {
			words = append(words, field.name+" "+field.value)
		}
	}

	if len(words) == 0 {
		return "all"
	}

	return strings.Join(words, "; ")
}

// Want says for people which versions are good.
func (r *Rule) Want() string {
	switch r.kind() {
	case kindExact:
		return strings.Join(r.Exact, " or ")
	case kindMin:
		return string(r.Min) + " or later"
	case kindDeny:
		return "none of " + strings.Join(r.Deny, ", ")
	default:
		return fmt.Sprintf("as most of %d or more hosts of the model have", r.Cohort)
	}
}

// Validate names everything that makes no sense, each fault beginning with the path of
// its field ("rules[2].min: …"), joined. Rules that the text does without are not
// looked for: another version of the appliance may have them.
func (b *Baseline) Validate() error {
	var faults []error

	say := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(field+": "+format, args...))
		}
	}

	say(len(b.Rules) > maxRules, "rules", "%d are too many; %d at most", len(b.Rules), maxRules)
	say(len(b.Without) > maxRules, "without", "%d are too many; %d at most", len(b.Without), maxRules)

	seen := map[string]bool{}

	for i := range b.Rules[:min(len(b.Rules), maxRules)] {
		r, at := &b.Rules[i], fmt.Sprintf("rules[%d]", i)

		say(!isID(r.ID), at+".id", "%.40q is no id; give the rule a word of small letters, digits, dots and dashes", r.ID)
		say(seen[r.ID] && r.ID != "", at+".id", "%.40q is used twice; give each rule its own", r.ID)
		seen[r.ID] = true

		faults = append(faults, r.faults(at)...)
	}

	return errors.Join(faults...)
}

func isID(text string) bool {
	return text != "" && len(text) <= maxWord && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// faults names what is wrong with a rule at a path.
func (r *Rule) faults(at string) (faults []error) {
	say := func(bad bool, field, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(at+field+": "+format, args...))
		}
	}

	say(!slices.Contains(Kinds(), r.Part), ".part", "%.40q is no kind of part; choose one of %s", r.Part, strings.Join(Kinds(), ", "))

	given := 0

	for _, is := range []bool{len(r.Exact) > 0, r.Min != "", len(r.Deny) > 0, r.Cohort != 0} {
		if is {
			given++
		}
	}

	say(given != 1, "", "it has %d of exact, min, deny and cohort; give it one", given)
	say(r.Cohort < 0 || r.Cohort == 1 || r.Cohort > maxList, ".cohort", "%d hosts make no cohort; 2 to %d do", r.Cohort, maxList)

	if _, ok := Compare(string(r.Min), string(r.Min)); r.Min != "" {
		say(!ok || len(r.Min) > maxVersion, ".min", "%.40q is no version", string(r.Min))
	}

	say(r.Severity != "" && r.Severity.Rank() < 0, ".severity", "%.40q is not one of critical, warning, info", string(r.Severity))

	for field, text := range map[string]string{".why": r.Why, ".next": r.Next, ".source": r.Source} {
		say(len(text) > maxNote, field, "%d bytes are too many; %d at most", len(text), maxNote)
	}

	for field, list := range map[string]Texts{
		".class": {r.Class}, ".system": {r.System}, ".name": {r.Name}, ".model": r.Model, ".deny": r.Deny, ".exact": r.Exact,
	} {
		say(len(list) > maxList, field, "%d are too many; %d at most", len(list), maxList)

		for _, text := range list {
			_, err := path.Match(text, "")
			say(err != nil && field != ".exact", field, "%.40q cannot be read as a pattern; put a \\ before a [ that means itself", text)
			say(len(text) > maxWord, field, "%.40q has %d letters; %d at most", text, len(text), maxWord)
			say(text == "" && len(list) > 1, field, "one of them is empty")
		}
	}

	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })

	return faults
}

// matches reports whether text is what a pattern says; an empty pattern fits all.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}

	// A slash is a letter like any other here.
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }
	ok, err := path.Match(fold(pattern), fold(text))

	return ok && err == nil
}

// fixed counts what a pattern fixes, to find the most specific: one without wildcards
// says more than any other, and an empty one nothing.
func fixed(pattern string) int {
	switch {
	case pattern == "":
		return -1
	case !strings.ContainsAny(pattern, "*?["):
		return maxNote
	default:
		return len(pattern) - strings.Count(pattern, "*") - strings.Count(pattern, "?") - strings.Count(pattern, "[")
	}
}
