package httpboot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/grub"
	"vetting/netboot/uki"
)

// selfSeed is the seed of whoever asks for it, without a nonce.
const selfSeed = "/seed/self.cpio"

// arguments are those of the kernel, for a run. That of the boot port is added by who
// writes them down.
func (s *Server) arguments(decision *core.BootDecision) []string {
	return slices.Concat(s.cfg.Cmdline, strings.Fields(decision.Kernel))
}

func bootPort(mac core.MAC) string { return "BOOTIF=01-" + strings.ReplaceAll(string(mac), ":", "-") }

// GRUBConfig is the configuration for the network GRUB of a machine, over TFTP or HTTP.
// It says nothing of the run's token: the machine gets that from its address.
func (s *Server) GRUBConfig(client core.BootClient, decision core.BootDecision) []byte {
	if decision.Action != core.BootVet {
		return grub.Local("no vetting waits for this machine", decision.Home)
	}

	b := grub.Boot{
		Server: s.cfg.Self, Host: string(client.MAC), Name: decision.Name, Kernel: s.image.Kernel,
		Initrds: slices.Concat(s.image.Initrds, overlayPaths(decision.Overlays), []string{selfSeed}),
		Cmdline: append([]string{bootPort(client.MAC)}, s.arguments(&decision)...),
	}

	return b.Config()
}

// ArmGRUB mints the boot token of the run that GRUB is about to load, and takes down that
// its configuration was fetched.
func (s *Server) ArmGRUB(ctx context.Context, client core.BootClient, decision core.BootDecision) error {
	if decision.Action != core.BootVet {
		s.witness(client, "script", "local", 0, 0)

		return nil
	}

	if err := s.arm(ctx, client); err != nil {
		return err
	}

	s.witness(client, "script", string(decision.Run), 0, 0)

	return nil
}

func (s *Server) arm(ctx context.Context, client core.BootClient) error {
	ctx, cancel := contextOf(ctx)
	defer cancel()

	s.queue.take(client.Addr, time.Now())

	_, err := s.cfg.Booter.Arm(ctx, client.MAC, client.Addr)
	if err != nil {
		s.cfg.Log.Warn("a run could not be armed", slog.String("host", string(client.MAC)), slog.String("error", err.Error()))
	}

	return err
}

// grub answers GRUB over HTTP. Besides its configuration it looks for lists of modules,
// which are not there.
func (s *Server) grub(ctx context.Context, c *fasthttp.RequestCtx, path string) {
	client, decision, known := s.who(c)

	switch {
	case !known:
		refuse(c, fasthttp.StatusForbidden, "this address has no lease of a registered machine")
	case path != "/"+grub.ConfigName:
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")
	default:
		if c.IsGet() {
			if err := s.ArmGRUB(ctx, client, decision); err != nil {
				decision.Action = core.BootLocal
			}
		}

		c.SetContentType("text/plain")
		c.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
		c.SetBody(s.GRUBConfig(client, decision))
	}
}

// Program is the live image as one program for a machine, and what stands for its content
// in an ETag; false when there is none for it. The seed is not in it: the agent asks for
// it from its address. Nor are overlays.
func (s *Server) Program(client core.BootClient, decision core.BootDecision) (program *uki.Image, tag string, ok bool) {
	if decision.Action != core.BootVet || len(decision.Overlays) > 0 || s.cfg.Stub == nil {
		return nil, "", false
	}

	parts := uki.Parts{
		OSRelease: "ID=vetting\nNAME=vetting\nPRETTY_NAME=\"vetting: live image\"\n",
		Cmdline:   strings.Join(append([]string{bootPort(client.MAC)}, s.arguments(&decision)...), " "),
		Kernel:    s.cfg.Files[Kernel],
	}
	sum := sha256.New()

	for _, name := range []string{Base, Modules, Agent} {
		if a := s.assets["/boot/"+name]; a != nil {
			parts.Initrd = append(parts.Initrd, a.data)
			sum.Write([]byte(a.etag))
		}
	}

	program, err := uki.New(s.cfg.Stub, parts)
	if err != nil {
		s.cfg.Log.Error("the live image cannot be made into one program", slog.String("code", "netboot/no-image"), slog.String("error", err.Error()))

		return nil, "", false
	}

	sum.Write([]byte(s.assets["/boot/"+Kernel].etag))
	sum.Write(program.Head())

	return program, hex.EncodeToString(sum.Sum(nil))[:32], true
}

// ArmProgram mints the boot token of the run whose image is fetched as one program.
func (s *Server) ArmProgram(ctx context.Context, client core.BootClient) error {
	return s.arm(ctx, client)
}

// program answers with the live image as one program. There are no ranges: firmware asks
// for all of it.
func (s *Server) program(ctx context.Context, c *fasthttp.RequestCtx) {
	client, decision, known := s.who(c)
	if !known {
		refuse(c, fasthttp.StatusForbidden, "this address has no lease of a registered machine")

		return
	}

	program, tag, ok := s.Program(client, decision)
	if !ok {
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")

		return
	}

	h := &c.Response.Header
	h.SetContentType(mediaType(ladder.FileUKI))
	h.Set(fasthttp.HeaderETag, `"`+tag+`"`)
	h.Set(fasthttp.HeaderCacheControl, "no-cache")

	if c.IsHead() {
		c.Response.SkipBody = true
		h.SetContentLength(int(program.Size()))

		return
	}

	if err := s.ArmProgram(ctx, client); err != nil {
		refuse(c, fasthttp.StatusServiceUnavailable, "the vetting of this machine cannot start now")

		return
	}

	c.Response.SetBodyStream(io.NewSectionReader(program, 0, program.Size()), int(program.Size()))
	s.follow(c, &asset{name: ladder.FileUKI}, client, int(program.Size()))
}

// Forget ends the connections of a machine that begins anew, and lets it in at once if it
// does so because it was told to wait. GRUB uses the same ports of
// its own at every boot, never ends a connection properly, and gives up where the one
// before is still open at our end (GRUB 2.12: "connection timeout" at the second boot).
func (s *Server) Forget(addr netip.Addr) {
	s.queue.restarted(addr.Unmap())

	if conns := s.conns.Load(); conns != nil {
		conns.closeFrom(addr.Unmap())
	}
}
