package ui

import (
	"context"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
)

// locateHost has a part of a host, or the machine itself, found by its light.
func (u *UI) locateHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.LocateWish
	if err := body(c, &ask); err != nil {
		return err
	}

	done, err := u.locate(c.UserContext(), caller(c).Name, mac, &ask)

	return shown(c, http.StatusOK, done, err)
}

func (u *UI) locate(ctx context.Context, who string, mac core.MAC, ask *route.LocateWish) (route.LocateDone, error) {
	wish := core.LightWish{Kind: core.LightDisk, Name: ask.Disk, For: time.Duration(ask.Seconds) * time.Second, Off: ask.Off}

	switch {
	case ask.Disk != "" && ask.NIC != "":
		return route.LocateDone{}, core.NewProblem(core.ErrInvalid, problem.HoldBadLight, "Name a disk or a network port, not both.")
	case ask.Seconds < 0 || ask.Seconds > int(core.LightMost.Seconds()):
		return route.LocateDone{}, core.NewProblem(core.ErrInvalid, problem.HoldBadLight, "A light is on for 1 to 600 seconds.")
	case ask.NIC != "":
		wish.Kind, wish.Name = core.LightNIC, ask.NIC
	case ask.Disk == "" && ask.Seconds != 0:
		return route.LocateDone{}, core.NewProblem(core.ErrInvalid, problem.HoldBadLight,
			"The light of a machine is on until it is switched off; seconds go with a disk or a network port.")
	case ask.Disk == "":
		return route.LocateDone{Kind: "chassis", Off: ask.Off}, u.cfg.Commands.LocateHost(ctx, who, mac, !ask.Off)
	}

	light, err := u.cfg.Commands.LightPart(ctx, who, mac, wish)

	return route.LocateDone{Kind: light.Kind, Name: light.Name, Until: light.Until, Off: ask.Off}, err
}

// lightOnPage has a part of a held host found by its light, from the page of the hold.
func (u *UI) lightOnPage(c *fiber.Ctx) error {
	ask := route.LocateWish{Disk: c.FormValue("disk"), NIC: c.FormValue("nic"), Off: c.FormValue("off") != ""}

	return u.orderThen(c, func(ctx context.Context, who string, id core.RunID) (core.Run, error) {
		var run core.Run

		err := u.cfg.Ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableRun, string(id), &run) })
		if err != nil {
			return run, err
		}

		if ask.Disk == "" && ask.NIC == "" {
			return run, core.NewProblem(core.ErrInvalid, problem.HoldBadLight, "Choose a disk or a network port.")
		}

		_, err = u.locate(ctx, who, run.Host, &ask)

		return run, err
	}, "/hold?done=light"+map[bool]string{true: "-off"}[ask.Off])
}
