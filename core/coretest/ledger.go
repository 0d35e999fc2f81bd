package coretest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vetting/core"
)

// maxRecord is the size limit of core.Txn.Put, maxKey that of its keys.
const (
	maxRecord = 512 << 10
	maxKey    = 256
)

// checkKey refuses keys that no ledger takes: empty, endless, not text.
func checkKey(table core.Table, key string) error {
	if key == "" || len(key) > maxKey || !utf8.ValidString(key) {
		return fmt.Errorf("key %q of table %s: %w", key, table, core.ErrInvalid)
	}

	return nil
}

// Ledger is a core.Ledger in memory. The zero value is not usable: NewLedger.
// Safe for concurrent use.
type Ledger struct {
	mu sync.Mutex // held for the whole of an Update, so that no two run at once

	state struct {
		sync.Mutex // guards data
		data
	}
}

// data is what is committed. The maps of a snapshot are never written to.
type data struct {
	records map[core.Table]map[string][]byte
	events  []core.Event
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	l := &Ledger{}
	l.state.records = map[core.Table]map[string][]byte{}

	return l
}

var _ core.Ledger = (*Ledger)(nil)

// View runs look on what is committed now.
func (l *Ledger) View(ctx context.Context, look func(core.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}

	return look(reader{l.snapshot()})
}

// Update runs change alone, and commits what it wrote when it returns no error.
func (l *Ledger) Update(ctx context.Context, change func(core.Txn) error) (seq uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	tx := &txn{reader: reader{l.snapshot()}, own: map[core.Table]bool{}, from: core.OriginOf(ctx)}
	tx.records = maps.Clone(tx.records)
	first := len(tx.events)

	if err := change(tx); err != nil {
		return 0, err
	}

	for i := first; i < len(tx.events); i++ {
		tx.events[i].Seq = uint64(i) + 1 // #nosec G115 -- an index is never negative
	}

	l.state.Lock()
	defer l.state.Unlock()

	l.state.data = tx.data

	return uint64(len(tx.events)), nil
}

// Dump returns every record of a table as stored, by key, for comparisons.
func (l *Ledger) Dump(table core.Table) map[string]string {
	all := map[string]string{}
	for k, v := range l.snapshot().records[table] {
		all[k] = string(v)
	}

	return all
}

func (l *Ledger) snapshot() data {
	l.state.Lock()
	defer l.state.Unlock()

	return data{records: l.state.records, events: slices.Clip(l.state.events)}
}

// reader looks at a snapshot; txn embeds it and sees its own writes thereby.
type reader struct{ data }

// Get decodes one record.
func (r reader) Get(table core.Table, key string, into any) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	value, ok := r.records[table][key]
	if !ok {
		return fmt.Errorf("reading %s %q: %w", table, key, core.ErrNotFound)
	}

	return core.Decode(value, into)
}

// Scan walks a table in the order of its keys.
func (r reader) Scan(table core.Table, q core.Query, each func(key string, decode func(into any) error) error) error {
	keys := slices.Sorted(maps.Keys(r.records[table]))
	if q.Reverse {
		slices.Reverse(keys)
	}

	values := r.records[table]
	seen := 0

	for _, key := range keys {
		if !strings.HasPrefix(key, q.Prefix) || !past(key, q) {
			continue
		}

		if q.Limit > 0 && seen == q.Limit {
			return nil
		}

		seen++

		if err := each(key, func(into any) error { return core.Decode(values[key], into) }); err != nil {
			return err
		}
	}

	return nil
}

func past(key string, q core.Query) bool {
	if q.After == "" {
		return true
	}

	if q.Reverse {
		return key < q.After
	}

	return key > q.After
}

// Events returns events with a number past after.
func (r reader) Events(after uint64, limit int) ([]core.Event, error) {
	if after >= uint64(len(r.events)) {
		return nil, nil
	}

	rest := r.events[after:]
	if limit > 0 && len(rest) > limit {
		rest = rest[:limit]
	}

	return slices.Clone(rest), nil
}

type txn struct {
	reader

	own   map[core.Table]bool // tables already copied for writing
	notes []core.SampleNote
	noted int // where in events the one of the notes is
	from  *core.Origin
}

// Origin is where the change comes from; nil: nobody said.
func (t *txn) Origin() *core.Origin { return t.from }

// Put stores a value.
func (t *txn) Put(table core.Table, key string, value any) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s %q: %w", table, key, err)
	}

	if len(encoded) > maxRecord {
		return fmt.Errorf("storing %s %q of %d bytes: %w", table, key, len(encoded), core.ErrInvalid)
	}

	t.copyTable(table)
	t.records[table][key] = encoded

	return nil
}

// Delete forgets a record.
func (t *txn) Delete(table core.Table, key string) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	t.copyTable(table)
	delete(t.records[table], key)

	return nil
}

// Emit appends an event; the number comes at commit.
func (t *txn) Emit(event core.Event) error {
	if event.Data != nil && !json.Valid(event.Data) {
		return fmt.Errorf("emitting %s event: data is not JSON: %w", event.Kind, core.ErrInvalid)
	}

	event.Seq = 0
	event.Data = slices.Clone(event.Data)
	t.events = append(t.events, event)

	return nil
}

// Note appends an event, or adds to that of the transaction's notes.
func (t *txn) Note(at time.Time, note core.SampleNote) error {
	t.notes = append(t.notes, note)

	event, err := core.SampleEvent(at, t.notes)
	if err != nil {
		return err
	}

	if len(t.notes) > 1 {
		t.events[t.noted] = event

		return nil
	}

	t.noted = len(t.events)

	return t.Emit(event)
}

func (t *txn) copyTable(table core.Table) {
	if t.own[table] {
		return
	}

	t.own[table] = true

	t.records[table] = maps.Clone(t.records[table])
	if t.records[table] == nil {
		t.records[table] = map[string][]byte{}
	}
}
