package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// planPage shows what a run would do on a host before it is started: the stages with the
// time they take, and each disk with what becomes of it.
func (u *UI) planPage(c *fiber.Ctx) error {
	return u.showPlan(c, c.Query("profile"), queryList(c, "armed"), nil)
}

// plan gathers what a run of a profile would do on a host.
func (u *UI) plan(c *fiber.Ctx, name string, armed []string) (*view.StartPlan, error) {
	mac, err := macOf(c)
	if err != nil {
		return nil, err
	}

	profiles := u.cfg.Commands.Profiles()

	at := slices.IndexFunc(profiles, func(p core.Profile) bool { return p.Name == name })
	if at < 0 {
		return nil, noProfile()
	}

	page := &view.StartPlan{Armed: armed}

	err = u.look(c, func(r core.Reader) error {
		trial, _, err := u.tryProfile(r, string(mac), &profiles[at])
		if err != nil {
			return err
		}

		page.Trial = trial
		page.Inventory, page.Data, err = lookup.DisksOf(r, trial.Run.ID)

		return err
	})

	return page, err
}

func (u *UI) showPlan(c *fiber.Ctx, name string, armed []string, why error) error {
	page, err := u.plan(c, name, armed)
	if err != nil {
		return err
	}

	if page.Frame, err = u.frame(c, "Start "+name+" on "+page.Trial.Host.Name, ""); err != nil {
		return err
	}

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowStartPlan(page))
}

// beginRun starts a run. One that overwrites disks is started from its plan alone, by
// whoever types the end of the machine's serial number, and begins after a grace in which
// it can be withdrawn.
func (u *UI) beginRun(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	wish := core.StartRun{Profile: c.FormValue("profile"), Armed: formList(c, "armed"), Who: caller(c).Name}

	if u.writes(&wish) {
		if c.FormValue("planned") == "" {
			query := url.Values{"profile": {wish.Profile}, "armed": wish.Armed}

			return c.Redirect("/hosts/"+string(mac)+"/start?"+query.Encode(), http.StatusSeeOther)
		}

		page, err := u.plan(c, wish.Profile, wish.Armed)
		if err != nil {
			return err
		}

		if !strings.EqualFold(strings.TrimSpace(c.FormValue("confirm")), page.Word()) {
			return u.showPlan(c, wish.Profile, wish.Armed, core.NewProblem(core.ErrInvalid, problem.RunNotConfirmed,
				"The last letters of the machine's serial number are others. Look at the machine, and type what stands on it."))
		}

		wish.Grace = core.Grace
	}

	run, err := u.cfg.Commands.StartRun(c.UserContext(), mac, wish)

	switch {
	case err == nil && wish.Grace > 0:
		return c.Redirect("/runs/"+string(run.ID), http.StatusSeeOther)
	case err == nil:
		return c.Redirect("/runs/"+string(run.ID)+"?done=started", http.StatusSeeOther)
	case wish.Grace > 0 && (errors.Is(err, core.ErrConflict) || errors.Is(err, core.ErrInvalid)):
		return u.showPlan(c, wish.Profile, wish.Armed, err)
	default:
		return u.showHost(c, mac, err)
	}
}

// writes reports whether a run that is wished for would overwrite disks.
func (u *UI) writes(wish *core.StartRun) bool {
	profiles := u.cfg.Commands.Profiles()
	at := slices.IndexFunc(profiles, func(p core.Profile) bool { return p.Name == wish.Profile })

	return at >= 0 && len(wish.Armed) > 0 && profile.Destructive(&profiles[at])
}
