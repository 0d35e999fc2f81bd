package partner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// The bounds of a meeting of two machines.
const (
	// holdTime is how long a call waits for something to happen.
	holdTime = 5 * time.Second
	// lookTime is how often it is looked whether the other machine is still there.
	lookTime = time.Second
	// meetTime is how long a meeting may take.
	meetTime = 2 * time.Hour
)

// Meetings brings machines together that wait in the same stage, so that they measure
// each other, one after the other. It keeps nothing: what is under way when the appliance
// ends is told to be gone. Testing must be set, and no field is
// changed once it is used. Safe for concurrent use.
type Meetings struct {
	// Testing returns the runs that are in the stage Network, with the names of their
	// hosts.
	Testing func(ctx context.Context) map[core.RunID]string
	// Coming returns the runs that have it before them; nil: none have.
	Coming func(ctx context.Context) map[core.RunID]string
	// Has reports whether an address is of the test network; nil: any is.
	Has func(net.Addr) bool
	// Hold is how long a call waits; 0 is 5 s. It is less than what a call may take to be
	// read.
	Hold time.Duration

	mu      sync.Mutex
	waiting []*guest            // guarded by mu: whom nobody has met yet
	met     map[string]*meeting // guarded by mu, by its name
}

// guest is a machine that offers a port.
type guest struct {
	run     core.RunID
	offer   wire.Peer
	meeting *meeting // guarded by Meetings.mu; nil: none yet
}

// meeting is two machines, of which the first measures first.
type meeting struct {
	id     string
	sides  [2]*guest
	turn   int  // guarded by Meetings.mu, as what follows: whose it is; 2: over
	gone   bool // one has left
	moved  chan struct{}
	expiry time.Time
}

// side is which of both a run is; -1: neither.
func (m *meeting) side(run core.RunID) int {
	for i, g := range m.sides {
		if g.run == run {
			return i
		}
	}

	return -1
}

// move tells who waits that something has changed; Meetings.mu is held.
func (m *meeting) move() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// Pair answers a machine of a run in the stage Network.
func (m *Meetings) Pair(ctx context.Context, run core.RunID, ask wire.Pair) (wire.PairReply, error) {
	hold := m.Hold
	if hold == 0 {
		hold = holdTime
	}

	ctx, cancel := context.WithTimeout(ctx, hold)
	defer cancel()

	if ask.Step == wire.PairOffer {
		return m.offer(ctx, run, *ask.Mine, ask.Patient)
	}

	return m.next(ctx, run, ask), nil
}

// offer takes a port and waits for somebody to meet it.
func (m *Meetings) offer(ctx context.Context, run core.RunID, mine wire.Peer, patient bool) (wire.PairReply, error) {
	addr, err := netip.ParseAddr(mine.Address)
	if err != nil || m.Has != nil && !m.Has(&net.TCPAddr{IP: addr.AsSlice(), Port: mine.Port}) {
		return wire.PairReply{}, core.NewProblem(core.ErrInvalid, "agent/invalid-message", "The port that is offered has no address of the test network.")
	}

	testing := m.Testing(ctx)

	host, known := testing[run]
	if !known {
		return wire.PairReply{}, core.NewProblem(core.ErrConflict, "run/wrong-state", "The run is not in the stage Network.")
	}

	mine.Host = host
	g := &guest{run: run, offer: mine}

	m.mu.Lock()
	m.forget(run)

	if other := m.takeWaiting(g, testing); other != nil {
		met := m.bring(other, g)
		reply := met.reply(1)
		m.mu.Unlock()

		return reply, nil
	}

	m.waiting = append(m.waiting, g)
	m.mu.Unlock()

	return m.await(ctx, g, patient), nil
}

// forget takes a run out of whatever it was in; mu is held.
func (m *Meetings) forget(run core.RunID) {
	now, kept := time.Now(), m.waiting[:0]

	for _, g := range m.waiting {
		if g.run != run {
			kept = append(kept, g)
		}
	}

	clear(m.waiting[len(kept):])
	m.waiting = kept

	for id, met := range m.met {
		if met.side(run) >= 0 || now.After(met.expiry) {
			met.gone = true
			met.move()
			delete(m.met, id)
		}
	}
}

// takeWaiting returns somebody who waits and is still there, the one who came first; mu is
// held. Who offers the same address is no second machine.
func (m *Meetings) takeWaiting(g *guest, testing map[core.RunID]string) *guest {
	for i, other := range m.waiting {
		if _, known := testing[other.run]; !known || other.offer.Address == g.offer.Address {
			continue
		}

		m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)

		return other
	}

	return nil
}

// bring makes a meeting; mu is held.
func (m *Meetings) bring(first, second *guest) *meeting {
	var raw [16]byte

	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)

	met := &meeting{id: hex.EncodeToString(raw[:]), sides: [2]*guest{first, second}, moved: make(chan struct{}), expiry: time.Now().Add(meetTime)}
	first.meeting, second.meeting = met, met

	if m.met == nil {
		m.met = map[string]*meeting{}
	}

	m.met[met.id] = met

	return met
}

// reply says where a meeting is, to one of its sides; mu is held.
func (m *meeting) reply(side int) wire.PairReply {
	out := wire.PairReply{Meeting: m.id, State: wire.PairServe}

	switch {
	case m.turn > 1:
		out.State = wire.PairOver
	case m.gone:
		out.State = wire.PairGone
	case m.turn == side:
		out.State = wire.PairTurn
	}

	if out.State == wire.PairServe || out.State == wire.PairTurn {
		peer := m.sides[1-side].offer
		out.Peer = &peer
	}

	return out
}

// await waits until somebody has met a guest.
func (m *Meetings) await(ctx context.Context, g *guest, patient bool) wire.PairReply {
	look := time.NewTicker(lookTime)
	defer look.Stop()

	for {
		rivals := m.rivals(ctx, g.run, patient)

		m.mu.Lock()

		switch {
		case g.meeting != nil:
			reply := g.meeting.reply(0)
			m.mu.Unlock()

			return reply
		case !rivals || ctx.Err() != nil:
			m.drop(g)
			m.mu.Unlock()

			if rivals {
				return wire.PairReply{State: wire.PairWaiting}
			}

			return wire.PairReply{State: wire.PairAlone}
		}

		m.mu.Unlock()

		select {
		case <-ctx.Done():
		case <-look.C:
		}
	}
}

// rivals reports whether there is anybody to wait for.
func (m *Meetings) rivals(ctx context.Context, run core.RunID, patient bool) bool {
	others := m.Testing(ctx)
	delete(others, run)

	if len(others) == 0 && patient && m.Coming != nil {
		others = m.Coming(ctx)
	}

	return len(others) > 0
}

// drop takes a guest back; mu is held.
func (m *Meetings) drop(g *guest) {
	for i, other := range m.waiting {
		if other == g {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)

			return
		}
	}
}

// next goes on in a meeting, and waits until it is the caller's turn or the end.
func (m *Meetings) next(ctx context.Context, run core.RunID, ask wire.Pair) wire.PairReply {
	look := time.NewTicker(lookTime)
	defer look.Stop()

	m.mu.Lock()
	defer m.mu.Unlock()

	if ask.Step == wire.PairLeave {
		m.forget(run)

		return wire.PairReply{State: wire.PairGone}
	}

	met := m.met[ask.Meeting]
	if met == nil || met.side(run) < 0 {
		return wire.PairReply{State: wire.PairGone}
	}

	side := met.side(run)

	if ask.Step == wire.PairDone && met.turn == side { // said again, it changes nothing
		met.turn++
		met.move()
	}

	for {
		reply, moved := met.reply(side), met.moved
		if reply.State != wire.PairServe || ctx.Err() != nil {
			return reply
		}

		m.mu.Unlock()

		select {
		case <-moved:
		case <-ctx.Done():
		case <-look.C:
		}

		_, testing := m.Testing(ctx)[met.sides[1-side].run]

		m.mu.Lock()

		if !testing && met.turn < 2 && ctx.Err() == nil {
			met.gone = true
		}
	}
}
