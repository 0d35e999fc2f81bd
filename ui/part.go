package ui

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/text"
	"vetting/ui/view"
)

// partPage shows where a part was seen.
func (u *UI) partPage(c *fiber.Ctx) (err error) {
	serial := strings.TrimSpace(strings.Clone(c.Query("serial")))
	if len(serial) > lookup.LongestSerial {
		serial = ""
	}

	page := &view.Part{Serial: serial}
	if page.Frame, err = u.frame(c, "Part "+text.Line(serial), "/hosts"); err != nil {
		return err
	}

	if err := u.look(c, func(r core.Reader) (err error) {
		page.Seen, page.Whole, err = lookup.PartHistory(r, serial)

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowPart(page))
}
