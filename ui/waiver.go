package ui

import (
	"context"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

func (u *UI) waive(c *fiber.Ctx) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	var ask route.WaiverCreate
	if err := body(c, &ask); err != nil {
		return err
	}

	until, err := core.ParseUntil(ask.Until, u.cfg.Now())
	if err != nil {
		return err
	}

	given, err := u.cfg.Commands.WaiveFinding(c.UserContext(), caller(c).Name, id, core.WaiverWish{Finding: ask.Finding, Reason: ask.Reason, Until: until})

	return shown(c, http.StatusCreated, given, err)
}

func (u *UI) listWaivers(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	list := route.WaiverList{Waivers: []route.Waiver{}}

	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		if err != nil {
			return err
		}

		all, err := lookup.Waivers(r, host.MAC)
		for i := range all {
			list.Waivers = append(list.Waivers, route.Waiver{Waiver: all[i], Holds: all[i].Holds(u.cfg.Now())})
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) withdrawWaiver(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	if _, err := u.cfg.Commands.WithdrawWaiver(c.UserContext(), caller(c).Name, mac, param(c, "id")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

// waiveOnPage waives what the form of a held run names.
func (u *UI) waiveOnPage(c *fiber.Ctx) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	var given core.Waiver

	until, err := core.ParseUntil(c.FormValue("until"), u.cfg.Now())
	if err == nil {
		given, err = u.cfg.Commands.WaiveFinding(c.UserContext(), caller(c).Name, id, core.WaiverWish{
			Finding: c.FormValue("finding"), Reason: c.FormValue("waiver_reason"), Until: until,
		})
	}

	return u.afterWaiver(c, id, "waived", err, func(ctx context.Context, who string) error {
		_, err := u.cfg.Commands.WithdrawWaiver(ctx, who, given.Host, given.ID)

		return err
	})
}

// withdrawOnPage withdraws a waiver of the host of a run.
func (u *UI) withdrawOnPage(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	was, err := u.cfg.Commands.WithdrawWaiver(c.UserContext(), caller(c).Name, run.Host, param(c, "waiver"))

	return u.afterWaiver(c, run.ID, "withdrawn", err, func(ctx context.Context, who string) error {
		_, err := u.cfg.Commands.WaiveFinding(ctx, who, run.ID, core.WaiverWish{Finding: was.Finding, Reason: was.Reason, Until: was.Until})

		return err
	})
}

// afterWaiver leads back to the hold, with the way back from what was done; what cannot be done is explained there, with what
// was typed.
func (u *UI) afterWaiver(c *fiber.Ctx, id core.RunID, done string, err error, back func(ctx context.Context, who string) error) error {
	switch {
	case err == nil:
		page := "/runs/" + string(id) + "/hold"

		return u.undoable(c, page, done, page, back)
	case errors.Is(err, core.ErrConflict), errors.Is(err, core.ErrInvalid), errors.Is(err, core.ErrNotFound):
		return u.showHold(c, err, nil)
	default:
		return err
	}
}
