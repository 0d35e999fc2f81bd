package ui

import (
	"context"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// slots is how many runs may go on at once; 0: not known.
func (u *UI) slots() int {
	if u.cfg.Counts.Slots == nil {
		return 0
	}

	return u.cfg.Counts.Slots()
}

func (u *UI) listQueue(c *fiber.Ctx) error {
	list := route.QueueList{Runs: []route.RunSummary{}}

	err := u.look(c, func(r core.Reader) error {
		_, waiting, err := lookup.LiveRuns(r, &u.shelf, &u.paces, u.slots(), u.cfg.Now())
		for i := range waiting {
			list.Runs = append(list.Runs, route.NewRunSummary(waiting[i].Run, nil))
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) moveRun(c *fiber.Ctx) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	var ask route.QueueMove
	if err := body(c, &ask); err != nil {
		return err
	}

	moved, err := u.cfg.Commands.MoveRun(c.UserContext(), caller(c).Name, id, core.QueueMove{To: ask.To, Before: ask.Before})

	return shown(c, http.StatusOK, route.QueueMoved{Order: moved.Order, StoodBefore: moved.Before}, err)
}

// moveOnPage moves a run in the queue and leads back to it, with the way to undo it.
func (u *UI) moveOnPage(c *fiber.Ctx) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	moved, err := u.cfg.Commands.MoveRun(c.UserContext(), caller(c).Name, id, core.QueueMove{
		To: core.Place(c.FormValue("to")), Before: core.RunID(c.FormValue("before")),
	})
	if err != nil {
		return u.showRuns(c, err)
	}

	back := core.QueueMove{To: core.PlaceLast, Stood: moved.Order}
	if moved.Before != "" {
		back.To, back.Before = core.PlaceBefore, moved.Before
	}

	return u.undoable(c, "/runs", "moved", "/runs", func(ctx context.Context, who string) error {
		_, err := u.cfg.Commands.MoveRun(ctx, who, id, back)

		return err
	})
}

func (u *UI) runsPage(c *fiber.Ctx) error { return u.showRuns(c, nil) }

// showRuns shows the queue, the runs under way and those that are over, with what went
// wrong with an order about the queue. With a filter only the runs that fit are shown.
func (u *UI) showRuns(c *fiber.Ctx, why error) error {
	frame, err := u.frame(c, "Runs", "rack")
	if err != nil {
		return err
	}

	frame.Here = "/runs"

	filter, err := runFilter(c)
	if err != nil {
		return err
	}

	page, err := paging(c)
	if err != nil {
		return err
	}

	if err := explain(c, &frame, why); err != nil {
		return err
	}

	runs := view.Runs{Frame: frame, Filter: filter, Beyond: page.After != "", Slots: u.slots(), Profiles: u.cfg.Commands.Profiles()}
	if runs.Whole() {
		runs.Frame.Follows = view.FollowsQueue
	}

	if err := u.look(c, func(r core.Reader) error { return u.readRuns(r, &runs, page) }); err != nil {
		return err
	}

	return draw(c, view.ShowRuns(&runs))
}

// readRuns fills the page of runs.
func (u *UI) readRuns(r core.Reader, runs *view.Runs, page lookup.Page) (err error) {
	filter := runs.Filter

	if runs.Whole() {
		filter.State = "over"

		if runs.Going, runs.Waiting, err = lookup.LiveRuns(r, &u.shelf, &u.paces, u.slots(), u.cfg.Now()); err != nil {
			return err
		}
	}

	if runs.Waivers, err = lookup.AllWaivers(r); err != nil {
		return err
	}

	runs.Rows, runs.Next, err = lookup.Runs(r, filter, page)

	return err
}
