package profile

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/threshold"
)

// Fault is what is wrong with a profile, and where in the text that it comes from.
type Fault struct {
	*core.Problem

	Path []string // keys and numbers from 0 on, such as "thresholds", "2"; nil: the profile as a whole
}

// Unwrap returns the problem.
func (f *Fault) Unwrap() error { return f.Problem }

// Lay makes a profile of a draft, over the one that the draft extends or else over the
// shipped one of the same name; known finds those. It does not check what comes of it.
// The error is a *Fault.
func Lay(known func(name string) (core.Profile, bool), name string, d *core.ProfileDraft) (core.Profile, error) {
	base, found := known(cmp.Or(d.Extends, name))
	if !found && d.Extends != "" {
		return base, faulty("extends", fmt.Sprintf("extends: there is no profile %.64q.", d.Extends))
	}

	if !found && len(d.Stages) == 0 {
		return base, faulty("stages", "stages: name the stages, or a profile to extend.")
	}

	base.Name = name
	base.Description = cmp.Or(d.Description, base.Description)
	base.Scale = cmp.Or(d.Scale, base.Scale, 1)

	if len(d.Stages) > 0 {
		base.Stages = slices.Clone(d.Stages)
	}

	base.Config, base.Rules = maps.Clone(base.Config), slices.Clone(base.Rules)
	if base.Config == nil {
		base.Config = map[string]string{}
	}

	maps.Copy(base.Config, d.Config)

	seen := map[string]bool{}

	for i, rule := range d.Rules {
		rule.ID = cmp.Or(rule.ID, fmt.Sprintf("profile/%s/%d", name, i+1))
		if seen[rule.ID] {
			return base, &Fault{Path: []string{"thresholds", strconv.Itoa(i)}, Problem: core.NewProblem(core.ErrInvalid, problem.ProfileInvalid,
				fmt.Sprintf("thresholds: the id %q is used twice; give each rule its own.", rule.ID))}
		}

		seen[rule.ID] = true

		if i := slices.IndexFunc(base.Rules, func(r core.Rule) bool { return r.ID == rule.ID }); i >= 0 {
			rule.Code = cmp.Or(rule.Code, base.Rules[i].Code) // texts of profiles name no codes
			base.Rules = slices.Delete(base.Rules, i, i+1)
		}

		base.Rules = append(base.Rules, rule)
	}

	return base, nil
}

func faulty(key, message string) error {
	return &Fault{Path: []string{key}, Problem: core.NewProblem(core.ErrInvalid, problem.ProfileInvalid, message)}
}

// CheckDraft says what is wrong with a draft and with the profile that came of it. All
// faults are joined, each a *Fault: whatever the draft says itself has a place.
func CheckDraft(d *core.ProfileDraft, laid *core.Profile, available ...core.StageName) error {
	if len(available) == 0 {
		available = Available()
	}

	c := &checker{of: fmt.Sprintf("Profile %.64q", laid.Name), available: available}
	c.whole(laid)
	c.at("thresholds").say(len(d.Rules) > maxRules, "%d rules are too many; %d at most", len(d.Rules), maxRules)

	for i := range d.Rules {
		rule := d.Rules[i]
		rule.ID = cmp.Or(rule.ID, "-")

		for _, fault := range threshold.Faults(&rule) {
			c.at("thresholds", strconv.Itoa(i)).say(true, "rule %d: %s", i+1, fault)
		}
	}

	faults := make([]error, 0, len(c.errs))

	for i, err := range c.errs {
		var p *core.Problem
		if errors.As(err, &p) {
			faults = append(faults, &Fault{Problem: p, Path: c.places[i]})
		}
	}

	if len(faults) == 0 {
		return threshold.Check(laid.Rules) // what it has from below
	}

	return errors.Join(faults...)
}

// Resolve makes profiles of all drafts, each of which may extend another or one of the
// base. What cannot be used comes back with the reason, a *Fault or several joined.
func Resolve(base []core.Profile, drafts map[string]*core.ProfileDraft, available ...core.StageName) (fit map[string]core.Profile, unfit map[string]error) {
	r := &resolver{base: base, drafts: drafts, available: available, fit: map[string]core.Profile{}, unfit: map[string]error{}, under: map[string]bool{}}

	for _, name := range slices.Sorted(maps.Keys(drafts)) {
		r.resolve(name)
	}

	return r.fit, r.unfit
}

type resolver struct {
	base      []core.Profile
	drafts    map[string]*core.ProfileDraft
	available []core.StageName
	fit       map[string]core.Profile
	unfit     map[string]error
	under     map[string]bool // being resolved
}

func (r *resolver) known(name string) (core.Profile, bool) {
	if i := slices.IndexFunc(r.base, func(p core.Profile) bool { return p.Name == name }); i >= 0 {
		return r.base[i], true
	}

	r.resolve(name)
	p, ok := r.fit[name]

	return p, ok
}

func (r *resolver) resolve(name string) {
	d := r.drafts[name]
	if d == nil || r.fit[name].Name != "" || r.unfit[name] != nil {
		return
	}

	if r.under[name] {
		r.unfit[name] = faulty("extends", "extends: the profile extends itself, by way of others.")

		return
	}

	r.under[name] = true
	defer delete(r.under, name)

	p, err := Lay(func(below string) (core.Profile, bool) {
		if below == name && d.Extends == "" {
			return core.Profile{}, false
		}

		return r.known(below)
	}, name, d)
	if err == nil {
		err = CheckDraft(d, &p, r.available...)
	}

	switch {
	case r.unfit[name] != nil: // found on the way
	case err != nil:
		r.unfit[name] = err
	default:
		r.fit[name] = p
	}
}
