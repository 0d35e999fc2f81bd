package ui

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core/route"
	"vetting/ui/view"
)

// Trouble is why an appliance cannot work. Its console opens all the same: it says
// so on its only page, to anybody, answers every call with 503 and touches no
// ledger.
type Trouble = view.Trouble

// troubled registers what the console of an appliance that cannot work answers.
func (u *UI) troubled() {
	u.app.Get("/healthz", healthz)
	u.app.Use(func(c *fiber.Ctx) error {
		c.Status(http.StatusServiceUnavailable)

		why := u.cfg.Trouble

		switch path := c.Path(); {
		case path == "/readyz":
			return c.JSON(route.Health{Status: "unready", Checks: []route.HealthCheck{{Name: why.Code, Detail: why.Text}}})
		case forPrograms(path):
			return c.JSON(route.ErrorBody{Error: route.ErrorDetail{
				Code: why.Code, Message: why.Text, Details: map[string]any{"next": why.Next},
			}})
		}

		frame, err := u.frame(c, "Out of order", "")
		if err != nil {
			return err
		}

		return draw(c, view.ShowTrouble(&view.TroubleAt{Frame: frame, Trouble: *why, Appliance: u.cfg.Appliance}))
	})
}

// forPrograms reports whether programs ask at path, which want JSON.
func forPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/healthz" || path == "/readyz" || path == "/events" || path == "/metrics"
}
