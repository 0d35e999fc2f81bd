package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core/route"
	"vetting/ui/view"
)

// mostExpiring bounds the items that are named.
const mostExpiring = 1000

// expiring is what would go at the next sweep.
func (u *UI) expiring(c *fiber.Ctx) (route.Expiring, error) {
	found := route.Expiring{}

	if u.cfg.Expiring != nil {
		var err error
		if found, err = u.cfg.Expiring(c.UserContext()); err != nil {
			return found, err
		}
	}

	found.Count = len(found.Items)
	found.Items = append([]route.ExpiringItem{}, found.Items[:min(len(found.Items), mostExpiring)]...)

	return found, nil
}

func (u *UI) previewRetention(c *fiber.Ctx) error {
	found, err := u.expiring(c)

	return shown(c, http.StatusOK, found, err)
}

func (u *UI) retentionPage(c *fiber.Ctx) (err error) {
	page := &view.Retention{Kept: u.cfg.Expiring == nil}

	if page.Frame, err = u.frame(c, "Retention", ""); err != nil {
		return err
	}

	page.Frame.Active = "/settings"

	if page.Found, err = u.expiring(c); err != nil {
		return err
	}

	return draw(c, view.ShowRetention(page))
}

// configPage shows the configuration in force.
func (u *UI) configPage(c *fiber.Ctx) (err error) {
	page := &view.Config{}

	if page.Frame, err = u.frame(c, "Configuration", ""); err != nil {
		return err
	}

	page.Frame.Active = "/settings"

	if u.cfg.Settings != nil {
		page.Rows = u.cfg.Settings()
	}

	return draw(c, view.ShowConfig(page))
}
