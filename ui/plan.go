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
	"vetting/core/route"
	"vetting/ui/trial"
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

	page := &view.StartPlan{}

	err = u.look(c, func(r core.Reader) error {
		t, err := u.tryProfile(r, string(mac), &profiles[at], &core.StartRun{Armed: armed})
		page.Trial = &view.Trial{Trial: t}

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

	page, err := u.overwrites(c, &wish)
	if err != nil {
		return err
	}

	if page != nil {
		if c.FormValue("planned") == "" {
			query := url.Values{"profile": {wish.Profile}, "armed": wish.Armed}

			return c.Redirect("/hosts/"+string(mac)+"/start?"+query.Encode(), http.StatusSeeOther)
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

// overwrites is the plan of a run that is wished for, where it would overwrite disks; nil:
// it would not. What class and host lay over the profile counts, as it does for the engine.
func (u *UI) overwrites(c *fiber.Ctx, wish *core.StartRun) (*view.StartPlan, error) {
	named := func(p core.Profile) bool { return p.Name == wish.Profile }
	if len(wish.Armed) == 0 || !slices.ContainsFunc(u.cfg.Commands.Profiles(), named) {
		return nil, nil //nolint:nilnil // no plan is no fault: whoever starts it says what is wrong
	}

	page, err := u.plan(c, wish.Profile, wish.Armed)
	if err != nil || !page.Trial.Writes() {
		return nil, err
	}

	return page, nil
}

// planRun says what a start would do, for programs. What cannot be started now is told
// with what it would have done.
func (u *UI) planRun(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	wish, err := wishOf(c)
	if err != nil {
		return err
	}

	refusal := u.cfg.Commands.TryRun(c.UserContext(), mac, wish)
	if refusal != nil && !errors.Is(refusal, core.ErrConflict) {
		return refusal
	}

	entry, err := u.profileEntry(wish.Profile)
	if err != nil {
		return err
	}

	var answer route.RunPlan

	err = u.look(c, func(r core.Reader) error {
		t, err := u.tryProfile(r, string(mac), &entry.Profile, &wish)
		if err == nil {
			answer = runPlan(t)
		}

		return err
	})

	if refusal != nil {
		_, detail := u.fault(c, refusal)
		answer.Refused = &detail
	}

	return shown(c, http.StatusOK, answer, err)
}

func runPlan(t *trial.Trial) route.RunPlan {
	out := route.RunPlan{
		Host: t.Host.MAC, HostName: t.Host.Name, Profile: t.Profile.Name, Scale: t.Profile.Scale, Writes: t.Writes(), Spec: t.SpecOf(),
		Power: append([]core.PowerMethod{t.Host.Power.Method}, t.Host.Power.Then...), ProfileModelTime: modelTime(t.On, t.Plan, &t.Profile, t), Disks: []route.PlannedDisk{},
	}

	for _, d := range t.Disks() {
		row := route.PlannedDisk{
			Serial: d.Disk.Serial, Model: d.Disk.Model, Bay: d.Disk.Bay, Name: d.Disk.Name, SizeBytes: d.Disk.SizeBytes, Content: d.Content, Fate: string(d.Fate),
		}

		for _, r := range d.Against {
			row.Against = append(row.Against, route.DiskRefusal{Code: r.Code, Evidence: r.Evidence})
		}

		out.Disks = append(out.Disks, row)
	}

	return out
}
