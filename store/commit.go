package store

import (
	"fmt"
	"log/slog"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// group is the changes that are written in one commit. It lives in the hands of
// the leader.
type group struct {
	snapshot *badger.Txn
	over     *overlay
	seq      uint64 // of the last event so far
	done     []*place
	written  mark // where the ledger stands with it; zero: it has nothing to write
}

// carryOut runs the changes in order and writes them in as few commits as fit.
// What it returns is written too and has still to be acknowledged.
func (s *Store) carryOut(places []*place) (last *group) {
	g := s.newGroup()

	for _, p := range places {
		g = s.include(g, p)

		if g.over.size >= maxSize {
			_ = s.write(g) // each place has its answer
			s.acknowledge(g)
			g = s.newGroup()
		}
	}

	_ = s.write(g)

	return g
}

func (s *Store) newGroup() *group {
	return &group{snapshot: s.db.NewTransaction(false), over: newOverlay(), seq: s.last.seq}
}

// include runs the change of p over g. When what it writes does not fit into
// the commit any more, g is finished first and a new group returned.
func (s *Store) include(g *group, p *place) *group {
	own := newOverlay()
	t := &txn{reader: reader{txn: g.snapshot, layers: []*overlay{own, g.over}}, own: own, last: g.seq, from: core.OriginOf(p.ctx)}

	err := p.run(t)
	if err == nil && !s.fits(own) {
		err = core.NewProblem(core.ErrInvalid, "store/update-too-large", fmt.Sprintf(
			"One update writes %d KiB in %d records, which is more than the ledger takes at once (%d KiB). Write it in several.",
			own.size>>10, own.entries(), s.db.MaxBatchSize()>>10))
	}

	if err != nil {
		p.answer.err = err
		g.done = append(g.done, p)

		return g
	}

	if !s.fitsBoth(g.over, own) {
		err := s.write(g)
		s.acknowledge(g)
		g = s.newGroup()

		// The change has seen what could not be written.
		if err != nil {
			p.answer.err = err
			g.done = append(g.done, p)

			return g
		}

		// Its notes would have been told with those of the group before.
		if len(own.notes.each) > 0 && own.notes.seq == 0 {
			t.last++
			own.notes.seq = t.last
		}
	}

	g.over.absorb(own)
	g.seq = t.last
	p.answer.seq = t.last
	g.done = append(g.done, p)

	return g
}

func (s *Store) fits(o *overlay) bool {
	return int64(o.size) < s.db.MaxBatchSize()-perEntry && int64(o.entries()) < s.db.MaxBatchCount()
}

func (s *Store) fitsBoth(a, b *overlay) bool {
	return int64(a.size+b.size) < s.db.MaxBatchSize()-perEntry && int64(a.entries()+b.entries()) < s.db.MaxBatchCount()
}

// fail gives err to those who had no error of their own.
func (g *group) fail(err error) {
	for _, p := range g.done {
		if p.answer.err == nil {
			p.answer = answer{err: err}
		}
	}
}

// write puts g into the ledger. When it fails, everybody in g gets its error.
func (s *Store) write(g *group) (err error) {
	defer g.snapshot.Discard()

	if g.over.empty() {
		return nil
	}

	if err = s.tryWrite(g); err != nil {
		g.fail(err)
	}

	return err
}

func (s *Store) tryWrite(g *group) error {
	if p := s.broken.Load(); p != nil {
		return p
	}

	if err := s.room.admit(); err != nil {
		return err
	}

	events, err := g.over.notes.among(g.over.events)
	if err != nil {
		return err
	}

	g.over.events = events

	links, err := s.chains.extend(g)
	if err != nil {
		return err
	}

	next := mark{commit: s.last.commit + 1, seq: g.seq}
	if err := s.commit(g, next, links); err != nil {
		return s.breakDown(err)
	}

	s.last, g.written = next, next
	s.chains.remember(links)

	return nil
}

// acknowledge answers everybody in g, once the high-water mark says that g was
// acknowledged. From then on its changes survive a power cut, or their loss is
// noticed.
func (s *Store) acknowledge(g *group) {
	// Memory mode has no mark.
	if g.written != (mark{}) && s.head != nil {
		s.cfg.Step("raise the mark")

		if err := s.head.raise(g.written); err != nil {
			g.fail(s.breakDown(err))
		}

		s.cfg.Step("answer")
	}

	for _, p := range g.done {
		p.done = true
		p.wake <- struct{}{}
	}
}

// commit is one synced Badger transaction.
func (s *Store) commit(g *group, next mark, links []link) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("writing commit %d: %v", next.commit, r)
		}
	}()

	txn := s.db.NewTransaction(true)
	defer txn.Discard()

	w := batch{txn: txn, commit: next.commit}

	for key, p := range g.over.writes {
		if p.deleted {
			w.forget([]byte(key))
		} else {
			w.set([]byte(key), p.format, p.payload)
		}
	}

	for _, e := range g.over.events {
		w.set(eventKey(e.seq), formatJSON, e.payload)
	}

	for _, l := range links {
		w.set(chainKey(l.run, l.seq), formatChain, l.hash[:])
	}

	w.set(markKey(), formatMark, next.payload())

	if w.err != nil {
		return fmt.Errorf("gathering commit %d: %w", next.commit, w.err)
	}

	s.cfg.Step("commit")

	if err := txn.Commit(); err != nil {
		return fmt.Errorf("writing commit %d: %w", next.commit, err)
	}

	return nil
}

// breakDown ends all writing. After a failed write nobody knows what reached
// the disk (the kernel drops the pages it could not write), so the only honest
// way on is to read the ledger again from the start.
func (s *Store) breakDown(err error) error {
	p := core.NewProblem(ErrDamaged, "store/write-failed", fmt.Sprintf(
		"Writing to %s failed (%v). Check the disk, then restart the appliance: it takes up from what is on the disk.", s.cfg.Dir, err))

	s.log.Error("ledger write failed, no more updates until restart", slog.Any("error", err))
	s.broken.Store(p)

	return p
}

// batch sets entries in a Badger transaction and keeps the first error.
type batch struct {
	txn    *badger.Txn
	commit uint64
	err    error
}

func (b *batch) set(key []byte, format byte, payload []byte) {
	if b.err == nil {
		b.err = b.txn.SetEntry(badger.NewEntry(key, seal(key, format, b.commit, payload)))
	}
}

func (b *batch) forget(key []byte) {
	if b.err == nil {
		b.err = b.txn.Delete(key)
	}
}
