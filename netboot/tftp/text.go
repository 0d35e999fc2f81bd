package tftp

import (
	"net"
	"net/netip"
	"sync"
)

// text is the connection that pin/tftp reads from: granted text-mode requests
// in place of what arrives on the socket. Safe for concurrent use.
type text struct {
	Socket

	queue chan netip.AddrPort

	mu   sync.Mutex // guards jobs
	jobs map[netip.AddrPort]job
}

func newText(conn Socket) *text {
	return &text{Socket: conn, queue: make(chan netip.AddrPort, total), jobs: map[netip.AddrPort]job{}}
}

// pass hands a granted job over. There is room: no more jobs are granted at once.
func (t *text) pass(j job) {
	t.mu.Lock()
	t.jobs[j.from] = j
	t.mu.Unlock()

	t.queue <- j.from
}

// take returns the job for a client, once.
func (t *text) take(from netip.AddrPort) (job, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	j, ok := t.jobs[from]
	delete(t.jobs, from)

	return j, ok
}

// shut ends ReadFrom for good.
func (t *text) shut() { close(t.queue) }

// ReadFrom returns the next granted request.
func (t *text) ReadFrom(b []byte) (int, net.Addr, error) {
	from, ok := <-t.queue
	if !ok {
		return 0, nil, net.ErrClosed
	}

	t.mu.Lock()
	j := t.jobs[from]
	t.mu.Unlock()

	return copy(b, canonicalPacket(j.request)), net.UDPAddrFromAddrPort(from), nil
}
