package ui

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

const (
	// replayedHeader stands on an answer that was given before.
	replayedHeader = "Idempotency-Replayed"

	mostKeyLetters = 255
	mostAnswer     = 256 << 10 // a larger answer is not repeated
	mostDone       = 1000      // orders that are remembered
	doneLife       = 24 * time.Hour
	pruneEvery     = 64 // orders after which those that are old are forgotten
)

// onces are the orders with an idempotency key. Safe for concurrent use.
type onces struct {
	mu   sync.Mutex
	busy map[string]bool
	kept int
}

// begin reports whether nobody is at work on the order.
func (o *onces) begin(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.busy[key] {
		return false
	}

	if o.busy == nil {
		o.busy = map[string]bool{}
	}

	o.busy[key] = true

	return true
}

func (o *onces) end(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()

	delete(o.busy, key)
}

// due reports whether it is time to forget what is old: at the first order, and then every
// so many.
func (o *onces) due() bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.kept++

	return o.kept%pruneEvery == 1
}

// once carries an order that has an idempotency key out a single time, whoever sends it
// how often (draft-ietf-httpapi-idempotency-key-header): that it is done is written in the
// same write as what it does, so that not even a crash in between makes it happen twice.
func (u *UI) once(r route.Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		key := c.Get(route.IdempotencyKey)
		if key == "" {
			return c.Next()
		}

		if len(key) > mostKeyLetters || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }) {
			return malformed(route.IdempotencyKey + " is 1 to 255 printable ASCII characters without spaces, such as a UUID.")
		}

		ask := &core.Once{Key: hashOf(caller(c).ID, key), Print: hashOf(c.Method(), c.OriginalURL(), string(c.Body()))}
		if !u.onces.begin(ask.Key) {
			return core.NewProblem(core.ErrConflict, "request/key-busy", "An order with this "+route.IdempotencyKey+" is being carried out; ask again in a moment.")
		}
		defer u.onces.end(ask.Key)

		done, err := u.doneBefore(c, ask.Key)

		switch {
		case err == nil:
			return u.repeat(c, &r, ask, &done)
		case !errors.Is(err, core.ErrNotFound):
			return err
		}

		return u.carryOutOnce(c, &r, ask)
	}
}

// hashOf tells lists of texts apart.
func hashOf(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		one := sha256.Sum256([]byte(part))
		sum.Write(one[:])
	}

	return hex.EncodeToString(sum.Sum(nil))
}

func (u *UI) doneBefore(c *fiber.Ctx, key string) (done core.CarriedOut, err error) {
	err = u.look(c, func(r core.Reader) error { return r.Get(core.TableOnce, key, &done) })
	if err == nil && u.cfg.Now().Sub(done.Time) > doneLife {
		err = core.ErrNotFound
	}

	return done, err
}

func (u *UI) carryOutOnce(c *fiber.Ctx, r *route.Route, ask *core.Once) error {
	from := core.OriginOf(c.UserContext())
	from.Begin(ask)

	err := c.Next()
	if err != nil { // what is answered is known once it is written
		err = u.fail(c, err)
	}

	from.End()

	if lost := u.keepAnswer(c, r, ask); lost != nil { // the order is done, and marked so
		u.cfg.Log.Warn("the answer to an order with an idempotency key was not kept", slog.String("error", lost.Error()))
	}

	return err
}

// keepAnswer completes what is known of an order that did something. One that was refused
// and changed nothing may be sent again.
func (u *UI) keepAnswer(c *fiber.Ctx, r *route.Route, ask *core.Once) error {
	status, answer := c.Response().StatusCode(), c.Response()
	whole := !r.Secret && !answer.IsBodyStream() && len(answer.Body()) <= mostAnswer

	_, err := u.cfg.Ledger.Update(c.UserContext(), func(txn core.Txn) error {
		done := core.CarriedOut{Print: ask.Print, Time: u.cfg.Now().UTC()}

		err := txn.Get(core.TableOnce, ask.Key, &done)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		if err != nil && status >= http.StatusMultipleChoices {
			return errNotDone
		}

		if done.Print != ask.Print { // of an earlier order, that is too old to count
			done = core.CarriedOut{Print: ask.Print, Time: u.cfg.Now().UTC()}
		}

		if whole {
			done.Status, done.Kind, done.Body = status, string(answer.Header.ContentType()), slices.Clone(answer.Body())
		}

		if err := txn.Put(core.TableOnce, ask.Key, done); err != nil || !u.onces.due() {
			return err
		}

		return u.forgetDone(txn)
	})
	if errors.Is(err, errNotDone) {
		return nil
	}

	return err
}

// errNotDone ends a write that has nothing to write.
var errNotDone = errors.New("nothing was done") //nolint:gochecknoglobals // a sentinel error

// forgetDone forgets orders that are old, and the oldest where there are too many.
func (u *UI) forgetDone(txn core.Txn) error {
	type row struct {
		key string
		at  time.Time
	}

	var rows []row

	err := txn.Scan(core.TableOnce, core.Query{}, func(key string, decode func(any) error) error {
		var done core.CarriedOut
		err := decode(&done)
		rows = append(rows, row{key, done.Time})

		return err
	})
	if err != nil {
		return err
	}

	slices.SortFunc(rows, func(a, b row) int { return b.at.Compare(a.at) }) // the newest first

	for i, row := range rows {
		if i < mostDone && u.cfg.Now().Sub(row.at) <= doneLife {
			continue
		}

		if err := txn.Delete(core.TableOnce, row.key); err != nil {
			return err
		}
	}

	return nil
}

// repeat answers as before. Where the answer itself was lost in a crash, the host or the
// run that the order was about is answered with, as it is now.
func (u *UI) repeat(c *fiber.Ctx, r *route.Route, ask *core.Once, done *core.CarriedOut) error {
	if done.Print != ask.Print {
		return core.NewProblem(core.ErrInvalid, "request/key-reused", "This "+route.IdempotencyKey+" was used for another order; choose a new one for each.")
	}

	c.Set(replayedHeader, "true")

	if done.Audit != "" {
		c.Set(activityHeader, done.Audit)
	}

	if done.Status != 0 {
		c.Set(fiber.HeaderContentType, done.Kind)

		return c.Status(done.Status).Send(done.Body)
	}

	answer, err := u.lostAnswer(c, r, done)
	if err != nil {
		return err
	}

	return c.Status(r.OK.Status).JSON(answer)
}

func (u *UI) lostAnswer(c *fiber.Ctx, r *route.Route, done *core.CarriedOut) (answer any, err error) {
	switch r.OK.Value.(type) {
	case core.Host:
		var host core.Host

		err = u.look(c, func(r core.Reader) (err error) {
			host, err = lookup.Host(r, done.Host)

			return err
		})

		return host, err
	case route.Run:
		var run core.Run

		err = u.look(c, func(r core.Reader) (err error) {
			run, err = lookup.Run(r, done.Run)

			return err
		})

		return route.NewRun(&run, nil), err
	default:
		return nil, core.NewProblem(core.ErrConflict, "request/answer-lost",
			"This order was carried out, and its answer is not kept. Activity says what was done; send another order under a new "+route.IdempotencyKey+" if it is needed again.")
	}
}
