package ui

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
	"vetting/ui/lookup"
	"vetting/ui/sse"
	"vetting/ui/text"
	"vetting/ui/view"
)

// logStall is how long a reader may take for a page of the log.
const logStall = 15 * time.Second

// pages registers what people see, each behind its check.
func (u *UI) pages() {
	read, operate, admin := u.guard(route.Read, true), u.guard(route.Operate, true), u.guard(route.Admin, true)

	u.app.Get("/runs/compare", read, u.comparePage) // before the page of a run, which would take it for an id

	for path, handler := range map[string]fiber.Handler{
		"/": u.rackPage, "/hosts": u.hostsPage, "/runs": u.runsPage, "/runs/:id": u.runPage,
		"/runs/:id/report": u.reportPage, "/runs/:id/log.txt": u.logText, "/runs/:id/plots": u.plotsPart, "/inbox": u.inboxPage, "/netboot": u.netbootPage, "/profiles": u.profilesPage, "/parts": u.partPage, "/classes": u.classesPage, "/firmware": u.firmwarePage, "/models": u.modelsPage, "/batches": u.batchesPage, "/batches/:name": u.batchPage, "/palette": u.palette, "/welcome": u.welcomePage, "/h/:any": u.findPage, "/settings": u.settingsPage, "/scan": u.scanPage,
	} {
		u.app.Get(path, read, handler)
	}

	u.app.Add(http.MethodGet, "/events", read, u.pageEvents) // Get would answer HEAD with a stream too
	u.hostPages(read, operate)
	u.formPages(read)
	u.linkPages(operate)

	for path, handler := range map[string]fiber.Handler{
		"/hosts": u.addHost, "/hosts/:mac": u.editHost, "/hosts/:mac/delete": u.removeHost, "/hosts/:mac/spec": u.saveSpec,
		"/hosts/:mac/overrides": u.saveOverrides,
		"/hosts/:mac/runs":      u.beginRun, "/hosts/:mac/clear-quarantine": u.trustHost,
		"/runs/:id/cancel":   u.orderRun(u.cfg.Commands.CancelRun, "cancelled"),
		"/runs/:id/withdraw": u.orderRun(u.cfg.Commands.WithdrawRun, "withdrawn-start"),
		"/runs/:id/release":  u.orderRun(u.cfg.Commands.ReleaseRun, "released"),
		"/runs/:id/retry":    u.retryStage,
	} {
		u.app.Post(path, operate, handler)
	}

	u.orderPages(operate)
	u.notePages(read, operate)
	u.app.Get(manualBase, u.guard(route.None, true), u.manualIndex)
	u.app.Get(manualBase+"/:topic", u.guard(route.None, true), u.manualPage)
	u.app.Get("/runs/:id/hold", operate, u.holdPage)
	u.terminalPages(operate)
	u.app.Get("/notifications", read, u.notificationsPage)
	u.app.Post("/notifications/:name/test", operate, u.testOnPage)
	u.app.Post("/notifications/:event/:target/resend", operate, u.resendOnPage)
	u.app.Get("/retention", read, u.retentionPage)
	u.profilePages(read, admin)
	u.app.Get("/config", admin, u.configPage)
	u.app.Get("/people", admin, u.peoplePage)
	u.activityPages(read, operate)

	for path, handler := range map[string]fiber.Handler{
		"/people": u.addUser, "/people/unlock": u.unlockPeople, "/people/:name/role": u.giveRole, "/people/:name/invite": u.linkUser, "/people/:name/delete": u.removeUser, "/people/:name/reset-totp": u.removeFactor,
	} {
		u.app.Post(path, admin, handler)
	}

	u.app.Post("/undo/:id", operate, u.takeBack)
	u.app.Post("/settings/tokens", admin, u.makeToken)
	u.app.Post("/settings/tokens/:id/delete", admin, u.dropToken)
	u.app.Post("/settings/password", read, u.changePassword)
	u.app.Post("/settings/theme", read, setTheme)
	u.factorPages("/settings", read, u.showSettings)
	u.setupPages(admin)
	u.steeringPages(admin)
	u.accountPages()
}

// terminalPages registers the shells of held hosts and the serial consoles, with their web sockets.
func (u *UI) terminalPages(operate fiber.Handler) {
	socket := u.guard(route.Operate, false)

	u.app.Get("/runs/:id/terminal", operate, u.terminalPage)
	u.app.Add(http.MethodGet, "/runs/:id/terminal/socket", socket, u.terminalSocket) // Get would answer HEAD, too
	u.app.Get("/hosts/:mac/console", operate, u.consolePage)
	u.app.Post("/hosts/:mac/console", operate, u.takeConsole)
	u.app.Add(http.MethodGet, "/hosts/:mac/console/socket", socket, u.consoleSocket)
}

// hostPages registers the pages of hosts, and the parts of theirs and of runs that have an
// address of their own.
func (u *UI) hostPages(read, operate fiber.Handler) {
	u.app.Get("/hosts/new", operate, u.newHostPage)
	u.app.Get("/hosts/selected", operate, u.selectedPage)
	u.app.Get("/hosts/selected/labels", operate, u.selectedLabels)
	u.app.Get("/hosts/list.csv", read, u.exportChosen)
	u.app.Post("/hosts/selected/runs", operate, u.beginRuns)
	u.app.Post("/hosts/selected/tags", operate, u.tagSelected)
	u.app.Get("/hosts/import", operate, u.showImportPage)
	u.app.Post("/hosts/import", operate, u.importPage) // before the page of a host, which would take it for an address

	u.app.Get("/labels", read, u.labelsPage)
	u.app.Get("/hosts/:mac/firmware", read, u.hostFirmwarePage)
	u.app.Get("/hosts/:mac", read, u.hostPage)
	u.app.Get("/hosts/:mac/start", operate, u.planPage)

	for name, at := range view.HostTabs() {
		u.app.Get("/hosts/:mac/"+name, read, part("/hosts/", "mac", at))
	}

	for name, at := range view.RunTabs() {
		u.app.Get("/runs/:id/"+name, read, part("/runs/", "id", at))
	}
}

// activityPages registers what was done and what is being done.
func (u *UI) activityPages(read, operate fiber.Handler) {
	u.app.Get("/activity", read, u.activityPage)
	u.app.Get("/activity/recent", read, u.drawerPart)
	u.app.Post("/activity/:id/stop", operate, u.stopOnPage)
	u.app.Get("/audit", read, leads("/activity"))
}

// part leads to a part of the page of a host or a run.
func part(base, name, at string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		return c.Redirect(base+url.PathEscape(param(c, name))+"#"+at, http.StatusSeeOther)
	}
}

// orderPages registers what operators send, beyond the plain life of hosts and runs.
func (u *UI) orderPages(operate fiber.Handler) {
	for path, handler := range map[string]fiber.Handler{
		"/runs/:id/move": u.moveOnPage, "/inbox/:mac/ignore": u.ignoreOnPage,
		"/inbox/:mac/heed":     u.regardOnPage(u.cfg.Commands.HeedMachine, "heeded"),
		"/hosts/:mac/undelete": u.returnHost, "/hosts/:mac/spec/learn": u.teachSpec,
		"/firmware/baseline": u.saveBaseline, "/classes": u.saveClass, "/classes/:name/delete": u.removeClass,
		"/hosts/:mac/power": u.switchHost, "/runs/:id/light": u.lightOnPage, "/hosts/:mac/controller": u.showController, "/host-keys/:id/approve": u.letKey, "/host-keys/:id/revoke": u.dropKey,
		"/runs/:id/override-wipe": u.passProbe, "/runs/:id/hold-key": u.showHoldKey, "/runs/:id/hold-key/renew": u.showNewHoldKey, "/runs/:id/fail": u.failOnPage,
		"/runs/:id/waivers": u.waiveOnPage, "/runs/:id/waivers/:waiver/withdraw": u.withdrawOnPage,
	} {
		u.app.Post(path, operate, handler)
	}
}

// smallest is what is worth packing: less fits one packet anyway.
const smallest = 1400

// draw answers with a page. A page that somebody asked for is packed; the answer to
// a form, which may hold a secret beside what was typed, is not.
func draw(c *fiber.Ctx, page templ.Component) error {
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)

	if c.Method() != http.MethodGet || !strings.Contains(c.Get(fiber.HeaderAcceptEncoding), "gzip") {
		return page.Render(c.UserContext(), c.Response().BodyWriter())
	}

	var whole bytes.Buffer

	if err := page.Render(c.UserContext(), &whole); err != nil {
		return err
	}

	c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)

	if whole.Len() < smallest {
		return c.Send(whole.Bytes())
	}

	c.Set(fiber.HeaderContentEncoding, "gzip")

	_, err := fasthttp.WriteGzipLevel(c.Response().BodyWriter(), whole.Bytes(), fasthttp.CompressBestSpeed)
	if err != nil {
		return fmt.Errorf("packing the page: %w", err)
	}

	return nil
}

// frame is what stands around the page that c asks for. follows says what its
// stream tells: "rack" for everything, "run:ID" for one run.
func (u *UI) frame(c *fiber.Ctx, title, follows string) (view.Frame, error) {
	f := view.Frame{
		Title: title, Active: entryOf(c.Path()), User: caller(c).Name, Scope: caller(c).Scope,
		Session: caller(c).Session != "", Theme: theme(c),
		CSS: u.files.CSS.Path, JS: u.files.JS.Path, Icon: u.files.Icon.Path, Now: u.cfg.Now(), Follows: follows, Posted: c.Method() != http.MethodGet && c.Method() != http.MethodHead,
		Insecure: u.cfg.TLS == nil, Flash: done(c.Query("done")),
	}

	if f.User == "" {
		return f, nil
	}

	if id := c.Query("undo"); f.Flash != "" && id != "" {
		if _, ok := u.undos.find(id, f.User, f.Now); ok {
			f.Undo = "/undo/" + id
		}
	}

	f.Warnings = u.warnings()

	// The number comes first: whatever happens while the page is made is told again.
	f.Seq, _ = u.cfg.Bell.After(0)

	err := u.look(c, func(r core.Reader) error {
		seen, _, err := lookup.Sightings(r, false, lookup.Page{Limit: lookup.MaxLimit})
		if err != nil {
			return err
		}

		keys, err := lookup.HostKeys(r, lookup.KeyFilter{State: core.HostKeyPending})
		f.Unknown = len(seen) + len(keys)

		return err
	})

	return f, err
}

// entryOf is the entry of the navigation that a page belongs to.
func entryOf(path string) string {
	first := "/" + strings.SplitN(strings.TrimPrefix(path, "/"), "/", 2)[0]

	switch first {
	case "/welcome":
		return "/"
	case "/people", "/activity", "/audit", "/config", "/notifications", "/retention", "/api", "/setup", "/docs":
		return "/settings"
	case "/classes", "/firmware", "/models":
		return "/hosts"
	case "/batches":
		return "/runs"
	case "/profile-editor":
		return "/profiles"
	default:
		return first
	}
}

// done says what was just done: the page that did it leads to another with a
// word in its address, and only these words say something.
func done(word string) string {
	return map[string]string{
		"added": "The host is registered. Write its expected spec, or start vetting at once.", "saved": "Saved.",
		"saved-no-secret": "Saved. The controller's password or the webhook's secret is missing: it is forgotten when the address, the user " +
			"or the certificate that it was given for changes. Give it again.",
		"removed":  "The host is removed; its runs and reports stay. It can be brought back below.",
		"returned": "The host is back as it was.", "class": "The model class is saved.", "baseline": "The firmware baseline is saved; it counts for runs that are started from now on.", "class-removed": "The model class is removed.",
		"overridden": "Storage runs again and may overwrite the disks you chose.", "spec": "The expected spec is saved; it counts from the next run on.",
		"overrides":    "What differs from the profile is saved; it counts from the next run on.",
		"key-approved": "The key is approved: this host can be told to reboot for vetting.", "key-revoked": "The key is revoked.",
		"power-on": "The host was told to switch on.", "power-off": "The host was switched off.", "power-cycle": "The host was cycled.",
		"light": "The host is told with its next sign of life; its log says which light shows the part, or why none does.", "light-off": "The host is told with its next sign of life to switch the light off.",
		"power-locate": "The light is on: look for the machine that blinks.", "power-locate-off": "The light is off.",
		"power-boot": "The host was told to boot from the network.", "power-is-on": "The host is on, says its controller.",
		"power-is-off": "The host is off, says its controller.", "power-is-unknown": "Nobody can say whether the host is on.",
		"trusted": "The quarantine is lifted. The next boot records the machine's identity anew.", "started": "The run is on its way.",
		"noted": "The note is kept.", "note-gone": "The note is removed.",
		"undone": "Taken back: it is as it was.",
		"waived": "The finding is waived. The verdict stays, and the report says who bears with it, why and how long.", "withdrawn": "The waiver is withdrawn.",
		"profile": "The profile is saved; it counts for runs that are started from now on.", "profile-removed": "The profile is removed; runs that had it keep what they used.",
		"tagged":    "The tags of the ticked hosts are saved.",
		"cancelled": "The run is cancelled.", "stopped": "The task was told to stop.", "withdrawn-start": "The start is withdrawn. The host is as it was.", "failed": "The run is ended as failed; the report says who and why.", "released": "The host is released.", "retried": "The stage runs again.",
		"moved":   "The run has another place in the queue.",
		"ignored": "The machine is ignored, however often it is heard. It stands in the list of the ignored below.", "heeded": "The machine is back in the inbox.",
		"totp-off": "The second factor is gone: the password alone opens.", "reset": "The password is set. Sign in with it and a code.",
		"notifier": "The notifier is set up. Send it a test.", "notifier-gone": "The notifier is removed, and its secrets with it.",
		"certificate": "The certificate is kept. One that takes the place of another of its kind counts within minutes, any other after a restart.",
		"revoked":     "The token is revoked.", "unlocked": "Unlocked for five minutes.", "person-removed": "The user is removed; every session of theirs has ended.", "password": "The password is changed. Every other session has ended.",
	}[word]
}

func theme(c *fiber.Ctx) string {
	if t := c.Cookies("theme"); t == "light" || t == "dark" {
		return t
	}

	return ""
}

func setTheme(c *fiber.Ctx) error {
	chosen := c.FormValue("theme")
	if chosen != "light" && chosen != "dark" {
		chosen = "auto"
	}

	c.Cookie(&fiber.Cookie{Name: "theme", Value: chosen, Path: "/", MaxAge: 365 * 86400, SameSite: "Strict", HTTPOnly: true})

	return c.Redirect("/settings", http.StatusSeeOther)
}

// rows joins hosts with the run that matters of each.
func (u *UI) rows(r core.Reader) ([]view.HostRow, error) {
	hosts, err := u.shelf.Hosts(r)
	if err != nil {
		return nil, err
	}

	heard, err := lookup.Presences(r)
	if err != nil {
		return nil, err
	}

	presences := map[core.MAC]*core.Presence{}
	for i := range heard {
		presences[heard[i].Host] = &heard[i]
	}

	list := make([]view.HostRow, 0, len(hosts))

	for _, host := range hosts {
		row, err := u.rowOf(r, host)
		if err != nil {
			return nil, err
		}

		row.Presence = presences[host.MAC]

		list = append(list, row)
	}

	return list, nil
}

func (u *UI) rowOf(r core.Reader, host *core.Host) (view.HostRow, error) {
	row := view.HostRow{Host: *host}

	id := host.CurrentRun
	if id == "" {
		id = host.LastRun
	}

	if id == "" {
		return row, nil
	}

	var err error

	if row.Run, err = u.shelf.Run(r, id); err != nil {
		return row, err
	}

	if row.Last, err = u.decided(r, host, row.Run); err != nil {
		return row, err
	}

	if row.Model, err = u.shelf.Model(r, id); err != nil {
		return row, err
	}

	if row.Run.State.Over() {
		if row.Run.Verdict == core.Pass {
			row.Untested, err = u.shelf.Untested(r, row.Run)
		}

		return row, err
	}

	row.Plan, err = u.paces.Of(r, &u.shelf, row.Run, u.cfg.Now())

	return row, err
}

func (u *UI) runPage(c *fiber.Ctx) error { return u.showRun(c, nil) }

// retryStage runs the stage again that the form names.
func (u *UI) retryStage(c *fiber.Ctx) error {
	return u.orderRun(u.again(core.StageName(c.FormValue("stage"))), "retried")(c)
}

func (u *UI) reportPage(c *fiber.Ctx) error { return u.showReport(c, nil) }

// showReport shows the page of a report, with a link to it that was just made.
func (u *UI) showReport(c *fiber.Ctx, link *view.ReportLink) error {
	frame, err := u.frame(c, "Report", "")
	if err != nil {
		return err
	}

	found, charts, err := u.charted(c)
	if err != nil {
		return err
	}

	frame.Follows = "report:" + string(found.Run.ID)

	return draw(c, view.ShowReport(&view.Report{Frame: frame, Run: found.Run.ID, Report: found, With: u.with(found.Run.ID, charts), Link: link}))
}

// logText sends the whole log as plain text, a page of lines at a time.
func (u *UI) logText(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)
	c.Context().SetConnectionClose() // the write deadline would outlive the answer

	conn := c.Context().Conn()

	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		for after := uint64(0); ; {
			_ = conn.SetWriteDeadline(time.Now().Add(logStall)) // a closed connection shows at the write

			lines, err := u.cfg.Logs.ReadLog(u.life, run.ID, after, maxLogLines) // c is recycled by now
			if err != nil {
				u.cfg.Log.Error("a log was not sent to its end", slog.String("run", string(run.ID)), slog.String("error", err.Error()))

				_ = conn.Close() // nobody is to take half of it for the whole
			}

			if err != nil || len(lines) == 0 {
				return
			}

			for _, l := range lines {
				after = l.Seq

				if _, err := fmt.Fprintf(w, "%s %-5s %-14s %s\n", l.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
					text.Line(l.Level), text.Line(l.Stage), text.Clean(l.Text)); err != nil {
					return
				}
			}
		}
	})

	return nil
}

// streamOwner is whose streams share a limit: a session's, or a token's.
func streamOwner(c *fiber.Ctx) string {
	if who := caller(c); who.Session != "" {
		return who.Session
	}

	return caller(c).Name
}

// alive ends a stream when its session or token does, or when the caller may no longer do
// what the stream's route needs: a user's role, as it is then, and a token's scope are
// looked at again.
func (u *UI) alive(c *fiber.Ctx, need route.Scope) func(context.Context) error {
	again := u.asNow(c)

	return func(ctx context.Context) error {
		now, err := again(ctx)
		if err != nil {
			return err
		}

		return covers(&now, need)
	}
}

// unchanged ends a stream, too, when the caller may do more or less than when it began:
// what it tells is drawn for what they might do then, and the page begins anew.
func (u *UI) unchanged(c *fiber.Ctx) func(context.Context) error {
	was, again := caller(c).Scope, u.asNow(c)

	return func(ctx context.Context) error {
		now, err := again(ctx)
		if err == nil && now.Scope != was {
			err = errors.New("the role has changed")
		}

		return err
	}
}

// asNow looks who the caller is now, by their session or token.
func (u *UI) asNow(c *fiber.Ctx) func(context.Context) (account.Caller, error) {
	who, secret := caller(c), strings.TrimPrefix(c.Get(fiber.HeaderAuthorization), "Bearer ")

	return func(ctx context.Context) (account.Caller, error) {
		if who.Session != "" {
			return u.book.Alive(ctx, who.Session)
		}

		return u.book.Token(ctx, secret)
	}
}

// pageEvents is the one stream of a page: v says which page it is, "run:ID" for
// a run with its log, "report:ID" for its report; all else follows everything. Pages that
// view.FollowsTiles and its like name hear their parts, too.
func (u *UI) pageEvents(c *fiber.Ctx) error {
	want := sse.Want{Caller: streamOwner(c), Name: c.Query("stream"), Instead: c.Query("instead"), Alive: u.unchanged(c), Resync: lookup.MaxLimit, Page: true}

	after, known, err := sse.Cursor(c)
	if err != nil {
		return err
	}

	want.After, want.FromNow = after, !known

	if want.Parts, want.News, err = u.pieces(c); err != nil {
		return err
	}

	page, name, one := strings.Cut(c.Query("v"), ":")
	if !one {
		return u.hub.Serve(c, want)
	}

	id, err := lookup.ParseRunID(name)
	if err != nil {
		return err
	}

	want.Chooses = func(e core.Event) bool { return e.Run == id }

	if page == "run" {
		want.Run = id
	}

	want.LogAfter, err = strconv.ParseUint(c.Query("log_after", "0"), 10, 64)
	if err != nil {
		return core.NewProblem(core.ErrInvalid, "events/bad-cursor", "log_after is the seq of a log line.")
	}

	return u.hub.Serve(c, want)
}
