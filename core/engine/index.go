package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/profile"
)

// index answers from memory what boot services ask at every packet, and knows
// which runs have a deadline. It is a copy: refresh reads it anew from the
// ledger after every write that concerns a host.
type index struct {
	// refreshing is held for the whole of a refresh, so that a later one never
	// stores an older look.
	refreshing sync.Mutex

	mu     sync.RWMutex // guards the rest
	hosts  map[core.MAC]*place
	alias  map[core.MAC]core.MAC
	ports  map[core.MAC]core.MAC // further ports of machines whose run is under way
	nonces map[string]core.RunID
	tokens map[string]core.RunID // SHA-256 of live tokens, to tell a foreign one from a wrong one
	ranks  map[core.RunID]int    // of runs that people have moved in the queue
	stale  bool                  // a refresh failed: read everything anew
}

// place is what is known of a host.
type place struct {
	name    string
	loader  core.Loader // that an operator has set
	home    core.Home   // likewise
	chain   string      // where it is sent while no run waits
	aliases []core.MAC
	ports   []core.MAC // that its agent told of, while its run is under way
	run     *berth     // nil: no run that is not over
	offDue  time.Time
	secrets secrets
}

// berth is what is known of a run that is not over.
type berth struct {
	id       core.RunID
	host     core.MAC
	state    core.State
	deadline time.Time
	lastBeat time.Time
	nextWake time.Time
	stale    bool
	kernel   string // arguments that its profile wants
	overlays []core.Overlay
}

type secrets struct {
	nonce  string
	hashes []string
}

func newIndex() *index {
	return &index{
		hosts: map[core.MAC]*place{}, alias: map[core.MAC]core.MAC{}, ports: map[core.MAC]core.MAC{},
		nonces: map[string]core.RunID{}, tokens: map[string]core.RunID{},
	}
}

// refresh reads the given hosts anew. On failure it forgets them, so that nobody
// is served from what may be old, and asks the next tick to read everything.
func (x *index) refresh(ctx context.Context, e *Engine, macs []core.MAC) {
	if len(macs) == 0 {
		return
	}

	x.refreshing.Lock()
	defer x.refreshing.Unlock()

	places := map[core.MAC]*place{}

	err := e.Ledger.View(ctx, func(r core.Reader) error {
		for _, mac := range macs {
			p, err := readPlace(r, mac)
			if err != nil {
				return err
			}

			places[mac] = p
		}

		return nil
	})

	x.mu.Lock()
	defer x.mu.Unlock()

	if err != nil {
		e.Log.Error("index refresh failed", slog.String("error", err.Error()))

		x.stale = true
	}

	for _, mac := range macs {
		x.put(mac, places[mac])
	}
}

// reload reads all hosts anew.
func (x *index) reload(ctx context.Context, e *Engine) error {
	x.refreshing.Lock()
	defer x.refreshing.Unlock()

	places := map[core.MAC]*place{}

	var queue core.Queue

	err := e.Ledger.View(ctx, func(r core.Reader) (err error) {
		if queue, err = readQueue(r); err != nil {
			return err
		}

		return r.Scan(core.TableHost, core.Query{}, func(key string, _ func(any) error) error {
			p, err := readPlace(r, core.MAC(key))
			places[core.MAC(key)] = p

			return err
		})
	})
	if err != nil {
		return err
	}

	x.mu.Lock()
	defer x.mu.Unlock()

	for _, mac := range slices.Collect(maps.Keys(x.hosts)) {
		x.put(mac, nil)
	}

	for mac, p := range places {
		x.put(mac, p)
	}

	x.ranks, x.stale = queue.Ranks(), false

	return nil
}

func readPlace(r core.Reader, mac core.MAC) (*place, error) {
	var host core.Host

	switch err := r.Get(core.TableHost, string(mac), &host); {
	case errors.Is(err, core.ErrNotFound):
		return nil, nil //nolint:nilnil // no host is no place, and no fault
	case err != nil:
		return nil, err
	}

	p := &place{name: host.Name, loader: host.Loader, home: host.Home, aliases: host.Aliases, offDue: host.OffDue, chain: host.Onward()}

	if host.CurrentRun == "" {
		return p, nil
	}

	var run core.Run
	if err := r.Get(core.TableRun, string(host.CurrentRun), &run); err != nil {
		return nil, err
	}

	var secret core.RunSecret

	err := r.Get(core.TableRunSecret, string(run.ID), &secret)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, err
	}

	p.run = &berth{
		id: run.ID, host: mac, state: run.State, deadline: run.Deadline, lastBeat: run.LastBeat,
		nextWake: run.NextWake, stale: run.Stale, kernel: profile.KernelArguments(run.Profile), overlays: run.Overlays,
	}
	p.secrets.nonce = secret.BootNonce

	if boots(run.State) {
		p.ports = host.Identity.MACs
	}

	for _, hash := range [][]byte{secret.BootToken, secret.SessionToken} {
		if len(hash) > 0 {
			p.secrets.hashes = append(p.secrets.hashes, string(hash))
		}
	}

	return p, nil
}

// put replaces a host's place; nil forgets it. x.mu is held.
func (x *index) put(mac core.MAC, p *place) {
	if old := x.hosts[mac]; old != nil {
		for _, a := range old.aliases {
			if x.alias[a] == mac { // else it moved to another host meanwhile
				delete(x.alias, a)
			}
		}

		for _, port := range old.ports {
			if x.ports[port] == mac {
				delete(x.ports, port)
			}
		}

		delete(x.nonces, old.secrets.nonce)

		for _, h := range old.secrets.hashes {
			delete(x.tokens, h)
		}

		delete(x.hosts, mac)
	}

	if p == nil {
		return
	}

	x.hosts[mac] = p

	for _, a := range p.aliases {
		x.alias[a] = mac
	}

	for _, port := range p.ports {
		x.ports[port] = mac
	}

	if p.run != nil && p.secrets.nonce != "" {
		x.nonces[p.secrets.nonce] = p.run.id
	}

	for _, h := range p.secrets.hashes {
		x.tokens[h] = p.run.id
	}
}

// find returns the primary MAC and place of whoever has this address.
func (x *index) find(mac core.MAC) (core.MAC, *place) {
	x.mu.RLock()
	defer x.mu.RUnlock()

	if primary, ok := x.alias[mac]; ok {
		mac = primary
	}

	return mac, x.hosts[mac]
}

// portOf returns the primary MAC and place of the machine whose agent told of this
// port, while its run is under way. Nobody's own address is told by another.
func (x *index) portOf(mac core.MAC) (core.MAC, *place) {
	x.mu.RLock()
	defer x.mu.RUnlock()

	primary, ok := x.ports[mac]
	if !ok {
		return "", nil
	}

	return primary, x.hosts[primary]
}

// known returns the primary MAC of a registered host, or "".
func (x *index) known(mac core.MAC) core.MAC {
	primary, p := x.find(mac)
	if p == nil {
		return ""
	}

	return primary
}

// berths returns copies of all runs that are not over, in the order of their
// numbers, which is the order of the queue.
func (x *index) berths() []berth {
	x.mu.RLock()
	defer x.mu.RUnlock()

	var all []berth

	for _, p := range x.hosts {
		if p.run != nil {
			all = append(all, *p.run)
		}
	}

	slices.SortFunc(all, func(a, b berth) int { return strings.Compare(string(a.id), string(b.id)) })

	return all
}

// queue returns the runs that wait for their turn, in their order, and how many are under
// way. It is asked after every change of any run, and so copies and sorts no more than
// it must.
func (x *index) queue() (waiting []core.RunID, busy int) {
	x.mu.RLock()
	defer x.mu.RUnlock()

	for _, p := range x.hosts {
		switch {
		case p.run == nil || p.run.state == core.StateQueued && !p.run.deadline.IsZero(): // its start can be withdrawn yet
		case p.run.state == core.StateQueued:
			waiting = append(waiting, p.run.id)
		case p.run.state != core.StateRegistered && p.run.state != core.StateFailedHolding:
			busy++
		}
	}

	if len(x.ranks) == 0 {
		slices.Sort(waiting)

		return waiting, busy
	}

	slices.SortFunc(waiting, func(a, b core.RunID) int { return queueOrder(x.ranks, a, b) })

	return waiting, busy
}

// where returns the runs whose state is wanted and whose agents are heard, with the names
// of their hosts.
func (x *index) where(wanted func(core.State) bool) map[core.RunID]string {
	x.mu.RLock()
	defer x.mu.RUnlock()

	all := map[core.RunID]string{}

	for mac, p := range x.hosts {
		if p.run != nil && wanted(p.run.state) && !p.run.stale {
			all[p.run.id] = cmp.Or(p.name, string(mac))
		}
	}

	return all
}

// beat notes a sign of life that is written down already.
func (x *index) beat(run *core.Run) {
	x.mu.Lock()
	defer x.mu.Unlock()

	if p := x.hosts[run.Host]; p != nil && p.run != nil && p.run.id == run.ID && run.LastBeat.After(p.run.lastBeat) {
		next := *p.run
		next.deadline, next.lastBeat, next.stale = run.Deadline, run.LastBeat, run.Stale
		p.run = &next
	}
}

// offsDue lists the hosts that are to be switched off, and when.
func (x *index) offsDue() map[core.MAC]time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()

	var all map[core.MAC]time.Time

	for mac, p := range x.hosts {
		if p.offDue.IsZero() {
			continue
		}

		if all == nil {
			all = map[core.MAC]time.Time{}
		}

		all[mac] = p.offDue
	}

	return all
}

func (x *index) runOfNonce(nonce string) (core.RunID, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()

	id, ok := x.nonces[nonce]

	return id, ok && nonce != ""
}

// foreign reports whether a token is good, but for another run.
func (x *index) foreign(hash []byte, run core.RunID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()

	id, ok := x.tokens[string(hash)]

	return ok && id != run
}

func (x *index) isStale() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()

	return x.stale
}
