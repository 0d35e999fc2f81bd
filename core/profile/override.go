package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"vetting/core"
	"vetting/core/threshold"
)

// maxReason bounds the reason of a declared skip, maxRules the rules of one
// override.
const (
	maxReason = 256
	maxRules  = 256
)

// CheckOverride refuses an override that could not work: unknown settings, sample
// keys and stages, skips without a reason. All faults are joined.
func CheckOverride(o core.Override) error {
	c := &checker{of: "Override"}

	c.config(o.Config)
	c.say(len(o.Rules) > maxRules, "%d rules are too many; %d at most", len(o.Rules), maxRules)

	for _, stage := range slices.Sorted(maps.Keys(o.Skip)) {
		c.skip(stage, o.Skip[stage])
	}

	if err := threshold.Check(o.Rules); err != nil {
		c.errs = append(c.errs, err)
	}

	return errors.Join(c.errs...)
}

// skip demands a stage that can be missed and a reason that can be printed.
func (c *checker) skip(stage core.StageName, reason string) {
	known := slices.Contains(core.Pipeline(), stage)

	c.say(!known, "%.40q is not a stage; the stages are %s", stage, names(core.Pipeline()))
	c.say(stage == core.InventoryCheck || stage == core.Reporting, "stage %s cannot be skipped; the others need it", stage)
	c.say(reason == "" || len(reason) > maxReason || strings.ContainsFunc(reason, func(r rune) bool { return !unicode.IsPrint(r) }),
		"skipping %.40q needs a reason of 1 to %d printable letters; it stands on the report", stage, maxReason)
}

// Override is one layer of changes to a profile, and who made it.
type Override struct {
	From core.Layer
	core.Override
}

// Frozen is a profile as one run keeps it.
type Frozen struct {
	Profile core.Profile
	Skip    map[core.StageName]string // stage of the plan → why it is skipped
}

// Freeze lays overrides over a profile, the later over the earlier: a rule of the
// same id replaces the one before, a setting likewise. Nothing of what it returns
// is shared with what it was given. The error is for people: the layers may each
// make sense and not together.
func Freeze(p core.Profile, layers ...Override) (Frozen, error) {
	p.Stages, p.Rules, p.Config = slices.Clone(p.Stages), slices.Clone(p.Rules), maps.Clone(p.Config)
	f := Frozen{Profile: p, Skip: map[core.StageName]string{}}

	if f.Profile.Config == nil {
		f.Profile.Config = map[string]string{}
	}

	for _, layer := range layers {
		maps.Copy(f.Profile.Config, layer.Config)

		for stage, reason := range layer.Skip {
			if slices.Contains(p.Stages, stage) {
				f.Skip[stage] = reasonOf(layer.From, reason)
			}
		}

		for _, rule := range layer.Rules {
			rule.From = layer.From
			f.Profile.Rules = lay(f.Profile.Rules, rule)
		}
	}

	return f, threshold.Check(f.Profile.Rules)
}

func lay(rules []core.Rule, rule core.Rule) []core.Rule {
	i := slices.IndexFunc(rules, func(r core.Rule) bool { return r.ID == rule.ID })
	if i < 0 {
		return append(rules, rule)
	}

	rules[i] = rule

	return rules
}

// reasonOf says on the report who declared a skip.
func reasonOf(from core.Layer, reason string) string {
	return fmt.Sprintf("declared for this %s: %s", from, reason)
}
