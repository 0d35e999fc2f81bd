package store

import (
	"time"

	"vetting/core"
)

// txn is core.Txn: a reader whose first layer takes the writes. It belongs to
// the one goroutine that runs the change.
type txn struct {
	reader
	own  *overlay
	last uint64 // sequence number of the last event, of this change or before it
	from *core.Origin
}

var _ core.Txn = (*txn)(nil)

// Origin is where the change comes from; nil: nobody said.
func (t *txn) Origin() *core.Origin { return t.from }

// Put stores value under key.
func (t *txn) Put(table core.Table, key string, value any) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	format, payload, err := encode(value)
	if err != nil {
		return err
	}

	t.own.put(recordKey(table, key), pending{format: format, payload: payload})

	return nil
}

// Delete forgets the record.
func (t *txn) Delete(table core.Table, key string) error {
	if err := checkKey(table, key); err != nil {
		return err
	}

	t.own.put(recordKey(table, key), pending{deleted: true})

	return nil
}

// Emit appends an event. Changes run one after another, so the number it gets
// now is the one it keeps, unless this change is dropped.
func (t *txn) Emit(event core.Event) error {
	if !isRun(event.Run) {
		return badRun()
	}

	event.Seq = t.last + 1

	payload, err := encodeEvent(&event)
	if err != nil {
		return err
	}

	t.own.emit(written{seq: event.Seq, run: event.Run, payload: payload})
	t.last = event.Seq

	return nil
}

// Note joins what else is noted in this commit. The event that carries it all is
// written last and counts where the first note stood.
func (t *txn) Note(at time.Time, note core.SampleNote) error {
	if !isRun(note.Run) {
		return badRun()
	}

	if !t.noted() {
		t.last++
		t.own.notes.seq = t.last
	}

	t.own.note(at, note)

	return nil
}

// noted reports whether this commit has an event for notes already.
func (t *txn) noted() bool {
	for _, layer := range t.layers {
		if layer.notes.seq != 0 {
			return true
		}
	}

	return false
}

func badRun() error {
	return core.NewProblem(core.ErrInvalid, "store/bad-run", "The run of an event must be letters and digits only.")
}

// isRun keeps the slash, which ends a run in a chain's key, out of its name. An
// empty run is the appliance itself.
func isRun(run core.RunID) bool {
	for _, c := range []byte(run) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}

	return len(run) <= maxKey/2
}
