package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// writePresence is how often a beat that tells nothing new is written down.
const writePresence = 5 * time.Minute

// presences remember which installed hosts were heard, so that a beat costs no
// write. Moments are of the even clock, which nobody sets.
type presences struct {
	mu     sync.Mutex // guards the rest
	byHost map[core.MAC]*heard
}

type heard struct {
	at      time.Duration // last beat
	written time.Duration // last beat that was written down
	known   core.Presence // as it was written
}

func newPresences() *presences { return &presences{byHost: map[core.MAC]*heard{}} }

// load reads who was online when the appliance stopped; they get the whole
// silence to be heard again.
func (p *presences) load(ctx context.Context, ledger core.Ledger, now time.Duration) error {
	return ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TablePresence, core.Query{}, func(key string, decode func(any) error) error {
			var known core.Presence
			if err := decode(&known); err != nil {
				return err
			}

			p.mu.Lock()
			defer p.mu.Unlock()

			p.byHost[core.MAC(key)] = &heard{at: now, written: now, known: known}

			return nil
		})
	})
}

// hear notes a beat, and reports whether there is something to write down.
func (p *presences) hear(mac core.MAC, now time.Duration, beat *core.HostBeat) (news bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	h := p.byHost[mac]
	if h == nil {
		return true
	}

	h.at = now
	k := &h.known

	return !k.Online || k.BootID != beat.BootID || k.AgentVersion != beat.AgentVersion || k.Refusal != beat.Refusal ||
		k.KeyID != beat.KeyID || now-h.written >= writePresence
}

// wrote notes what the ledger knows now.
func (p *presences) wrote(known core.Presence, now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.byHost[known.Host] = &heard{at: now, written: now, known: known}
}

func (p *presences) forget(mac core.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()

	delete(p.byHost, mac)
}

// silent lists the hosts that are on record as online and were not heard.
func (p *presences) silent(now, limit time.Duration) (macs []core.MAC) {
	p.mu.Lock()
	defer p.mu.Unlock()

	for _, mac := range slices.Sorted(maps.Keys(p.byHost)) {
		if h := p.byHost[mac]; h.known.Online && now-h.at >= limit {
			macs = append(macs, mac)
		}
	}

	return macs
}

// HostBeat takes a sign of life of an installed host and says what it is to do:
// to reboot, once, when its run waits for that and its key is approved. KeyID must
// be that of a checked signature.
func (e *Engine) HostBeat(ctx context.Context, mac core.MAC, beat core.HostBeat) (core.HostCommand, error) {
	primary, p := e.index.find(mac)
	if p == nil {
		return "", noHost(mac)
	}

	beat.AgentVersion, beat.BootID, beat.Refusal = clip(beat.AgentVersion, maxWord), clip(beat.BootID, maxWord), clip(beat.Refusal, maxWord)

	trusted, err := e.trusts(ctx, primary, beat.KeyID)
	if err != nil {
		return "", err
	}

	waits := p.run != nil && p.run.state == core.StateWaitingReboot || !p.offDue.IsZero()
	if news := e.presences.hear(primary, e.Uptime(), &beat); !news && !waits {
		return core.HostContinue, nil
	}

	cmd := core.HostContinue

	var known core.Presence

	err = e.write(ctx, func(c *change) error {
		host, err := c.host(primary)
		if err != nil {
			return err
		}

		cmd = core.HostContinue

		var refused bool

		if known, refused, err = c.present(&host, &beat); err != nil {
			return err
		}

		if host.CurrentRun == "" {
			return c.spare(&host)
		}

		cmd, err = c.tellReboot(&host, &beat, trusted, refused)

		return err
	})
	if err != nil {
		return "", err
	}

	e.presences.wrote(known, e.Uptime())

	return cmd, nil
}

// trusts says whether a host that signed with a key may be told to reboot. An
// error is a refusal to listen at all.
func (e *Engine) trusts(ctx context.Context, host core.MAC, keyID string) (bool, error) {
	if keyID == "" {
		if e.TrustLAN {
			return true, nil
		}

		return false, core.NewProblem(core.ErrUnauthorized, problem.HostKeyRefused, "This call must be signed with the host's key; register the host first.")
	}

	key, err := e.HostKey(ctx, keyID)

	switch {
	case err != nil:
		return false, err
	case key.Host != host:
		return false, core.NewProblem(core.ErrRefused, problem.HostKeyRefused, "This key belongs to another host.")
	case key.State == core.HostKeyRevoked:
		return false, core.NewProblem(core.ErrRefused, problem.HostKeyRefused, "This key was revoked; register the host with a new one.")
	default:
		return e.TrustLAN || key.State == core.HostKeyApproved, nil
	}
}

// present writes a beat down; refused is true when the host says for the first
// time that it would not reboot.
func (c *change) present(host *core.Host, beat *core.HostBeat) (known core.Presence, refused bool, err error) {
	err = c.Get(core.TablePresence, string(host.MAC), &known)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return known, false, err
	}

	came := !known.Online
	refused = beat.Refusal != "" && beat.Refusal != known.Refusal

	if came {
		known.Since = c.now
	}

	known.Host, known.Online, known.LastSeen = host.MAC, true, c.now
	known.AgentVersion, known.BootID, known.Uptime = beat.AgentVersion, beat.BootID, beat.Uptime
	known.KeyID, known.Refusal = beat.KeyID, beat.Refusal

	if err := c.Put(core.TablePresence, string(host.MAC), known); err != nil || !came {
		return known, refused, err
	}

	return known, refused, c.emit(core.EventHost, host.MAC, "", core.HostChange{Name: host.Name, Quarantine: host.Quarantine, Online: true})
}

// tellReboot tells an installed host to reboot, once for each time that its run
// comes to this way, and takes down that it would not.
func (c *change) tellReboot(host *core.Host, beat *core.HostBeat, trusted, refused bool) (core.HostCommand, error) {
	l, err := c.life(host.CurrentRun)
	if err != nil || l.run.State != core.StateWaitingReboot {
		return core.HostContinue, err
	}

	switch {
	case l.run.RebootTold.IsZero() && trusted:
		l.run.RebootTold = c.now
		c.wait(l)

		err := c.trace(host.MAC, []core.BootStep{{
			Time: c.now, MAC: host.MAC, Kind: "power", Way: core.PowerAgent, Op: core.PowerBoot, Detail: "told the installed agent to reboot",
		}})
		if err != nil {
			return core.HostContinue, err
		}

		return core.HostReboot, c.save(l)
	case !l.run.RebootTold.IsZero() && refused:
		if err := c.failedStep(l, problem.PowerAgentRefused, beat.Refusal); err != nil {
			return core.HostContinue, err
		}

		return core.HostContinue, c.save(l)
	default:
		return core.HostContinue, nil
	}
}

// failedStep leaves a step of the agent's way that did not work, and goes on.
func (c *change) failedStep(l *life, code, why string) error {
	if !l.further() { // else the step into the next way says it
		err := c.trace(l.run.Host, []core.BootStep{{
			Time: c.now, MAC: l.run.Host, Kind: "power", Way: core.PowerAgent, Op: core.PowerBoot, Code: code, Detail: clip(why, maxWord),
		}})
		if err != nil {
			return err
		}
	}

	return c.fails(l, code, why)
}

// awaitAgent begins with the installed agent: it is told with its next beat.
func (c *change) awaitAgent(l *life) error {
	var known core.Presence

	err := c.Get(core.TablePresence, string(l.run.Host), &known)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	approved, err := c.approved(l.run.Host)

	switch {
	case err != nil:
		return err
	case !c.engine.TrustLAN && !approved:
		return c.failedStep(l, problem.PowerKeyPending, "no key of this host is approved")
	case !known.Online:
		return c.failedStep(l, problem.PowerAgentOffline, "the installed agent is not heard")
	default:
		c.wait(l)

		return nil
	}
}

// watchHosts notes which installed hosts have gone silent.
func (e *Engine) watchHosts(ctx context.Context) {
	for _, mac := range e.presences.silent(e.Uptime(), e.HostSilence) {
		gone := core.Presence{Host: mac}

		err := e.write(ctx, func(c *change) error {
			err := c.Get(core.TablePresence, string(mac), &gone)
			if errors.Is(err, core.ErrNotFound) {
				return errNothing
			}

			host, err := c.host(mac)
			if err != nil {
				return err
			}

			gone.Online, gone.Since = false, c.now

			if err := c.Put(core.TablePresence, string(mac), gone); err != nil {
				return err
			}

			return c.emit(core.EventHost, mac, "", core.HostChange{Name: host.Name, Quarantine: host.Quarantine})
		})

		switch {
		case errors.Is(err, core.ErrNotFound):
			e.presences.forget(mac)
		case err != nil:
			e.Log.Error("silence of a host cannot be written", slog.String("host", string(mac)), slog.String("error", err.Error()))
		default:
			gone.Online = false
			e.presences.wrote(gone, e.Uptime())
		}
	}
}

// clampName makes a name for a host of what it calls itself.
func clampName(said string, mac core.MAC) string {
	if name := clip(said, maxWord); name != "" && isWord(name) {
		return name
	}

	return fmt.Sprintf("host-%s", mac)
}
