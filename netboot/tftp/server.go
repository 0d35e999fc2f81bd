package tftp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	pin "github.com/pin/tftp/v3"
	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/nic"
	"vetting/netboot/pace"
)

// Port is where files are asked for.
const Port = 69

// MostBlock is the largest block that is sent, where the card takes it: what fits a packet of
// Ethernet.
const MostBlock = 1468

const (
	perClient  = 4      // transfers at once to one address
	total      = 256    // transfers at once
	mostBlocks = 65_535 // then the number of a block rolls over (RFC 1350 has 16 bits)
)

// Witness takes down what was seen. It never blocks.
type Witness interface {
	Witness(step core.BootStep)
}

// File is what is sent. Content must be safe for concurrent use.
type File struct {
	Name    string // what it is, where it was asked for by another name; empty: that
	Content io.ReaderAt
	Size    int64
	// Begin is called once the client has acknowledged the first packet, which proves that it
	// has the address it asks from, on a goroutine of the transfer's own; its error is the end
	// of it. It may be nil, and is not called for those that only ask for the size, nor in text
	// mode.
	Begin func(ctx context.Context) error
}

// Bytes is a file in memory; nil is no file.
func Bytes(b []byte) *File {
	if b == nil {
		return nil
	}

	return &File{Content: bytes.NewReader(b), Size: int64(len(b))}
}

// Config is all a Server needs.
type Config struct {
	Interface string
	Self      netip.Addr // our address, of IPv4 or IPv6; transfers come from it
	MTU       int        // of the card; 0: Ethernet's

	// Lookup returns the file that the machine at addr may have under a canonical
	// name; nil: it is not found. known is false when nothing at all may be said to
	// that address. Of a client without a MAC, which is the appliance itself, no step is
	// taken down.
	Lookup func(addr netip.Addr, name string) (file *File, client core.BootClient, known bool)
	// Dial opens what a transfer goes over; nil: a socket on the server's card.
	Dial    func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	Witness Witness
	Log     *slog.Logger
	// Busy counts the transfers under way, also of another server on the same card; nil: a
	// count of the server's own.
	Busy *atomic.Int64
}

// Socket is where requests arrive: a *net.UDPConn, or what stands in for one.
type Socket interface {
	net.PacketConn
	ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (n int, err error)
}

// Server sends files. Safe for concurrent use.
type Server struct {
	cfg      Config
	maxBlock int
	broken   pace.Limiter
	narrow   narrows

	mu     sync.Mutex // guards all below
	active map[netip.AddrPort]bool
	byAddr map[netip.Addr]int
}

// New returns a Server that does nothing yet.
func New(cfg Config) *Server {
	most := MostBlock
	if cfg.MTU > 0 {
		most = min(most, max(cfg.MTU-32, plainBlock))
	}

	if cfg.Busy == nil {
		cfg.Busy = new(atomic.Int64)
	}

	return &Server{cfg: cfg, maxBlock: most, active: map[netip.AddrPort]bool{}, byAddr: map[netip.Addr]int{}}
}

// Listen opens the TFTP socket on the server's card.
func (s *Server) Listen(ctx context.Context) (*net.UDPConn, error) {
	if s.cfg.Self.Is6() {
		return nic.ListenUDP6(ctx, s.cfg.Interface, Port)
	}

	return nic.ListenUDP(ctx, s.cfg.Interface, Port)
}

// Serve answers what arrives on conn until ctx ends, and closes conn.
func (s *Server) Serve(ctx context.Context, conn Socket) error {
	group, ctx := errgroup.WithContext(ctx)
	text := newText(conn)
	slow := s.pinServer(text)

	// Shutdown closes only a connection that its Serve has taken up already.
	stop := context.AfterFunc(ctx, func() {
		_ = conn.Close()
		slow.Shutdown()
	})
	defer stop()

	group.Go(func() error {
		defer text.shut()

		return s.receive(ctx, conn, text, group)
	})
	group.Go(func() error { return slow.Serve(text) })

	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
		return nil
	}

	return err
}

func (s *Server) receive(ctx context.Context, conn Socket, text *text, group *errgroup.Group) error {
	buf := make([]byte, 2048)

	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return fmt.Errorf("reading tftp requests: %w", err)
		}

		s.guarded(buf[:n], func() { s.request(ctx, conn, text, group, buf[:n], from) })
	}
}

// guarded keeps a packet that we cannot handle from ending the server.
func (s *Server) guarded(packet []byte, do func()) {
	defer func() {
		if r := recover(); r != nil {
			s.cfg.Log.Error("a tftp request could not be handled", slog.String("code", "netboot/tftp-packet"),
				slog.Any("panic", r), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 300)])))
		}
	}()

	do()
}

// request answers one packet on port 69. Strangers hear nothing.
func (s *Server) request(ctx context.Context, conn Socket, text *text, group *errgroup.Group, packet []byte, from netip.AddrPort) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	reply := s.open(packet, from, func(job job) {
		if job.request.Text {
			text.pass(job)

			return
		}

		group.Go(func() error {
			s.guarded(packet[:0], func() { s.transfer(ctx, job) })

			return nil
		})
	})

	if reply != nil {
		_, _ = conn.WriteToUDPAddrPort(reply, from)
	}
}

// job is a transfer that was granted.
type job struct {
	request Request
	file    *File
	client  core.BootClient
	from    netip.AddrPort
	start   time.Time
}

// open decides about a packet: it starts a transfer, or returns an ERROR packet,
// or, for strangers and for what is not a request, nil.
func (s *Server) open(packet []byte, from netip.AddrPort, start func(job)) (reply []byte) {
	if len(packet) < 2 || packet[0] != 0 || packet[1] != opRead && packet[1] != opWrite {
		s.malformed(packet, from, errNotRead)

		return nil
	}

	req, err := ParseRequest(packet)
	file, client, known := s.cfg.Lookup(from.Addr(), req.Name)

	switch {
	case !known:
		return nil
	case packet[1] == opWrite:
		return refusal(errAccess, "read only")
	case err != nil:
		s.malformed(packet, from, err)

		return refusal(errIllegal, err.Error())
	case file == nil:
		s.witness(client, "tftp-missing", req.Name, 0, 0)

		return refusal(errNotFound, "file not found")
	case int(file.Size)/plainBlock >= mostBlocks && !req.sizes():
		// 32 MiB in blocks of 512: who has no idea of block sizes has none of numbers that start anew.
		s.witness(client, "tftp-failed", req.Name+": too large for a client that names no block size", 0, 0)

		return refusal(errIllegal, "too large without blksize")
	}

	switch s.enter(from) {
	case entered:
		start(job{request: req, file: file, client: client, from: from, start: time.Now()})

		return nil
	case again:
		return nil
	default:
		return refusal(errFull, "too many transfers")
	}
}

// malformed takes down what was no request.
func (s *Server) malformed(packet []byte, from netip.AddrPort, err error) {
	if s.broken.Allow(time.Now()) {
		s.cfg.Log.Warn("a malformed tftp request", slog.String("code", "netboot/tftp-malformed"), slog.String("from", from.String()),
			slog.String("error", err.Error()), slog.String("hex", hex.EncodeToString(packet[:min(len(packet), 300)])))
	}
}

type entry int

const (
	entered entry = iota
	again         // the same request once more; the transfer goes on
	full
)

// enter takes a place for a transfer. leave gives it back.
func (s *Server) enter(from netip.AddrPort) entry {
	s.mu.Lock()
	defer s.mu.Unlock()

	switch {
	case s.active[from]:
		return again
	case s.byAddr[from.Addr()] >= perClient || len(s.active) >= total:
		return full
	}

	s.active[from] = true
	s.byAddr[from.Addr()]++
	s.cfg.Busy.Add(1)

	return entered
}

func (s *Server) leave(from netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()

	delete(s.active, from)
	s.cfg.Busy.Add(-1)

	if s.byAddr[from.Addr()]--; s.byAddr[from.Addr()] == 0 {
		delete(s.byAddr, from.Addr())
	}
}

// alone reports whether there is one transfer only.
func (s *Server) alone() bool { return s.cfg.Busy.Load() == 1 }

// transfer sends a file with our own sender.
func (s *Server) transfer(ctx context.Context, j job) {
	how, err := s.placed(ctx, j)

	// First the place, then the note: whoever reads the note may come again.
	s.done(j, err, how)
}

// placed delivers and gives the place back, whatever happens.
func (s *Server) placed(ctx context.Context, j job) (how string, err error) {
	defer s.leave(j.from)

	return s.deliver(ctx, j)
}

// deliver sends the file on a socket of its own and says by which terms.
func (s *Server) deliver(ctx context.Context, j job) (how string, err error) {
	dial := s.cfg.Dial
	if dial == nil {
		dial = s.dial
	}

	conn, err := dial(ctx, j.from)
	if err != nil {
		return "", fmt.Errorf("opening a socket for %s: %w", j.from, err)
	}

	defer func() { err = errors.Join(err, ended(conn.Close())) }()

	sender := newSender(conn, j.file, agree(j.request.Options, int(j.file.Size), s.most(j.from.Addr())))
	sender.stuck = func() { s.narrower(j.from.Addr(), sender.terms.block) }
	sender.alone = s.alone

	if j.file.Begin != nil {
		sender.begin = func() error { return j.file.Begin(ctx) }
	}

	if err = sender.run(ctx); err == nil {
		s.narrow.through(j.from.Addr(), sender.terms.block, time.Now())
	}

	return fmt.Sprintf("block size %d, window %d, %d packets", sender.terms.block, sender.terms.window, sender.sent), err
}

// dial opens a socket on the server's card that hears one client alone.
func (s *Server) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.cfg.Self, 0))}
	if s.cfg.Interface != "" {
		dialer.Control = nic.Bind(s.cfg.Interface)
	}

	network := "udp4"
	if s.cfg.Self.Is6() {
		network = "udp6"
	}

	return dialer.DialContext(ctx, network, to.String())
}

// most is the largest block for a machine.
func (s *Server) most(addr netip.Addr) int { return s.narrow.most(addr, s.maxBlock, time.Now()) }

// narrower notes that blocks of a size do not get through to a machine.
func (s *Server) narrower(addr netip.Addr, block int) {
	if width, ok := s.narrow.narrower(addr, block, time.Now()); ok {
		s.cfg.Log.Warn("the first block of a tftp transfer does not arrive; trying smaller ones", slog.String("code", "netboot/tftp-narrow"),
			slog.String("to", addr.String()), slog.Int("bytes", block), slog.Int("next", width))
	}
}

// ended forgives that the end of the server has closed a socket before.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}

	return err
}

// done takes down how a transfer ended.
func (s *Server) done(j job, err error, how string) {
	took, name := time.Since(j.start).Round(time.Millisecond), j.request.Name

	if j.file.Name != "" && j.file.Name != name {
		name = j.file.Name + " by the name of " + name
	}

	switch {
	case err == nil:
		s.witness(j.client, "tftp", fmt.Sprintf("%s in %s (%s)", name, took, how), j.file.Size, 100)
	case errors.Is(err, errProbe):
		s.witness(j.client, "tftp-probe", name, 0, 0)
	default:
		s.cfg.Log.Info("a tftp transfer ended early", slog.String("host", string(j.client.MAC)), slog.String("file", name),
			slog.String("error", err.Error()))
		s.witness(j.client, "tftp-failed", fmt.Sprintf("%s after %s: %v", name, took, err), 0, 0)
	}
}

func (s *Server) witness(c core.BootClient, kind, detail string, n int64, share int) {
	if c.MAC == "" { // the appliance itself: it does not boot
		return
	}

	s.cfg.Witness.Witness(core.BootStep{Time: time.Now(), MAC: c.MAC, Kind: kind, Detail: detail, Addr: c.Addr, Bytes: n, Share: share, Client: c})
}

// pinServer makes the server of text mode, tuned: its defaults wait 5 s for a
// lost packet.
func (s *Server) pinServer(text *text) *pin.Server {
	server := pin.NewServer(func(_ string, rf io.ReaderFrom) error {
		out, ok := rf.(pin.OutgoingTransfer)
		if !ok {
			return errMalformed
		}

		remote := out.RemoteAddr()
		from := remote.AddrPort()
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())

		j, ok := text.take(from)
		if !ok {
			return errMalformed
		}

		s.guarded(nil, func() { s.done(j, s.readText(rf, j), "text mode") })

		return nil
	}, nil)
	server.SetTimeout(firstWait)
	server.SetRetries(int(patience / firstWait))
	server.SetBackoff(func(int) time.Duration { return 0 })
	server.SetBlockSizeNegotiation(false)
	server.SetBlockSize(s.maxBlock)

	return server
}

// readText sends a file in text mode and gives the place back, whatever happens.
func (s *Server) readText(to io.ReaderFrom, j job) error {
	defer s.leave(j.from)

	_, err := to.ReadFrom(io.NewSectionReader(j.file.Content, 0, j.file.Size))

	return err
}

// canonicalPacket writes a request anew, with only what pin/tftp understands.
func canonicalPacket(r Request) []byte {
	b := append([]byte{0, opRead}, "file\x00netascii\x00"...)

	for _, o := range r.Options {
		if n, err := strconv.Atoi(o.Value); err == nil && o.Name == "blksize" && n >= plainBlock && n <= 65464 {
			b = append(b, "blksize\x00"+strconv.Itoa(n)+"\x00"...)

			break
		}
	}

	return b
}
