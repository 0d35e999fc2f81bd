package store

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"vetting/core"
)

// Updates stand in line. The first of the line is the leader: it carries out
// its own change and those of the others behind it, writes them down together
// and then appoints the next. So the writer is always exactly one, it needs no
// goroutine of its own, and while it waits for the disk the line grows by
// itself to what the disk can take.
//
// window is the least time between the starts of two commits. A lone update
// does not wait; under load a commit carries what came in within the window, and
// where more keeps coming, what comes in until it pauses for a lull: each commit
// costs the disk and the processor the same, however much it carries.
const (
	window  = 5 * time.Millisecond
	longest = 20 * time.Millisecond
	lull    = 2 * time.Millisecond
	crowd   = 4       // changes in line from which on a commit waits for a lull
	maxLine = 1000    // changes in one commit
	maxSize = 4 << 20 // bytes in one commit
)

// place is an update in line. wake gets one message when it is its turn to
// lead, and one with the answer; a leader answers itself.
type place struct {
	ctx    context.Context //nolint:containedctx // it is the argument of a call that another goroutine carries out
	change func(core.Txn) error
	leads  bool // guarded by line.mu
	wake   chan struct{}
	answer answer // written before the last message
	done   bool   // likewise
}

type answer struct {
	seq      uint64
	err      error
	panicked any // what change panicked with
}

// line is where updates wait for their turn.
type line struct {
	mu     sync.Mutex // guards all below
	places []*place
	joined time.Time     // when the last one did
	led    bool          // somebody leads
	closed bool          // nobody may join
	idle   chan struct{} // closed when the last leader has gone and closed is set

	full chan struct{} // tells the leader that waiting gains nothing any more
}

// join puts p in line; p leads when nobody else does.
func (l *line) join(p *place) (leads bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if l.closed {
		return false, closedProblem()
	}

	l.places, l.joined = append(l.places, p), time.Now()

	if !l.led {
		l.led, p.leads, leads = true, true, true
	}

	if len(l.places) >= maxLine {
		select {
		case l.full <- struct{}{}:
		default:
		}
	}

	return leads, nil
}

// withdraw takes p out of the line, unless its change has begun or others wait
// for it to lead.
func (l *line) withdraw(p *place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	if p.leads {
		return false
	}

	for i, other := range l.places {
		if other == p {
			l.places = append(l.places[:i], l.places[i+1:]...)

			return true
		}
	}

	return false
}

// take removes the first places from the line.
func (l *line) take() []*place {
	l.mu.Lock()
	defer l.mu.Unlock()

	n := min(len(l.places), maxLine)
	taken := append([]*place(nil), l.places[:n]...)
	l.places = append(l.places[:0], l.places[n:]...)

	select {
	case <-l.full:
	default:
	}

	return taken
}

// pass appoints the next leader.
func (l *line) pass() {
	l.mu.Lock()
	defer l.mu.Unlock()

	if len(l.places) > 0 {
		l.places[0].leads = true
		l.places[0].wake <- struct{}{}

		return
	}

	l.led = false

	if l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

// close lets nobody join any more and waits for the last leader.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true

	if !l.led {
		l.mu.Unlock()

		return
	}

	if l.idle == nil {
		l.idle = make(chan struct{})
	}

	idle := l.idle
	l.mu.Unlock()

	<-idle
}

// Update runs change alone and returns once it is on stable storage. ctx counts
// until the change begins; from then on the answer is waited for.
func (s *Store) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}

	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()

	p := &place{ctx: ctx, change: change, wake: make(chan struct{}, 2)}

	leads, err := s.queue.join(p)
	if err != nil {
		return 0, err
	}

	if leads {
		s.lead()
	} else {
		s.await(ctx, p)
	}

	if p.answer.panicked != nil {
		panic(p.answer.panicked)
	}

	return p.answer.seq, p.answer.err
}

// await returns when p has its answer, having led if it came to that.
func (s *Store) await(ctx context.Context, p *place) {
	select {
	case <-p.wake:
	case <-ctx.Done():
		if s.queue.withdraw(p) {
			p.answer.err = ctx.Err()

			return
		}

		<-p.wake
	}

	if !p.done {
		s.lead()
	}
}

// lead carries out one group, the leader's own change first, and hands over.
// The next leader starts as soon as the group is in the ledger; the high-water
// mark is raised and the answers are given meanwhile.
func (s *Store) lead() {
	s.pace()

	group := s.queue.take()
	s.alone = len(group) == 1

	last := s.carryOut(group)
	s.queue.pass()
	s.acknowledge(last)
}

func (l *line) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()

	return len(l.places)
}

// flows reports whether changes keep coming.
func (l *line) flows() bool {
	l.mu.Lock()
	defer l.mu.Unlock()

	return len(l.places) >= crowd && len(l.places) < maxLine && time.Since(l.joined) < lull
}

// pace lets the line grow when the last commit began only just now. One who asks again
// and again, each time with all that it has, and nobody beside it, has nothing to wait
// for: so do leases, which are gathered before they come here.
func (s *Store) pace() {
	if wait := window - time.Since(s.began); wait > 0 && (!s.alone || s.queue.length() > 1) {
		s.linger(wait)

		for time.Since(s.began) < longest && s.queue.flows() {
			s.linger(lull)
		}
	}

	s.began = time.Now()
}

// linger waits, unless the line is full.
func (s *Store) linger(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()

	select {
	case <-timer.C:
	case <-s.queue.full:
	}
}

// run calls change and turns a panic into an answer for the one who asked: the
// leader is another goroutine and must not die of it.
func (p *place) run(t *txn) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.answer.panicked = fmt.Sprintf("change panicked: %v\n\n%s", r, debug.Stack())
			err = fmt.Errorf("change panicked: %v", r)
		}
	}()

	if err := p.ctx.Err(); err != nil {
		return err
	}

	return p.change(t)
}
