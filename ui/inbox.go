package ui

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// regard is an order that takes a machine out of the inbox or back into it.
type regard func(ctx context.Context, who string, mac core.MAC) (core.Sighting, error)

func (u *UI) regardMachine(do regard) fiber.Handler {
	return func(c *fiber.Ctx) error {
		mac, err := macOf(c)
		if err != nil {
			return err
		}

		seen, err := do(c.UserContext(), caller(c).Name, mac)

		return shown(c, http.StatusOK, seen, err)
	}
}

// regardOnPage carries such an order out and leads back to the inbox.
func (u *UI) regardOnPage(do regard, done string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		mac, err := macOf(c)
		if err != nil {
			return err
		}

		if _, err := do(c.UserContext(), caller(c).Name, mac); err != nil {
			return u.showInbox(c, err)
		}

		to := url.Values{"done": {done}}
		if done == "ignored" && c.FormValue("undo") == "" {
			to.Set("undo", string(mac))
		}

		return c.Redirect("/inbox?"+to.Encode(), http.StatusSeeOther)
	}
}

// undoIgnore is the way back that the address of the page tells; nil: none.
func undoIgnore(c *fiber.Ctx) *view.Undo {
	mac, err := core.ParseMAC(c.Query("undo"))
	if err != nil || c.Query("undo") == "" {
		return nil
	}

	return &view.Undo{Path: "/inbox/" + string(mac) + "/heed"}
}

func (u *UI) inboxPage(c *fiber.Ctx) error { return u.showInbox(c, nil) }

// showInbox shows the machines that nobody knows, with what went wrong with an order
// about one.
func (u *UI) showInbox(c *fiber.Ctx, why error) error {
	if why != nil && !errors.Is(why, core.ErrConflict) && !errors.Is(why, core.ErrNotFound) {
		return why
	}

	frame, err := u.frame(c, "Inbox", "rack")
	if err != nil {
		return err
	}

	page, err := paging(c)
	if err != nil {
		return err
	}

	if undo := undoIgnore(c); undo != nil {
		frame.Undo = undo
	}

	if why != nil {
		if err := explain(c, &frame, why); err != nil {
			return err
		}
	}

	inbox := view.Inbox{Frame: frame, Names: map[core.MAC]string{}, Quick: u.quickLines(c)}

	if err := u.look(c, func(r core.Reader) (err error) {
		if inbox.Keys, err = lookup.HostKeys(r, lookup.KeyFilter{State: core.HostKeyPending}); err != nil {
			return err
		}

		for i := range inbox.Keys {
			mac := inbox.Keys[i].Host

			host, err := lookup.Host(r, mac)
			if err != nil && !errors.Is(err, core.ErrNotFound) {
				return err
			}

			inbox.Names[mac] = host.Name
		}

		if inbox.Ignored, _, err = lookup.Sightings(r, true, lookup.Page{Limit: lookup.MaxLimit}); err != nil {
			return err
		}

		inbox.Rows, inbox.Next, err = lookup.Sightings(r, false, page)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowInbox(&inbox))
}
