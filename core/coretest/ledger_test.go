package coretest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
)

func put(t *testing.T, l core.Ledger, table core.Table, key string, value any) {
	t.Helper()

	if _, err := l.Update(t.Context(), func(tx core.Txn) error { return tx.Put(table, key, value) }); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T, l core.Ledger, q core.Query) (found []string) {
	t.Helper()

	err := l.View(t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableHost, q, func(key string, _ func(any) error) error {
			found = append(found, key)

			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func TestAnErrorRollsEverythingBack(t *testing.T) {
	l := coretest.NewLedger()
	put(t, l, core.TableHost, "a", core.Host{Name: "before"})

	boom := errors.New("boom")

	_, err := l.Update(t.Context(), func(tx core.Txn) error {
		_ = tx.Put(core.TableHost, "a", core.Host{Name: "after"})
		_ = tx.Put(core.TableHost, "b", core.Host{})
		_ = tx.Emit(core.Event{Kind: core.EventHost})

		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("the error came back as %v", err)
	}

	if got := keys(t, l, core.Query{}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("keys after a failed write: %v", got)
	}

	_ = l.View(t.Context(), func(r core.Reader) error {
		var h core.Host
		if err := r.Get(core.TableHost, "a", &h); err != nil || h.Name != "before" {
			t.Errorf("record after a failed write: %v %v", h.Name, err)
		}

		if events, _ := r.Events(0, 0); len(events) != 0 {
			t.Errorf("events after a failed write: %v", events)
		}

		return nil
	})
}

func TestScanBounds(t *testing.T) {
	l := coretest.NewLedger()
	for _, k := range []string{"b2", "a1", "b1", "b3", "c"} {
		put(t, l, core.TableHost, k, 1)
	}

	for name, c := range map[string]struct {
		q    core.Query
		want string
	}{
		"all in order":                 {core.Query{}, "a1 b1 b2 b3 c"},
		"a prefix":                     {core.Query{Prefix: "b"}, "b1 b2 b3"},
		"past a key":                   {core.Query{Prefix: "b", After: "b1"}, "b2 b3"},
		"limited":                      {core.Query{Limit: 2}, "a1 b1"},
		"backwards":                    {core.Query{Prefix: "b", Reverse: true}, "b3 b2 b1"},
		"backwards below a key":        {core.Query{Reverse: true, After: "b2", Limit: 1}, "b1"},
		"past a key that is not there": {core.Query{After: "b11"}, "b2 b3 c"},
	} {
		if got := strings.Join(keys(t, l, c.q), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestEventsGrowByOneAndAWriterSeesItsOwnWrites(t *testing.T) {
	l := coretest.NewLedger()

	for want := uint64(2); want <= 6; want += 2 {
		seq, err := l.Update(t.Context(), func(tx core.Txn) error {
			_ = tx.Put(core.TableRun, "r", core.Run{Epoch: int(want)})

			var run core.Run
			if err := tx.Get(core.TableRun, "r", &run); err != nil || run.Epoch != int(want) {
				t.Errorf("own write: %v %v", run.Epoch, err)
			}

			_ = tx.Emit(core.Event{Kind: core.EventRun, Data: json.RawMessage(`{}`)})

			return tx.Emit(core.Event{Kind: core.EventStage})
		})
		if err != nil || seq != want {
			t.Fatalf("seq %d, want %d (%v)", seq, want, err)
		}
	}

	_ = l.View(t.Context(), func(r core.Reader) error {
		events, _ := r.Events(3, 2)
		if len(events) != 2 || events[0].Seq != 4 || events[1].Seq != 5 {
			t.Errorf("events past 3, two at most: %+v", events)
		}

		return nil
	})
}

func TestRefusals(t *testing.T) {
	l := coretest.NewLedger()

	_, err := l.Update(t.Context(), func(tx core.Txn) error {
		return tx.Put(core.TableRun, "big", strings.Repeat("x", 512<<10))
	})
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a record past 512 KiB: %v", err)
	}

	err = l.View(t.Context(), func(r core.Reader) error { return r.Get(core.TableRun, "none", &core.Run{}) })
	if !errors.Is(err, core.ErrNotFound) {
		t.Errorf("a record that is not there: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := l.Update(ctx, func(core.Txn) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

func TestNoTwoUpdatesRunAtOnce(t *testing.T) {
	l := coretest.NewLedger()

	var wg sync.WaitGroup

	for range 50 {
		wg.Go(func() {
			_, err := l.Update(t.Context(), func(tx core.Txn) error {
				n := 0
				if err := tx.Get(core.TableSetting, "n", &n); err != nil && !errors.Is(err, core.ErrNotFound) {
					return err
				}

				return tx.Put(core.TableSetting, "n", n+1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()

	if got := fmt.Sprint(l.Dump(core.TableSetting)); got != "map[n:50]" {
		t.Errorf("after 50 increments: %s", got)
	}
}
