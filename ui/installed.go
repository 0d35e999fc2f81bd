package ui

import (
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"vetting/ui/view"
)

// Installed is the side of installed machines (agent/gate), which the console's
// address serves too.
type Installed struct {
	// Handler answers their calls. It keeps its own limits.
	Handler http.Handler
	// Mine reports whether a request is for Handler and not for the console; header
	// returns what the request has by a name.
	Mine func(method, path string, header func(name string) string) bool
	// Lines returns what people paste on a running machine to install the agent, when
	// they see the console at host (an address or name with its port).
	Lines func(host string) []QuickLine
}

// QuickLine is a line for people to paste on an installed machine.
type QuickLine = view.QuickLine

// installed hands the calls of installed machines to who answers them.
func (u *UI) installed(c *fiber.Ctx) error {
	side := u.cfg.Installed
	if side == nil || !side.Mine(c.Method(), c.Path(), func(name string) string { return c.Get(name) }) {
		return c.Next()
	}

	fasthttpadaptor.NewFastHTTPHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w = &sparing{ResponseWriter: w}
		}

		side.Handler.ServeHTTP(w, r)
	}))(c.Context())

	return nil
}

// quickLines returns the lines for whoever asks.
func (u *UI) quickLines(c *fiber.Ctx) []QuickLine {
	if u.cfg.Installed == nil {
		return nil
	}

	return u.cfg.Installed.Lines(string(c.Context().Host()))
}

// spared is from which size on an answer is not gathered in memory.
const spared = 256 << 10

// sparing is a writer to fasthttp, which gathers answers: what is known to be
// large is sent as it is written, so that an agent's program of ten megabytes does
// not lie in memory for every machine that loads it.
type sparing struct{ http.ResponseWriter }

// WriteHeader writes the head of the answer, and sends it where the answer is
// large.
func (s *sparing) WriteHeader(code int) {
	s.ResponseWriter.WriteHeader(code)

	length, err := strconv.ParseInt(s.Header().Get("Content-Length"), 10, 64)
	if flusher, ok := s.ResponseWriter.(http.Flusher); ok && err == nil && length > spared {
		flusher.Flush()
	}
}
