package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// Verified counts what Verify found in order.
type Verified struct {
	Commits uint64 // commits so far
	Events  uint64
	Links   uint64 // hashes of chains
	Records uint64
}

// Verify reads everything and proves it: the checksum of every table and of
// every value, events without a gap, each under its number, and each run's
// chain of hashes over them. The first fault comes back as a *core.Problem of
// kind ErrDamaged. Updates go on meanwhile; it looks at one snapshot.
func (s *Store) Verify(ctx context.Context) (Verified, error) {
	if err := s.enter(); err != nil {
		return Verified{}, err
	}
	defer s.leave()

	if err := s.verifyTables(); err != nil {
		return Verified{}, err
	}

	snapshot := s.db.NewTransaction(false)
	defer snapshot.Discard()

	v := verifier{txn: snapshot, runs: map[core.RunID]*runChain{}}
	if err := v.walk(ctx); err != nil {
		return Verified{}, err
	}

	return v.count, v.conclude()
}

// verifyTables has Badger check its files, and survives that.
func (s *Store) verifyTables() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = damaged("A table of the ledger in %s is damaged.", s.cfg.Dir)
		}
	}()

	if err := s.db.VerifyChecksum(); err != nil {
		return damaged("A table of the ledger in %s is damaged (%v).", s.cfg.Dir, err)
	}

	return nil
}

// runChain is a run's chain while the events go by.
type runChain struct {
	hash chainHash
	open bool    // events have been added since hash
	next hashing // valid while open
}

type verifier struct {
	txn   *badger.Txn
	count Verified
	mark  mark
	links uint64 // links that events have proved
	runs  map[core.RunID]*runChain
}

func (v *verifier) walk(ctx context.Context) error {
	it := v.txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()

	for n := 0; ; n++ {
		if n == 0 {
			it.Rewind()
		} else {
			it.Next()
		}

		if !it.Valid() {
			return nil
		}

		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}

		if err := v.look(it.Item()); err != nil {
			return err
		}
	}
}

func (v *verifier) look(item *badger.Item) error {
	key := item.Key()

	return item.Value(func(value []byte) error {
		rec, err := unseal(key, value)
		if err != nil {
			return err
		}

		switch string(key[:min(2, len(key))]) {
		case familyMark:
			v.mark, err = parseMark(value)
		case familyEvent:
			err = v.event(key, rec.payload)
		case familyChain:
			v.count.Links++
		case familyRecord:
			v.count.Records++
		default:
			err = damaged("The ledger has a key %q, which nothing writes.", key)
		}

		return err
	})
}

func (v *verifier) event(key, payload []byte) error {
	v.count.Events++

	if seq, ok := seqOf(key); !ok || seq != v.count.Events {
		return damaged("Event %d is missing from the ledger; the next one is %d.", v.count.Events, seq)
	}

	var e struct {
		Seq uint64     `json:"seq"`
		Run core.RunID `json:"run"`
	}

	if err := json.Unmarshal(payload, &e); err != nil || e.Seq != v.count.Events {
		return damaged("Event %d of the ledger is not what was written.", v.count.Events)
	}

	return v.extend(e.Run, e.Seq, payload)
}

// extend adds an event to its run's chain, and compares where a hash is stored.
func (v *verifier) extend(run core.RunID, seq uint64, payload []byte) error {
	c := v.runs[run]
	if c == nil {
		c = &runChain{}
		v.runs[run] = c
	}

	if !c.open {
		c.open, c.next = true, startHash(c.hash)
	}

	c.next.add(seq, payload)

	item, err := v.txn.Get(chainKey(run, seq))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil // the commit had more events of the run
	}

	if err != nil {
		return fmt.Errorf("reading the chain of run %q: %w", run, err)
	}

	stored, err := hashOf(item)
	if err != nil {
		return err
	}

	if c.hash, c.open = c.next.end(), false; c.hash != stored {
		return damaged("The chain of run %q is broken at event %d.", run, seq)
	}

	v.links++

	return nil
}

func (v *verifier) conclude() error {
	v.count.Commits = v.mark.commit

	if v.count.Events != v.mark.seq {
		return damaged("The ledger has %d events and should have %d.", v.count.Events, v.mark.seq)
	}

	if v.links != v.count.Links {
		return damaged("The ledger has %d hashes of chains, and events for %d.", v.count.Links, v.links)
	}

	for run, c := range v.runs {
		if c.open {
			return damaged("The chain of run %q lacks its last hash.", run)
		}
	}

	return nil
}

// Schema is the version of what is written in the ledger.
func (s *Store) Schema() uint16 { return s.cfg.schema.version }
