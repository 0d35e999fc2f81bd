package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// ProfileLanguage reads and writes the text of profiles.
type ProfileLanguage interface {
	// Read returns what a text says; the error is a *core.Problem for people and names
	// line and column.
	Read(text string) (core.ProfileDraft, error)
	// Write returns a text of which Read makes the same.
	Write(draft core.ProfileDraft) (string, error)
	// Place names the lines and columns of faults that are joined, each a *profile.Fault.
	Place(text string, faults error) error
}

// Bounds of profiles that are made in the console.
const (
	maxProfileText = 64 << 10 // bytes
	maxProfiles    = 100
	keptVersions   = 200 // of each profile; older ones are forgotten
)

// AnyVersion sets a profile whatever version there is.
const AnyVersion = -1

// profileBook is all profiles that there are. It is never changed, only replaced.
type profileBook struct {
	base    []core.Profile               // shipped ones and the file's
	at      map[string]string            // those of the file: where they stand
	texts   map[string]core.ProfileText  // the console's
	drafts  map[string]core.ProfileDraft // what they say; one that cannot be read has none
	usable  []core.Profile               // by name
	entries []core.ProfileEntry          // by name
}

// Profiles lists the profiles runs can be started with, by name.
func (e *Engine) Profiles() []core.Profile { return slices.Clone(e.profiles.Load().usable) }

// ProfileBook lists all profiles with where they come from, by name: also those of the
// console that cannot be used any more, because the file has changed under them.
func (e *Engine) ProfileBook() []core.ProfileEntry { return slices.Clone(e.profiles.Load().entries) }

// SetProfiles puts other profiles in the place of the shipped ones and those of the
// configuration file; at says of the latter where they stand ("FILE:LINE"), by name. They
// count for runs that are started from now on: a run keeps its own. When they make no
// sense, the error says how, and the old ones stay. Profiles of the console that bear one
// of these names are set aside.
func (e *Engine) SetProfiles(profiles []core.Profile, at map[string]string) error {
	if len(profiles) == 0 {
		return errors.New("there must be a profile")
	}

	if err := profile.CheckAll(profiles, e.Stages...); err != nil {
		return err
	}

	e.editing.Lock()
	defer e.editing.Unlock()

	var texts map[string]core.ProfileText
	if now := e.profiles.Load(); now != nil {
		texts = now.texts
	}

	e.profiles.Store(e.bind(profiles, at, texts))

	return nil
}

// loadProfiles reads those of the console.
func (e *Engine) loadProfiles(ctx context.Context) error {
	e.editing.Lock()
	defer e.editing.Unlock()

	texts := map[string]core.ProfileText{}

	err := e.Ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableProfile, core.Query{Prefix: core.ProfileNow}, func(key string, decode func(any) error) error {
			var t core.ProfileText

			if err := decode(&t); err != nil {
				return err
			}

			if t.Text != "" {
				texts[strings.TrimPrefix(key, core.ProfileNow)] = t
			}

			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("reading the profiles of the console: %w", err)
	}

	now := e.profiles.Load()
	e.profiles.Store(e.bind(now.base, now.at, texts))

	return nil
}

// bind puts a book together.
func (e *Engine) bind(base []core.Profile, at map[string]string, texts map[string]core.ProfileText) *profileBook {
	b := &profileBook{base: slices.Clone(base), at: at, texts: texts, drafts: map[string]core.ProfileDraft{}, usable: slices.Clone(base)}

	for i := range base {
		entry := core.ProfileEntry{Profile: base[i], Origin: core.ProfileShipped}
		if place := at[base[i].Name]; place != "" {
			entry.Origin, entry.At = core.ProfileFile, place
		}

		b.entries = append(b.entries, entry)
	}

	drafts, aside := map[string]*core.ProfileDraft{}, map[string]error{}

	for name, t := range texts {
		d, err := e.readProfile(t.Text)
		if err == nil {
			b.drafts[name] = d
		}

		if b.taken(name) {
			err = errors.New("The configuration file has a profile of this name now, which counts. Save this one under another name.") //nolint:staticcheck,revive // a sentence for people
		}

		if err != nil {
			aside[name] = err

			continue
		}

		drafts[name] = &d
	}

	fit, unfit := profile.Resolve(base, drafts, e.Stages...)
	maps.Copy(unfit, aside)

	for name, t := range texts {
		entry := core.ProfileEntry{Profile: fit[name], Origin: core.ProfileConsole, Extends: b.drafts[name].Extends, Text: t}
		if why := unfit[name]; why != nil {
			entry.Profile, entry.Unfit = core.Profile{Name: name}, sentence(why)
		} else {
			b.usable = append(b.usable, entry.Profile)
		}

		b.entries = append(b.entries, entry)
	}

	slices.SortFunc(b.usable, func(a, b core.Profile) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(b.entries, func(a, b core.ProfileEntry) int { return strings.Compare(a.Profile.Name, b.Profile.Name) })

	return b
}

// taken reports whether a name is that of a shipped profile or of one of the file.
func (b *profileBook) taken(name string) bool {
	return slices.ContainsFunc(b.base, func(p core.Profile) bool { return p.Name == name })
}

// sentence is an error as it is shown to people.
func sentence(err error) string {
	var p *core.Problem
	if errors.As(err, &p) {
		return p.Message
	}

	return err.Error()
}

func (e *Engine) readProfile(text string) (core.ProfileDraft, error) {
	switch {
	case e.ProfileText == nil:
		return core.ProfileDraft{}, core.NewProblem(core.ErrInvalid, problem.ProfileInvalid, "This appliance reads no profiles but those of its configuration file.")
	case len(text) > maxProfileText:
		return core.ProfileDraft{}, core.NewProblem(core.ErrInvalid, problem.ProfileInvalid, fmt.Sprintf("The profile has %d bytes; %d at most.", len(text), maxProfileText))
	case strings.TrimSpace(text) == "":
		return core.ProfileDraft{}, core.NewProblem(core.ErrInvalid, problem.ProfileInvalid, "The profile says nothing; name the one that it extends, or its stages.")
	default:
		return e.ProfileText.Read(text)
	}
}

// ReadProfile returns what a text says, whether it makes sense or not.
func (e *Engine) ReadProfile(text string) (core.ProfileDraft, error) { return e.readProfile(text) }

// WriteProfile returns the text of a draft.
func (e *Engine) WriteProfile(draft core.ProfileDraft) (string, error) {
	if e.ProfileText == nil {
		return "", core.NewProblem(core.ErrInvalid, problem.ProfileInvalid, "This appliance writes no profiles.")
	}

	return e.ProfileText.Write(draft)
}

// CheckProfile says what a text would come to as a profile of this name, without saving
// it. The error is a *core.Problem that names every fault with its line and column.
func (e *Engine) CheckProfile(name, text string) (core.Profile, error) {
	return e.checkProfile(e.profiles.Load(), name, text)
}

func (e *Engine) checkProfile(book *profileBook, name, text string) (core.Profile, error) {
	if book.taken(name) {
		return core.Profile{}, core.NewProblem(core.ErrConflict, problem.ProfileTaken, fmt.Sprintf(
			"%s is a profile that is shipped or stands in the configuration file; it cannot be changed here. Save a copy under another name.", name))
	}

	draft, err := e.readProfile(text)
	if err != nil {
		return core.Profile{}, err
	}

	drafts := map[string]*core.ProfileDraft{name: &draft}

	for other, d := range book.drafts {
		if other != name && !book.taken(other) {
			drafts[other] = &d
		}
	}

	fit, unfit := profile.Resolve(book.base, drafts, e.Stages...)
	if why := unfit[name]; why != nil {
		return core.Profile{}, e.ProfileText.Place(text, why)
	}

	for i := range book.entries {
		other := &book.entries[i]
		if why := unfit[other.Profile.Name]; why != nil && other.Unfit == "" {
			return core.Profile{}, core.NewProblem(core.ErrConflict, problem.ProfileInvalid, fmt.Sprintf(
				"The profile %s extends this one and could not be used any more: %s", other.Profile.Name, sentence(why)))
		}
	}

	return fit[name], nil
}

// SetProfile records a profile of the console: a new one, or the next version of one that
// there is. version is the one that the person saw who writes it, 0 for a new one;
// ErrConflict when there is another by now. AnyVersion takes whichever there is.
func (e *Engine) SetProfile(ctx context.Context, who, name, text string, version int) (core.ProfileText, error) {
	e.editing.Lock()
	defer e.editing.Unlock()

	book := e.profiles.Load()

	if _, err := e.checkProfile(book, name, text); err != nil {
		return core.ProfileText{}, err
	}

	if _, there := book.texts[name]; !there && len(book.texts) >= maxProfiles {
		return core.ProfileText{}, core.NewProblem(core.ErrConflict, problem.ProfileInvalid, fmt.Sprintf(
			"There are %d profiles of the console already; remove one first.", maxProfiles))
	}

	return e.writeProfile(ctx, book, who, name, text, version)
}

// RemoveProfile removes a profile of the console. ErrConflict while a run that is not over
// has it, or another profile extends it. Runs that had it keep what they used.
func (e *Engine) RemoveProfile(ctx context.Context, who, name string) error {
	e.editing.Lock()
	defer e.editing.Unlock()

	book := e.profiles.Load()

	if _, there := book.texts[name]; !there {
		if book.taken(name) {
			return core.NewProblem(core.ErrConflict, problem.ProfileTaken, fmt.Sprintf(
				"%s is a profile that is shipped or stands in the configuration file; it cannot be removed here.", name))
		}

		return noProfile(name)
	}

	var above []string

	for other, d := range book.drafts {
		if d.Extends == name {
			above = append(above, other)
		}
	}

	if len(above) > 0 {
		slices.Sort(above)

		return core.NewProblem(core.ErrConflict, problem.ProfileUsed, fmt.Sprintf("Other profiles extend %s: %s.", name, strings.Join(above, ", ")))
	}

	_, err := e.writeProfile(ctx, book, who, name, "", AnyVersion)

	return err
}

func noProfile(name string) error {
	return core.NewProblem(core.ErrNotFound, problem.ProfileUnknown, fmt.Sprintf("There is no profile %.64q; choose one of those listed.", name))
}

// writeProfile records the next version of a profile; an empty text removes it. The
// caller holds editing.
func (e *Engine) writeProfile(ctx context.Context, book *profileBook, who, name, text string, version int) (core.ProfileText, error) {
	var next core.ProfileText

	err := e.write(ctx, func(c *change) error {
		var was core.ProfileText
		if err := c.Get(core.TableProfile, core.ProfileNow+name, &was); err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		seen := was.Version
		if was.Text == "" {
			seen = 0 // it was removed: who makes one of this name makes a new one
		}

		if version != AnyVersion && version != seen {
			return core.NewProblem(core.ErrConflict, problem.ProfileChanged, fmt.Sprintf(
				"The profile is at version %d by now, set by %s; look at that and save yours again.", was.Version, was.SetBy))
		}

		if text == "" {
			if err := c.unused(name); err != nil {
				return err
			}
		}

		next = core.ProfileText{Name: name, Version: was.Version + 1, Text: text, Digest: digestOf(text), SetAt: c.now, SetBy: clip(who, maxWord)}

		return c.keepProfile(who, &was, &next)
	})
	if err != nil {
		return core.ProfileText{}, err
	}

	texts := maps.Clone(book.texts)
	if texts == nil {
		texts = map[string]core.ProfileText{}
	}

	texts[name] = next
	if text == "" {
		delete(texts, name)
	}

	e.profiles.Store(e.bind(book.base, book.at, texts))

	return next, nil
}

// keepProfile puts a version into the ledger, and forgets the oldest.
func (c *change) keepProfile(who string, was, next *core.ProfileText) error {
	if err := c.Put(core.TableProfile, core.ProfileNow+next.Name, next); err != nil {
		return err
	}

	if err := c.Put(core.TableProfile, core.ProfileVersionKey(next.Name, next.Version), next); err != nil {
		return err
	}

	if old := next.Version - keptVersions; old > 0 {
		if err := c.Delete(core.TableProfile, core.ProfileVersionKey(next.Name, old)); err != nil {
			return err
		}
	}

	action, word := "profile.set", fmt.Sprintf("set the profile %s, version %d", next.Name, next.Version)
	if next.Text == "" {
		action, word = "profile.remove", "removed the profile "+next.Name
	}

	return c.audit(deed{who: who, action: action, object: "profile/" + next.Name, text: word, before: was.Digest, after: next.Digest})
}

// unused refuses to remove a profile that a run has which is not over: people look it up
// there, and a batch of which some hosts still wait is one thing.
func (c *change) unused(name string) error {
	for _, b := range c.engine.index.berths() {
		var run core.Run
		if err := c.Get(core.TableRun, string(b.id), &run); err != nil {
			return err
		}

		if run.Profile.Name == name && !run.State.Over() {
			return core.NewProblem(core.ErrConflict, problem.ProfileUsed, fmt.Sprintf(
				"The run %s on %s has the profile %s and is not over; wait for it, or cancel it.", run.ID, run.HostName, name))
		}
	}

	return nil
}
