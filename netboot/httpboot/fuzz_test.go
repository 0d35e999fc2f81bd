package httpboot_test

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"vetting/netboot/httpboot"
)

// FuzzAnswer gives the server whatever can be read as a request, from a machine
// that may have everything and from a stranger.
func FuzzAnswer(f *testing.F) {
	for _, text := range recorded(f) {
		f.Add(text)
	}

	w := &world{}
	s := httpboot.New(config(w))

	f.Fuzz(func(t *testing.T, text string) {
		for _, machine := range []string{vetted, stranger} {
			var request fasthttp.Request
			if request.ReadLimitBody(bufio.NewReaderSize(strings.NewReader(text), 8<<10), 4<<10) != nil {
				return
			}

			var c fasthttp.RequestCtx

			c.Init(&request, &net.TCPAddr{IP: net.ParseIP(machine), Port: 4711}, nil)
			s.Answer(t.Context(), &c)

			status, body := c.Response.StatusCode(), c.Response.Body()

			switch status {
			case 200, 206, 304, 403, 404, 405, 416:
			default:
				t.Errorf("answered %d", status)
			}

			if len(c.Response.Header.Peek("Location")) > 0 {
				t.Error("redirected")
			}

			if machine == stranger && (status == 206 || status == 304 || len(body) > 1000 || strings.Contains(string(body), "seed")) {
				t.Errorf("a stranger is answered %d %q", status, body)
			}
		}

		w.seen()
	})
}
