package ui

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/text"
	"vetting/ui/view"
)

const (
	// activityHeader names the audit entry that an order left.
	activityHeader = "Vetting-Activity"
	saidKey        = "said"
	recent         = 6 // entries in the drawer
	mostSaid       = 400
	sameRefusal    = time.Minute // the same refusal is written down once in it
	mostRefusals   = 1024
)

func auditFilter(c *fiber.Ctx) (filter lookup.AuditFilter, err error) {
	filter.Who, filter.Action, filter.ID = c.Query("who"), c.Query("action"), c.Query("id")

	switch filter.Result = core.Outcome(c.Query("result")); filter.Result {
	case "", core.OutcomeDone, core.OutcomeRefused, core.OutcomeFailed:
	default:
		return filter, core.NewProblem(core.ErrInvalid, "list/bad-result", "result is done, refused or failed.")
	}

	if host := c.Query("host"); host != "" {
		filter.Host, err = core.ParseMAC(host)
	}

	return filter, err
}

// trail reads the page of the audit trail that a request asks for.
func (u *UI) trail(c *fiber.Ctx) (list route.AuditList, filter lookup.AuditFilter, err error) {
	if filter, err = auditFilter(c); err != nil {
		return list, filter, err
	}

	page, err := paging(c)
	if err != nil {
		return list, filter, err
	}

	err = u.look(c, func(r core.Reader) (err error) {
		list.Entries, list.NextPageToken, err = lookup.Audit(r, filter, page)

		return err
	})

	return list, filter, err
}

// writeAudit takes down what somebody does that changes no record.
func (u *UI) writeAudit(ctx context.Context, entry core.Audit) error {
	entry.Time = u.cfg.Now().UTC()

	_, err := u.cfg.Ledger.Update(ctx, func(txn core.Txn) error { return core.WriteAudit(txn, entry) })

	return err
}

func (u *UI) listAudit(c *fiber.Ctx) error {
	list, _, err := u.trail(c)

	return shown(c, http.StatusOK, list, err)
}

// activityPage is the audit trail, below what the appliance is at work on.
func (u *UI) activityPage(c *fiber.Ctx) error { return u.showActivity(c, nil) }

func (u *UI) showActivity(c *fiber.Ctx, why error) error {
	frame, err := u.frame(c, "Activity", "rack")
	if err != nil {
		return err
	}

	frame.Here = "/activity"

	if err := explain(c, &frame, why); err != nil {
		return err
	}

	list, filter, err := u.trail(c)
	if err != nil {
		return err
	}

	page := &view.Activity{
		Frame: frame, Rows: list.Entries, Next: list.NextPageToken, Who: filter.Who, Action: filter.Action, Host: filter.Host, ID: filter.ID, Result: filter.Result,
		Beyond: c.Query("page_token") != "",
	}

	if err := u.look(c, func(r core.Reader) (err error) {
		page.Tasks, err = u.atWork(r)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowActivity(page))
}

// drawerPart is what the drawer of every page shows: the tasks, and what was done last.
func (u *UI) drawerPart(c *fiber.Ctx) error {
	page := &view.Activity{Frame: view.Frame{Scope: caller(c).Scope, Now: u.cfg.Now()}}

	if err := u.look(c, func(r core.Reader) (err error) {
		if page.Tasks, err = u.atWork(r); err != nil {
			return err
		}

		page.Rows, _, err = lookup.Audit(r, lookup.AuditFilter{}, lookup.Page{Limit: recent})

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.Drawer(page))
}

func (u *UI) stopOnPage(c *fiber.Ctx) error {
	switch err := u.stopTask(c, param(c, "id")); {
	case mendable(err):
		return u.showActivity(c, err)
	case err != nil:
		return err
	default:
		return c.Redirect("/activity?done=stopped", http.StatusSeeOther)
	}
}

// refusals remembers what was refused a moment ago, so that a program that asks again and
// again does not fill the audit trail. Safe for concurrent use.
type refusals struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// fresh reports whether what is called key was not refused a moment ago.
func (r *refusals) fresh(key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	if at, ok := r.last[key]; ok && now.Sub(at) < sameRefusal && now.Sub(at) > -sameRefusal {
		return false
	}

	if r.last == nil || len(r.last) >= mostRefusals {
		r.last = map[string]time.Time{}
	}

	r.last[key] = now

	return true
}

// sourced lets every write of a request say where it comes from, and tells whoever asked
// which entry of the audit trail it left. Orders that were refused leave one too.
func (u *UI) sourced(c *fiber.Ctx) error {
	from := &core.Origin{}
	if a := addr(c); !a.IsUnspecified() {
		from.From = a.String()
	}

	c.SetUserContext(view.WithPlace(core.WithOrigin(c.UserContext(), from), place(c)))

	err := c.Next()
	if err != nil { // the status and the words are known once it is answered
		err = u.fail(c, err)
	}

	u.noteRefusal(c)

	if c.Method() != http.MethodGet && changesAccess(c.Path()) {
		u.hub.Recheck() // whoever may look no longer does not
	}

	if id := from.Last(); id != "" {
		c.Set(activityHeader, id)
	}

	return err
}

// changesAccess reports whether an order may have ended somebody's right to look.
func changesAccess(path string) bool {
	for _, begins := range []string{"/logout", "/people", "/settings", "/setup", "/api/v1/users", "/api/v1/tokens"} {
		if strings.HasPrefix(path, begins) {
			return true
		}
	}

	return false
}

// place is the page that a request asks for, or comes from with a form.
func place(c *fiber.Ctx) string {
	if c.Method() == http.MethodGet {
		return c.OriginalURL()
	}

	parts := strings.SplitN(strings.TrimPrefix(c.Path(), "/"), "/", 3)
	if parts[0] == "runs" || parts[0] == "hosts" || parts[0] == "settings" && len(parts) > 1 && parts[1] == "backup" {
		return "/" + strings.Join(parts[:min(len(parts), 2)], "/")
	}

	return "/" + parts[0]
}

// noteRefusal writes down what somebody wanted and did not get. What was merely typed
// wrong is none of it, nor is who nobody knows, but for those who tried to sign in.
func (u *UI) noteRefusal(c *fiber.Ctx) {
	code, who := c.Response().StatusCode(), caller(c).Name
	entry := core.Audit{Who: who, Action: "request.refused", Object: "request", Result: core.OutcomeRefused}

	switch method := c.Method(); {
	case u.cfg.Trouble != nil, method == http.MethodGet, method == http.MethodHead, method == http.MethodOptions:
		return
	case who == "" && c.Path() == "/login" && (code == http.StatusUnauthorized || code == http.StatusTooManyRequests):
		entry.Who, entry.Action, entry.Object = "nobody", "session.create", "session"
	case who == "", code != http.StatusForbidden && code != http.StatusConflict && code < http.StatusInternalServerError:
		return
	case code >= http.StatusInternalServerError:
		entry.Result = core.OutcomeFailed
	}

	from := core.OriginOf(c.UserContext())
	if !u.refusals.fresh(entry.Who+" "+from.From+" "+c.Method()+" "+c.Path()+" "+http.StatusText(code), u.cfg.Now()) {
		return
	}

	said, _ := c.Locals(saidKey).(string) //nolint:errcheck // empty where nothing was said
	what := []rune(text.Line(c.Method() + " " + c.Path() + ": " + said))
	entry.Text = string(what[:min(len(what), mostSaid)])

	if err := u.writeAudit(c.UserContext(), entry); err != nil { // the answer stands; a full disk is told by itself
		u.cfg.Log.Warn("a refusal is not in the audit trail", slog.String("error", err.Error()))
	}
}
