package ui

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/ui/view"
)

// scanPage is where people go who hold a label in their hand: it reads its code with the
// camera, where the browser can, and leads to what it is of.
func (u *UI) scanPage(c *fiber.Ctx) error {
	if code := strings.TrimSpace(c.Query("q")); code != "" {
		return c.Redirect(behind(code), http.StatusSeeOther)
	}

	frame, err := u.frame(c, "Scan", "")
	if err != nil {
		return err
	}

	c.Set("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")

	return draw(c, view.ShowScan(&view.Scan{Frame: frame, Script: u.files.Scan.Path}))
}

// behind is where a code leads. The QR codes of labels, reports and screens are addresses
// of pages, which are looked for here whatever appliance they name; anything else is a
// name or a number.
func behind(code string) string {
	if at, err := url.Parse(code); err == nil && at.Host != "" {
		clean := path.Clean(at.Path)

		for _, base := range []string{"/runs/", "/hosts/", "/h/"} {
			if strings.HasPrefix(clean, base) {
				return (&url.URL{Path: clean}).EscapedPath()
			}
		}
	}

	return "/h/" + url.PathEscape(code)
}
