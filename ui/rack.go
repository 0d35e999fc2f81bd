package ui

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/text"
	"vetting/ui/view"
)

// mostSelected bounds what is done with hosts at once.
const mostSelected = 1000

func (u *UI) rackPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Rack", view.FollowsTiles)
	if err != nil {
		return err
	}

	page := view.Rack{
		Frame: frame, Quick: u.quickLines(c), Slots: u.slots(),
		Want: view.ReadRackWant(func(key string) string { return c.Query(key) }),
	}

	if err := u.look(c, func(r core.Reader) (err error) {
		page.Rows, err = u.rows(r)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowRack(page))
}

// queryList returns every value that the address gives to a name.
func queryList(c *fiber.Ctx, name string) (list []string) {
	for key, value := range c.Request().URI().QueryArgs().All() {
		if string(key) == name {
			list = append(list, string(value))
		}
	}

	return list
}

// ticked reads the MACs of hosts that were ticked, each once.
func ticked(list []string) ([]core.MAC, error) {
	if len(list) > mostSelected {
		return nil, core.NewProblem(core.ErrInvalid, "hosts/too-many", fmt.Sprintf("At most %d hosts can be chosen at once.", mostSelected))
	}

	found, err := macs(list)
	if err != nil {
		return nil, err
	}

	slices.Sort(found)

	return slices.Compact(found), nil
}

// selectedPage offers what can be done with several hosts at once.
func (u *UI) selectedPage(c *fiber.Ctx) error {
	chosen, err := ticked(queryList(c, "mac"))
	if err != nil {
		return err
	}

	return u.showSelected(c, chosen, nil)
}

func (u *UI) showSelected(c *fiber.Ctx, chosen []core.MAC, done map[core.MAC]view.Started) error {
	frame, err := u.frame(c, "Several hosts", "")
	if err != nil {
		return err
	}

	page := view.Selected{Frame: frame, Profiles: u.cfg.Commands.Profiles(), Profile: c.FormValue("profile", u.usual()), Done: done, Batch: c.FormValue("batch")}
	if c.Method() == http.MethodGet && len(chosen) > 1 {
		page.Batch = u.cfg.Now().UTC().Format("2006-01-02-1504")
	}

	if err := u.look(c, func(r core.Reader) error {
		for _, mac := range chosen {
			host, err := lookup.Host(r, mac)
			if err != nil {
				return err
			}

			row, err := u.rowOf(r, &host)
			if err != nil {
				return err
			}

			page.Rows = append(page.Rows, row)
		}

		return nil
	}); err != nil {
		return err
	}

	slices.SortFunc(page.Rows, func(a, b view.HostRow) int {
		return cmp.Or(text.Natural(a.Host.Name, b.Host.Name), cmp.Compare(a.Host.MAC, b.Host.MAC))
	})

	return draw(c, view.ShowSelected(&page))
}

// beginRuns starts a run on each ticked host; one that cannot be started keeps no
// other back. Nothing is armed: disks are chosen host by host.
func (u *UI) beginRuns(c *fiber.Ctx) error {
	chosen, err := ticked(formList(c, "mac"))
	if err != nil {
		return err
	}

	done, refused := map[core.MAC]view.Started{}, 0

	for _, mac := range chosen {
		run, err := u.cfg.Commands.StartRun(c.UserContext(), mac, core.StartRun{Profile: c.FormValue("profile"), Who: caller(c).Name, Batch: strings.TrimSpace(c.FormValue("batch"))})

		switch {
		case err == nil:
			done[mac] = view.Started{Run: run.ID}
		case len(problems(err)) > 0:
			refused++
			done[mac] = view.Started{Refused: problems(err)[0].Message}
		default:
			return err
		}
	}

	if refused == len(chosen) && refused > 0 {
		c.Status(http.StatusConflict)
	}

	return u.showSelected(c, chosen, done)
}

// tagSelected gives each ticked host the tags of a form and takes others away.
func (u *UI) tagSelected(c *fiber.Ctx) error {
	chosen, err := ticked(formList(c, "mac"))
	if err != nil {
		return err
	}

	add, drop := words(c.FormValue("add")), words(c.FormValue("drop"))
	before, after := map[core.MAC][]string{}, map[core.MAC][]string{}

	for _, mac := range chosen {
		if _, err := u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) {
			before[mac] = h.Tags
			tags := slices.Concat(h.Tags, add)
			h.Tags = nil

			for _, tag := range tags {
				if !slices.Contains(drop, tag) && !slices.Contains(h.Tags, tag) {
					h.Tags = append(h.Tags, tag)
				}
			}

			after[mac] = h.Tags
		}); err != nil {
			return err
		}
	}

	return u.undoable(c, "/hosts", "tagged", "/hosts", u.untag(chosen, before, after))
}

// untag is the way back from a change of the tags of several hosts: where nobody has
// changed those of one again. It is gone for all of them, or for none.
func (u *UI) untag(chosen []core.MAC, before, after map[core.MAC][]string) func(ctx context.Context, who string) error {
	return func(ctx context.Context, who string) error {
		if err := u.cfg.Ledger.View(ctx, func(r core.Reader) error {
			for _, mac := range chosen {
				host, err := lookup.Host(r, mac)
				if err != nil {
					return err
				}

				if !slices.Equal(host.Tags, after[mac]) {
					return changedSince("What " + host.Name + " is tagged with")
				}
			}

			return nil
		}); err != nil {
			return err
		}

		for _, mac := range chosen {
			if _, err := u.cfg.Commands.UpdateHost(ctx, who, mac, func(h *core.Host) { h.Tags = before[mac] }, func(h *core.Host) error {
				if !slices.Equal(h.Tags, after[mac]) {
					return changedSince("What " + h.Name + " is tagged with")
				}

				return nil
			}); err != nil {
				return err
			}
		}

		return nil
	}
}

// selectedLabels leads to the labels of the last runs of the ticked hosts.
func (u *UI) selectedLabels(c *fiber.Ctx) error {
	chosen, err := ticked(queryList(c, "mac"))
	if err != nil {
		return err
	}

	var ids []string

	if err := u.look(c, func(r core.Reader) error {
		for _, mac := range chosen {
			host, err := lookup.Host(r, mac)
			if err != nil {
				return err
			}

			if host.LastRun != "" {
				ids = append(ids, string(host.LastRun))
			}
		}

		return nil
	}); err != nil {
		return err
	}

	if len(ids) == 0 {
		return core.NewProblem(core.ErrConflict, "label/no-run", "None of these hosts was vetted yet; a label is of a run.")
	}

	return c.Redirect("/labels?"+url.Values{"ids": {strings.Join(ids, ",")}, "sheet": {"1"}}.Encode(), http.StatusSeeOther)
}
