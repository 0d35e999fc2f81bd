package ui

import (
	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/report"
	"vetting/ui/report/seal"
	"vetting/ui/view"
)

// comparePage sets the runs named by a and b side by side; it asks for them where
// there are none.
func (u *UI) comparePage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Compare two runs", "")
	if err != nil {
		return err
	}

	page := view.Compare{Frame: frame, A: c.Query("a"), B: c.Query("b")}
	if page.A == "" || page.B == "" {
		return draw(c, view.ShowCompare(&page))
	}

	var found [2]model.Report

	err = u.look(c, func(r core.Reader) error {
		for i, text := range []string{page.A, page.B} {
			id, err := lookup.ParseRunID(text)
			if err != nil {
				return err
			}

			run, err := lookup.Run(r, id)
			if err != nil {
				return err
			}

			if found[i], err = lookup.Report(r, &run, u.author()); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		return err
	}

	compared := model.Compare(&found[0], &found[1])
	page.Found = &compared

	return draw(c, view.ShowCompare(&page))
}

// findBatch gathers the batch that is asked for.
func (u *UI) findBatch(c *fiber.Ctx) (batch model.Batch, err error) {
	of := model.BatchOf{Day: c.Query("day"), Tag: c.Query("tag"), Rack: c.Query("rack"), Profile: c.Query("profile"), Batch: c.Query("batch")}
	if err := lookup.ParseDay(of.Day); err != nil {
		return batch, err
	}

	err = u.look(c, func(r core.Reader) (err error) {
		batch, err = lookup.Batch(r, of, u.author())

		return err
	})

	return batch, err
}

func (u *UI) getBatchHTML(c *fiber.Ctx) error {
	batch, err := u.findBatch(c)
	if err != nil {
		return err
	}

	reportPolicy(c)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)

	return report.WriteBatch(c.UserContext(), c.Response().BodyWriter(), batch, u.sealing(), u.URL())
}

func (u *UI) getBatchJSON(c *fiber.Ctx) error {
	batch, err := u.findBatch(c)
	if err != nil {
		return err
	}

	text, err := seal.BatchJSON(batch, u.sealing())
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.JSON)

	return c.Send(text)
}
