package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"

	"vetting/core"
	"vetting/netboot/nic"
)

const (
	batch       = 64   // packets read, and replies written, with one system call
	packetSize  = 2048 // more than an Ethernet frame
	maxPending  = 1024 // acknowledgements waiting for the disk; beyond, the client asks again
	maxGroup    = 512  // leases in one write
	saveTimeout = 5 * time.Second
)

// Listen opens the DHCP socket on the server's card.
func (s *Server) Listen(ctx context.Context) (*net.UDPConn, error) {
	return s.listen(ctx, serverPort)
}

func (s *Server) listen(ctx context.Context, port uint16) (*net.UDPConn, error) {
	return nic.ListenUDP(ctx, s.cfg.Interface, port)
}

// Serve answers what arrives on conn until ctx ends, and closes conn.
func (s *Server) Serve(ctx context.Context, conn *net.UDPConn) error {
	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error {
		return s.serve(ctx, conn, func(packet, buf []byte, _ netip.AddrPort, now time.Time, quiet bool) Answer {
			return s.answer(packet, buf, now, quiet)
		})
	})

	if s.cfg.Prober != nil && s.cfg.Mode == Authoritative {
		group.Go(func() error { return s.patrol(ctx) })
	}

	return group.Wait()
}

// answerer says what to do about a packet from somewhere.
type answerer func(packet, buf []byte, from netip.AddrPort, now time.Time, quiet bool) Answer

// serve has answer say what to do about each packet that arrives on conn, and
// does it, until ctx ends. It closes conn.
func (s *Server) serve(ctx context.Context, conn *net.UDPConn, answer answerer) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })

	defer stop()

	post := newPost(conn, s.cfg)
	acks := make(chan Answer, maxPending)

	group.Go(func() error { return s.receive(ctx, conn, answer, post, acks) })
	group.Go(func() error { return s.commit(ctx, newPost(conn, s.cfg), acks) })

	err := group.Wait()
	if ctx.Err() != nil && (errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled)) {
		return nil
	}

	return err
}

// receive reads batches of packets. Offers leave at once; acknowledgements wait
// for the disk, without holding up the next batch.
func (s *Server) receive(ctx context.Context, conn *net.UDPConn, answer answerer, post *post, acks chan<- Answer) error {
	defer close(acks)

	in := ipv4.NewPacketConn(conn)
	messages := make([]ipv4.Message, batch)

	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, packetSize)}
	}

	for {
		n, err := in.ReadBatch(messages, 0)
		if ctx.Err() != nil {
			return ctx.Err()
		}

		if err != nil {
			return fmt.Errorf("reading dhcp packets: %w", err)
		}

		now, quiet := time.Now(), s.cfg.Quiet()

		for i := range messages[:n] {
			answer := answer(messages[i].Buffers[0][:messages[i].N], post.buffer(), source(messages[i].Addr), now, quiet)

			switch {
			case answer.Reply == nil:
			case answer.Lease == nil:
				post.add(answer)
			default:
				s.hand(acks, answer)
			}
		}

		s.send(post)
	}
}

// source is where a packet came from.
func source(addr net.Addr) netip.AddrPort {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}

	from := udp.AddrPort()

	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// hand passes an acknowledgement to the committer, with bytes of its own.
func (s *Server) hand(acks chan<- Answer, answer Answer) {
	answer.Reply = append([]byte(nil), answer.Reply...)

	select {
	case acks <- answer:
	default:
		s.count.dropped.Add(1)
	}
}

// commit saves the leases of all acknowledgements that wait, in one write, and
// sends them after it. When the write fails nothing is sent: the clients ask again.
func (s *Server) commit(ctx context.Context, post *post, acks <-chan Answer) error {
	for first := range acks {
		group := gather(first, acks)
		leases := make([]core.Lease, len(group))

		for i := range group {
			leases[i] = *group[i].Lease
		}

		if err := s.save(ctx, leases); err != nil {
			s.count.failed.Add(uint64(len(group)))
			s.cfg.Log.Error("leases could not be saved; the machines must ask again", slog.String("code", "netboot/lease-not-saved"),
				slog.Int("leases", len(group)), slog.String("error", err.Error()))

			continue
		}

		if s.cfg.Quiet() {
			s.count.quiet.Add(uint64(len(group)))

			continue
		}

		now := time.Now()

		for _, answer := range group {
			post.add(answer)
			s.acknowledged(*answer.Lease, now)
		}

		s.send(post)
	}

	return nil
}

func (s *Server) save(ctx context.Context, leases []core.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()

	return s.cfg.Leases.SaveLeases(ctx, leases)
}

// gather takes first and what else waits already.
func gather(first Answer, acks <-chan Answer) []Answer {
	group := append(make([]Answer, 0, 1+len(acks)), first)

	for len(group) < maxGroup {
		select {
		case next, ok := <-acks:
			if !ok {
				return group
			}

			group = append(group, next)
		default:
			return group
		}
	}

	return group
}

func (s *Server) send(post *post) {
	if err := post.flush(); err != nil {
		s.count.failed.Add(1)
		s.cfg.Log.Warn("a dhcp reply could not be sent", slog.String("error", err.Error()))
	}
}

// patrol keeps a reserve of addresses that nobody answers for.
func (s *Server) patrol(ctx context.Context) error {
	tick := time.NewTicker(probeWait)
	defer tick.Stop()

	for {
		for _, addr := range s.networks[0].table.round(time.Now()) {
			s.cfg.Prober.Probe(addr)
		}

		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// post sends replies in batches, from our address on our card. It is used by
// one goroutine.
type post struct {
	conn     *ipv4.PacketConn
	oob      []byte
	messages []ipv4.Message
	buffers  [][]byte
}

func newPost(conn *net.UDPConn, cfg Config) *post {
	control := ipv4.ControlMessage{Src: net.IP(cfg.Prefix.Addr().AsSlice())}

	// The card may have gone again; the kernel then says so when we send.
	if card, err := net.InterfaceByName(cfg.Interface); err == nil {
		control.IfIndex = card.Index
	}

	return &post{conn: ipv4.NewPacketConn(conn), oob: control.Marshal()}
}

// buffer returns an empty buffer for the next reply.
func (p *post) buffer() []byte {
	if len(p.buffers) <= len(p.messages) {
		p.buffers = append(p.buffers, make([]byte, 0, packetSize))
	}

	return p.buffers[len(p.messages)]
}

func (p *post) add(a Answer) {
	p.messages = append(p.messages, ipv4.Message{Buffers: [][]byte{a.Reply}, OOB: p.oob, Addr: udpAddr(a.To)})
}

// flush sends what was added. A reply that the kernel refuses is skipped, and
// its error returned when the others have left.
func (p *post) flush() error {
	var refused error

	for rest := p.messages; len(rest) > 0; {
		n, err := p.conn.WriteBatch(rest, 0)
		if err != nil {
			refused = fmt.Errorf("sending to %s: %w", rest[0].Addr, err)
			n = 1
		}

		rest = rest[max(n, 1):]
	}

	p.messages = p.messages[:0]

	return refused
}

func udpAddr(a netip.AddrPort) *net.UDPAddr { return net.UDPAddrFromAddrPort(a) }
