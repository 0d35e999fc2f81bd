package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/lookup"
)

// Bounds of the tunnels to held hosts.
const (
	mostTunnels = 32               // at once
	dialTimeout = 10 * time.Second // until the host's SSH server answers
	holdLook    = 250 * time.Millisecond
)

// tunnels counts the connections that were taken off the HTTP server, which does
// not know them any more. Safe for concurrent use.
type tunnels struct {
	mu   sync.Mutex
	open int
	over chan struct{} // closed when all must end
	beat time.Duration // how often the caller is looked at
	all  sync.WaitGroup
}

func newTunnels() *tunnels { return &tunnels{over: make(chan struct{}), beat: 15 * time.Second} }

// enter reports whether there is room for one more.
func (t *tunnels) enter() bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	select {
	case <-t.over:
		return false
	default:
	}

	if t.open >= mostTunnels {
		return false
	}

	t.open++
	t.all.Add(1)

	return true
}

func (t *tunnels) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.open--
	t.all.Done()
}

// close ends all tunnels and waits for them.
func (t *tunnels) close() {
	t.mu.Lock()

	select {
	case <-t.over:
	default:
		close(t.over)
	}

	t.mu.Unlock()
	t.all.Wait()
}

// tunnel is one way from an operator to the SSH server of a held host.
type tunnel struct {
	run   core.RunID
	hold  core.Hold // as it was when the way was opened
	who   string
	alive func(context.Context) error // an error: the caller may no longer be here
	host  net.Conn
}

// holdTunnel takes the connection over and copies bytes between the caller and
// the SSH server of the held host, until either closes it, the run leaves its
// hold, the caller's session or token ends, or they may no longer operate.
func (u *UI) holdTunnel(c *fiber.Ctx) error {
	if !asksFor(c, route.TunnelProtocol) {
		c.Set(fiber.HeaderUpgrade, route.TunnelProtocol)

		return fiber.NewError(fiber.StatusUpgradeRequired, "Ask for this with Connection: Upgrade and Upgrade: "+route.TunnelProtocol+".")
	}

	if caller(c).Session != "" {
		if err := sameSite(c); err != nil {
			return err
		}
	}

	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	if err := heldOpen(&run); err != nil {
		return err
	}

	if !u.tunnels.enter() {
		return core.NewProblem(core.ErrFull, problem.HoldTunnels, "Too many tunnels to held hosts are open; close some and try again.")
	}

	t := &tunnel{run: run.ID, hold: *run.Hold, who: caller(c).Name, alive: u.alive(c, route.Operate)}

	if err := u.openTunnel(c, &run, t); err != nil {
		u.tunnels.leave()

		return err
	}

	c.Status(fiber.StatusSwitchingProtocols)
	c.Set(fiber.HeaderConnection, fiber.HeaderUpgrade)
	c.Set(fiber.HeaderUpgrade, route.TunnelProtocol)

	ctx := context.WithoutCancel(c.UserContext()) // the request ends before its tunnel begins

	c.Context().Hijack(func(conn net.Conn) {
		defer u.tunnels.leave()

		u.carry(ctx, t, conn)
	})

	return nil
}

// asksFor reports whether a request wants to go on with another protocol.
func asksFor(c *fiber.Ctx, protocol string) bool {
	has := func(header, word string) bool {
		for part := range strings.SplitSeq(c.Get(header), ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}

		return false
	}

	return has(fiber.HeaderConnection, "upgrade") && has(fiber.HeaderUpgrade, protocol)
}

// heldOpen says why nobody can look into the host of a run.
func heldOpen(run *core.Run) error {
	switch {
	case run.State != core.StateFailedHolding:
		return core.NewProblem(core.ErrConflict, problem.HoldWrongState, fmt.Sprintf(
			"The run is in %s; only a held host can be looked into.", run.State)).With("state", string(run.State))
	case run.Hold == nil:
		return core.NewProblem(core.ErrConflict, problem.HoldNotOpen,
			"The host's agent has not opened its SSH server; see whether it still beats, or power-cycle the host.")
	default:
		return nil
	}
}

// openTunnel reaches the host and takes down who did.
func (u *UI) openTunnel(c *fiber.Ctx, run *core.Run, t *tunnel) error {
	if u.cfg.Dial == nil {
		return core.NewProblem(core.ErrConflict, problem.HoldUnreached, "This appliance has no way to the test network.")
	}

	ctx, cancel := context.WithTimeout(c.UserContext(), dialTimeout)
	defer cancel()

	host, err := u.cfg.Dial(ctx, run.ID)

	var known *core.Problem

	switch {
	case errors.As(err, &known):
		return err
	case err != nil:
		u.cfg.Log.Warn("held host not reached", slog.String("run", string(run.ID)), slog.String("error", err.Error()))

		return core.NewProblem(core.ErrConflict, problem.HoldUnreached, fmt.Sprintf(
			"The SSH server of %s does not answer at %s; see whether the host still beats.", run.HostName, t.hold.Addr))
	}

	t.host = host

	from := addr(c)
	err = u.writeAudit(c.UserContext(), core.Audit{
		Who: t.who, Action: "hold.tunnel", Object: "run/" + string(run.ID), Host: run.Host, Run: run.ID,
		Text: fmt.Sprintf("opened a tunnel to the held host %s (run %s) from %s", run.HostName, run.ID, from),
	})
	if err != nil {
		return errors.Join(err, host.Close())
	}

	return nil
}

// carry copies both ways until one of the reasons to end is there. conn is of no
// use afterwards.
func (u *UI) carry(ctx context.Context, t *tunnel, conn net.Conn) {
	raw := conn
	if taken, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		raw = taken.UnsafeConn() // closing what the server hands out does nothing
	}

	var in, out int64

	copied := make(chan struct{})

	go func() {
		defer close(copied)

		var both sync.WaitGroup

		both.Go(func() { in = pour(t.host, conn) })
		both.Go(func() { out = pour(raw, t.host) })
		both.Wait()
	}()

	why := u.watch(ctx, t.alive, func(ctx context.Context) string { return u.holdEnded(ctx, t.run, &t.hold) }, copied)

	_ = raw.Close()    // what is still being copied ends
	_ = t.host.Close() // likewise

	<-copied
	u.cfg.Log.Info("tunnel to held host closed", slog.String("run", string(t.run)), slog.String("who", t.who), slog.String("why", why),
		slog.Int64("bytes_to_host", in), slog.Int64("bytes_from_host", out))
}

// pour copies to its end, which it hands on: whoever reads at the other side may
// still have something to say.
func pour(to io.Writer, from io.Reader) int64 {
	n, err := io.Copy(to, from)

	half, can := to.(interface{ CloseWrite() error })
	if err == nil && can && half.CloseWrite() == nil {
		return n
	}

	if whole, can := to.(io.Closer); can {
		_ = whole.Close() // it ends the other direction too
	}

	return n
}

// watch waits for a reason to end a tunnel or a terminal and names it: what it leads to has
// ended, the caller may no longer be here, or an end closed it.
func (u *UI) watch(ctx context.Context, alive func(context.Context) error, ended func(context.Context) string, copied <-chan struct{}) string {
	beat := time.NewTicker(u.tunnels.beat)
	defer beat.Stop()

	for seq := uint64(0); ; {
		rung, wake := u.cfg.Bell.After(seq)
		seq = rung

		if why := ended(ctx); why != "" {
			return why
		}

		select {
		case <-copied:
			return "closed by an end"
		case <-u.tunnels.over:
			return "the appliance stops"
		case <-beat.C:
			switch err := alive(ctx); {
			case errors.Is(err, core.ErrRefused):
				return "the caller may no longer open it"
			case err != nil:
				return "the caller's session or token has ended"
			}
		case <-closedOr(wake):
		}

		select { // however much happens, the run is not looked at all the time
		case <-copied:
		case <-u.tunnels.over:
		case <-time.After(holdLook):
		}
	}
}

// closedOr is wake, or a channel that is closed where there is none.
func closedOr(wake <-chan struct{}) <-chan struct{} {
	if wake != nil {
		return wake
	}

	now := make(chan struct{})
	close(now)

	return now
}

// holdEnded says why the hold of a run is no more that somebody looks into; empty while it is.
func (u *UI) holdEnded(ctx context.Context, id core.RunID, hold *core.Hold) string {
	var run core.Run

	err := u.cfg.Ledger.View(ctx, func(r core.Reader) (err error) {
		run, err = lookup.Run(r, id)

		return err
	})

	switch {
	case err != nil:
		return "the run cannot be read"
	case run.State != core.StateFailedHolding:
		return "the run is in " + string(run.State)
	case run.Hold == nil, run.Hold.Epoch != hold.Epoch, run.Hold.Addr != hold.Addr, run.Hold.HostKey != hold.HostKey:
		return "the hold is another one"
	default:
		return ""
	}
}
