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
	"vetting/core/wayhome"
)

// ladders are what is known of the boot programs of hosts and of their ways home, by primary
// MAC. They are kept in memory, since a machine that refuses a program asks again at once,
// and written with the boot trace. Safe for concurrent use.
type ladders struct {
	mu   sync.Mutex // guards the rest
	host map[core.MAC]*core.Ladder
	home map[core.MAC]*core.Homeward
}

func newLadders() *ladders {
	return &ladders{host: map[core.MAC]*core.Ladder{}, home: map[core.MAC]*core.Homeward{}}
}

// of returns what is known of a host.
func (l *ladders) of(mac core.MAC) core.Ladder {
	l.mu.Lock()
	defer l.mu.Unlock()

	if known := l.host[mac]; known != nil {
		return *known
	}

	return core.Ladder{}
}

// homeward returns what is known of a host's ways home.
func (l *ladders) homeward(mac core.MAC) core.Homeward {
	l.mu.Lock()
	defer l.mu.Unlock()

	if known := l.home[mac]; known != nil {
		return *known
	}

	return core.Homeward{}
}

// seeHome takes a step of a registered host into account, which with stays is not to go home,
// and returns what of it people should read.
func (l *ladders) seeHome(mac core.MAC, step *core.BootStep, stays bool) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	known := l.home[mac]
	if known == nil {
		known = &core.Homeward{}
		l.home[mac] = known
	}

	return wayhome.See(known, step, stays)
}

// severalDisks takes down whether a host has several disks.
func (l *ladders) severalDisks(mac core.MAC, several bool) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if known := l.home[mac]; known != nil {
		known.Several = several
	}
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
	delete(l.home, mac)
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
				known := trace.Ladder // a copy: the steps are not to stay in memory
				l.host[core.MAC(key)] = &known
			}

			if l.home[core.MAC(key)] == nil {
				known := trace.Homeward
				l.home[core.MAC(key)] = &known
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

// home is how a host is sent to its own disk: as an operator has set, or as was found to
// work.
func (e *Engine) home(mac core.MAC, p *place, client *core.BootClient, now time.Time) core.Home {
	if p.home != "" {
		return p.home
	}

	way, _ := wayhome.Next(e.ladders.homeward(mac), client, now)

	return way
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

func checkHome(home core.Home) error {
	if home == "" || slices.Contains(core.Homes(), home) {
		return nil
	}

	names := make([]string, 0, len(core.Homes()))
	for _, h := range core.Homes() {
		names = append(names, string(h))
	}

	return badHost("The way to its own disk must be one of %s, or empty to take what works, not %.40q.", strings.Join(names, ", "), string(home))
}

// checkBootURL lets through what a boot program takes as one word, and core.OwnDisk.
func checkBootURL(address string) error {
	if address == "" || address == core.OwnDisk || profile.FitsURL(address) {
		return nil
	}

	return badHost("The boot URL must be %q for its own disk, or begin with http://, https:// or tftp://, name a server and no password, and be one word, not %.60q.",
		core.OwnDisk, address)
}

// note takes down that a host is given another boot program or another way home, and why.
func (e *Engine) note(step *core.BootStep, kind, why string) {
	e.queueStep(core.BootStep{Time: step.Time, MAC: step.MAC, Kind: kind, Detail: why})
}

// learn takes a step of a registered host into account, for its next boot.
func (e *Engine) learn(host core.MAC, step *core.BootStep) {
	_, p := e.index.find(host)
	local := p != nil && (p.run == nil || !boots(p.run.state))
	if p != nil && p.home == "" {
		if why := e.ladders.seeHome(host, step, !local || p.chain != ""); why != "" {
			e.note(step, "way-home", why)
		}
	}

	// What starts a host on its way home in place of the image says nothing of that.
	if local && e.ladders.of(host).Rung == core.LoaderUKI && takesHome(step) {
		return
	}

	if why := e.ladders.see(host, step); why != "" {
		e.note(step, "rung", why)
	}
}

// arrival is the boot step of an agent's first word.
func arrival(mac core.MAC, version string, secure bool, now time.Time) core.BootStep {
	said := fmt.Sprintf("the agent speaks, version %s", version)
	if secure {
		said += core.SaysSecureBoot
	}

	return core.BootStep{Time: now, MAC: mac, Kind: "hello", Detail: said}
}

// takesHome reports whether a step is about the program that takes machines home which start
// the live image as one program.
func takesHome(step *core.BootStep) bool {
	switch step.Kind {
	case "offer", "stand":
		return strings.HasSuffix(step.Detail, ladder.FileShim)
	case "tftp", "loader":
		return strings.HasPrefix(step.Detail, ladder.FileShim)
	default:
		return false
	}
}
