package ui

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// mayWatch lets in whoever has the link of the wallboard. The token is in the query,
// which is written to no log.
func (u *UI) mayWatch(c *fiber.Ctx, secret string) error {
	who, err := u.book.Token(c.UserContext(), secret)

	switch {
	case err != nil:
		return err
	case who.Scope != route.Read: // the link stands open on a screen: what it lets in must not be worth stealing
		return core.NewProblem(core.ErrRefused, "wall/too-much", "This token may do more than read; make one with the scope read for the wallboard.")
	default:
		return nil
	}
}

// wallByPath leads from a link that has the token in its path, as people write them, to the
// one that the wallboard is under: there it is in the query, see mayWatch.
func wallByPath(c *fiber.Ctx) error {
	return c.Redirect("/wall?token="+url.QueryEscape(param(c, "token")), http.StatusSeeOther)
}

// wallPage is the rack for a screen on the wall: whoever has its link may look at it,
// and at nothing else, as may whoever is signed in.
func (u *UI) wallPage(c *fiber.Ctx) (err error) {
	if secret := c.Query("token"); secret != "" {
		err = u.mayWatch(c, secret)
	} else if _, err = u.who(c); errors.Is(err, core.ErrUnauthorized) && c.Get("X-Live") == "" {
		return c.Redirect("/login?next=/wall", http.StatusSeeOther)
	}

	if err != nil {
		return err
	}

	page := view.Rack{Want: view.ReadRackWant(func(key string) string { return c.Query(key) })}

	if page.Frame, err = u.frame(c, "Wallboard", ""); err != nil {
		return err
	}

	page.Slots = u.slots()

	if err := u.look(c, func(r core.Reader) (err error) {
		page.Rows, err = u.rows(r)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowWall(page))
}

// findPage leads from what stands on a machine, a label or in a message to its host: a
// MAC, a serial, an asset tag or a name.
func (u *UI) findPage(c *fiber.Ctx) error {
	wanted := strings.TrimSpace(param(c, "any"))
	mac, bad := core.ParseMAC(wanted)

	var (
		found []core.MAC
		part  bool
	)

	if err := u.look(c, func(r core.Reader) error {
		if bad == nil {
			host, err := lookup.Host(r, mac)
			if err == nil {
				found = append(found, host.MAC)
			}

			if !errors.Is(err, core.ErrNotFound) {
				return err
			}

			return nil
		}

		rows, err := u.rows(r)
		for i := range rows {
			if goesBy(&rows[i].Host, wanted) {
				found = append(found, rows[i].Host.MAC)
			}
		}

		if err != nil || len(found) > 0 {
			return err
		}

		seen, _, err := lookup.PartHistory(r, wanted)
		part = len(seen) > 0

		return err
	}); err != nil {
		return err
	}

	switch {
	case len(found) == 1:
		return c.Redirect("/hosts/"+string(found[0]), http.StatusSeeOther)
	case part:
		return c.Redirect("/parts?serial="+url.QueryEscape(wanted), http.StatusSeeOther)
	case len(found) > 1:
		return c.Redirect("/hosts?q="+url.QueryEscape(wanted), http.StatusSeeOther)
	default:
		return u.unknown(c, wanted, mac)
	}
}

// unknown says that nobody knows what was asked for, and offers to adopt or register it;
// mac is empty where it is no address.
func (u *UI) unknown(c *fiber.Ctx, wanted string, mac core.MAC) error {
	frame, err := u.frame(c, "Not known here", "")
	if err != nil {
		return err
	}

	page := view.Unknown{Frame: frame, Wanted: wanted, MAC: mac}

	if err := u.look(c, func(r core.Reader) (err error) {
		if page.Heard, _, err = lookup.Sightings(r, false, lookup.Page{Limit: heardShown}); err != nil || mac == "" {
			return err
		}

		var seen core.Sighting

		err = r.Get(core.TableSighting, string(mac), &seen)
		page.Seen = err == nil

		if errors.Is(err, core.ErrNotFound) {
			return nil
		}

		return err
	}); err != nil {
		return err
	}

	return draw(c.Status(http.StatusNotFound), view.ShowUnknown(&page))
}

// heardShown is how many machines are offered to be adopted.
const heardShown = 10

// goesBy reports whether a host has a name, serial or tag.
func goesBy(h *core.Host, word string) bool {
	names := []string{h.Name, h.AssetTag, h.Identity.BoardSerial, h.Identity.SMBIOSUUID}

	return word != "" && slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(cmp.Or(name, "\x00"), word) })
}
