package ui

import (
	"github.com/gofiber/fiber/v2"

	"vetting/core/route"
	"vetting/ui/integration"
	"vetting/ui/view"
)

// integrationPages registers the page for those who connect other programs.
func (u *UI) integrationPages(admin fiber.Handler) {
	u.app.Get("/settings/integrations", admin, u.integrationsPage)
	u.app.Get("/settings/integrations/grafana-dashboard.json", admin, handOut("vetting-dashboard.json", "application/json", integration.Dashboard))
	u.app.Get("/settings/integrations/prometheus-rules.yaml", admin, handOut("vetting-rules.yaml", route.YAML, integration.Rules))
}

// handOut sends a file that goes with this program.
func handOut(name, kind, text string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, kind)
		c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+name+`"`)

		return c.SendString(text)
	}
}

// reached is the address of the console as whoever asks reaches it.
func (u *UI) reached(c *fiber.Ctx) (scheme, host string) {
	if u.cfg.TLS == nil {
		return "http", string(c.Context().Host())
	}

	return "https", string(c.Context().Host())
}

func (u *UI) integrationsPage(c *fiber.Ctx) (err error) {
	page := &view.Integrations{}
	page.Scheme, page.Host = u.reached(c)

	if page.Frame, err = u.settingsFrame(c, "Integrations", "", nil); err != nil {
		return err
	}

	return draw(c, view.ShowIntegrations(page))
}
