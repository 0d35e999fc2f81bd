package engine

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/core/lifecycle"
	"vetting/core/problem"
	"vetting/core/wayhome"
)

// Bounds of what is handed out for a boot.
const (
	nonceBytes  = 16
	maxSeedGets = 8
)

// Decide answers from memory what a machine may have: nothing when it is not
// registered, its own disk when no run waits for it, else the live image. A run
// that is under way or held counts as waiting: if the machine comes back, the
// agent must come back with it, to be told what to do.
func (e *Engine) Decide(client core.BootClient) core.BootDecision {
	mac, p := e.index.find(client.MAC)
	if p == nil {
		return e.further(client)
	}

	d := core.BootDecision{Action: core.BootLocal, Host: mac, Name: p.name, Loader: e.loader(mac, p, client.Kind, e.Clock.Now())}
	if p.run != nil && boots(p.run.state) {
		d.Action, d.Run, d.Kernel, d.Overlays = core.BootVet, p.run.id, p.run.kernel, p.run.overlays

		return d
	}

	if d.Chain = p.chain; d.Chain == "" {
		d.Home = e.home(mac, p, &client, e.Clock.Now())
		if ladder.LeadsHome(&d) {
			d.Loader = wayhome.Loader(d.Loader)
		}
	}

	return d
}

// further answers our agent alone, on the other network ports of a machine that it is
// testing: they get an address, and nothing to boot from.
func (e *Engine) further(client core.BootClient) core.BootDecision {
	if client.Kind == core.ClientAgent {
		if mac, p := e.index.portOf(client.MAC); p != nil {
			return core.BootDecision{Action: core.BootLocal, Host: mac, Name: p.name}
		}
	}

	return core.BootDecision{Action: core.BootIgnore}
}

// boots reports whether a machine that boots in this state gets the live image.
func boots(state core.State) bool {
	return !state.Over() && state != core.StateRegistered && state != core.StateQueued
}

// Arm mints a fresh one-time boot token for the run that waits for mac, bound to
// the leased address, and returns the nonce of its seed archive. It voids the
// one before. ErrConflict when no run waits for the machine.
func (e *Engine) Arm(ctx context.Context, mac core.MAC, addr netip.Addr) (nonce string, err error) {
	nonce, err = e.drawNonce()
	if err != nil {
		return "", err
	}

	err = e.write(ctx, func(c *change) error {
		host, err := c.host(mac)
		if err != nil {
			return err
		}

		if host.CurrentRun == "" {
			return noRun(host.Name)
		}

		l, err := c.life(host.CurrentRun)
		if err != nil {
			return err
		}

		if !boots(l.run.State) {
			return noRun(host.Name)
		}

		return c.arm(l, nonce, addr)
	})
	if err != nil {
		return "", err
	}

	return nonce, nil
}

func noRun(name string) error {
	return core.NewProblem(core.ErrConflict, problem.BootNoRun, "No run waits for "+name+"; start one first.")
}

func (c *change) arm(l *life, nonce string, addr netip.Addr) error {
	l.secret.BootToken, l.secret.BootNonce = digest(c.engine.bootToken(l.run.ID, nonce)), nonce
	l.secret.BootAddr, l.secret.BootExpires = addr.Unmap().String(), c.now.Add(c.engine.BootTokenTTL)
	l.secret.BootUsed, l.secret.SeedGets = false, 0

	if err := c.move(l, lifecycle.Arm); err != nil {
		return err
	}

	return c.save(l)
}

// armed reports whether a boot token is out whose seed can be written. After the
// appliance's secret was changed it cannot.
func (c *change) armed(l *life) bool {
	return same(l.secret.BootToken, digest(c.engine.bootToken(l.run.ID, l.secret.BootNonce)))
}

// Seed returns the content of the seed file for nonce. With head nothing is counted,
// and the content may be empty. ErrNotFound, ErrRefused (wrong address), ErrExpired
// (claimed, too old), ErrTooOften.
func (e *Engine) Seed(ctx context.Context, nonce string, addr netip.Addr, head bool) ([]byte, error) {
	id, err := e.runFor(nonce)
	if err != nil {
		return nil, err
	}

	return e.seed(ctx, id, nonce, addr, head)
}

// SeedOf returns the content of the seed file of the run that waits for mac, which is at
// addr, for boot programs that can load but one image: it is armed on the spot, unless
// it is already. Otherwise it is as Seed; with head nothing is minted either.
func (e *Engine) SeedOf(ctx context.Context, mac core.MAC, addr netip.Addr, head bool) ([]byte, error) {
	_, p := e.index.find(mac)
	if p == nil || p.run == nil || !boots(p.run.state) {
		return nil, seedUnknown()
	}

	return e.seed(ctx, p.run.id, "", addr, head)
}

// seed gives the seed of a run; nonce "" is whichever it has, or a fresh one.
func (e *Engine) seed(ctx context.Context, id core.RunID, nonce string, addr netip.Addr, head bool) ([]byte, error) {
	fresh, err := e.drawNonce()
	if err != nil {
		return nil, err
	}

	var seed core.Seed

	self := nonce == ""

	err = e.write(ctx, func(c *change) error {
		l, err := c.life(id)
		if err != nil {
			return err
		}

		if !self && l.secret.BootNonce != nonce || !boots(l.run.State) {
			return seedUnknown()
		}

		mint := self && !l.secret.BootUsed && (!c.armed(l) || c.now.After(l.secret.BootExpires) || l.secret.BootAddr != addr.Unmap().String())

		switch {
		case mint && head:
			return errNothing
		case mint:
			if err := c.arm(l, fresh, addr); err != nil {
				return err
			}
		}

		return c.giveSeed(l, addr, head, &seed)
	})
	if err != nil || seed.Run == "" {
		return nil, err
	}

	return e.SeedFile(seed)
}

// giveSeed hands the seed out, counted.
func (c *change) giveSeed(l *life, addr netip.Addr, head bool, seed *core.Seed) error {
	s := &l.secret

	switch {
	case s.BootAddr != addr.Unmap().String():
		if head {
			return wrongAddress()
		}

		if err := c.notice(l.run.Host, l.run.ID, problem.BootWrongAddress,
			fmt.Sprintf("%s asked for the seed of %s, which belongs to %s", addr, l.run.HostName, s.BootAddr)); err != nil {
			return err
		}

		return c.refuse(wrongAddress())
	case s.BootUsed || !c.armed(l):
		return core.NewProblem(core.ErrExpired, problem.BootSeedSpent, "This seed was claimed; boot the host again for a fresh one.")
	case c.now.After(s.BootExpires):
		return core.NewProblem(core.ErrExpired, problem.BootTokenExpired, "This seed is too old; boot the host again for a fresh one.")
	case s.SeedGets >= maxSeedGets:
		return core.NewProblem(core.ErrTooOften, problem.BootSeedSpent,
			fmt.Sprintf("This seed was fetched %d times; boot the host again for a fresh one.", s.SeedGets))
	}

	*seed = core.Seed{Run: l.run.ID, MAC: l.run.Host, BootToken: c.engine.bootToken(l.run.ID, s.BootNonce), Expires: s.BootExpires}

	if head {
		return errNothing
	}

	s.SeedGets++

	return c.save(l)
}

func wrongAddress() error {
	return core.NewProblem(core.ErrRefused, problem.BootWrongAddress, "This seed belongs to another machine.")
}

func seedUnknown() error {
	return core.NewProblem(core.ErrNotFound, problem.BootSeedUnknown, "No run waits for this seed; boot the host again.")
}

func (e *Engine) runFor(nonce string) (core.RunID, error) {
	id, ok := e.index.runOfNonce(nonce)
	if !ok {
		return "", seedUnknown()
	}

	return id, nil
}

// bootable says why a boot token that is the right one may not be used now.
func (l *life) bootable(now time.Time) error {
	switch {
	case l.run.State.Over():
		return core.NewProblem(core.ErrExpired, problem.RunOver, "This run is over; start a new one.")
	case now.After(l.secret.BootExpires):
		return core.NewProblem(core.ErrExpired, problem.BootTokenExpired, "This boot token is too old; boot the host again for a fresh one.")
	default:
		return nil
	}
}
