package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"vetting/core"
)

// reader is core.Reader over a snapshot and the writes above it, newest layer
// first. It belongs to one goroutine.
type reader struct {
	txn    *badger.Txn
	layers []*overlay
}

var _ core.Reader = (*reader)(nil)

// Get decodes the record under key.
func (r *reader) Get(table core.Table, key string, into any) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	whole := recordKey(table, key)

	for _, layer := range r.layers {
		if p, has := layer.writes[whole]; has {
			if p.deleted {
				return notFound(table, key)
			}

			return record{format: p.format, payload: p.payload}.decode([]byte(whole), into)
		}
	}

	item, err := r.txn.Get([]byte(whole))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return notFound(table, key)
	}

	if err != nil {
		return fmt.Errorf("reading %s %q: %w", table, key, err)
	}

	return decodeItem(item, into)
}

func notFound(table core.Table, key string) error {
	return fmt.Errorf("reading %s %q: %w", table, key, core.ErrNotFound)
}

func decodeItem(item *badger.Item, into any) error {
	return item.Value(func(value []byte) error {
		rec, err := unseal(item.Key(), value)
		if err != nil {
			return err
		}

		return rec.decode(item.Key(), into)
	})
}

// Scan walks the records of the query. It sees the ledger as it stood when the
// scan began, whatever each writes.
func (r *reader) Scan(table core.Table, q core.Query, each func(key string, decode func(into any) error) error) error {
	if !isTable(table) {
		return checkKey(table, "-")
	}

	b := bounds{prefix: recordKey(table, q.Prefix), reverse: q.Reverse}
	if q.After != "" {
		b.past = recordKey(table, q.After)
	}

	s := scan{bounds: b, above: layersIn(r.layers, b), left: q.Limit, each: each, strip: len(recordKey(table, ""))}

	return s.run(r.txn)
}

// scan merges what is in Badger with the sorted writes above it.
type scan struct {
	bounds
	above []layered
	left  int // records still wanted; 0 or less at the start: all
	each  func(string, func(any) error) error
	strip int // length of what callers do not see of a key
}

var errEnough = errors.New("enough")

func (s *scan) run(txn *badger.Txn) error {
	all := s.left <= 0

	// Prefetching starts goroutines to read from a value log that is empty here.
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(s.prefix), Reverse: s.reverse})
	defer it.Close()

	err := s.merge(it, func(key string, decode func(any) error) error {
		if err := s.each(key[s.strip:], decode); err != nil {
			return err
		}

		if s.left--; s.left == 0 && !all {
			return errEnough
		}

		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}

	return err
}

// start is where Badger's iterator begins: as near to past as the prefix allows.
func (s *scan) start() []byte {
	if !s.reverse {
		return []byte(max(s.prefix, s.past))
	}

	last := s.prefix + "\xff"
	if s.past != "" {
		last = min(last, s.past)
	}

	return []byte(last)
}

func (s *scan) merge(it *badger.Iterator, yield func(string, func(any) error) error) error {
	for it.Seek(s.start()); it.ValidForPrefix([]byte(s.prefix)); it.Next() {
		item := it.Item()
		key := string(item.Key())

		if !s.beyond(key) {
			continue
		}

		if err := s.drain(yield, func(k string) bool { return s.before(k, key) }); err != nil {
			return err
		}

		if len(s.above) > 0 && s.above[0].key == key {
			continue // the write above replaces it; drained in the next round
		}

		if err := yield(key, func(into any) error { return decodeItem(item, into) }); err != nil {
			return err
		}
	}

	return s.drain(yield, func(string) bool { return true })
}

// drain yields the writes above for as long as next agrees.
func (s *scan) drain(yield func(string, func(any) error) error, next func(string) bool) error {
	for len(s.above) > 0 && next(s.above[0].key) {
		w := s.above[0]
		s.above = s.above[1:]

		if w.deleted {
			continue
		}

		err := yield(w.key, func(into any) error {
			return record{format: w.format, payload: w.payload}.decode([]byte(w.key), into)
		})
		if err != nil {
			return err
		}
	}

	return nil
}

// Events returns the events after a sequence number; limit 0 is all of them. A
// gap between them is damage and an error, never a short answer.
func (r *reader) Events(after uint64, limit int) ([]core.Event, error) {
	if limit <= 0 {
		limit = math.MaxInt
	}

	var events []core.Event

	want := after + 1

	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(familyEvent)})
	defer it.Close()

	for it.Seek(eventKey(want)); it.Valid() && len(events) < limit; it.Next() {
		e, err := eventOf(it.Item(), want)
		if err != nil {
			return nil, err
		}

		events = append(events, e)
		want++
	}

	above, err := r.unwritten()
	if err != nil {
		return nil, err
	}

	for _, w := range above {
		if w.seq != want || len(events) >= limit {
			continue
		}

		var e core.Event
		if err := decodeJSON(eventKey(w.seq), w.payload, &e); err != nil {
			return nil, err
		}

		events = append(events, e)
		want++
	}

	return events, nil
}

// unwritten returns the events of the layers, in the order of their numbers.
func (r *reader) unwritten() ([]written, error) {
	var (
		events []written
		all    notes
	)

	for _, v := range slices.Backward(r.layers) {
		events = append(events, v.events...)
		all.seq = max(all.seq, v.notes.seq)

		if len(v.notes.each) > 0 {
			all.at, all.each = v.notes.at, append(all.each, v.notes.each...)
		}
	}

	return all.among(events)
}

func eventOf(item *badger.Item, want uint64) (e core.Event, err error) {
	seq, ok := seqOf(item.Key())
	if !ok || seq != want {
		return e, damaged("Event %d is missing from the ledger; the next one is %d.", want, seq)
	}

	if err := decodeItem(item, &e); err != nil {
		return e, err
	}

	if e.Seq != want {
		return e, damaged("The event under number %d says it is number %d.", want, e.Seq)
	}

	return e, nil
}

// readMark returns the mark of a ledger, zero for an empty one.
func readMark(db *badger.DB) (m mark, err error) {
	err = db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(markKey())
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}

		if err != nil {
			return fmt.Errorf("reading the mark of the ledger: %w", err)
		}

		return item.Value(func(value []byte) error {
			m, err = parseMark(value)

			return err
		})
	})

	return m, err
}

// encodeEvent turns an event into the payload that is stored and hashed.
func encodeEvent(event *core.Event) ([]byte, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, core.NewProblem(core.ErrInvalid, "store/not-json", fmt.Sprintf("An event of kind %q cannot be stored: %v.", event.Kind, err))
	}

	if len(payload) > maxValue {
		return nil, core.NewProblem(core.ErrInvalid, "store/value-too-large", fmt.Sprintf(
			"An event of kind %q takes %d KiB and the ledger takes %d KiB at most.", event.Kind, len(payload)>>10, maxValue>>10))
	}

	return payload, nil
}
