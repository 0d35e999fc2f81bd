package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/core/profile"
)

// profileCheckCommand reads the profiles of a file, which need not be the one
// in force, and says what they come to. It asks no appliance.
func (c *cli) profileCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE]", Short: "Read the profiles of a configuration file and name every fault", Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.file = args[0]
			}

			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			all, err := profiles(profile.Defaults(), config.Profiles)
			if err != nil {
				return err
			}

			table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
			if _, err := fmt.Fprintln(table, "NAME\tSTAGES\tRULES\tSCALE"); err != nil {
				return err
			}

			for i := range all {
				if _, err := fmt.Fprintf(table, "%s\t%d\t%d\t%g\n", all[i].Name, len(all[i].Stages), len(all[i].Rules), all[i].Scale); err != nil {
					return err
				}
			}

			return table.Flush()
		},
	}
}

// profiles returns the shipped profiles with the operator's own added or laid
// over them. Faults name their key.
func profiles(shipped []core.Profile, own map[string]ProfileConfig) ([]core.Profile, error) {
	byName := map[string]core.Profile{}
	for _, p := range shipped {
		byName[p.Name] = p
	}

	var faults []error

	for _, name := range slices.Sorted(maps.Keys(own)) {
		p, err := merge(byName, name, own[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("profiles.%s: %w", name, err))

			continue
		}

		byName[name] = p
	}

	return slices.SortedFunc(maps.Values(byName), func(a, b core.Profile) int {
		return strings.Compare(a.Name, b.Name)
	}), errors.Join(faults...)
}

func merge(known map[string]core.Profile, name string, own ProfileConfig) (core.Profile, error) {
	base, shipped := known[name]

	if own.Extends != "" {
		parent, ok := known[own.Extends]
		if !ok {
			return base, fmt.Errorf("extends: there is no profile %q (profiles are read in alphabetical order)", own.Extends)
		}

		base, shipped = parent, true
	}

	if !shipped && len(own.Stages) == 0 {
		return base, errors.New("stages: name the stages, or a profile to extend")
	}

	base.Name = name
	if own.Description != "" {
		base.Description = own.Description
	}

	base.Scale = cmp.Or(own.Scale, base.Scale, 1)

	if len(own.Stages) > 0 {
		base.Stages = nil
		for _, s := range own.Stages {
			base.Stages = append(base.Stages, core.StageName(s))
		}
	}

	base.Config = maps.Clone(base.Config)
	if base.Config == nil {
		base.Config = map[string]string{}
	}

	maps.Copy(base.Config, own.Config)

	base.Rules = slices.Clone(base.Rules)
	for i, t := range own.Thresholds {
		rule := t.rule(cmp.Or(t.ID, fmt.Sprintf("profile/%s/%d", name, i+1)))

		if slices.ContainsFunc(own.Thresholds[:i], func(o ThresholdConfig) bool { return o.ID == rule.ID }) {
			return base, fmt.Errorf("thresholds: the id %q is used twice; give each rule its own", rule.ID)
		}

		base.Rules = append(slices.DeleteFunc(base.Rules, func(r core.Rule) bool { return r.ID == rule.ID }), rule)
	}

	return base, nil
}

func (t ThresholdConfig) rule(id string) core.Rule {
	return core.Rule{
		ID: id, Stage: t.Stage, Key: t.Key, Op: core.Op(t.Op), Value: t.Value, Of: t.Of, Fallback: t.Fallback,
		Severity: core.Severity(t.Severity), For: time.Duration(t.For), Count: t.Count, Required: t.Required,
	}
}
