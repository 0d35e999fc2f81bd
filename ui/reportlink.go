package ui

import (
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

// longestLink is how many days a link to a report is good at most.
const longestLink = 90

// linkPages registers links to single reports, for people who have no account here.
func (u *UI) linkPages(operate fiber.Handler) {
	u.app.Post("/runs/:id/report/link", operate, u.makeLink)
	u.app.Get("/r/:id", u.linkedReport)
}

// makeLink shows the page of a report with a link for somebody who has no account.
func (u *UI) makeLink(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	days, err := strconv.Atoi(c.FormValue("days"))
	if err != nil || days < 1 || days > longestLink {
		return core.NewProblem(core.ErrInvalid, "report/bad-link", fmt.Sprintf("A link is good for 1 to %d days.", longestLink))
	}

	until := u.cfg.Now().Add(time.Duration(days) * 24 * time.Hour).Truncate(time.Second)

	shown := u.sealing().Permit(string(run.ID), until)
	if shown == "" {
		return core.NewProblem(core.ErrConflict, "report/no-key", "This appliance signs no reports.")
	}

	if err := u.writeAudit(c.UserContext(), core.Audit{
		Who: caller(c).Name, Action: "report.link", Object: "run/" + string(run.ID), Result: core.OutcomeDone,
		Text: "made a link to the report of " + run.HostName + " that is good until " + until.UTC().Format("2006-01-02 15:04 UTC"),
	}); err != nil {
		return err
	}

	query := url.Values{"until": {strconv.FormatInt(until.Unix(), 10)}, "key": {shown}}

	return u.showReport(c, &view.ReportLink{URL: u.URL() + "/r/" + string(run.ID) + "?" + query.Encode(), Until: until})
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

	found, charts, err := u.charted(c)
	if err != nil {
		return err
	}

	reportPolicy(c)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set("X-Robots-Tag", "noindex")

	return report.WriteHTML(c.UserContext(), c.Response().BodyWriter(), found, charts, u.sealing())
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
