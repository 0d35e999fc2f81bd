package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/ladder"
	"vetting/core/profile"
)

// ladders are what is known of the boot programs of hosts, by primary MAC. They are
// kept in memory, since a machine that refuses a program asks again at once, and
// written with the boot trace. Safe for concurrent use.
type ladders struct {
	mu   sync.Mutex // guards host
	host map[core.MAC]*core.Ladder
}

func newLadders() *ladders { return &ladders{host: map[core.MAC]*core.Ladder{}} }

// of returns what is known of a host.
func (l *ladders) of(mac core.MAC) core.Ladder {
	l.mu.Lock()
	defer l.mu.Unlock()

	if known := l.host[mac]; known != nil {
		return *known
	}

	return core.Ladder{}
}

// see takes a step of a registered host into account and returns what of it people
// should read.
func (l *ladders) see(mac core.MAC, step *core.BootStep) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	known := l.host[mac]
	if known == nil {
		known = &core.Ladder{}
		l.host[mac] = known
	}

	_, why = ladder.See(known, step)

	return why
}

// forget drops a host that is gone for good.
func (l *ladders) forget(mac core.MAC) {
	l.mu.Lock()
	defer l.mu.Unlock()

	delete(l.host, mac)
}

// load reads what was known before a restart.
func (l *ladders) load(ctx context.Context, ledger core.Ledger) error {
	return ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableBoot, core.Query{}, func(key string, decode func(any) error) error {
			var trace core.BootTrace
			if err := decode(&trace); err != nil {
				return err
			}

			l.mu.Lock()
			defer l.mu.Unlock()

			if l.host[core.MAC(key)] == nil {
				l.host[core.MAC(key)] = &trace.Ladder
			}

			return nil
		})
	})
}

// loader is the boot program for a host: what an operator has set, or the rung of
// the ladder that it is on. The image as one program cannot take overlays along.
func (e *Engine) loader(mac core.MAC, p *place, kind core.ClientKind, now time.Time) core.Loader {
	rung := p.loader
	if rung == "" {
		rung, _ = ladder.Next(e.ladders.of(mac), kind, now)
	}

	if rung == core.LoaderUKI && p.run != nil && len(p.run.overlays) > 0 {
		return core.LoaderShim
	}

	return rung
}

func checkLoader(loader core.Loader) error {
	if loader == "" || slices.Contains(core.Loaders(), loader) {
		return nil
	}

	names := make([]string, 0, len(core.Loaders()))
	for _, l := range core.Loaders() {
		names = append(names, string(l))
	}

	return badHost("The boot program must be one of %s, or empty to take what works, not %.40q.", strings.Join(names, ", "), string(loader))
}

// checkBootURL lets through what a boot program takes as one word, and core.OwnDisk.
func checkBootURL(address string) error {
	if address == "" || address == core.OwnDisk || profile.FitsURL(address) {
		return nil
	}

	return badHost("The boot URL must be %q for its own disk, or begin with http://, https:// or tftp://, name a server and no password, and be one word, not %.60q.",
		core.OwnDisk, address)
}

// noteRung takes down that a host is given another boot program, and why.
func (e *Engine) noteRung(step *core.BootStep, why string) {
	e.queueStep(core.BootStep{Time: step.Time, MAC: step.MAC, Kind: "rung", Detail: why})
}

// arrival is the boot step of an agent's first word.
func arrival(mac core.MAC, version string, secure bool, now time.Time) core.BootStep {
	said := fmt.Sprintf("the agent speaks, version %s", version)
	if secure {
		said += core.SaysSecureBoot
	}

	return core.BootStep{Time: now, MAC: mac, Kind: "hello", Detail: said}
}
