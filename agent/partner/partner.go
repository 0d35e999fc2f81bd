package partner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// Config is what the partner needs. Authorise and Log must not be nil.
type Config struct {
	// Authorise checks a session token of the current epoch.
	Authorise func(ctx context.Context, run core.RunID, token string) (epoch int, err error)
	// Link reads what the test NIC is and has moved; nil: nobody knows.
	Link func() Link
	// Stat reads /proc/stat; nil: nobody knows how busy the CPUs are.
	Stat func() ([]byte, error)
	// Port is the network card that datagrams go over, whatever the routes say; empty: any.
	Port string
	// Has reports whether an address is of the test network; nil: any is.
	Has func(net.Addr) bool
	Log *slog.Logger

	// IPerf3 has stock clients of iperf3 answered too, without a ticket.
	IPerf3 bool
	// Patience is how long a machine may neither send nor take anything; 0 is 20 s.
	Patience time.Duration
	// Recheck is how often it is asked whether the run still goes on, and how often who waits
	// for a place is told so; 0 is 5 s.
	Recheck time.Duration
	// Places are how many tests go on at once; 0 is 768.
	Places int
}

// Link is a network card and what it has moved since it is up.
type Link struct {
	Mbps   int // 0: not known
	Rx, Tx uint64
}

// The bounds of what machines may cost. Whoever comes when all places are taken waits
// for one and is not turned away.
const (
	maxFlows    = 768 // at once; each has a buffer of 128 KiB at most
	maxPerAddr  = 48  // connections of one address at once
	ticketTime  = 15 * time.Minute
	firstWord   = 10 * time.Second // to say what is wanted
	maxGreeters = 256              // connections that have not said it yet
)

// Partner answers machines. Make it with New, then Serve. Safe for concurrent use.
type Partner struct {
	Config

	port  atomic.Int64
	flows chan struct{} // a place for each that is under way
	doors chan struct{} // for each that has not said what it wants

	mu      sync.Mutex
	tickets map[string]*ticket // guarded by mu
	ofRun   map[core.RunID]*ticket
	perAddr map[string]int        // guarded by mu
	iperfs  map[string]*iperfTest // guarded by mu: by their cookies

	iperfPlaces int // guarded by mu: that they have
}

// ticket lets one session of a run use the partner.
type ticket struct {
	id, key, token string
	run            core.RunID
	moved          [2]atomic.Uint64 // bytes by direction

	ends time.Time // guarded by Partner.mu; grows with each use
}

// The directions, seen from the partner.
const (
	incoming = 0
	outgoing = 1
)

// New returns a partner that does nothing yet.
func New(c Config) *Partner {
	if c.Patience == 0 {
		c.Patience = 20 * time.Second
	}

	if c.Recheck == 0 {
		c.Recheck = 5 * time.Second
	}

	if c.Places == 0 {
		c.Places = maxFlows
	}

	if c.Has == nil {
		c.Has = func(net.Addr) bool { return true }
	}

	return &Partner{
		Config: c, flows: make(chan struct{}, c.Places), doors: make(chan struct{}, maxGreeters),
		tickets: map[string]*ticket{}, ofRun: map[core.RunID]*ticket{}, perAddr: map[string]int{}, iperfs: map[string]*iperfTest{},
	}
}

// Admit gives out a ticket for a session whose token was checked; the one that the run
// had before is void. ErrNotFound: nobody listens.
func (p *Partner) Admit(run core.RunID, token string) (wire.TrafficReply, error) {
	port := int(p.port.Load())
	if port == 0 {
		return wire.TrafficReply{}, core.NewProblem(core.ErrNotFound, "agent/no-partner",
			"The throughput partner of this appliance does not listen; look into its log.")
	}

	var raw [16 + 32]byte

	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)

	t := &ticket{id: hex.EncodeToString(raw[:16]), key: hex.EncodeToString(raw[16:]), token: token, run: run}

	p.mu.Lock()
	defer p.mu.Unlock()

	now := time.Now()

	for id, old := range p.tickets {
		if old.run == run || now.After(old.ends) {
			delete(p.tickets, id)
			delete(p.ofRun, old.run)
		}
	}

	t.ends = now.Add(ticketTime)
	p.tickets[t.id], p.ofRun[run] = t, t

	return wire.TrafficReply{Ticket: t.id, Key: t.key, Port: port}, nil
}

// ticketOf finds a ticket that is good, and lets it be so for longer.
func (p *Partner) ticketOf(id string) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()

	t, now := p.tickets[id], time.Now()
	if t == nil || now.After(t.ends) {
		return nil
	}

	t.ends = now.Add(ticketTime)

	return t
}

// valid reports whether a ticket is still the one of its run.
func (p *Partner) valid(t *ticket) bool { return p.ticketOf(t.id) == t }

// enter counts a connection of an address, unless it has too many.
func (p *Partner) enter(addr string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.perAddr[addr] >= maxPerAddr {
		return false
	}

	p.perAddr[addr]++

	return true
}

func (p *Partner) leave(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.perAddr[addr]--; p.perAddr[addr] == 0 {
		delete(p.perAddr, addr)
	}
}
