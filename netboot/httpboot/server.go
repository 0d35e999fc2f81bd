package httpboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/netboot/ipxe"
	"vetting/netboot/nic"
	"vetting/netboot/pace"
	"vetting/netboot/seed"
)

// Port is where boot HTTP is served.
const Port = 80

const (
	headerLimit = 8 << 10
	bodyLimit   = 4 << 10
	readTimeout = 10 * time.Second  // for one request, once begun
	idleTimeout = 180 * time.Second // firmware thinks long between two
	concurrency = 1024
	goodbye     = 2 * time.Second
)

// Names of the live image's files.
const (
	Kernel  = "vmlinuz"
	Base    = "base.cpio.zst"
	Modules = "modules.cpio"
	Agent   = "agent.cpio" // optional; the newest agent while developing
)

// Booter decides, and arms runs. Safe for concurrent use.
type Booter interface {
	Decide(client core.BootClient) core.BootDecision
	Arm(ctx context.Context, mac core.MAC, addr netip.Addr) (nonce string, err error)
	Seed(ctx context.Context, nonce string, addr netip.Addr, head bool) ([]byte, error)
	SeedOf(ctx context.Context, mac core.MAC, addr netip.Addr, head bool) ([]byte, error)
}

// Witness takes down what was seen. It never blocks.
type Witness interface {
	Witness(step core.BootStep)
}

// Config is all a Server needs.
type Config struct {
	Interface string
	Self      netip.Addr
	Files     map[string][]byte // by name; must not be changed any more
	Cmdline   []string          // kernel arguments
	Stub      []byte            // systemd's EFI stub, which becomes the image as one program

	// Holder returns the machine that has a lease on addr.
	Holder func(addr netip.Addr) (core.BootClient, bool)
	// Stands returns the file that a machine is sent which asks for another by name; nil: that.
	Stands func(addr netip.Addr, name string) (file string)
	// Settled returns the machine that an address is set apart for, if it is that machine
	// which uses it, without a lease; nil: there is none.
	Settled  func(addr netip.Addr) (core.MAC, bool)
	Overlays Overlays // nil: there are none
	Booter   Booter
	Witness  Witness
	Log      *slog.Logger
}

// Server is the boot HTTP server. Safe for concurrent use.
type Server struct {
	cfg    Config
	assets map[string]*asset // by path
	image  ipxe.Image
	strays pace.Limiter
	broken pace.Limiter
	queue  *queue
	conns  atomic.Pointer[listener] // of the session; nil before the first
}

// New returns a Server that does nothing yet. It hashes the files.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, assets: map[string]*asset{}, queue: newQueue()}

	for name, data := range cfg.Files {
		a := newAsset(name, data)
		s.assets["/boot/"+name] = a
		s.assets[a.path] = a
	}

	auto := newAsset("autoexec.ipxe", ipxe.Autoexec(cfg.Self))
	s.assets["/autoexec.ipxe"], s.assets["/boot/autoexec.ipxe"] = auto, auto

	if k := s.assets["/boot/"+Kernel]; k != nil {
		s.image.Kernel = k.path
	}

	for _, name := range []string{Base, Modules, Agent} {
		if a := s.assets["/boot/"+name]; a != nil {
			s.image.Initrds = append(s.image.Initrds, a.path)
		}
	}

	return s
}

// Listen opens port 80 on our address on the server's card.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	s.queue.size(nic.Megabits(s.cfg.Interface))

	return nic.ListenTCP(ctx, s.cfg.Interface, netip.AddrPortFrom(s.cfg.Self, Port))
}

// Serve answers until ctx ends, and closes ln and all connections.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	wrapped := newListener(ln)
	s.conns.Store(wrapped)

	server := &fasthttp.Server{
		Handler: func(c *fasthttp.RequestCtx) { s.Answer(ctx, c) }, ErrorHandler: s.malformed,
		ReadTimeout: readTimeout, IdleTimeout: idleTimeout, ReadBufferSize: headerLimit, MaxRequestBodySize: bodyLimit,
		Concurrency: concurrency, NoDefaultServerHeader: true, NoDefaultContentType: true, CloseOnShutdown: true,
		Logger: quiet{s.cfg.Log}, TCPKeepalive: true,
	}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error {
		err := server.Serve(wrapped)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the server was asked to end
		}

		return fmt.Errorf("serving boot http: %w", err)
	})
	group.Go(func() error {
		<-ctx.Done()

		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()

		_ = server.ShutdownWithContext(leave)

		wrapped.closeAll()

		return nil
	})

	return group.Wait()
}

// quiet puts fasthttp's own words, which are about what clients do wrong, at
// the debug level.
type quiet struct{ log *slog.Logger }

// Printf logs.
func (q quiet) Printf(format string, args ...any) {
	q.log.Debug("boot http", slog.String("detail", fmt.Sprintf(format, args...)))
}

// malformed answers what is no HTTP request, or too long a one.
func (s *Server) malformed(c *fasthttp.RequestCtx, err error) {
	if s.broken.Allow(time.Now()) {
		s.cfg.Log.Warn("a malformed http request", slog.String("code", "netboot/http-malformed"),
			slog.String("from", c.RemoteAddr().String()), slog.String("error", err.Error()))
	}

	var small *fasthttp.ErrSmallBuffer

	switch {
	case errors.As(err, &small):
		refuse(c, fasthttp.StatusRequestHeaderFieldsTooLarge, "the request header is longer than 8 KiB")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		refuse(c, fasthttp.StatusRequestEntityTooLarge, "this server takes no request bodies")
	default:
		refuse(c, fasthttp.StatusBadRequest, "this is not a valid HTTP request")
	}
}

func refuse(c *fasthttp.RequestCtx, status int, sentence string) {
	c.Response.ResetBody()
	c.SetStatusCode(status)
	c.SetContentType("text/plain; charset=utf-8")
	c.SetBodyString(sentence + "\n")
}

// Answer answers a request. It does not panic, whatever the request: fasthttp
// would end the program.
func (s *Server) Answer(ctx context.Context, c *fasthttp.RequestCtx) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("a boot http request could not be handled", slog.String("code", "netboot/http-request"),
				slog.Any("panic", r), slog.String("from", c.RemoteAddr().String()), slog.String("path", string(c.Path())))
			c.Response.Reset()
			refuse(c, fasthttp.StatusInternalServerError, "this request could not be handled")
		}
	}()

	s.answer(ctx, c)
}

// answer sends a request where its path leads. The path is clean: percent signs
// decoded, double slashes and dots gone.
func (s *Server) answer(ctx context.Context, c *fasthttp.RequestCtx) {
	if !c.IsGet() && !c.IsHead() {
		c.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		refuse(c, fasthttp.StatusMethodNotAllowed, "only GET and HEAD are understood here")

		return
	}

	if wire, ok := c.Conn().(*conn); ok && bytes.HasPrefix(c.UserAgent(), []byte("GRUB")) {
		wire.abrupt.Store(true)
	}

	path := string(c.Path())
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")

	switch first {
	case "ipxe":
		s.script(ctx, c, rest)
	case "seed":
		s.seed(ctx, c, rest)
	case "overlay":
		s.overlay(c, rest)
	case "grub":
		s.grub(ctx, c, path)
	case "boot":
		path = s.stands(c, path)

		if path == "/boot/"+ladder.FileUKI {
			s.program(ctx, c)
		} else {
			s.file(c, path)
		}
	default:
		s.file(c, path)
	}
}

// stands is the path of what is sent for another.
func (s *Server) stands(c *fasthttp.RequestCtx, path string) string {
	name, ok := strings.CutPrefix(path, "/boot/")
	if s.cfg.Stands == nil || !ok {
		return path
	}

	addr, _ := netip.AddrFromSlice(c.RemoteIP())

	return "/boot/" + s.cfg.Stands(addr.Unmap(), name)
}

// who returns the machine at the other end and what it may have.
func (s *Server) who(c *fasthttp.RequestCtx) (core.BootClient, core.BootDecision, bool) {
	addr, _ := netip.AddrFromSlice(c.RemoteIP())
	addr = addr.Unmap()

	client, ok := s.cfg.Holder(addr)
	if !ok {
		return core.BootClient{Addr: addr, Kind: core.ClientIPXE, Arch: -1}, core.BootDecision{Action: core.BootIgnore}, false
	}

	client.Addr = addr
	decision := s.cfg.Booter.Decide(client)

	return client, decision, decision.Action != core.BootIgnore
}

// file serves what the live image consists of, to machines that boot it.
// To the appliance itself, too, which looks whether they arrive.
func (s *Server) file(c *fasthttp.RequestCtx, path string) {
	a := s.assets[path]
	client, decision, known := s.who(c)

	switch own := client.Addr == s.cfg.Self; { // the kernel takes packets with its own address from itself alone
	case own && a != nil:
		s.send(c, a, core.BootClient{})

		return
	case own:
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")

		return
	case !known:
		refuse(c, fasthttp.StatusForbidden, "this address has no lease of a registered machine")

		return
	}

	if path == "/boot/"+core.NoBoot {
		s.witness(client, "http-missing", core.NoBoot, 0, 0) // the firmware goes on to the disk now
	}

	if a == nil || !Serves(decision, a.name) {
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")

		return
	}

	s.send(c, a, client)
}

// Serves reports whether a machine to which that is to be done may have a file: what
// begins the way to its own disk, too, may be had by one that no run waits for.
func Serves(decision core.BootDecision, name string) bool {
	switch name {
	case "autoexec.ipxe", ladder.FileUNDI, ladder.FilePXE:
		return decision.Action != core.BootIgnore
	case ladder.FileSNPOnly, ladder.FileIPXE, ladder.FileARM64:
		return decision.Action == core.BootVet || decision.Action == core.BootLocal && decision.Chain != "" || ladder.LeadsHome(&decision)
	case ladder.FileShim, ladder.FileGRUB:
		return decision.Action == core.BootVet || ladder.LeadsHome(&decision)
	default:
		return decision.Action == core.BootVet
	}
}

// send answers with a file, a part of it, or that it has not changed.
func (s *Server) send(c *fasthttp.RequestCtx, a *asset, client core.BootClient) {
	h := &c.Response.Header
	h.SetContentType(a.kind)
	h.Set(fasthttp.HeaderETag, a.etag)
	h.Set(fasthttp.HeaderAcceptRanges, "bytes")
	h.Set(fasthttp.HeaderCacheControl, "no-cache")

	if strings.Contains(string(c.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)), a.etag) {
		c.SetStatusCode(fasthttp.StatusNotModified)

		return
	}

	body := a.data
	span, kind := ParseRange(string(c.Request.Header.Peek(fasthttp.HeaderRange)), len(a.data))

	if cond := c.Request.Header.Peek(fasthttp.HeaderIfRange); len(cond) > 0 && string(cond) != a.etag {
		kind = Whole
	}

	switch kind {
	case Unsatisfying:
		h.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes */%d", len(a.data)))
		refuse(c, fasthttp.StatusRequestedRangeNotSatisfiable, "the file is shorter than that")

		return
	case Part:
		h.Set(fasthttp.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", span.Low, span.High-1, len(a.data)))
		c.SetStatusCode(fasthttp.StatusPartialContent)

		body = body[span.Low:span.High]
	case Whole:
	}

	c.Response.SetBodyRaw(body)

	if c.IsGet() && client.MAC != "" { // the appliance itself has none, and does not boot
		s.follow(c, a, client, len(body))
	}
}

// script answers iPXE. It always gets a script: one that leads to its own disk
// when there is nothing else for it.
func (s *Server) script(ctx context.Context, c *fasthttp.RequestCtx, rest string) {
	if last, failed := strings.CutPrefix(rest, "failed/"); failed {
		s.failed(c, last)

		return
	}

	mac, err := core.ParseMAC(rest)
	if err != nil {
		refuse(c, fasthttp.StatusNotFound, "there is nothing here; a script is at /ipxe/ and a MAC address")

		return
	}

	c.SetContentType("text/plain")
	c.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")

	if !s.park(c) {
		c.SetBody(s.scriptFor(ctx, c, mac))
	}
}

// park makes a machine that is to be vetted wait for its turn in its boot program, when
// as many load the image as the card can feed.
func (s *Server) park(c *fasthttp.RequestCtx) bool {
	client, decision, _ := s.who(c)
	if decision.Action != core.BootVet { // its run may have been cancelled while it waited
		s.queue.quit(client.Addr)

		return false
	}

	if c.IsHead() || client.Processor() != "" {
		return false
	}

	after := s.queue.enter(client.Addr, time.Now())
	if after == 0 {
		return false
	}

	s.witness(client, "parked", "waiting for its turn: other machines load their image now", 0, 0)
	refuse(c, fasthttp.StatusServiceUnavailable, "other machines load their image now; ask again")
	c.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(int(after.Seconds())))

	return true
}

func (s *Server) scriptFor(ctx context.Context, c *fasthttp.RequestCtx, mac core.MAC) []byte {
	client, decision, known := s.who(c)

	switch {
	case !known:
		if s.strays.Allow(time.Now()) {
			client.MAC = mac
			s.witness(client, "sighting", "asked for a boot script", 0, 0)
		}

		return ipxe.Local("this machine is not registered", "")
	case decision.Action == core.BootLocal && decision.Chain != "":
		s.witness(client, "script", "local: on to "+decision.Chain, 0, 0)

		return ipxe.Chain(decision.Chain)
	case decision.Action != core.BootVet || c.IsHead():
		s.witness(client, "script", "local", 0, 0)

		return ipxe.Local("no vetting waits for this machine", decision.Home)
	case client.Processor() != "":
		s.witness(client, "script", "local, since the live image does not run on "+client.Processor(), 0, 0)

		return ipxe.Unfit("the live image is for x86-64 and does not run on this machine: " + client.Processor())
	}

	ctx, cancel := contextOf(ctx)
	defer cancel()

	nonce, err := s.cfg.Booter.Arm(ctx, client.MAC, client.Addr)
	if err != nil {
		s.cfg.Log.Warn("a run could not be armed", slog.String("host", string(client.MAC)), slog.String("error", err.Error()))
		s.witness(client, "script", "local, since the run could not be armed", 0, 0)

		return ipxe.Local("the vetting of this machine cannot start now", "")
	}

	s.witness(client, "script", string(decision.Run), 0, 0)

	return ipxe.Boot{
		Server: s.cfg.Self, Host: client.MAC, Name: decision.Name, Image: s.image, Seed: nonce, Overlay: overlayPaths(decision.Overlays),
		Cmdline: s.arguments(&decision),
	}.Script()
}

// failed takes down that iPXE has given up loading.
func (s *Server) failed(c *fasthttp.RequestCtx, _ string) {
	if client, _, known := s.who(c); known {
		s.queue.leave(client.Addr)
		s.witness(client, "boot-failed", "the boot program gave up loading the live image after five attempts", 0, 0)
	}

	c.SetContentType("text/plain")
	c.SetBody(ipxe.Local("loading the live image failed", ""))
}

// seed answers with the archive that carries a run's one-time token.
func (s *Server) seed(ctx context.Context, c *fasthttp.RequestCtx, rest string) {
	c.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")

	nonce, ok := strings.CutSuffix(rest, ".cpio")
	client, decision, known := s.who(c)

	settled := !known && nonce == "self"
	if settled {
		client, decision, known = s.settled(client.Addr)
	}

	switch {
	case !known:
		refuse(c, fasthttp.StatusForbidden, "this address has no lease of a registered machine")

		return
	case !ok || nonce == "" || decision.Action != core.BootVet:
		refuse(c, fasthttp.StatusNotFound, "there is nothing here")

		return
	}

	ctx, cancel := contextOf(ctx)
	defer cancel()

	var (
		content []byte
		err     error
	)

	if nonce == "self" {
		content, err = s.seedOf(ctx, client, settled, c.IsHead())
	} else {
		content, err = s.cfg.Booter.Seed(ctx, nonce, client.Addr, c.IsHead())
	}

	if err != nil {
		s.refuseSeed(c, client, err)

		return
	}

	c.SetContentType("application/octet-stream")
	c.SetBody(seed.Archive(content))

	if c.IsGet() {
		// Boot programs load it last, but GRUB, which opens all files before it reads one.
		if wire, ok := c.Conn().(*conn); !ok || !wire.abrupt.Load() {
			s.queue.leave(client.Addr)
		}

		s.witness(client, "seed", "", int64(len(content)), 0)
	}
}

// seedOf is the seed of the run that waits for a machine, whichever it has.
func (s *Server) seedOf(ctx context.Context, client core.BootClient, settled, head bool) ([]byte, error) {
	content, err := s.cfg.Booter.SeedOf(ctx, client.MAC, client.Addr, head)
	if !settled || head || !errors.Is(err, core.ErrExpired) {
		return content, err
	}

	// No boot script was asked for that could have armed the run for another boot. A token that
	// is out and good is not made void, whoever asks and how often.
	nonce, err := s.cfg.Booter.Arm(ctx, client.MAC, client.Addr)
	if err != nil {
		return nil, err
	}

	return s.cfg.Booter.Seed(ctx, nonce, client.Addr, false)
}

// settled is who for a machine whose agent was started from a medium and took the address
// that is set apart for it, so that there is no lease: the operator's word takes its place.
func (s *Server) settled(addr netip.Addr) (core.BootClient, core.BootDecision, bool) {
	client := core.BootClient{Addr: addr, Kind: core.ClientAgent, Arch: -1}

	if s.cfg.Settled == nil {
		return client, core.BootDecision{Action: core.BootIgnore}, false
	}

	mac, ok := s.cfg.Settled(addr)
	if !ok {
		return client, core.BootDecision{Action: core.BootIgnore}, false
	}

	client.MAC = mac
	decision := s.cfg.Booter.Decide(client)

	return client, decision, decision.Action != core.BootIgnore
}

func (s *Server) refuseSeed(c *fasthttp.RequestCtx, client core.BootClient, err error) {
	status, sentence := fasthttp.StatusServiceUnavailable, "the seed cannot be given now; ask again"

	switch {
	case errors.Is(err, core.ErrNotFound):
		status, sentence = fasthttp.StatusNotFound, "no run waits for this"
	case errors.Is(err, core.ErrRefused):
		status, sentence = fasthttp.StatusForbidden, "this seed is for another machine"
	case errors.Is(err, core.ErrExpired):
		status, sentence = fasthttp.StatusGone, "this seed was used or is too old; boot again"
	case errors.Is(err, core.ErrTooOften):
		status, sentence = fasthttp.StatusGone, "this seed was asked for too often; boot again"
	}

	s.cfg.Log.Info("a seed was refused", slog.String("host", string(client.MAC)), slog.String("error", err.Error()))
	s.witness(client, "seed-refused", sentence, 0, 0)
	refuse(c, status, sentence)
}

func (s *Server) witness(client core.BootClient, kind, detail string, n int64, share int) {
	s.cfg.Witness.Witness(core.BootStep{
		Time: time.Now(), MAC: client.MAC, Kind: kind, Detail: detail, Addr: client.Addr, Bytes: n, Share: share, Client: client,
	})
}
