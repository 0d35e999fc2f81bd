package ui

import (
	"context"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/ui/lookup"
	"vetting/ui/mark"
	"vetting/ui/view"
)

// holdPage shows the hold of a run by itself.
func (u *UI) holdPage(c *fiber.Ctx) error { return u.showHold(c, nil, nil) }

// passProbe lets Storage overwrite the disks that the form names.
func (u *UI) passProbe(c *fiber.Ctx) error {
	serials, reason := formList(c, "serial"), c.FormValue("reason")

	if err := u.mustBeFresh(c, c.FormValue("password")); err != nil {
		return u.showHold(c, err, nil)
	}

	return u.orderHeld(c, func(ctx context.Context, who string, run core.RunID) (core.Run, error) {
		return u.cfg.Commands.OverrideWipe(ctx, who, run, serials, reason)
	}, "overridden")
}

// failOnPage ends a held run as failed, for the reason that the form gives.
func (u *UI) failOnPage(c *fiber.Ctx) error {
	return u.orderHeld(c, u.giveUp(c.FormValue("fail_reason")), "failed")
}

// showHoldKey hands the key of a hold out, on the page of the hold.
func (u *UI) showHoldKey(c *fiber.Ctx) error { return u.showKey(c, u.cfg.Commands.HoldKey) }

// showNewHoldKey hands out a key that is made anew.
func (u *UI) showNewHoldKey(c *fiber.Ctx) error { return u.showKey(c, u.cfg.Commands.RenewHoldKey) }

func (u *UI) showKey(c *fiber.Ctx, take handsOut) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	key, err := take(c.UserContext(), caller(c).Name, id)

	switch {
	case err == nil:
		return u.showHold(c, nil, &key)
	case errors.Is(err, core.ErrConflict):
		return u.showHold(c, err, nil)
	default:
		return err
	}
}

// showHold shows the hold of a run, with what went wrong with an order about it, or with
// its key.
func (u *UI) showHold(c *fiber.Ctx, why error, key *core.HoldKey) error {
	page, err := u.viewRun(c, true)
	if err != nil {
		return err
	}

	page.Frame.Here += "/hold"

	if page.Key = key; key != nil {
		page.Frame.Follows = "" // following would take the key away before it is read
	}

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowHold(page))
}

// showRun shows a run, with what went wrong with an order about it.
func (u *UI) showRun(c *fiber.Ctx, why error) error {
	page, err := u.viewRun(c, c.Get("X-Live") != "") // the plots are followed by themselves
	if err != nil {
		return err
	}

	if page.Log, err = lookup.Tail(c.UserContext(), u.cfg.Logs, page.Run.ID, logLines); err != nil {
		return err
	}

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowRun(page))
}

// viewRun gathers what the pages of a run and of its hold show.
func (u *UI) viewRun(c *fiber.Ctx, plotless bool) (*view.Run, error) {
	frame, err := u.frame(c, "Run", "")
	if err != nil {
		return nil, err
	}

	page := &view.Run{Frame: frame, Terminal: u.cfg.TerminalKey != nil && u.cfg.Dial != nil, Fresh: u.fresh(c), Reason: c.FormValue("reason"), FailReason: c.FormValue("fail_reason"), Waive: view.WaiverForm{
		Finding: c.FormValue("finding"), Reason: c.FormValue("waiver_reason"), Until: c.FormValue("until"),
	}, NoteText: c.FormValue("text")}

	run, err := u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		if page.Report, err = lookup.Report(r, run, u.author()); err != nil {
			return err
		}

		if !plotless {
			if page.Charts, err = u.charts(r, run, page.Report.Evaluations); err != nil {
				return err
			}
		}

		return u.besides(r, run, page)
	})
	if err != nil {
		return nil, err
	}

	page.Run = run
	page.Frame.Title, page.Frame.Follows, page.Frame.Here = run.HostName+": "+mark.Run(&run).Word, "run:"+string(run.ID), "/runs/"+string(run.ID)

	return page, nil
}

// besides reads what stands on the pages of a run beside its report.
func (u *UI) besides(r core.Reader, run *core.Run, page *view.Run) (err error) {
	if page.Gone, err = lookup.Expiry(r, run.ID); err != nil {
		return err
	}

	page.Kept = model.Kept(run, u.author().Retention)

	if page.Files, err = lookup.Artifacts(r, run.ID); err != nil {
		return err
	}

	if page.Notes, err = lookup.NotesOf(r, run); err != nil {
		return err
	}

	if page.Diagnosis, err = lookup.Diagnosis(r, run.Host, u.cfg.Now()); err != nil {
		return err
	}

	if page.Plan, err = u.paces.Of(r, &u.shelf, run, u.cfg.Now()); err != nil {
		return err
	}

	if page.Host, err = lookup.Host(r, run.Host); errors.Is(err, core.ErrNotFound) {
		return nil
	}

	return err
}

// orderRun carries an order out and leads back to the run; an order that cannot
// be carried out is explained there.
func (u *UI) orderRun(do order, done string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, err := lookup.ParseRunID(param(c, "id"))
		if err != nil {
			return err
		}

		_, err = do(c.UserContext(), caller(c).Name, id)

		switch {
		case err == nil:
			return c.Redirect("/runs/"+string(id)+"?done="+done, http.StatusSeeOther)
		case errors.Is(err, core.ErrConflict), errors.Is(err, core.ErrInvalid):
			return u.showRun(c, err)
		default:
			return err
		}
	}
}

// orderHeld is orderRun for what is offered on the page of a hold alone.
func (u *UI) orderHeld(c *fiber.Ctx, do order, done string) error {
	return u.orderThen(c, do, "?done="+done)
}

// orderThen does so and leads to another page of the run.
func (u *UI) orderThen(c *fiber.Ctx, do order, page string) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	_, err = do(c.UserContext(), caller(c).Name, id)

	switch {
	case err == nil:
		return c.Redirect("/runs/"+string(id)+page, http.StatusSeeOther)
	case errors.Is(err, core.ErrConflict), errors.Is(err, core.ErrInvalid):
		return u.showHold(c, err, nil)
	default:
		return err
	}
}
