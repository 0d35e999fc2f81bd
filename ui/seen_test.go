package ui_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/problem"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

// saving has the orders of a bench write what they say.
func (b *bench) saving(t *testing.T) {
	t.Helper()

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (host core.Host, err error) {
		_, err = b.ledger.Update(t.Context(), func(txn core.Txn) error {
			if err := txn.Get(core.TableHost, string(mac), &host); err != nil {
				return err
			}

			if change(&host); host.SpecYAML == "no spec" {
				return core.NewProblem(core.ErrInvalid, "spec/invalid", "The spec cannot be read.")
			}

			return txn.Put(core.TableHost, string(mac), host)
		})

		return host, err
	}
	b.commands.Baseline = &core.FirmwareBaseline{}
	if err := b.ledger.View(t.Context(), func(r core.Reader) (err error) { *b.commands.Baseline, err = lookup.Baseline(r); return err }); err != nil {
		t.Fatal(err)
	}

	b.commands.OnBaseline = func(text string) (core.FirmwareBaseline, error) {
		b.commands.Baseline.Text = text
		_, err := b.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Put(core.TableBaseline, "current", b.commands.Baseline) })

		return *b.commands.Baseline, err
	}
	b.commands.OnClass = func(class core.Class, only []func(*core.Class) error) (core.Class, error) {
		_, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
			var was core.Class
			if err := txn.Get(core.TableClass, class.Name, &was); err != nil && !errors.Is(err, core.ErrNotFound) {
				return err
			}

			return errors.Join(canned.Against(&was, only), txn.Put(core.TableClass, class.Name, class))
		})

		return class, err
	}
}

// seenIn reads what the form says that it was drawn from whose fields begin behind a mark.
func seenIn(t *testing.T, page, mark string) string {
	t.Helper()

	_, form, _ := strings.Cut(page, mark)

	found := regexp.MustCompile(`^[^>]*>\s*<input type="hidden" name="seen" value="([^"]+)"`).FindStringSubmatch(form)
	if found == nil {
		t.Fatalf("the form behind %s does not say what it was drawn from", mark)
	}

	return html.UnescapeString(found[1])
}

// TestWhoSavesAStaleFormUndoesNothingUnseen: two people open the same form; whoever saves
// last is told what the other has saved, keeps what they typed, and may insist.
func TestWhoSavesAStaleFormUndoesNothingUnseen(t *testing.T) {
	t.Parallel()

	const class = "r740-nvme"

	for name, c := range map[string]struct {
		page, mark, path string
		ours, theirs     url.Values
		kept, told       string
	}{
		"a host": {
			page: hostPath, mark: `<form method="post" action="` + hostPath + `"`, path: hostPath,
			theirs: url.Values{"name": {"u17"}, "rack": {"B09/U3"}}, ours: url.Values{"name": {"u18"}, "rack": {"B07/U12"}, "notes": {"typed at length"}},
			kept: "typed at length", told: "name: u17; rack: B09/U3",
		},
		"a spec": {
			page: hostPath, mark: `/spec"`, path: hostPath + "/spec",
			theirs: url.Values{"spec": {"cpus: {count: 2}"}}, ours: url.Values{"spec": {"memory: {total: 1}"}},
			kept: "memory: {total: 1}</textarea>", told: "- cpus: {count: 2}",
		},
		"what differs from the profile": {
			page: hostPath, mark: `/overrides"`, path: hostPath + "/overrides",
			theirs: url.Values{"config": {"SMART.self_test = none"}}, ours: url.Values{"config": {"SMART.self_test = long"}},
			kept: "SMART.self_test = long", told: "SMART.self_test is none",
		},
		"the firmware baseline": {
			page: "/firmware", mark: `action="/firmware/baseline"`, path: "/firmware/baseline",
			theirs: url.Values{"baseline": {"rules: []"}}, ours: url.Values{"baseline": {"rules: [{id: x}]"}},
			kept: "rules: [{id: x}]</textarea>", told: "- rules: []",
		},
		"a class": {
			page: "/classes", mark: `action="/classes"`, path: "/classes",
			theirs: url.Values{"name": {class}, "spec": {"cpus: {count: 2}"}, "notes": {"by the door"}},
			ours:   url.Values{"name": {class}, "spec": {"memory: {total: 1}"}, "notes": {"by the window"}},
			kept:   "memory: {total: 1}", told: "notes: by the door",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := open(t, canned.Full, random)
			b.saving(t)

			auth := "Bearer " + b.token("operate")
			send := func(form url.Values, seen string) answer {
				form.Set("seen", seen)

				return b.ask("POST", c.path, form.Encode(), "Authorization", auth)
			}

			opened := seenIn(t, b.ask("GET", c.page, "", "Authorization", auth).body, c.mark)

			if got := send(c.theirs, opened); got.status != http.StatusSeeOther {
				t.Fatalf("who saves first: %d %.300s", got.status, got.body)
			}

			got := send(c.ours, opened)
			said := html.UnescapeString(got.body)

			if got.status != http.StatusConflict || !strings.Contains(said, "since this form was opened") || !strings.Contains(said, c.kept) || !strings.Contains(said, c.told) {
				t.Fatalf("who saves last: %d, and the page lacks the refusal, %q or %q", got.status, c.kept, c.told)
			}

			if got := send(c.ours, seenIn(t, got.body, c.mark)); got.status != http.StatusSeeOther {
				t.Errorf("who insists: %d", got.status)
			}
		})
	}
}

// A form that was refused for another reason has shown nothing of what somebody else saves
// meanwhile.
func TestAFormThatIsCorrectedIsAsOldAsBefore(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.saving(t)

	auth := "Bearer " + b.token("operate")
	send := func(spec, seen string) answer {
		return b.ask("POST", hostPath+"/spec", url.Values{"spec": {spec}, "seen": {seen}}.Encode(), "Authorization", auth)
	}
	opened := seenIn(t, b.ask("GET", hostPath, "", "Authorization", auth).body, `/spec"`)

	if got := send("cpus: {count: 2}", opened); got.status != http.StatusSeeOther {
		t.Fatal(got.status)
	}

	second := seenIn(t, b.ask("GET", hostPath, "", "Authorization", auth).body, `/spec"`)
	bad := send("no spec", second)

	if got := send("cpus: {count: 3}", second); got.status != http.StatusSeeOther || bad.status != http.StatusUnprocessableEntity {
		t.Fatal(got.status, bad.status)
	}

	if got := send("cpus: {count: 4}", seenIn(t, bad.body, `/spec"`)); got.status != http.StatusConflict {
		t.Errorf("what another saved while it was corrected is gone: %d", got.status)
	}
}

// The form of a new class is no way to overwrite one that is there.
func TestANewClassDoesNotTakeThePlaceOfOne(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.saving(t)

	auth := "Bearer " + b.token("operate")
	page := b.ask("GET", "/classes", "", "Authorization", auth).body
	_, fresh, _ := strings.Cut(page, "Add a class")

	got := b.ask("POST", "/classes", url.Values{"name": {"r740-nvme"}, "spec": {"cpus: {count: 9}"}, "seen": {seenIn(t, fresh, `action="/classes"`)}}.Encode(), "Authorization", auth)
	if got.status != http.StatusConflict || !strings.Contains(got.body, "There is a model class of this name already") {
		t.Errorf("%d %.300s", got.status, got.body)
	}
}

// Of the settings only those count that somebody has touched: a form that is open elsewhere
// takes nothing back, and two who change the same are told.
func TestAStaleFormOfSettingsTakesNothingBack(t *testing.T) {
	t.Parallel()

	steering := &canned.Steering{}
	b := open(t, canned.Full, steered(steering))
	auth := "Bearer " + b.token("admin")
	page := b.ask("GET", "/settings/general", "", "Authorization", auth).body

	// typed is the form as it was drawn, with a setting changed.
	typed := func(key, value string) string {
		form := url.Values{}

		for _, f := range steering.Fields() {
			if drawn := regexp.MustCompile(`name="seen.` + f.Key + `" value="([^"]*)"`).FindStringSubmatch(page); drawn != nil {
				form.Set("seen."+f.Key, drawn[1])
				form.Set(f.Key, drawn[1])
			}
		}

		form.Set(key, value)

		return form.Encode()
	}
	is := func(key string) string {
		for _, f := range steering.Fields() {
			if f.Key == key {
				return f.Wanted()
			}
		}

		return ""
	}

	first, second := typed("log.level", "debug"), typed("netboot.pool.lease", "2h")
	if a, b := b.send("/settings/general", first, auth), b.send("/settings/general", second, auth); a.status != http.StatusSeeOther || b.status != http.StatusSeeOther {
		t.Fatal(a.status, b.status)
	}

	if is("log.level") != "debug" || is("netboot.pool.lease") != "2h" {
		t.Errorf("log.level is %s, the lease %s", is("log.level"), is("netboot.pool.lease"))
	}

	got := b.send("/settings/general", typed("log.level", "warn"), auth)
	if got.status != http.StatusConflict || !strings.Contains(got.body, "log.level: debug") || !strings.Contains(got.body, `<option value="warn" selected>`) || is("log.level") != "debug" {
		t.Errorf("%d, log.level is %s", got.status, is("log.level"))
	}
}

// Who saves a profile that somebody else has saved meanwhile sees what theirs would change of
// that, and can insist: the form had named the old version for ever, and was refused each time.
func TestAStaleProfileCanBeSavedAgain(t *testing.T) {
	t.Parallel()

	const now = 3 // the version that the canned profile is at

	b := open(t, canned.Full, random)
	b.commands.OnRun = func(order string, _ core.RunID) (core.Run, error) {
		if !strings.HasPrefix(order, "profile returned version 3:") {
			return core.Run{}, core.NewProblem(core.ErrConflict, problem.ProfileChanged, "The profile is at version 3 by now, set by bob; look at that and save yours again.")
		}

		return core.Run{}, nil
	}

	auth := "Bearer " + b.token("admin")
	send := func(version int) answer {
		return b.ask("POST", "/profile-editor", url.Values{
			"name": {"returned"}, "version": {strconv.Itoa(version)}, "view": {"text"}, "do": {"save"}, "text": {"extends: quick\ndescription: typed at length\n"},
		}.Encode(), "Authorization", auth)
	}

	got := send(now - 1)
	for _, want := range []string{"version 3 by now, set by bob", "description: typed at length", `name="version" value="3"`, "Save as version 4", "Against version 3"} {
		if got.status != http.StatusConflict || !strings.Contains(got.body, want) {
			t.Errorf("%d, and the page lacks %q", got.status, want)
		}
	}

	if got := send(now); got.status != http.StatusSeeOther {
		t.Errorf("who insists: %d", got.status)
	}
}
