package ui

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
)

// What can be undone is offered for ten seconds (static/app.js takes the offer away then),
// and to those without a script until they leave the page; it is carried out for a minute.
const (
	undoFor  = time.Minute
	mostUndo = 512 // that are remembered at once, the newest
)

// undo is the way back from something that was just done.
type undo struct {
	who  string // may take it
	to   string // page that it leads back to
	ends time.Time
	back func(ctx context.Context, who string) error
}

// undos remembers the ways back, until a restart. Safe for concurrent use; the zero value
// is ready.
type undos struct {
	mu    sync.Mutex
	ways  map[string]undo
	order []string // of ways, the oldest first
}

func (l *undos) put(id string, way undo) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.ways == nil {
		l.ways = map[string]undo{}
	}

	if len(l.order) >= mostUndo {
		delete(l.ways, l.order[0])
		l.order = l.order[1:]
	}

	l.ways[id] = way
	l.order = append(l.order, id)
}

// find returns a way back that somebody may take now.
func (l *undos) find(id, who string, now time.Time) (undo, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	way, ok := l.ways[id]

	return way, ok && way.who == who && now.Before(way.ends)
}

// take is find that forgets it: a way back is taken once.
func (l *undos) take(id, who string, now time.Time) (undo, bool) {
	way, ok := l.find(id, who, now)
	if !ok {
		return way, false
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	if _, ok = l.ways[id]; ok {
		way.back, ok = l.ways[id].back, l.ways[id].back != nil
		l.ways[id] = undo{}
	}

	return way, ok
}

// undoable answers a form whose deed can be taken back: it leads to a page that says what
// was done and offers the way back, by which the other page is reached.
func (u *UI) undoable(c *fiber.Ctx, to, done, after string, back func(ctx context.Context, who string) error) error {
	name := make([]byte, 16)
	if _, err := io.ReadFull(u.cfg.Rand, name); err != nil {
		return fmt.Errorf("naming a way back: %w", err)
	}

	id := hex.EncodeToString(name)
	u.undos.put(id, undo{who: caller(c).Name, to: after, ends: u.cfg.Now().Add(undoFor), back: back})

	return c.Redirect(to+"?done="+done+"&undo="+id, http.StatusSeeOther)
}

// takeBack takes back what was just done.
func (u *UI) takeBack(c *fiber.Ctx) error {
	way, ok := u.undos.take(param(c, "id"), caller(c).Name, u.cfg.Now())
	if !ok {
		return core.NewProblem(core.ErrConflict, problem.UndoOver, "This cannot be taken back any more; change it where it stands.")
	}

	if err := way.back(c.UserContext(), caller(c).Name); err != nil {
		return err
	}

	return c.Redirect(way.to+"?done=undone", http.StatusSeeOther)
}

// changedSince refuses to take something back that was changed again.
func changedSince(what string) error {
	return core.NewProblem(core.ErrConflict, problem.UndoOver, what+" was changed once more since; change it where it stands.")
}
