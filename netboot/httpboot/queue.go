package httpboot

import (
	"cmp"
	"net/netip"
	"sync"
	"time"
)

// A rack that is switched on at once would share the wire so thinly that boot programs
// give up. So only as many machines load the image as the card can feed; the others wait
// in their boot program, which asks again when it is told to (HTTP 503 and Retry-After,
// RFC 9110 §15.6.4; iPXE obeys since 2016, httpcore.c).

const (
	perGigabit  = 12               // machines that load at once for each Gbit/s: 10 MB/s for each
	leastPlaces = 4                // of a card of 100 Mbit/s
	mostPlaces  = 256              // as many as the server has connections for
	loadTime    = 3 * time.Minute  // then a machine that has not finished is taken for lost
	askAgain    = 2 * time.Second  // between two questions of one that waits
	mostWait    = 20 * time.Second // likewise, far down the line
	absence     = 20 * time.Second // beyond its time a machine may be late before its turn goes to others
	mostInLine  = 4096
)

// queue admits machines to loading the image, in the order in which they came. Safe for
// concurrent use.
type queue struct {
	mu      sync.Mutex // guards all below
	places  int
	loading map[netip.Addr]time.Time // until when each holds its place
	line    []waiting                // in order of arrival
}

type waiting struct {
	addr netip.Addr
	due  time.Time // when it is to ask again
	lost bool      // it began anew instead: its boot program cannot wait
}

func newQueue() *queue { return &queue{places: perGigabit, loading: map[netip.Addr]time.Time{}} }

// size sets the places for a card of so many Mbit/s; 0: nobody knows, and it is taken for
// one of 1000.
func (q *queue) size(megabits int) {
	q.mu.Lock()
	defer q.mu.Unlock()

	q.places = min(max(perGigabit*cmp.Or(megabits, 1000)/1000, leastPlaces), mostPlaces)
}

// take gives a place to a machine that cannot be made to wait: firmware and GRUB take
// a 503 for a failure.
func (q *queue) take(addr netip.Addr, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()

	q.expire(now)
	q.strike(addr)
	q.loading[addr] = now.Add(loadTime)
}

// enter asks for a place. after is 0 when there is one, which is held until leave or
// loadTime; else how long to wait before asking again.
func (q *queue) enter(addr netip.Addr, now time.Time) (after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()

	q.expire(now)

	if _, has := q.loading[addr]; has { // it has begun anew
		q.loading[addr] = now.Add(loadTime)

		return 0
	}

	at := q.position(addr)

	// Those in front of it keep what is free for them: nobody is overtaken, but by one that
	// would start anew for ever. For such a one nothing is kept: it is let in regardless, and
	// perhaps it does not want the image any more.
	ahead := q.ahead(at)
	if ahead < q.places-len(q.loading) || at < len(q.line) && q.line[at].lost {
		q.strike(addr)
		q.loading[addr] = now.Add(loadTime)

		return 0
	}

	// The further down the line, the longer: 256 machines ask some twenty times a second.
	after = min(askAgain*time.Duration(1+ahead/q.places), mostWait)

	if at >= mostInLine {
		return mostWait
	}

	if at == len(q.line) {
		q.line = append(q.line, waiting{addr: addr})
	}

	q.line[at].due = now.Add(after)

	return after
}

// restarted notes that a machine begins anew. If it was told to wait, its boot program took
// that for a failure (iPXE before 2016 does): the next time it is let in at once.
func (q *queue) restarted(addr netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()

	if at := q.position(addr); at < len(q.line) && !q.line[at].lost {
		q.line[at].lost = true
		q.line[at].due = q.line[at].due.Add(loadTime) // firmware takes its time
	}
}

// quit takes a machine out of the line that does not want the image any more.
func (q *queue) quit(addr netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()

	q.strike(addr)
}

// leave gives a place back.
func (q *queue) leave(addr netip.Addr) {
	q.mu.Lock()
	defer q.mu.Unlock()

	delete(q.loading, addr)
}

// position is a machine's place in the line; its length for one that is not in it.
// q.mu is held.
func (q *queue) position(addr netip.Addr) int {
	for i := range q.line {
		if q.line[i].addr == addr {
			return i
		}
	}

	return len(q.line)
}

// ahead counts the machines in front of a position that a place is kept for. q.mu is held.
func (q *queue) ahead(at int) (n int) {
	for _, w := range q.line[:at] {
		if !w.lost {
			n++
		}
	}

	return n
}

// strike takes a machine out of the line. q.mu is held.
func (q *queue) strike(addr netip.Addr) {
	if at := q.position(addr); at < len(q.line) {
		q.line = append(q.line[:at], q.line[at+1:]...)
	}
}

// expire forgets who has not finished or not come again. q.mu is held.
func (q *queue) expire(now time.Time) {
	for addr, until := range q.loading {
		if now.After(until) {
			delete(q.loading, addr)
		}
	}

	kept := q.line[:0]

	for _, w := range q.line {
		if !now.After(w.due.Add(absence)) {
			kept = append(kept, w)
		}
	}

	q.line = kept
}
