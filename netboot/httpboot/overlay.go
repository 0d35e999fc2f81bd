package httpboot

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"vetting/core"
)

// Overlays keeps the archives that operators add to the image. Safe for concurrent use.
type Overlays interface {
	// Open returns the archive with this SHA-256, whole and as it was, and its size.
	Open(sum string) (*os.File, int64, error)
}

// overlayPaths are where the boot script finds the overlays of a run.
func overlayPaths(overlays []core.Overlay) (paths []string) {
	for i := range overlays {
		paths = append(paths, overlayPath(&overlays[i]))
	}

	return paths
}

func overlayPath(o *core.Overlay) string {
	return "/overlay/" + o.SHA256 + "/overlay-" + o.Name + ".cpio"
}

// overlay answers with an archive of the run that waits for the machine which asks, and
// with no other. There are no ranges: our boot programs ask for all of it.
func (s *Server) overlay(c *fasthttp.RequestCtx, rest string) {
	c.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")

	client, decision, known := s.who(c)
	if !known {
		refuse(c, fasthttp.StatusForbidden, "this address has no lease of a registered machine")

		return
	}

	i := slices.IndexFunc(decision.Overlays, func(o core.Overlay) bool { return overlayPath(&o) == "/overlay/"+rest })
	if i < 0 || decision.Action != core.BootVet || s.cfg.Overlays == nil {
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")

		return
	}

	o := &decision.Overlays[i]

	file, size, err := s.cfg.Overlays.Open(o.SHA256)
	if err != nil {
		s.cfg.Log.Error("an overlay of a run cannot be served", slog.String("code", "overlay/unknown"), slog.String("overlay", o.Name),
			slog.String("host", string(client.MAC)), slog.String("error", err.Error()))
		s.witness(client, "overlay-missing", fmt.Sprintf("the overlay %s (%.12s) of this run is not there any more", o.Name, o.SHA256), 0, 0)
		refuse(c, fasthttp.StatusNotFound, "this overlay is not there any more")

		return
	}

	c.SetContentType("application/octet-stream")

	if c.IsHead() {
		file.Close()
		c.Response.SkipBody = true
		c.Response.Header.SetContentLength(int(size))

		return
	}

	c.Response.SetBodyStream(struct {
		io.Reader
		io.Closer
	}{file, file}, int(size))
	s.follow(c, &asset{name: strings.TrimPrefix(rest, o.SHA256+"/"), step: stepOf(Agent)}, client, int(size))
}
