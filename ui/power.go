package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/view"
)

// powerHost switches a host, or asks whether it is on.
func (u *UI) powerHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.PowerOrder
	if err := body(c, &ask); err != nil {
		return err
	}

	state, err := u.switchTo(c, mac, ask.Op)

	return shown(c, http.StatusOK, route.PowerDone{Op: ask.Op, State: orUnknown(state)}, err)
}

// switchTo carries out what is asked of a host's power, or of its light.
func (u *UI) switchTo(c *fiber.Ctx, mac core.MAC, op core.PowerOp) (core.PowerState, error) {
	switch op {
	case core.PowerLocate, core.PowerLocateOff:
		return core.PowerUnknown, u.cfg.Commands.LocateHost(c.UserContext(), caller(c).Name, mac, op == core.PowerLocate)
	default:
		return u.cfg.Commands.PowerHost(c.UserContext(), caller(c).Name, mac, op)
	}
}

func (u *UI) lookAtHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	panel, err := u.cfg.Commands.LookAtController(c.UserContext(), caller(c).Name, mac)

	return shown(c, http.StatusOK, panel, err)
}

// showController shows on the page of a host what its controller tells.
func (u *UI) showController(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	panel, err := u.cfg.Commands.LookAtController(c.UserContext(), caller(c).Name, mac)
	if err != nil {
		return u.showHost(c, mac, err)
	}

	return u.showHostWith(c, mac, nil, func(page *view.Host) { page.Panel = &panel })
}

func orUnknown(s core.PowerState) core.PowerState {
	if s == "" {
		return core.PowerUnknown
	}

	return s
}

// switchHost is the same, for people.
func (u *UI) switchHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	op := core.PowerOp(c.FormValue("op"))

	state, err := u.switchTo(c, mac, op)
	if err != nil {
		return u.showHost(c, mac, err)
	}

	done := "power-" + string(op)
	if op == core.PowerStatus {
		done = "power-is-" + string(orUnknown(state))
	}

	return c.Redirect("/hosts/"+string(mac)+"?done="+done+"#power-card", http.StatusSeeOther)
}
