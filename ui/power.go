package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
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

	state, err := u.cfg.Commands.PowerHost(c.UserContext(), caller(c).Name, mac, ask.Op)

	return shown(c, http.StatusOK, route.PowerDone{Op: ask.Op, State: orUnknown(state)}, err)
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

	state, err := u.cfg.Commands.PowerHost(c.UserContext(), caller(c).Name, mac, op)
	if err != nil {
		return u.showHost(c, mac, err)
	}

	done := "power-" + string(op)
	if op == core.PowerStatus {
		done = "power-is-" + string(orUnknown(state))
	}

	return c.Redirect("/hosts/"+string(mac)+"?done="+done+"#power-card", http.StatusSeeOther)
}
