package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

func (u *UI) listPresence(c *fiber.Ctx) error {
	list := route.PresenceList{Hosts: []route.Presence{}}

	err := u.look(c, func(r core.Reader) error {
		all, err := lookup.Presences(r)
		for i := range all {
			list.Hosts = append(list.Hosts, route.NewPresence(&all[i]))
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) listHostKeys(c *fiber.Ctx) (err error) {
	var filter lookup.KeyFilter

	if filter.State, err = lookup.ParseKeyState(c.Query("state")); err != nil {
		return err
	}

	if text := c.Query("host"); text != "" {
		if filter.Host, err = core.ParseMAC(text); err != nil {
			return err
		}
	}

	var list route.HostKeyList

	err = u.look(c, func(r core.Reader) (err error) {
		list.Keys, err = lookup.HostKeys(r, filter)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) approveKey(c *fiber.Ctx) error {
	key, err := u.cfg.Commands.ApproveHostKey(c.UserContext(), caller(c).Name, param(c, "id"))

	return shown(c, http.StatusOK, key, err)
}

func (u *UI) revokeKey(c *fiber.Ctx) error {
	key, err := u.cfg.Commands.RevokeHostKey(c.UserContext(), caller(c).Name, param(c, "id"))

	return shown(c, http.StatusOK, key, err)
}

// letKey is approveKey for people; it leads back to where they were.
func (u *UI) letKey(c *fiber.Ctx) error {
	key, err := u.cfg.Commands.ApproveHostKey(c.UserContext(), caller(c).Name, param(c, "id"))

	return u.afterKey(c, &key, "key-approved", err)
}

// dropKey is revokeKey for people.
func (u *UI) dropKey(c *fiber.Ctx) error {
	key, err := u.cfg.Commands.RevokeHostKey(c.UserContext(), caller(c).Name, param(c, "id"))

	return u.afterKey(c, &key, "key-revoked", err)
}

func (u *UI) afterKey(c *fiber.Ctx, key *core.HostKey, done string, err error) error {
	if err != nil {
		return err
	}

	if c.FormValue("back") == "host" {
		return c.Redirect("/hosts/"+string(key.Host)+"?done="+done+"#installed", http.StatusSeeOther)
	}

	return c.Redirect("/inbox?done="+done, http.StatusSeeOther)
}

// getQuickLines answers with the lines that install the agent, for the name by
// which the caller reaches the console.
func (u *UI) getQuickLines(c *fiber.Ctx) error {
	list := route.QuickLineList{Lines: []route.QuickLine{}}
	for _, l := range u.quickLines(c) {
		list.Lines = append(list.Lines, route.QuickLine(l))
	}

	return c.JSON(list)
}
