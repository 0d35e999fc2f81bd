package ui

import (
	"context"
	"errors"
	"net/http"

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

		return c.Redirect("/inbox?done="+done, http.StatusSeeOther)
	}
}

// ignoreOnPage takes a machine out of the inbox and leads back there, with the way back.
func (u *UI) ignoreOnPage(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	ignored, err := u.cfg.Commands.IgnoreMachine(c.UserContext(), caller(c).Name, mac)
	if err != nil {
		return u.showInbox(c, err)
	}

	return u.undoable(c, "/inbox", "ignored", "/inbox", func(ctx context.Context, who string) error {
		if err := u.cfg.Ledger.View(ctx, func(r core.Reader) error {
			seen, err := lookup.Stranger(r, mac)
			if err == nil && !seen.IgnoredAt.Equal(ignored.IgnoredAt) {
				return changedSince("What is done with this machine")
			}

			return err
		}); err != nil {
			return err
		}

		_, err := u.cfg.Commands.HeedMachine(ctx, who, mac)

		return err
	})
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

	frame.Here = "/inbox"

	page, err := paging(c)
	if err != nil {
		return err
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
