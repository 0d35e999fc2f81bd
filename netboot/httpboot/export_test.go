package httpboot

import (
	"net/netip"
	"time"
)

// Queue is the line of machines that wait to load the image.
type Queue struct{ *queue }

// NewQueue has places for a card of so many Mbit/s.
func NewQueue(megabits int) *Queue {
	q := newQueue()
	q.size(megabits)

	return &Queue{q}
}

// Enter asks for a place.
func (q *Queue) Enter(addr netip.Addr, now time.Time) time.Duration { return q.enter(addr, now) }

// Leave gives a place back.
func (q *Queue) Leave(addr netip.Addr) { q.leave(addr) }

// Places is how many may load at once.
func (q *Queue) Places() int { return q.places }

// Occupy gives a machine a place.
func (s *Server) Occupy(addr netip.Addr, now time.Time) { s.queue.take(addr, now) }

// Vacate gives it back.
func (s *Server) Vacate(addr netip.Addr) { s.queue.leave(addr) }

// Loading is how many places are taken.
func (s *Server) Loading() int { return len(s.queue.loading) }
