package tftp

import (
	"net/netip"
	"time"
)

// Soon is how long a client is waited for awake that took so long to answer.
func Soon(rtts ...time.Duration) time.Duration {
	p := pacer{wait: firstWait}
	for _, rtt := range rtts {
		p.took(rtt)
	}

	return p.soon()
}

// Stays is whether an ear that may be awake for so long stays so, that has been for since, and
// in a row for woken.
func Stays(awake, since, woken time.Duration) bool {
	now := time.Now()
	e := &ear{ask: ask{awake: awake}, woken: now.Add(-woken)}

	return e.stays(now.Add(-since))
}

// Alone reports whether a server would wait awake, as with one transfer under way.
func Alone(s *Server) bool { return s.alone() }

// Enter begins a transfer.
func Enter(s *Server, from netip.AddrPort) { s.enter(from) }

// Leave ends a transfer.
func Leave(s *Server, from netip.AddrPort) { s.leave(from) }

// MostAwake is the most of it.
const MostAwake = mostAwake
