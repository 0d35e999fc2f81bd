package httpboot

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vetting/core"
)

// follow takes down the sending of a file: at its start, at each quarter of a
// long one, at its end.
func (s *Server) follow(c *fasthttp.RequestCtx, a *asset, client core.BootClient, length int) {
	kind := cmp.Or(a.step, stepOf(a.name))
	s.witness(client, kind, a.name+" begun", 0, 0)

	wire, ok := c.Conn().(*conn)
	if !ok {
		return
	}

	quarter, start := 0, time.Now()

	wire.watch(func(sent int) {
		at := min(4*sent/max(length, 1), 4)
		if at == quarter {
			return
		}

		quarter = at

		if at == 4 {
			s.witness(client, kind, fmt.Sprintf("%s sent in %s", a.name, time.Since(start).Round(time.Millisecond)), int64(length), 100)
			wire.watch(nil)

			if wire.abrupt.Load() && s.lastPart(a.name) { // GRUB has fetched its seed long before
				s.queue.leave(client.Addr)
			}

			return
		}

		s.witness(client, kind, fmt.Sprintf("%s %d %%", a.name, 25*at), int64(sent), 25*at)
	})
}

// lastPart reports whether a file is the last of the image, overlays aside.
func (s *Server) lastPart(name string) bool {
	parts := s.image.Initrds

	return len(parts) > 0 && strings.HasSuffix(parts[len(parts)-1], "/"+name)
}

func stepOf(name string) string {
	switch {
	case name == Kernel:
		return "kernel"
	case name == Base, name == Modules, name == Agent, strings.HasPrefix(name, "overlay-"):
		return "initrd"
	default:
		return "loader"
	}
}
