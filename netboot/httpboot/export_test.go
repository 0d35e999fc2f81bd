package httpboot

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// SendBuffer is what the server asks the kernel to hold of a connection; the kernel takes
// it twice, for what it needs itself.
const SendBuffer = sendBuffer

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

// Restarted is told that a machine begins anew.
func (q *Queue) Restarted(addr netip.Addr) { q.restarted(addr) }

// Places is how many may load at once.
func (q *Queue) Places() int { return q.places }

// Occupy gives a machine a place.
func (s *Server) Occupy(addr netip.Addr, now time.Time) { s.queue.take(addr, now) }

// Vacate gives it back.
func (s *Server) Vacate(addr netip.Addr) { s.queue.leave(addr) }

// Loading is how many places are taken.
func (s *Server) Loading() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()

	return len(s.queue.loading)
}

// Waiting is how many machines are in the line.
func (s *Server) Waiting() int {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()

	return len(s.queue.line)
}

// Buffers is what the kernel may hold of each connection that is open, in bytes.
func (s *Server) Buffers() (sizes []int, err error) {
	for _, c := range s.conns.Load().list(func(*conn) bool { return true }) {
		tcp, ok := c.Conn.(*net.TCPConn)
		if !ok {
			continue
		}

		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, err
		}

		var (
			size  int
			fault error
		)

		if err := raw.Control(func(fd uintptr) { size, fault = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF) }); err != nil {
			return nil, err
		}

		if fault != nil {
			return nil, fault
		}

		sizes = append(sizes, size)
	}

	return sizes, nil
}
