package ui

import (
	"cmp"
	"slices"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// profilesPage shows what runs can be started with, and what one of them would do on
// a host.
func (u *UI) profilesPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Profiles", "")
	if err != nil {
		return err
	}

	page := view.Profiles{Frame: frame, List: u.cfg.Commands.Profiles(), Chosen: c.Query("profile")}

	if err := u.look(c, func(r core.Reader) error { return u.readProfiles(r, c.Query("host"), &page) }); err != nil {
		return err
	}

	return draw(c, view.ShowProfiles(&page))
}

func (u *UI) readProfiles(r core.Reader, host string, page *view.Profiles) (err error) {
	if page.Hosts, err = lookup.AllHosts(r); err != nil || host == "" {
		return err
	}

	mac, err := core.ParseMAC(host)
	if err != nil {
		return err
	}

	at := slices.IndexFunc(page.List, func(p core.Profile) bool { return p.Name == page.Chosen })
	if at < 0 {
		return core.NewProblem(core.ErrNotFound, "run/unknown-profile", "There is no such profile; choose one of those on this page.")
	}

	trial := &view.Trial{Profile: page.List[at]}

	if trial.Host, err = lookup.Host(r, mac); err != nil {
		return err
	}

	classes, err := lookup.Classes(r)
	if err != nil {
		return err
	}

	if i := slices.IndexFunc(classes, func(c core.Class) bool { return c.Name == trial.Host.Class }); i >= 0 {
		trial.Class = &classes[i]
	}

	run := core.Run{ID: cmp.Or(trial.Host.CurrentRun, trial.Host.LastRun), Profile: trial.Profile}
	for _, name := range trial.Profile.Stages {
		run.Stages = append(run.Stages, core.Stage{Name: name, Phase: core.Pending})
	}

	trial.Run = run
	trial.Plan, err = u.paces.Of(r, &u.shelf, &run, u.cfg.Now())
	page.Trial = trial

	return err
}
