package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/core/problem"
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
		config := own[name]
		draft := config.draft()

		p, err := profile.Lay(func(below string) (core.Profile, bool) {
			p, ok := byName[below]

			return p, ok
		}, name, &draft)
		if err != nil {
			faults = append(faults, fmt.Errorf("profiles.%s: %s", name, plainFault(err, draft.Extends)))

			continue
		}

		byName[name] = p
	}

	return slices.SortedFunc(maps.Values(byName), func(a, b core.Profile) int {
		return strings.Compare(a.Name, b.Name)
	}), errors.Join(faults...)
}

// plainFault is a fault of a profile of the file in a line of its own.
func plainFault(err error, extends string) string {
	words := err.Error()

	var p *core.Problem
	if errors.As(err, &p) {
		words = strings.TrimSuffix(p.Message, ".")
	}

	if extends != "" && strings.HasPrefix(words, "extends:") {
		words += " (profiles are read in alphabetical order)"
	}

	return words
}

// draft is what the profile says.
func (p *ProfileConfig) draft() core.ProfileDraft {
	d := core.ProfileDraft{Extends: p.Extends, Description: p.Description, Scale: p.Scale, Config: p.Config}

	for _, s := range p.Stages {
		d.Stages = append(d.Stages, core.StageName(s))
	}

	for i := range p.Thresholds {
		d.Rules = append(d.Rules, p.Thresholds[i].rule())
	}

	return d
}

func (t *ThresholdConfig) rule() core.Rule {
	return core.Rule{
		ID: t.ID, Stage: t.Stage, Key: t.Key, Op: core.Op(t.Op), Value: t.Value, Of: t.Of, Fallback: t.Fallback,
		Severity: core.Severity(t.Severity), For: time.Duration(t.For), Count: t.Count, Required: t.Required,
	}
}

// profileTexts reads and writes the profiles that are made in the console: one profile of
// the configuration file, without its name.
type profileTexts struct{}

// Read returns what a text says.
func (profileTexts) Read(text string) (core.ProfileDraft, error) {
	var own ProfileConfig

	if err := decodeSent([]byte(text), &own); err != nil {
		return core.ProfileDraft{}, refusal(problem.ProfileInvalid, "The profile cannot be read:", err)
	}

	return own.draft(), nil
}

// Write returns the text of a draft, with what it says alone.
func (profileTexts) Write(d core.ProfileDraft) (string, error) {
	own := writtenProfile{Description: d.Description, Extends: d.Extends, Scale: d.Scale, Config: d.Config}

	for _, s := range d.Stages {
		own.Stages = append(own.Stages, string(s))
	}

	for i := range d.Rules {
		r := &d.Rules[i]
		own.Thresholds = append(own.Thresholds, writtenRule{
			ID: r.ID, Stage: r.Stage, Key: r.Key, Op: string(r.Op), Value: r.Value, Of: r.Of, Fallback: r.Fallback,
			Severity: string(r.Severity), For: Duration(r.For), Count: r.Count, Required: r.Required,
		})
	}

	text, err := yaml.Marshal(own)
	if err != nil {
		return "", fmt.Errorf("writing a profile: %w", err)
	}

	return string(text), nil
}

// writtenProfile is a ProfileConfig that leaves out what is not said.
type writtenProfile struct {
	Description string            `yaml:"description,omitempty"`
	Extends     string            `yaml:"extends,omitempty"`
	Stages      []string          `yaml:"stages,omitempty"`
	Scale       float64           `yaml:"scale,omitempty"`
	Config      map[string]string `yaml:"config,omitempty"`
	Thresholds  []writtenRule     `yaml:"thresholds,omitempty"`
}

type writtenRule struct {
	ID       string   `yaml:"id,omitempty"`
	Stage    string   `yaml:"stage"`
	Key      string   `yaml:"key"`
	Op       string   `yaml:"op"`
	Value    float64  `yaml:"value"`
	Of       string   `yaml:"of,omitempty"`
	Fallback float64  `yaml:"fallback,omitempty"`
	Severity string   `yaml:"severity"`
	For      Duration `yaml:"for,omitempty"`
	Count    int      `yaml:"count,omitempty"`
	Required bool     `yaml:"required,omitempty"`
}

// Place names the line and the column of each fault.
func (profileTexts) Place(text string, err error) error {
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what errors.Join made, not what it holds
		faults = joined.Unwrap()
	}

	for i, fault := range faults {
		message := fault.Error()

		var p *core.Problem
		if errors.As(fault, &p) {
			message = p.Message
		}

		faults[i] = &textFault{message: message}

		var placed *profile.Fault
		if !errors.As(fault, &placed) || placed.Path == nil {
			continue
		}

		if at := keyAt([]byte(text), placed.Path); at != nil {
			faults[i] = &textFault{line: at.Position.Line, column: at.Position.Column, message: fmt.Sprintf("[%d:%d] %s", at.Position.Line, at.Position.Column, message)}
		}
	}

	return refusal(problem.ProfileInvalid, "The profile makes no sense:", faults...)
}

// profilePlaces says where in a configuration file each of its profiles stands, as
// "FILE:LINE".
func profilePlaces(file string, text []byte, own map[string]ProfileConfig) map[string]string {
	places := map[string]string{}

	for name := range own {
		places[name] = file
		if at := keyAt(text, []string{"profiles", name}); at != nil {
			places[name] = fmt.Sprintf("%s:%d", file, at.Position.Line)
		}
	}

	return places
}
