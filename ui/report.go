package ui

import (
	"io"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/plot"
	"vetting/ui/report"
	"vetting/ui/report/seal"
)

// sealing is the key that reports are signed with; its zero value where there is none.
func (u *UI) sealing() (key seal.Key) {
	if u.cfg.ReportKeys != nil {
		key = u.cfg.ReportKeys.Key()
	}

	return key
}

// author writes the reports that are made now.
func (u *UI) author() lookup.Author {
	by := lookup.Author{Appliance: u.cfg.Appliance, Now: u.cfg.Now()}

	if u.cfg.Retention != nil {
		policy := u.cfg.Retention()
		by.Retention = &policy
	}

	return by
}

// with is what the page of the report of a run shows beside it.
func (u *UI) with(id core.RunID, charts []plot.Chart) report.With {
	return report.With{Charts: charts, Link: u.runLink(id)}
}

func (u *UI) getReportJSON(c *fiber.Ctx) error {
	found, err := u.findReport(c)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.JSON)

	return report.WriteJSON(c.Response().BodyWriter(), found, u.sealing())
}

func (u *UI) getReportHTML(c *fiber.Ctx) error {
	found, charts, err := u.charted(c)
	if err != nil {
		return err
	}

	reportPolicy(c)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)

	return report.WriteHTML(c.UserContext(), c.Response().BodyWriter(), found, u.with(found.Run.ID, charts), u.sealing())
}

// getForm answers with the report in a form for programs.
func (u *UI) getForm(media string, write func(io.Writer, *model.Report) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		found, err := u.findReport(c)
		if err != nil {
			return err
		}

		c.Set(fiber.HeaderContentType, media)

		return write(c.Response().BodyWriter(), &found)
	}
}

func (u *UI) listReportKeys(c *fiber.Ctx) error {
	list := route.ReportKeyList{Keys: []core.ReportKey{}}
	if u.cfg.ReportKeys == nil {
		return c.JSON(list)
	}

	keys, err := u.cfg.ReportKeys.Keys(c.UserContext())
	list.Keys = append(list.Keys, keys...)

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) rotateReportKey(c *fiber.Ctx) error {
	if u.cfg.ReportKeys == nil {
		return core.NewProblem(core.ErrConflict, "report/no-key", "This appliance signs no reports.")
	}

	key, err := u.cfg.ReportKeys.Rotate(c.UserContext(), caller(c).Name)

	return shown(c, http.StatusCreated, key, err)
}
