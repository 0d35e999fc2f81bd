package ui

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/pace"
	"vetting/ui/trial"
	"vetting/ui/view"
)

// anyVersion saves a profile whatever version there is.
const anyVersion = -1

// profilePages registers the page of one profile, and those where one is written.
func (u *UI) profilePages(read, admin fiber.Handler) {
	u.app.Get("/profiles/:name", read, u.profilePage)
	u.app.Get("/profile-editor", admin, u.editorPage)
	u.app.Post("/profile-editor", admin, u.editProfile)
	u.app.Post("/profiles/:name/delete", admin, u.removeProfile)
}

func noProfile() error {
	return core.NewProblem(core.ErrNotFound, problem.ProfileUnknown, "There is no such profile; choose one of those that are listed.")
}

// profileEntry finds a profile by the name in the path of c.
func (u *UI) profileEntry(name string) (core.ProfileEntry, error) {
	book := u.cfg.Commands.ProfileBook()

	// The console's stand behind others of their name, which count.
	i := slices.IndexFunc(book, func(e core.ProfileEntry) bool { return e.Profile.Name == name })
	if i < 0 {
		return core.ProfileEntry{}, noProfile()
	}

	return book[i], nil
}

func (u *UI) listProfiles(c *fiber.Ctx) error {
	list := route.ProfileList{Profiles: []route.Profile{}}

	for _, e := range u.cfg.Commands.ProfileBook() {
		list.Profiles = append(list.Profiles, route.NewProfileEntry(&e))
	}

	return c.JSON(list)
}

func (u *UI) getProfile(c *fiber.Ctx) error {
	entry, err := u.profileEntry(param(c, "name"))
	if err != nil {
		return err
	}

	detail, err := u.profileDetail(c, &entry)

	return shown(c, http.StatusOK, detail, err)
}

func (u *UI) profileDetail(c *fiber.Ctx, entry *core.ProfileEntry) (route.ProfileDetail, error) {
	detail := route.ProfileDetail{Profile: route.NewProfileEntry(entry), Text: entry.Text.Text}
	if entry.Origin != core.ProfileConsole {
		return detail, nil
	}

	err := u.look(c, func(r core.Reader) (err error) {
		detail.Versions, err = lookup.ProfileVersions(r, entry.Profile.Name)

		return err
	})

	return detail, err
}

func (u *UI) putProfile(c *fiber.Ctx) error {
	version, name := anyVersion, param(c, "name")

	if text := c.Query("version"); text != "" {
		var err error
		if version, err = strconv.Atoi(text); err != nil || version < 0 {
			return malformed("version must be a whole number, 0 for a new profile.")
		}
	}

	if _, err := u.cfg.Commands.SetProfile(c.UserContext(), caller(c).Name, name, string(c.Body()), version); err != nil {
		return err
	}

	return u.getProfile(c)
}

func (u *UI) checkProfile(c *fiber.Ctx) error {
	p, err := u.cfg.Commands.CheckProfile(param(c, "name"), string(c.Body()))

	return shown(c, http.StatusOK, route.NewProfile(&p), err)
}

func (u *UI) deleteProfile(c *fiber.Ctx) error {
	if err := u.cfg.Commands.RemoveProfile(c.UserContext(), caller(c).Name, param(c, "name")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

func (u *UI) estimateProfile(c *fiber.Ctx) error {
	entry, err := u.profileEntry(param(c, "name"))
	if err != nil {
		return err
	}

	answer := route.ProfileEstimate{Profile: entry.Profile.Name, Models: []route.ProfileModelTime{}}

	err = u.look(c, func(r core.Reader) error {
		if c.Query("host") == "" {
			list, err := u.paces.ByModel(r, &u.shelf, trial.Planned(&entry.Profile), u.cfg.Now())
			for i := range list {
				answer.Models = append(answer.Models, modelTime(list[i].Machine, list[i].Plan, &entry.Profile, nil))
			}

			return err
		}

		t, err := u.tryProfile(r, c.Query("host"), &entry.Profile, &core.StartRun{})
		if err != nil {
			return err
		}

		answer.Host = t.Host.MAC
		answer.Models = append(answer.Models, modelTime(t.On, t.Plan, &entry.Profile, t))

		return nil
	})

	return shown(c, http.StatusOK, answer, err)
}

// modelTime is how long a profile takes on a machine; t may be nil.
func modelTime(on pace.Machine, plan pace.Plan, p *core.Profile, t *trial.Trial) route.ProfileModelTime {
	out := route.ProfileModelTime{Model: on.Model, Disk: on.Disk, Stage: []route.ProfileStageTime{}}
	run := trial.Planned(p)

	for _, stage := range p.Stages {
		row := route.ProfileStageTime{Stage: stage}
		if t != nil {
			row.Skip = t.Skips(stage)
		}

		if span, known := plan[stage]; known && !span.Nominal && row.Skip == "" {
			row.Low, row.Mid, row.High, row.Runs, row.Own = span.Low.Seconds(), span.Mid.Seconds(), span.High.Seconds(), span.Runs, span.Own
		}

		if row.Skip != "" {
			run.Stages = slices.DeleteFunc(run.Stages, func(st core.Stage) bool { return st.Name == stage })
		}

		out.Stage = append(out.Stage, row)
	}

	if left, ok := plan.Left(run, run.CreatedAt); ok {
		out.Known, out.Low, out.Mid, out.High, out.Runs = true, left.Low.Seconds(), left.Mid.Seconds(), left.High.Seconds(), left.Runs
	}

	return out
}

// profilesPage shows what runs can be started with, and what one of them would do on
// a host.
func (u *UI) profilesPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Profiles", "")
	if err != nil {
		return err
	}

	page := view.Profiles{Frame: frame, List: u.cfg.Commands.ProfileBook(), Chosen: c.Query("profile")}

	if err := u.look(c, func(r core.Reader) error { return u.readProfiles(r, c.Query("host"), &page) }); err != nil {
		return err
	}

	return draw(c, view.ShowProfiles(&page))
}

func (u *UI) readProfiles(r core.Reader, host string, page *view.Profiles) (err error) {
	if page.Hosts, err = lookup.AllHosts(r); err != nil || host == "" {
		return err
	}

	usable := u.cfg.Commands.Profiles()

	at := slices.IndexFunc(usable, func(p core.Profile) bool { return p.Name == page.Chosen })
	if at < 0 {
		return core.NewProblem(core.ErrNotFound, "run/unknown-profile", "There is no such profile; choose one of those on this page.")
	}

	page.Trial, err = u.shownTrial(r, host, &usable[at])

	return err
}

// tryProfile says what a profile would do on a host. It starts nothing. The profile of the
// wish does not count.
func (u *UI) tryProfile(r core.Reader, host string, p *core.Profile, wish *core.StartRun) (*trial.Trial, error) {
	mac, err := core.ParseMAC(host)
	if err != nil {
		return nil, err
	}

	found, err := lookup.Host(r, mac)
	if err != nil {
		return nil, err
	}

	classes, err := lookup.Classes(r)
	if err != nil {
		return nil, err
	}

	var class *core.Class
	if i := slices.IndexFunc(classes, func(c core.Class) bool { return c.Name == found.Class }); i >= 0 {
		class = &classes[i]
	}

	t := trial.New(p, &found, class, wish)

	if t.Plan, err = u.paces.Of(r, &u.shelf, &t.Run, u.cfg.Now()); err != nil {
		return nil, err
	}

	if t.On, err = u.shelf.Machine(r, &t.Run); err != nil {
		return nil, err
	}

	t.Inventory, t.Found, err = lookup.DisksOf(r, t.Run.ID)

	return t, err
}

// shownTrial is tryProfile for a page.
func (u *UI) shownTrial(r core.Reader, host string, p *core.Profile) (*view.Trial, error) {
	t, err := u.tryProfile(r, host, p, &core.StartRun{})

	return &view.Trial{Trial: t}, err
}

// profilePage shows one profile.
func (u *UI) profilePage(c *fiber.Ctx) error {
	entry, err := u.profileEntry(param(c, "name"))
	if err != nil {
		return err
	}

	page := &view.OneProfile{Entry: entry}

	if page.Frame, err = u.frame(c, entry.Profile.Name, ""); err != nil {
		return err
	}

	err = u.look(c, func(r core.Reader) error {
		if page.Hosts, err = lookup.AllHosts(r); err != nil {
			return err
		}

		if page.Times, err = u.paces.ByModel(r, &u.shelf, trial.Planned(&entry.Profile), u.cfg.Now()); err != nil || entry.Origin != core.ProfileConsole {
			return err
		}

		page.Versions, err = lookup.ProfileVersions(r, entry.Profile.Name)

		return err
	})
	if err != nil {
		return err
	}

	return draw(c, view.ShowProfile(page))
}

func (u *UI) removeProfile(c *fiber.Ctx) error {
	name := param(c, "name")

	err := u.cfg.Commands.RemoveProfile(c.UserContext(), caller(c).Name, name)
	if err == nil {
		return c.Redirect("/profiles?done=profile-removed", http.StatusSeeOther)
	}

	entry, lost := u.profileEntry(name)
	if lost != nil {
		return err
	}

	page := &view.OneProfile{Entry: entry}

	if page.Frame, lost = u.frame(c, name, ""); lost != nil {
		return lost
	}

	if err := explain(c, &page.Frame, err); err != nil {
		return err
	}

	return draw(c, view.ShowProfile(page))
}

// editorPage opens the editor: on a profile of the console, on a copy of any, or empty.
func (u *UI) editorPage(c *fiber.Ctx) error {
	e := &view.Editor{AsText: c.Query("view") == "text"}

	switch name, from := c.Query("name"), c.Query("from"); {
	case name != "":
		entry, err := u.profileEntry(name)
		if err != nil {
			return err
		}

		if entry.Origin != core.ProfileConsole {
			return core.NewProblem(core.ErrConflict, problem.ProfileTaken, "This profile is not changed in the console; copy it.")
		}

		e.Name, e.Version, e.Text = name, entry.Text.Version, entry.Text.Text
	case from != "":
		entry, err := u.profileEntry(from)
		if err != nil {
			return err
		}

		e.Text = entry.Text.Text
		if entry.Origin != core.ProfileConsole {
			if e.Text, err = u.cfg.Commands.WriteProfile(core.ProfileDraft{Extends: from, Description: entry.Profile.Description}); err != nil {
				return err
			}
		}
	}

	return u.showEditor(c, e, nil)
}

// editProfile is what the buttons of the editor do: show the other view, look what
// changes, try it on a host, save it.
func (u *UI) editProfile(c *fiber.Ctx) error {
	e := &view.Editor{Name: strings.TrimSpace(c.FormValue("name")), Text: plainLines(c.FormValue("text")), AsText: c.FormValue("view") == "text"}

	var err error
	if e.Version, err = strconv.Atoi(c.FormValue("version", "0")); err != nil {
		return malformed("version must be a whole number.")
	}

	if !e.AsText {
		err = u.takeForm(c, e)
	}

	if back := c.FormValue("back"); back != "" {
		e.AsText = back == "text"
	}

	do := c.FormValue("do")
	if do == "text" || do == "form" {
		if e.AsText = do == "text"; err == nil {
			return u.showEditor(c, e, nil)
		}
	}

	if err == nil {
		err = u.carryOutEdit(c, e, do)
	}

	if err == nil && do == "save" {
		return c.Redirect("/profiles/"+queryEscape(e.Name)+"?done=profile", http.StatusSeeOther)
	}

	if stale(err) && e.Version > 0 {
		err = errors.Join(err, u.catchUp(c, e))
	}

	return u.showEditor(c, e, err)
}

// catchUp has the editor go on from the version that somebody else has saved meanwhile, and
// show what the text would change of it: saved again, it counts. Where the profile is gone,
// it is a new one.
func (u *UI) catchUp(c *fiber.Ctx, e *view.Editor) error {
	e.Version = 0

	if entry, err := u.profileEntry(e.Name); err == nil && entry.Origin == core.ProfileConsole {
		e.Version = entry.Text.Version
	}

	return u.carryOutEdit(c, e, "check")
}

// carryOutEdit checks the text, and does with it what was asked for.
func (u *UI) carryOutEdit(c *fiber.Ctx, e *view.Editor, do string) error {
	if do == "save" {
		_, err := u.cfg.Commands.SetProfile(c.UserContext(), caller(c).Name, e.Name, e.Text, e.Version)

		return err
	}

	p, err := u.cfg.Commands.CheckProfile(e.Name, e.Text)
	if err != nil {
		return err
	}

	review := &view.Review{Profile: p}
	u.compare(e, review)

	err = u.look(c, func(r core.Reader) error {
		if review.Times, err = u.paces.ByModel(r, &u.shelf, trial.Planned(&p), u.cfg.Now()); err != nil || do != "try" {
			return err
		}

		review.Trial, err = u.shownTrial(r, c.FormValue("host"), &p)

		return err
	})
	e.Review = review

	return err
}

// compare says what a text changes: of the version that is saved, or else of the profile
// that it extends.
func (u *UI) compare(e *view.Editor, review *view.Review) {
	than := &core.Profile{}
	review.Than = "an empty profile"

	if entry, err := u.profileEntry(e.Name); err == nil && entry.Unfit == "" {
		than, review.Than = &entry.Profile, "version "+strconv.Itoa(entry.Text.Version)
	} else if draft, err := u.cfg.Commands.ReadProfile(e.Text); err == nil && draft.Extends != "" {
		if entry, err := u.profileEntry(draft.Extends); err == nil {
			than, review.Than = &entry.Profile, draft.Extends
		}
	}

	review.Changes = view.ProfileChanges(than, &review.Profile)
}

// takeForm writes what the form says into the text, which stays as it is where the form
// says the same.
func (u *UI) takeForm(c *fiber.Ctx, e *view.Editor) error {
	form, draft, err := typedProfile(c)
	e.Form = form

	if err != nil {
		return err
	}

	if was, err := u.cfg.Commands.ReadProfile(e.Text); err == nil && sameDraft(&was, &draft) {
		return nil
	}

	e.Text, err = u.cfg.Commands.WriteProfile(draft)

	return err
}

// sameDraft reports whether two drafts say the same.
func sameDraft(a, b *core.ProfileDraft) bool {
	return fmt.Sprintf("%q %q %v %q %q", a.Extends, a.Description, a.Scale, a.Stages, a.Config) == fmt.Sprintf("%q %q %v %q %q", b.Extends, b.Description, b.Scale, b.Stages, b.Config) &&
		slices.Equal(a.Rules, b.Rules)
}

// typedProfile reads the form of a profile, as it was typed and as it is meant.
func typedProfile(c *fiber.Ctx) (form view.ProfileForm, d core.ProfileDraft, err error) {
	form = view.ProfileForm{
		Extends: c.FormValue("extends"), Description: strings.TrimSpace(c.FormValue("description")), Scale: strings.TrimSpace(c.FormValue("scale")),
		Own: c.FormValue("own") != "", Config: map[string]string{}, Rules: typedRules(c),
	}
	d = core.ProfileDraft{Extends: form.Extends, Description: form.Description, Config: form.Config}

	var faults []error

	if form.Scale != "" {
		if d.Scale, err = strconv.ParseFloat(form.Scale, 64); err != nil {
			faults = append(faults, badOverride("The scale is %.40q, which is no number.", form.Scale))
		}
	}

	// Whoever ticks other stages than were shown wants them, whether they said so or not.
	ticked := formList(c, "stage")
	if shown := c.FormValue("shown"); form.Own || shown != "" && strings.Join(ticked, ",") != shown {
		form.Own = true

		for _, stage := range ticked {
			form.Stages = append(form.Stages, core.StageName(stage))
		}

		d.Stages = form.Stages
	}

	for _, s := range profile.Settings() {
		if value := strings.TrimSpace(c.FormValue("set." + s.Key)); value != "" {
			form.Config[s.Key] = value
		}
	}

	for i := range form.Rules {
		rule, err := readRule(&form.Rules[i])
		rule.Code = "" // of the rule below
		faults = append(faults, err)
		d.Rules = append(d.Rules, rule)
	}

	return form, d, errors.Join(faults...)
}

// showEditor draws the editor with what is wrong.
func (u *UI) showEditor(c *fiber.Ctx, e *view.Editor, why error) (err error) {
	if e.Frame, err = u.frame(c, "Profile editor", ""); err != nil {
		return err
	}

	if why != nil {
		list := sentences(why)
		if len(list) == 0 {
			return why
		}

		e.Why = strings.Join(list, "\n")
		c.Status(status(why))
	}

	u.fillEditor(e, why)

	if e.Review != nil {
		if err := u.look(c, func(r core.Reader) (err error) {
			e.Hosts, err = lookup.AllHosts(r)

			return err
		}); err != nil {
			return err
		}
	}

	return draw(c, view.ShowEditor(e))
}

// fillEditor reads the text into the form, and finds what it may extend.
func (u *UI) fillEditor(e *view.Editor, why error) {
	if entry, err := u.profileEntry(e.Name); err == nil && e.Version > 0 {
		e.Saved = entry.Text.Text
	}

	for _, entry := range u.cfg.Commands.ProfileBook() {
		if entry.Unfit == "" && entry.Profile.Name != e.Name {
			e.Below = append(e.Below, entry)
		}
	}

	if !e.AsText && strings.TrimSpace(e.Text) != "" && (why == nil || len(e.Form.Config)+len(e.Form.Rules) == 0 && e.Form.Extends == "") {
		draft, err := u.cfg.Commands.ReadProfile(e.Text)

		switch {
		case err == nil:
			e.Form = view.NewProfileForm(&draft)
		case why == nil: // there is no form of a text that cannot be read
			e.AsText, e.Why = true, strings.Join(sentences(err), "\n")
		default:
			e.AsText = true
		}
	}

	if i := slices.IndexFunc(e.Below, func(b core.ProfileEntry) bool { return b.Profile.Name == e.Form.Extends }); i >= 0 {
		e.Base = &e.Below[i].Profile
	}
}
