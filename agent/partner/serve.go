package partner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"vetting/agent/wire/load"
)

// Serve answers on ln until ctx ends, and returns nil when everybody has been hung up
// on. It closes ln.
func (p *Partner) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("serving network tests on %s: not TCP", ln.Addr())
	}

	p.port.Store(int64(addr.Port))
	defer p.port.Store(0)

	var guests sync.WaitGroup
	defer guests.Wait()

	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()

	for {
		select { // whoever comes now waits in the kernel's queue
		case p.doors <- struct{}{}:
		case <-ctx.Done():
			return nil
		}

		conn, err := ln.Accept()
		if err != nil {
			<-p.doors

			if ctx.Err() != nil {
				return nil
			}

			return fmt.Errorf("serving network tests on %s: %w", ln.Addr(), err)
		}

		guests.Go(func() { p.receive(ctx, conn) })
	}
}

// receive hears what a connection is for. A panic stays inside of it.
func (p *Partner) receive(ctx context.Context, conn net.Conn) {
	inside := sync.OnceFunc(func() { <-p.doors })

	defer func() {
		inside()

		_ = conn.Close()

		if cause := recover(); cause != nil {
			p.Log.Error("a network test panicked", slog.String("code", "agent/panic"), slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
		}
	}()

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	host := hostOf(conn.RemoteAddr())
	if !p.Has(conn.RemoteAddr()) || !p.enter(host) {
		return // whoever it was is told nothing
	}

	defer p.leave(host)

	f, err := p.greet(ctx, conn, inside)
	if err != nil {
		p.Log.Debug("a network test was not begun", slog.String("remote", host), slog.String("error", err.Error()))

		return
	}

	if f == nil {
		return // it was iperf3, and is served
	}

	inside()

	err = p.place(ctx, f)
	if err == nil {
		defer func() { <-p.flows }()

		err = p.flow(ctx, f)
	}

	if err != nil {
		p.Log.Debug("a network test broke off", slog.String("remote", host), slog.String("run", string(f.ticket.run)),
			slog.String("kind", f.ask.Kind), slog.String("error", err.Error()))
	}
}

// place waits for a place, and tells the machine meanwhile that it is in the queue, for as
// long as its run goes on.
func (p *Partner) place(ctx context.Context, f *flow) error {
	select {
	case p.flows <- struct{}{}:
		return nil
	default:
	}

	tick := time.NewTicker(p.Recheck)
	defer tick.Stop()

	for placed := false; ; {
		select {
		case p.flows <- struct{}{}:
			placed = true
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}

		_ = f.conn.SetWriteDeadline(time.Now().Add(p.Patience)) // a connection that is closed says so below

		err := p.goesOn(ctx, f.ticket)
		if err != nil {
			err = errors.Join(err, load.WriteLine(f.conn, load.Start{Refused: overWords}))
		} else if !placed {
			err = load.WriteLine(f.conn, load.Start{Queued: true})
		}

		switch {
		case err != nil && placed:
			<-p.flows

			return err
		case err != nil:
			return err
		case placed:
			return f.conn.SetWriteDeadline(time.Time{})
		}
	}
}

// overWords tell a machine that its ticket is of no use any more.
const overWords = "The run of this ticket is over, or another boot has taken it over."

// goesOn returns an error when the run of a ticket has ended, or has another one.
func (p *Partner) goesOn(ctx context.Context, t *ticket) error {
	if _, err := p.Authorise(ctx, t.run, t.token); err != nil {
		return err
	}

	if !p.valid(t) {
		return errStranger
	}

	return nil
}

// flow is one test under way.
type flow struct {
	conn   net.Conn
	ask    load.Ask
	ticket *ticket
	begun  time.Time
	before gauge
}

// errStranger is somebody who cannot prove a ticket.
var errStranger = errors.New("no ticket")

// greet takes the first words of a connection and checks who asks. It serves iperf3,
// whose words are its own, and returns no flow then.
func (p *Partner) greet(ctx context.Context, conn net.Conn, inside func()) (*flow, error) {
	if err := conn.SetDeadline(time.Now().Add(firstWord)); err != nil {
		return nil, err
	}

	word := make([]byte, len(load.Greeting))
	if _, err := io.ReadFull(conn, word); err != nil {
		return nil, fmt.Errorf("reading the greeting: %w", err)
	}

	if p.IPerf3 && ofCookie(word) {
		return nil, p.iperf(ctx, conn, word, inside)
	}

	if string(word) != load.Greeting {
		return nil, errors.New("not the greeting of a network test")
	}

	var raw [32]byte

	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)

	challenge := hex.EncodeToString(raw[:])
	if err := load.WriteLine(conn, load.Challenge{Challenge: challenge}); err != nil {
		return nil, err
	}

	f := &flow{conn: conn}
	if err := load.ReadLine(conn, &f.ask); err != nil {
		return nil, err
	}

	if err := f.ask.Validate(); err != nil {
		return nil, errors.Join(err, load.WriteLine(conn, load.Start{Refused: "The request makes no sense: " + err.Error() + "."}))
	}

	f.ticket = p.ticketOf(f.ask.Ticket)
	if f.ticket == nil || !f.ask.Proven(f.ticket.key, challenge) {
		return nil, errors.Join(errStranger, load.WriteLine(conn, load.Start{Refused: "The ticket is void; ask for another one."}))
	}

	if _, err := p.Authorise(ctx, f.ticket.run, f.ticket.token); err != nil {
		return nil, errors.Join(err, load.WriteLine(conn, load.Start{Refused: overWords}))
	}

	return f, conn.SetDeadline(time.Time{})
}

// flow does what is asked for, for as long as the run goes on.
func (p *Partner) flow(ctx context.Context, f *flow) error {
	done := make(chan struct{})
	defer close(done)

	go p.attend(ctx, f, done)

	f.begun, f.before = time.Now(), p.gauge(f.ticket)

	switch f.ask.Kind {
	case load.Up:
		return p.takeStream(f)
	case load.Down:
		return p.sendStream(f)
	default:
		return p.datagrams(ctx, f)
	}
}

// attend hangs up when the run ends before the test does.
func (p *Partner) attend(ctx context.Context, f *flow, done <-chan struct{}) {
	tick := time.NewTicker(p.Recheck)
	defer tick.Stop()

	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}

		if p.goesOn(ctx, f.ticket) != nil {
			_ = f.conn.Close()

			return
		}
	}
}

func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}

	return host
}
