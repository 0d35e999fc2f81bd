package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// lines is a language of profiles with the two keys that these tests need.
type lines struct{}

func (lines) Read(text string) (d core.ProfileDraft, err error) {
	for line := range strings.Lines(text) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), ": "); key {
		case "extends":
			d.Extends = value
		case "description":
			d.Description = value
		default:
			return d, core.NewProblem(core.ErrInvalid, "profile/invalid", fmt.Sprintf("[1:1] unknown %q", key))
		}
	}

	return d, nil
}

func (lines) Write(d core.ProfileDraft) (string, error) { return "extends: " + d.Extends + "\n", nil }

func (lines) Place(_ string, faults error) error { return faults }

func inProfiles(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		test(t, newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.ProfileText = lines{} }))
	})
}

func (r *rig) entry(name string) (e core.ProfileEntry) {
	book := r.ProfileBook()
	if i := slices.IndexFunc(book, func(e core.ProfileEntry) bool { return e.Profile.Name == name && e.Origin == core.ProfileConsole }); i >= 0 {
		return book[i]
	}

	return e
}

func TestAProfileOfTheConsoleOutlivesARestart(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		if _, err := r.SetProfile(t.Context(), "ada", "own", "extends: quick\n", 0); err != nil {
			t.Fatal(err)
		}

		second, err := r.SetProfile(t.Context(), "bo", "own", "extends: quick\ndescription: mine\n", 1)
		if err != nil || second.Version != 2 {
			t.Fatalf("%+v %v", second, err)
		}

		if _, err := r.SetProfile(t.Context(), "cy", "own", "extends: quick\n", 1); !errors.Is(err, core.ErrConflict) {
			t.Errorf("over a version that was not seen: %v", err)
		}

		r.restart()
		synctest.Wait()

		if e := r.entry("own"); e.Profile.Description != "mine" || e.Text.SetBy != "bo" || e.Extends != "quick" || e.Unfit != "" {
			t.Errorf("after a restart: %+v", e)
		}

		var versions, audits int

		for key := range r.ledger.(*coretest.Ledger).Dump(core.TableProfile) {
			if strings.HasPrefix(key, core.ProfileVersion) {
				versions++
			}
		}

		for _, entry := range r.ledger.(*coretest.Ledger).Dump(core.TableAudit) {
			if strings.Contains(entry, "profile.set") {
				audits++
			}
		}

		if versions != 2 || audits != 2 {
			t.Errorf("%d versions, %d entries of the audit trail", versions, audits)
		}
	})
}

func TestNamesOfShippedProfilesAndOfTheFileAreTaken(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		if _, err := r.SetProfile(t.Context(), "ada", "quick", "extends: deep\n", 0); !errors.Is(err, core.ErrConflict) {
			t.Errorf("over a shipped one: %v", err)
		}

		if err := r.RemoveProfile(t.Context(), "ada", "quick"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("a shipped one is removed: %v", err)
		}

		for _, name := range []string{"", "a b", strings.Repeat("x", 65)} {
			if _, err := r.SetProfile(t.Context(), "ada", name, "extends: quick\n", 0); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("the name %q: %v", name, err)
			}
		}

		for name, text := range map[string]string{"own": "extends: quick\n", "above": "extends: own\n"} {
			if name == "own" {
				if _, err := r.SetProfile(t.Context(), "ada", name, text, 0); err != nil {
					t.Fatal(err)
				}
			}
		}

		if _, err := r.SetProfile(t.Context(), "ada", "above", "extends: own\n", 0); err != nil {
			t.Fatal(err)
		}

		if err := r.RemoveProfile(t.Context(), "ada", "own"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("one that another extends is removed: %v", err)
		}

		// The file gets a profile of the same name: it counts.
		base := r.Profiles()
		base = slices.DeleteFunc(base, func(p core.Profile) bool { return p.Name == "above" })
		base[slices.IndexFunc(base, func(p core.Profile) bool { return p.Name == "own" })].Description = "of the file"

		if err := r.SetProfiles(base, map[string]string{"own": "/etc/vetting.yaml:7"}); err != nil {
			t.Fatal(err)
		}

		if e := r.entry("own"); e.Unfit == "" {
			t.Error("the console's counts beside the file's")
		}

		usable := r.Profiles()
		i := slices.IndexFunc(usable, func(p core.Profile) bool { return p.Name == "above" })

		if i < 0 || usable[i].Description != "of the file" {
			t.Errorf("what extends it: %+v", usable)
		}
	})
}

func TestAProfileInUseIsNotRemoved(t *testing.T) {
	inProfiles(t, func(t *testing.T, r *rig) {
		if _, err := r.SetProfile(t.Context(), "ada", "own", "extends: quick\n", 0); err != nil {
			t.Fatal(err)
		}

		r.host(1)

		run, err := r.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "own", Who: "op"})
		if err != nil {
			t.Fatal(err)
		}

		if err := r.RemoveProfile(t.Context(), "ada", "own"); !errors.Is(err, core.ErrConflict) {
			t.Errorf("removed under a run: %v", err)
		}

		// What is saved now is for runs that come.
		if _, err := r.SetProfile(t.Context(), "ada", "own", "extends: quick\ndescription: changed\n", engine.AnyVersion); err != nil {
			t.Fatal(err)
		}

		if _, err := r.CancelRun(t.Context(), "op", run.ID); err != nil {
			t.Fatal(err)
		}

		if err := r.RemoveProfile(t.Context(), "ada", "own"); err != nil {
			t.Errorf("nobody uses it: %v", err)
		}

		if err := r.RemoveProfile(t.Context(), "ada", "own"); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("twice: %v", err)
		}

		if kept := r.run(run.ID); kept.Profile.Name != "own" || kept.Profile.Description == "changed" {
			t.Errorf("the run lost its profile: %+v", kept.Profile)
		}

		if next, err := r.SetProfile(t.Context(), "ada", "own", "extends: quick\n", 0); err != nil || next.Version != 4 {
			t.Errorf("made anew: %+v %v", next, err)
		}
	})
}
