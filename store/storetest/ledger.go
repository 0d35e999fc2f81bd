package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
)

// Ledger runs the suite. open returns an empty ledger and cleans up after it.
func Ledger(t *testing.T, open func(t *testing.T) core.Ledger) {
	t.Helper()

	for _, c := range []struct {
		name string
		run  func(*testing.T, core.Ledger)
	}{
		{"what is put comes back, from the transaction and from the ledger", putComesBack},
		{"what was never put or is deleted is not found", absentIsNotFound},
		{"an update that errors leaves nothing and its error comes back as it is", errorLeavesNothing},
		{"events are numbered without a gap, also after an update that failed", eventsWithoutGap},
		{"an update returns the number of its last event, or the ledger's", updateReturnsSeq},
		{"a transaction sees its own events", transactionSeesEvents},
		{"notes and events of an update stand in the order they were made", notesKeepTheirPlace},
		{"every note is told once, whatever fails beside it", everyNoteIsTold},
		{"a scan keeps order, bounds, limit and direction", scanBounds},
		{"a scan inside a transaction merges what the transaction wrote", scanMerges},
		{"an error from each ends a scan and is returned", scanError},
		{"scans nest", scansNest},
		{"a view does not see what is written while it looks", viewIsSnapshot},
		{"a batch of samples comes back with its not-a-numbers", samplesComeBack},
		{"a batch of rollups comes back", rollupsComeBack},
		{"a value above 512 KiB is refused and one just below is not", valueLimit},
		{"a call with an ended context does nothing", endedContext},
		{"of 200 that check and act at once exactly one wins", oneWins},
		{"a thousand updates at once are all there", allThere},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

type note struct {
	Text string    `json:"text"`
	At   time.Time `json:"at,omitzero"`
}

func update(t *testing.T, l core.Ledger, change func(core.Txn) error) uint64 {
	t.Helper()

	seq, err := l.Update(t.Context(), change)
	if err != nil {
		t.Fatalf("Update: %v", err)
	}

	return seq
}

func view(t *testing.T, l core.Ledger, look func(core.Reader) error) {
	t.Helper()

	if err := l.View(t.Context(), look); err != nil {
		t.Fatalf("View: %v", err)
	}
}

func put(t *testing.T, l core.Ledger, table core.Table, keys ...string) {
	t.Helper()
	update(t, l, func(txn core.Txn) error {
		for _, key := range keys {
			if err := txn.Put(table, key, note{Text: key}); err != nil {
				return err
			}
		}

		return nil
	})
}

func expect(t *testing.T, r core.Reader, key, want string) {
	t.Helper()

	var got note

	err := r.Get(core.TableSetting, key, &got)
	if want == "" {
		if !errors.Is(err, core.ErrNotFound) {
			t.Errorf("Get(%q) = %v, %v; want ErrNotFound", key, got, err)
		}

		return
	}

	if err != nil || got.Text != want {
		t.Errorf("Get(%q) = %v, %v; want %q", key, got, err, want)
	}
}

func putComesBack(t *testing.T, l core.Ledger) {
	at := time.Date(2026, 11, 23, 11, 2, 42, 123456789, time.UTC)

	update(t, l, func(txn core.Txn) error {
		if err := txn.Put(core.TableSetting, "a", note{Text: "one", At: at}); err != nil {
			return err
		}

		expect(t, txn, "a", "one")

		return txn.Put(core.TableSetting, "a", &note{Text: "two", At: at})
	})

	view(t, l, func(r core.Reader) error {
		var got note
		if err := r.Get(core.TableSetting, "a", &got); err != nil {
			return err
		}

		if got.Text != "two" || !got.At.Equal(at) {
			t.Errorf("got %+v", got)
		}

		// The same key in another table is another record.
		if err := r.Get(core.TableHost, "a", &got); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("other table: %v", err)
		}

		return nil
	})
}

func absentIsNotFound(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "a", "b")
	update(t, l, func(txn core.Txn) error {
		if err := txn.Delete(core.TableSetting, "a"); err != nil {
			return err
		}

		expect(t, txn, "a", "")

		return txn.Delete(core.TableSetting, "never")
	})
	view(t, l, func(r core.Reader) error {
		expect(t, r, "a", "")
		expect(t, r, "b", "b")
		expect(t, r, "c", "")

		return nil
	})
}

func errorLeavesNothing(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "a")

	mine := errors.New("mine")

	_, err := l.Update(t.Context(), func(txn core.Txn) error {
		if err := txn.Put(core.TableSetting, "b", note{Text: "b"}); err != nil {
			return err
		}

		if err := txn.Delete(core.TableSetting, "a"); err != nil {
			return err
		}

		if err := txn.Emit(core.Event{Kind: core.EventHost}); err != nil {
			return err
		}

		return mine
	})
	if err != mine { //nolint:errorlint // the contract is the very same error
		t.Errorf("Update returned %v", err)
	}

	view(t, l, func(r core.Reader) error {
		expect(t, r, "a", "a")
		expect(t, r, "b", "")

		events, err := r.Events(0, 10)
		if len(events) != 0 {
			t.Errorf("%d events are left", len(events))
		}

		return err
	})
}

func emit(run core.RunID, n int) func(core.Txn) error {
	return func(txn core.Txn) error {
		for i := range n {
			e := core.Event{Kind: core.EventStage, Run: run, Time: time.Unix(int64(i), 0).UTC(), Data: []byte(fmt.Sprintf(`{"n":%d}`, i))}
			if err := txn.Emit(e); err != nil {
				return err
			}
		}

		return nil
	}
}

func eventsWithoutGap(t *testing.T, l core.Ledger) {
	update(t, l, emit("R1", 3))

	_, _ = l.Update(t.Context(), func(txn core.Txn) error {
		return errors.Join(emit("R1", 2)(txn), errors.New("no"))
	})

	update(t, l, emit("R2", 2))
	update(t, l, emit("", 1))

	view(t, l, func(r core.Reader) error {
		events, err := r.Events(0, 100)
		if err != nil {
			return err
		}

		if len(events) != 6 {
			t.Fatalf("%d events, want 6", len(events))
		}

		for i, e := range events {
			if e.Seq != uint64(i)+1 {
				t.Errorf("event %d has number %d", i, e.Seq)
			}
		}

		if e := events[4]; e.Run != "R2" || string(e.Data) != `{"n":1}` || !e.Time.Equal(time.Unix(1, 0)) {
			t.Errorf("event 5 is %+v", e)
		}

		some, err := r.Events(2, 2)
		if err != nil || len(some) != 2 || some[0].Seq != 3 || some[1].Seq != 4 {
			t.Errorf("Events(2, 2) = %v, %v", some, err)
		}

		rest, err := r.Events(1, 0)
		if err != nil || len(rest) != 5 {
			t.Errorf("Events(1, 0) = %v, %v", rest, err)
		}

		none, err := r.Events(6, 2)
		if err != nil || len(none) != 0 {
			t.Errorf("Events(6, 2) = %v, %v", none, err)
		}

		return nil
	})
}

func updateReturnsSeq(t *testing.T, l core.Ledger) {
	if seq := update(t, l, emit("R1", 3)); seq != 3 {
		t.Errorf("after three events: %d", seq)
	}

	if seq := update(t, l, func(txn core.Txn) error { return txn.Put(core.TableSetting, "a", 1) }); seq != 3 {
		t.Errorf("after a put: %d", seq)
	}

	if seq := update(t, l, func(core.Txn) error { return nil }); seq != 3 {
		t.Errorf("after nothing: %d", seq)
	}

	if seq := update(t, l, emit("R2", 2)); seq != 5 {
		t.Errorf("after two more: %d", seq)
	}
}

func transactionSeesEvents(t *testing.T, l core.Ledger) {
	update(t, l, emit("R1", 2))
	update(t, l, func(txn core.Txn) error {
		if err := emit("R1", 2)(txn); err != nil {
			return err
		}

		// Their numbers are given at commit.
		events, err := txn.Events(1, 10)
		if err != nil || len(events) != 3 || string(events[2].Data) != `{"n":1}` {
			t.Errorf("Events inside = %v, %v", events, err)
		}

		return nil
	})
}

func sampleNote(run core.RunID, seq uint64) core.SampleNote {
	return core.SampleNote{Host: "52:54:00:00:00:01", Run: run, SampleChange: core.SampleChange{Epoch: 1, Seq: seq, Count: 20}}
}

// told is the notes that the events tell, by run.
func told(t *testing.T, events []core.Event) map[core.RunID][]uint64 {
	t.Helper()

	found := map[core.RunID][]uint64{}

	for _, e := range events {
		each, err := e.Each()
		if err != nil {
			t.Fatal(err)
		}

		for _, e := range each {
			var change core.SampleChange
			if err := json.Unmarshal(e.Data, &change); err != nil {
				t.Fatal(err)
			}

			if e.Kind == core.EventSample {
				found[e.Run] = append(found[e.Run], change.Seq)
			}
		}
	}

	return found
}

func notesKeepTheirPlace(t *testing.T, l core.Ledger) {
	at := time.Unix(9, 0).UTC()

	seq := update(t, l, func(txn core.Txn) error {
		err := errors.Join(emit("R1", 1)(txn), txn.Note(at, sampleNote("R1", 7)), emit("R1", 1)(txn))

		events, readErr := txn.Events(0, 10)
		if len(events) < 3 || events[1].Kind != core.EventSample || len(told(t, events)["R1"]) != 1 {
			t.Errorf("the transaction sees %v", events)
		}

		return errors.Join(err, readErr)
	})
	if seq != 3 {
		t.Errorf("the update ended at %d", seq)
	}

	view(t, l, func(r core.Reader) error {
		events, err := r.Events(1, 1)
		if err != nil {
			return err
		}

		each, err := events[0].Each()
		if err != nil {
			return err
		}

		const wanted = `{"seq":2,"time":"1970-01-01T00:00:09Z","kind":"sample","host":"52:54:00:00:00:01","run":"R1","data":{"epoch":1,"seq":7,"count":20}}`

		if got, err := json.Marshal(each); err != nil || string(got) != "["+wanted+"]" {
			t.Errorf("told %s, %v, want %s", got, err, wanted)
		}

		return nil
	})
}

// noting is the update that notes the n-th batch of a run: each third also emits, and each
// fifth fails.
func noting(run core.RunID, n int) func(core.Txn) error {
	return func(txn core.Txn) error {
		if n%3 == 0 {
			if err := emit(run, 1)(txn); err != nil {
				return err
			}
		}

		if err := txn.Note(time.Unix(0, 0), sampleNote(run, uint64(n))); err != nil {
			return err
		}

		if n%5 == 4 {
			return errors.New("no")
		}

		return txn.Put(core.TableSetting, fmt.Sprintf("%s-%d", run, n), n)
	}
}

// everyNoteIsTold has many updates at once, of which some fail and some also emit,
// so that they share commits.
func everyNoteIsTold(t *testing.T, l core.Ledger) {
	const writers, each = 40, 30

	var wg sync.WaitGroup

	for w := range writers {
		wg.Go(func() {
			for n := range each {
				_, err := l.Update(t.Context(), noting(core.RunID(fmt.Sprintf("R%d", w)), n))
				if (err != nil) != (n%5 == 4) {
					t.Error(err)
				}
			}
		})
	}

	wg.Wait()

	view(t, l, func(r core.Reader) error {
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}

		var want []uint64

		for n := range uint64(each) {
			if n%5 != 4 {
				want = append(want, n)
			}
		}

		found := told(t, events)

		for w := range writers {
			if got := found[core.RunID(fmt.Sprintf("R%d", w))]; !slices.Equal(got, want) {
				t.Errorf("of run %d was told %v", w, got)
			}
		}

		return nil
	})
}

func keysOf(t *testing.T, r core.Reader, q core.Query) []string {
	t.Helper()

	var keys []string

	err := r.Scan(core.TableSetting, q, func(key string, decode func(any) error) error {
		var n note
		if err := decode(&n); err != nil {
			return err
		}

		if n.Text != key {
			t.Errorf("record %q has text %q", key, n.Text)
		}

		keys = append(keys, key)

		return nil
	})
	if err != nil {
		t.Errorf("Scan(%+v): %v", q, err)
	}

	return keys
}

func scanBounds(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "b/2", "a", "b/1", "b/3", "c", "b", "é", "b/10")
	put(t, l, core.TableSession, "b/1", "z")
	put(t, l, core.TableToken, "b/1", "a")

	for _, c := range []struct {
		q    core.Query
		want string
	}{
		{core.Query{}, "a b b/1 b/10 b/2 b/3 c é"},
		{core.Query{Reverse: true}, "é c b/3 b/2 b/10 b/1 b a"},
		{core.Query{Prefix: "b/"}, "b/1 b/10 b/2 b/3"},
		{core.Query{Prefix: "b/", Reverse: true}, "b/3 b/2 b/10 b/1"},
		{core.Query{Prefix: "b/", After: "b/10"}, "b/2 b/3"},
		{core.Query{Prefix: "b/", After: "b/10", Reverse: true}, "b/1"},
		{core.Query{Prefix: "b/", After: "b/11"}, "b/2 b/3"},
		{core.Query{Prefix: "b/", After: "a"}, "b/1 b/10 b/2 b/3"},
		{core.Query{Prefix: "b/", After: "z"}, ""},
		{core.Query{Prefix: "b/", After: "z", Reverse: true}, "b/3 b/2 b/10 b/1"},
		{core.Query{Prefix: "b/", After: "a", Reverse: true}, ""},
		{core.Query{After: "b/2"}, "b/3 c é"},
		{core.Query{After: "b/2", Reverse: true}, "b/10 b/1 b a"},
		{core.Query{Limit: 3}, "a b b/1"},
		{core.Query{Limit: 2, Reverse: true}, "é c"},
		{core.Query{Limit: 100}, "a b b/1 b/10 b/2 b/3 c é"},
		{core.Query{Prefix: "none"}, ""},
	} {
		view(t, l, func(r core.Reader) error {
			if got := strings.Join(keysOf(t, r, c.q), " "); got != c.want {
				t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
			}

			return nil
		})
		update(t, l, func(txn core.Txn) error {
			if got := strings.Join(keysOf(t, txn, c.q), " "); got != c.want {
				t.Errorf("in a transaction, %+v: got %q, want %q", c.q, got, c.want)
			}

			return nil
		})
	}
}

func scanMerges(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "b", "d", "f", "h")
	update(t, l, func(txn core.Txn) error {
		for _, key := range []string{"a", "d", "e", "i"} {
			if err := txn.Put(core.TableSetting, key, note{Text: key}); err != nil {
				return err
			}
		}

		for _, key := range []string{"f", "e", "g"} {
			if err := txn.Delete(core.TableSetting, key); err != nil {
				return err
			}
		}

		for _, c := range []struct {
			q    core.Query
			want string
		}{
			{core.Query{}, "a b d h i"},
			{core.Query{Reverse: true}, "i h d b a"},
			{core.Query{After: "b", Limit: 2}, "d h"},
			{core.Query{After: "h", Reverse: true, Limit: 2}, "d b"},
		} {
			if got := strings.Join(keysOf(t, txn, c.q), " "); got != c.want {
				t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
			}
		}

		// What each writes does not disturb the scan.
		var seen []string

		err := txn.Scan(core.TableSetting, core.Query{}, func(key string, _ func(any) error) error {
			seen = append(seen, key)

			return errors.Join(txn.Delete(core.TableSetting, key), txn.Put(core.TableSetting, key+"x", note{Text: key + "x"}))
		})
		if got := strings.Join(seen, " "); got != "a b d h i" {
			t.Errorf("while writing: %q", got)
		}

		return err
	})
	view(t, l, func(r core.Reader) error {
		if got := strings.Join(keysOf(t, r, core.Query{}), " "); got != "ax bx dx hx ix" {
			t.Errorf("afterwards: %q", got)
		}

		return nil
	})
}

func scanError(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "a", "b")

	mine, calls := errors.New("mine"), 0

	view(t, l, func(r core.Reader) error {
		err := r.Scan(core.TableSetting, core.Query{}, func(string, func(any) error) error {
			calls++

			return mine
		})
		if !errors.Is(err, mine) || calls != 1 {
			t.Errorf("Scan = %v after %d calls", err, calls)
		}

		return nil
	})
}

func scansNest(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "a", "b", "c")

	nested := func(r core.Reader) error {
		n := 0

		err := r.Scan(core.TableSetting, core.Query{}, func(string, func(any) error) error {
			return r.Scan(core.TableSetting, core.Query{}, func(key string, _ func(any) error) error {
				n++
				expect(t, r, key, key)

				return nil
			})
		})
		if n != 9 {
			t.Errorf("%d inner calls, want 9", n)
		}

		return err
	}

	view(t, l, nested)
	update(t, l, func(txn core.Txn) error { return nested(txn) })
}

func viewIsSnapshot(t *testing.T, l core.Ledger) {
	put(t, l, core.TableSetting, "a")
	view(t, l, func(r core.Reader) error {
		put(t, l, core.TableSetting, "b")
		expect(t, r, "b", "")

		if got := keysOf(t, r, core.Query{}); !slices.Equal(got, []string{"a"}) {
			t.Errorf("scan in the view: %q", got)
		}

		return nil
	})
}

func rollupsComeBack(t *testing.T, l core.Ledger) {
	batch := core.RollupBatch{Run: "R1", Stage: "Burn", Attempt: 2, Step: 10 * time.Second, Rollups: []core.Rollup{
		{Time: time.Unix(100, 0).UTC(), Key: "cpu/package0/temperature_celsius", Unit: "celsius", Min: 60, Max: 61.5, Mean: 60.1234, Count: 9, Silent: 1},
		{Time: time.Unix(110, 0).UTC(), Key: "cpu/package0/temperature_celsius", Count: 10, Rule: "hot", Severity: core.Critical, Verdict: core.Fail},
	}}

	update(t, l, func(txn core.Txn) error { return txn.Put(core.TableRollup, "R1/000001", batch) })
	view(t, l, func(r core.Reader) error {
		var got core.RollupBatch
		if err := r.Get(core.TableRollup, "R1/000001", &got); err != nil {
			return err
		}

		if got.Run != batch.Run || got.Stage != batch.Stage || got.Attempt != batch.Attempt || got.Step != batch.Step || !slices.Equal(got.Rollups, batch.Rollups) {
			t.Errorf("got %+v, want %+v", got, batch)
		}

		return nil
	})
}

func samplesComeBack(t *testing.T, l core.Ledger) {
	batch := core.SampleBatch{Run: "R1", Epoch: 2, Seq: 7, Stage: "CPUStress", Attempt: 3, Unkept: 17, Samples: []core.Sample{
		{Time: time.Unix(100, 5).UTC(), Key: "cpu/package0/temperature_celsius", Value: 61.5, Unit: "celsius", Stage: "CPUStress"},
		{Time: time.Unix(100, 5).UTC(), Key: "fan/1/speed_rpm", Value: math.NaN(), Unit: "rpm", Stage: "CPUStress"},
		{Time: time.Unix(99, 0).UTC(), Key: "cpu/package0/power_watts", Value: 1.0 / 3, Stage: "Burn"},
	}}

	update(t, l, func(txn core.Txn) error { return txn.Put(core.TableSamples, "R1/002/007", batch) })
	view(t, l, func(r core.Reader) error {
		var got core.SampleBatch
		if err := r.Get(core.TableSamples, "R1/002/007", &got); err != nil {
			return err
		}

		if got.Stage != batch.Stage || got.Attempt != batch.Attempt || got.Unkept != batch.Unkept {
			t.Errorf("it came in %q, try %d, %d unkept", got.Stage, got.Attempt, got.Unkept)
		}

		if got.Run != batch.Run || got.Epoch != batch.Epoch || got.Seq != batch.Seq || len(got.Samples) != len(batch.Samples) {
			t.Fatalf("got %+v", got)
		}

		for i, s := range got.Samples {
			want := batch.Samples[i]
			same := s.Key == want.Key && s.Unit == want.Unit && s.Stage == want.Stage && s.Time.Equal(want.Time) &&
				(s.Value == want.Value || math.IsNaN(s.Value) && math.IsNaN(want.Value))

			if !same {
				t.Errorf("sample %d: got %+v, want %+v", i, s, want)
			}
		}

		return nil
	})
}

func valueLimit(t *testing.T, l core.Ledger) {
	const limit = 512 << 10

	update(t, l, func(txn core.Txn) error {
		return txn.Put(core.TableSetting, "large", strings.Repeat("x", limit-2)) // and two quotes
	})

	_, err := l.Update(t.Context(), func(txn core.Txn) error {
		return txn.Put(core.TableSetting, "larger", strings.Repeat("x", limit-1))
	})
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("one byte more: %v", err)
	}

	view(t, l, func(r core.Reader) error {
		var got string
		if err := r.Get(core.TableSetting, "large", &got); err != nil || len(got) != limit-2 {
			t.Errorf("Get: %d bytes, %v", len(got), err)
		}

		return nil
	})
}

func endedContext(t *testing.T, l core.Ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := l.Update(ctx, func(core.Txn) error {
		t.Error("the change ran")

		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Update: %v", err)
	}

	if err := l.View(ctx, func(core.Reader) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("View: %v", err)
	}
}

func oneWins(t *testing.T, l core.Ledger) {
	update(t, l, func(txn core.Txn) error {
		return txn.Put(core.TableRunSecret, "R1", core.RunSecret{BootToken: []byte{1}})
	})

	var (
		wg        sync.WaitGroup
		mu        sync.Mutex // guards won and refused
		won       int
		refused   int
		claimOnce = func(txn core.Txn) error {
			var secret core.RunSecret
			if err := txn.Get(core.TableRunSecret, "R1", &secret); err != nil {
				return err
			}

			if secret.BootUsed {
				return core.ErrRefused
			}

			secret.BootUsed = true

			return txn.Put(core.TableRunSecret, "R1", secret)
		}
	)

	for range 200 {
		wg.Go(func() {
			_, err := l.Update(t.Context(), claimOnce)

			mu.Lock()
			defer mu.Unlock()

			switch {
			case err == nil:
				won++
			case errors.Is(err, core.ErrRefused):
				refused++
			default:
				t.Errorf("claiming: %v", err)
			}
		})
	}

	wg.Wait()

	if won != 1 || refused != 199 {
		t.Errorf("%d won, %d were refused", won, refused)
	}
}

func allThere(t *testing.T, l core.Ledger) {
	const writers, each = 50, 20

	var wg sync.WaitGroup

	for w := range writers {
		wg.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%02d/%02d", w, i)

				seq, err := l.Update(t.Context(), func(txn core.Txn) error {
					return errors.Join(
						txn.Put(core.TableSetting, key, note{Text: key}),
						txn.Emit(core.Event{Kind: core.EventNotice, Run: core.RunID(fmt.Sprintf("R%d", w%7))}))
				})
				if err != nil {
					t.Errorf("Update %s: %v", key, err)

					return
				}

				err = l.View(t.Context(), func(r core.Reader) error {
					var n note
					if err := r.Get(core.TableSetting, key, &n); err != nil {
						return err
					}

					events, err := r.Events(seq-1, 1)
					if err == nil && len(events) != 1 {
						t.Errorf("event %d is not there", seq)
					}

					return err
				})
				if err != nil {
					t.Errorf("after its update, %s: %v", key, err)
				}
			}
		})
	}

	wg.Wait()
	view(t, l, func(r core.Reader) error {
		if n := len(keysOf(t, r, core.Query{})); n != writers*each {
			t.Errorf("%d records", n)
		}

		events, err := r.Events(0, 2*writers*each)
		if len(events) != writers*each {
			t.Errorf("%d events", len(events))
		}

		return err
	})
}
