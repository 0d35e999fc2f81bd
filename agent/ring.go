package agent

import "sync"

// ring is a queue that is bounded by weight and forgets the oldest. Safe for
// concurrent use.
type ring[T any] struct {
	limit int // bytes

	mu      sync.Mutex
	items   []weighed[T]  // guarded by mu
	weight  int           // guarded by mu
	dropped int           // guarded by mu: forgotten since the last take
	pushed  uint64        // guarded by mu: items ever pushed
	settled uint64        // guarded by mu: items ever sent, refused or forgotten
	changed chan struct{} // guarded by mu: closed when settled grows
}

type weighed[T any] struct {
	item   T
	weight int
}

func newRing[T any](limit int) *ring[T] {
	return &ring[T]{limit: limit, changed: make(chan struct{})}
}

func (r *ring[T]) push(item T, weight int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.pushed++
	r.weight += weight
	r.items = append(r.items, weighed[T]{item, weight})

	for r.weight > r.limit && len(r.items) > 1 {
		r.weight -= r.items[0].weight
		r.items[0] = weighed[T]{}
		r.items = r.items[1:]
		r.dropped++
		r.settle(1)
	}
}

// take removes and returns the oldest items, count and weight at most, and how
// many older ones were forgotten. The caller calls done for them.
func (r *ring[T]) take(count, weight int) (items []T, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for len(r.items) > 0 && len(items) < count {
		first := r.items[0]
		if weight -= first.weight; weight < 0 && len(items) > 0 {
			break
		}

		items = append(items, first.item)
		r.weight -= first.weight
		r.items[0] = weighed[T]{}
		r.items = r.items[1:]
	}

	if len(r.items) == 0 {
		r.items = nil // lets go of what a long wait made it grow to
	}

	dropped, r.dropped = r.dropped, 0

	return items, dropped
}

// done says that n taken items are settled.
func (r *ring[T]) done(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.settle(n)
}

// settle wakes those who wait. r.mu is held.
func (r *ring[T]) settle(n int) {
	r.settled += uint64(n) //nolint:gosec // n counts items and is never negative
	close(r.changed)
	r.changed = make(chan struct{})
}

// mark returns how many items will be settled when everything pushed so far is;
// ask reached for it.
func (r *ring[T]) mark() (target uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.pushed
}

// reached reports whether target items are settled; if not, changed is closed
// when more are.
func (r *ring[T]) reached(target uint64) (ok bool, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()

	return r.settled >= target, r.changed
}
