package ui

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/mark"
)

// tasks are those of the console itself: what takes its time while somebody waits for
// it, or has gone on to another page. Runs are tasks too, and stand in the ledger. Safe
// for concurrent use.
type tasks struct {
	mu     sync.Mutex
	number uint64
	open   map[string]*task
}

type task struct {
	route.Task

	number uint64
	stop   context.CancelFunc
}

func newTasks() *tasks { return &tasks{open: map[string]*task{}} }

// begin notes a task that lives until done is called or ctx ends. ctx is what it works
// under: it ends when the task is stopped, or with life. It carries the origin of the
// request.
func (u *UI) begin(c *fiber.Ctx, kind, what string, run *core.Run) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(u.life)
	if o := core.OriginOf(c.UserContext()); o != nil {
		ctx = core.WithOrigin(ctx, o)
	}

	t := &task{Task: route.Task{Kind: kind, Text: what, Who: caller(c).Name, Since: u.cfg.Now().UTC(), Stops: true}, stop: cancel}
	if run != nil {
		t.Host, t.Run = run.Host, run.ID
	}

	u.tasks.mu.Lock()
	defer u.tasks.mu.Unlock()

	u.tasks.number++
	t.number, t.ID = u.tasks.number, fmt.Sprintf("%s-%d", kind, u.tasks.number)
	u.tasks.open[t.ID] = t

	return ctx, func() {
		cancel()

		u.tasks.mu.Lock()
		defer u.tasks.mu.Unlock()

		delete(u.tasks.open, t.ID)
	}
}

// list shows them, the newest first.
func (t *tasks) list() []route.Task {
	t.mu.Lock()
	defer t.mu.Unlock()

	all := make([]*task, 0, len(t.open))
	for _, one := range t.open {
		all = append(all, one)
	}

	slices.SortFunc(all, func(a, b *task) int { return cmp.Compare(b.number, a.number) })

	list := make([]route.Task, 0, len(all))
	for _, one := range all {
		list = append(list, one.Task)
	}

	return list
}

// halt stops the one called id, if there is one.
func (t *tasks) halt(id string) (route.Task, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	one, ok := t.open[id]
	if !ok {
		return route.Task{}, false
	}

	one.stop()

	return one.Task, true
}

// atWork lists what the appliance is at work on.
func (u *UI) atWork(r core.Reader) ([]route.Task, error) {
	list := u.tasks.list()

	hosts, err := lookup.AllHosts(r)
	if err != nil {
		return nil, err
	}

	var under []route.Task

	for i := range hosts {
		if hosts[i].CurrentRun == "" {
			continue
		}

		run, err := u.shelf.Run(r, hosts[i].CurrentRun)
		if err != nil {
			return nil, err
		}

		if !run.State.Over() {
			under = append(under, runTask(run))
		}
	}

	slices.SortFunc(under, func(a, b route.Task) int { return cmp.Compare(b.ID, a.ID) })

	return append(list, under...), nil
}

func runTask(run *core.Run) route.Task {
	_, done := route.Position(run)

	since := run.StartedAt
	if since.IsZero() {
		since = run.CreatedAt
	}

	return route.Task{
		ID: string(run.ID), Kind: "run", Text: "vets " + run.HostName + " with " + run.Profile.Name + ": " + mark.Run(run).Word, Who: run.Operator, Since: since,
		Progress: &done, Host: run.Host, Run: run.ID, Stops: run.State != core.StateFailedHolding,
	}
}

func (u *UI) listTasks(c *fiber.Ctx) error {
	list := route.TaskList{}

	err := u.look(c, func(r core.Reader) (err error) {
		list.Tasks, err = u.atWork(r)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

// stopTask stops what is called id: a run is cancelled, any other task left off.
func (u *UI) stopTask(c *fiber.Ctx, id string) error {
	if run, err := lookup.ParseRunID(id); err == nil {
		_, err := u.cfg.Commands.CancelRun(c.UserContext(), caller(c).Name, run)

		return err
	}

	stopped, ok := u.tasks.halt(id)
	if !ok {
		return core.NewProblem(core.ErrNotFound, "task/not-found", "There is no such task; it may be over.")
	}

	err := u.writeAudit(c.UserContext(), core.Audit{
		Who: caller(c).Name, Action: "task.stop", Object: "task/" + id, Host: stopped.Host, Run: stopped.Run, Text: "stopped a task of " + stopped.Who + " that " + stopped.Text,
	})
	if errors.Is(err, core.ErrFull) { // what is stopped has stopped
		return nil
	}

	return err
}

func (u *UI) haltTask(c *fiber.Ctx) error {
	if err := u.stopTask(c, param(c, "id")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}
