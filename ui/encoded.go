package ui

import (
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// unpacked refuses a body that is packed (RFC 9110 section 15.5.16), whoever sends it.
// Fiber (Ctx.Body) and fasthttp (Request.MultipartForm) unpack one without any bound, the
// form of the login's too: a few hundred kilobytes of gzip are as many gigabytes in memory.
func unpacked(c *fiber.Ctx) error {
	for _, packed := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		if way := string(packed); way == "" || way == "identity" {
			continue
		}

		c.Request().Header.Del(fiber.HeaderContentEncoding) // what draws the refusal may look into the form
		c.Request().ResetBody()
		c.Set(fiber.HeaderAcceptEncoding, "identity")

		return fiber.NewError(http.StatusUnsupportedMediaType, "The body is packed, which is not taken: send it as it is, without Content-Encoding.")
	}

	return c.Next()
}
