package ui

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/report"
	"vetting/ui/view"
)

const (
	longestLink = 90   // days that a link to a report is good at most
	usualLink   = "7d" // how long it is good where nobody says so
)

// linkPages registers links to single reports, for people who have no account here.
func (u *UI) linkPages(operate fiber.Handler) {
	u.app.Post("/runs/:id/report/link", operate, u.makeLink)
	u.app.Get("/r/:id", u.linkedReport)
}

// makeLink shows the page of a report with a link for somebody who has no account.
func (u *UI) makeLink(c *fiber.Ctx) error {
	link, err := u.permit(c, c.FormValue("days")+"d")
	if err != nil {
		return err
	}

	return u.showReport(c, &view.ReportLink{URL: link.URL, Until: link.Until})
}

// createLink is makeLink for programs.
func (u *UI) createLink(c *fiber.Ctx) error {
	ask := route.ReportLinkCreate{Until: usualLink}
	if err := body(c, &ask); err != nil {
		return err
	}

	link, err := u.permit(c, ask.Until)

	return shown(c, http.StatusCreated, link, err)
}

// permit makes a link to the report of the run that a request is about; it ends at until, which
// is said as core.ParseUntil reads it.
func (u *UI) permit(c *fiber.Ctx, until string) (link route.ReportLink, err error) {
	run, err := u.findRun(c, nil)
	if err != nil {
		return link, err
	}

	now := u.cfg.Now()

	end, err := core.ParseUntil(until, now)
	if err != nil {
		return link, err
	}

	if end = end.Truncate(time.Second); !end.After(now) || end.Sub(now) > longestLink*24*time.Hour {
		return link, core.NewProblem(core.ErrInvalid, "report/bad-link", fmt.Sprintf(
			"A link ends after now and within %d days; write a day (2026-12-31), or how long it is good (7d, 12h).", longestLink))
	}

	shown := u.sealing().Permit(string(run.ID), end)
	if shown == "" {
		return link, core.NewProblem(core.ErrConflict, "report/no-key", "This appliance signs no reports.")
	}

	query := url.Values{"until": {strconv.FormatInt(end.Unix(), 10)}, "key": {shown}}

	return route.ReportLink{Run: run.ID, URL: u.URL() + "/r/" + string(run.ID) + "?" + query.Encode(), Until: end},
		u.writeAudit(c.UserContext(), core.Audit{
			Who: caller(c).Name, Action: "report.link", Object: "run/" + string(run.ID), Result: core.OutcomeDone,
			Text: "made a link to the report of " + run.HostName + " that is good until " + end.UTC().Format("2006-01-02 15:04 UTC"),
		})
}

// linkedReport is the report as a file, for whoever has a link to it.
func (u *UI) linkedReport(c *fiber.Ctx) error {
	seconds, err := strconv.ParseInt(c.Query("until"), 10, 64)
	until, now := time.Unix(seconds, 0), u.cfg.Now()

	// The bound keeps a link out that a clock made which was years ahead.
	good := err == nil && now.Before(until) && until.Before(now.AddDate(0, 0, longestLink+1)) && u.sealing().Permits(param(c, "id"), until, c.Query("key"))
	if !good {
		return core.NewProblem(core.ErrRefused, "report/link-over", "This link is over or not whole. Ask whoever gave it to you for another.")
	}

	page, err := u.drawings.get(now, param(c, "id"), func() ([]byte, error) {
		found, charts, err := u.charted(c)
		if err != nil {
			return nil, err
		}

		var page bytes.Buffer
		err = report.WriteHTML(c.UserContext(), &page, found, u.with(found.Run.ID, charts), u.sealing())

		return page.Bytes(), err
	})
	if err != nil {
		return err
	}

	reportPolicy(c)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set("X-Robots-Tag", "noindex")

	return c.Send(page)
}

// formPages lead from the address of a report's page with the ending of a form to that
// form: /runs/ID/report.csv.
func (u *UI) formPages(read fiber.Handler) {
	const base = "/api/v1/runs/{id}/report."

	for _, r := range route.Table() {
		if form, ok := strings.CutPrefix(r.Path, base); ok {
			u.app.Get("/runs/:id/report."+form, read, func(c *fiber.Ctx) error {
				return c.Redirect("/api/v1/runs/"+url.PathEscape(param(c, "id"))+"/report."+form, http.StatusSeeOther)
			})
		}
	}
}
