package canned

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

// profileText is the profile of the scene that was made in the console.
const profileText = "description: what comes back from the field\nextends: quick\nconfig:\n  SMART.self_test: extended\n"

// ProfileBook is of ui.Commands: the shipped ones, one of the file, one of the console
// and one that cannot be used any more.
func (c *Commands) ProfileBook() []core.ProfileEntry {
	list := []core.ProfileEntry{}

	for _, p := range Profiles() {
		entry := core.ProfileEntry{Profile: p, Origin: core.ProfileShipped}
		if p.Name == "ci" {
			entry.Origin, entry.At = core.ProfileFile, "/etc/vetting/vetting.yaml:41"
		}

		list = append(list, entry)
	}

	for _, p := range c.More {
		list = append(list, core.ProfileEntry{Profile: p, Origin: core.ProfileConsole, Extends: "quick", Text: canText(p.Name, profileText)})
	}

	own := Profiles()[0]
	own.Name, own.Description, own.Config = "returned", "what comes back from the field", map[string]string{"SMART.self_test": "extended"}

	list = append(list,
		core.ProfileEntry{Profile: own, Origin: core.ProfileConsole, Extends: "quick", Text: canText("returned", profileText)},
		core.ProfileEntry{
			Profile: core.Profile{Name: "spare"}, Origin: core.ProfileConsole, Extends: "receiving", Text: canText("spare", "extends: receiving\n"),
			Unfit: `extends: there is no profile "receiving".`,
		})

	slices.SortFunc(list, func(a, b core.ProfileEntry) int { return strings.Compare(a.Profile.Name, b.Profile.Name) })

	return list
}

func canText(name, text string) core.ProfileText {
	return core.ProfileText{Name: name, Version: 3, Text: text, Digest: strings.Repeat("a5", 32), SetAt: Now().Add(-26 * time.Hour), SetBy: "ada"}
}

// ReadProfile is of ui.Commands: it knows the few lines that WriteProfile writes.
func (c *Commands) ReadProfile(text string) (d core.ProfileDraft, err error) {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")

		switch {
		case key == "description":
			d.Description = value
		case key == "extends":
			d.Extends = value
		case ok && strings.HasPrefix(line, "  "):
			if d.Config == nil {
				d.Config = map[string]string{}
			}

			d.Config[key] = value
		case strings.HasPrefix(line, "config:"):
		default:
			return d, core.NewProblem(core.ErrInvalid, "profile/invalid", fmt.Sprintf("[1:1] unknown field %q", cmp.Or(key, line)))
		}
	}

	return d, nil
}

// WriteProfile is of ui.Commands.
func (c *Commands) WriteProfile(d core.ProfileDraft) (text string, err error) {
	if d.Description != "" {
		text += "description: " + d.Description + "\n"
	}

	text += "extends: " + d.Extends + "\n"

	for key, value := range d.Config {
		text += "config:\n  " + key + ": " + value + "\n"
	}

	return text, nil
}

// CheckProfile is of ui.Commands.
func (c *Commands) CheckProfile(name, text string) (core.Profile, error) {
	d, err := c.ReadProfile(text)
	if err != nil {
		return core.Profile{}, err
	}

	p := Profiles()[0]
	p.Name, p.Description, p.Config = name, cmp.Or(d.Description, p.Description), d.Config

	return p, nil
}

// SetProfile is of ui.Commands.
func (c *Commands) SetProfile(_ context.Context, who, name, text string, version int) (core.ProfileText, error) {
	if _, err := c.CheckProfile(name, text); err != nil {
		return core.ProfileText{}, err
	}

	if _, err := c.order(who, fmt.Sprintf("profile %s version %d: %s", name, version, text), ""); err != nil {
		return core.ProfileText{}, err
	}

	return canText(name, text), nil
}

// RemoveProfile is of ui.Commands.
func (c *Commands) RemoveProfile(_ context.Context, who, name string) error {
	_, err := c.order(who, "remove profile "+name, "")

	return err
}
