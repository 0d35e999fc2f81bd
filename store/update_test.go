package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/store"
)

func TestUpdatesTooLargeForOneCommitAreSplit(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))

	var wg sync.WaitGroup

	// Together 12 MiB, which is five commits at least.
	for w := range 24 {
		wg.Go(func() {
			_, err := s.Update(t.Context(), func(txn core.Txn) error {
				if err := txn.Put(core.TableSetting, keyOf(uint64(w)), strings.Repeat("x", 500<<10)); err != nil {
					return err
				}

				// Half of them share the event of their notes with whoever is in their commit.
				if w%2 == 0 {
					return txn.Note(time.Unix(1, 0), core.SampleNote{Run: core.RunID(fmt.Sprintf("N%d", w))})
				}

				return txn.Emit(core.Event{Run: "R1"})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()

	count, err := s.Verify(t.Context())
	if err != nil || count.Records != 24 || count.Commits < 5 {
		t.Errorf("%+v, %v", count, err)
	}

	if noted, emitted := tellings(t, s); len(noted) != 12 || emitted != 12 {
		t.Errorf("told of runs %v, and %d other events", noted, emitted)
	}
}

// tellings is how often each run's notes are told, and how many events are of other
// things.
func tellings(t *testing.T, s *store.Store) (noted map[core.RunID]int, emitted int) {
	t.Helper()

	noted = map[core.RunID]int{}

	err := s.View(t.Context(), func(r core.Reader) error {
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}

		for _, e := range events {
			if e.Kind != core.EventSample {
				emitted++

				continue
			}

			each, err := e.Each()
			if err != nil {
				return err
			}

			for _, e := range each {
				noted[e.Run]++
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return noted, emitted
}

func TestAnUpdateTooLargeForAnyCommitIsRefused(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))

	_, err := s.Update(t.Context(), func(txn core.Txn) error {
		for i := range 8 {
			if err := txn.Put(core.TableSetting, keyOf(uint64(i)), strings.Repeat("x", 500<<10)); err != nil {
				return err
			}
		}

		return nil
	})
	expectProblem(t, err, "store/update-too-large", "KiB")

	if count, err := s.Verify(t.Context()); err != nil || count.Records != 0 {
		t.Errorf("%+v, %v", count, err)
	}
}

func TestAChangeThatPanicsHarmsOnlyItsCaller(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))

	var wg sync.WaitGroup

	for w := range 50 {
		wg.Go(func() {
			defer func() {
				if r := recover(); (r != nil) != (w%10 == 0) {
					t.Errorf("writer %d recovered %v", w, r)
				}
			}()

			_, err := s.Update(t.Context(), func(txn core.Txn) error {
				if err := txn.Put(core.TableSetting, keyOf(uint64(w)), 1); err != nil || w%10 != 0 {
					return err
				}

				panic("a fault in a change")
			})
			if err != nil {
				t.Error(err)
			}
		})
	}

	wg.Wait()

	if count, err := s.Verify(t.Context()); err != nil || count.Records != 45 {
		t.Errorf("%+v, %v", count, err)
	}
}

func TestAClosedLedgerRefusesCalmly(t *testing.T) {
	t.Parallel()

	s, err := store.Open(t.Context(), small(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}

	var (
		wg    sync.WaitGroup
		ready = make(chan struct{}, 1)
	)

	for w := range 20 {
		wg.Go(func() {
			for n := uint64(w); ; n += 20 {
				if _, err := s.Update(t.Context(), write(n)); err != nil {
					expectProblem(t, err, "store/closed", "Try again")

					return
				}

				select {
				case ready <- struct{}{}:
				default:
				}
			}
		})
	}

	<-ready

	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}

	wg.Wait()

	expectProblem(t, s.View(t.Context(), func(core.Reader) error { return nil }), "store/closed", "Try again")

	_, err = s.Verify(t.Context())
	expectProblem(t, err, "store/closed", "Try again")
}

func TestAWaiterWhoseContextEndsLeavesTheLine(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))

	var (
		wg      sync.WaitGroup
		leading = make(chan struct{})
		goOn    = make(chan struct{})
	)

	wg.Go(func() {
		_, err := s.Update(t.Context(), func(core.Txn) error {
			close(leading)
			<-goOn

			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})

	<-leading

	ctx, cancel := context.WithCancel(t.Context())
	cause := make(chan error)

	go func() {
		_, err := s.Update(ctx, func(core.Txn) error {
			t.Error("the change ran though nobody waits for it")

			return nil
		})
		cause <- err
	}()

	cancel()

	if err := <-cause; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}

	close(goOn)
	wg.Wait()
}

func TestKeysThatCouldNotBeFoundAgainAreRefused(t *testing.T) {
	t.Parallel()

	s := open(t, small(t.TempDir()))

	for _, c := range []struct {
		table core.Table
		key   string
	}{
		{"setting", ""}, {"setting", "\xff"}, {"setting", strings.Repeat("k", 513)}, {"", "a"}, {"a/b", "c"}, {"Setting", "a"},
	} {
		_, err := s.Update(t.Context(), func(txn core.Txn) error { return txn.Put(c.table, c.key, 1) })
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("Put(%q, %q): %v", c.table, c.key, err)
		}
	}

	for _, run := range []core.RunID{"a/b", "\x00", core.RunID(strings.Repeat("R", 300))} {
		_, err := s.Update(t.Context(), func(txn core.Txn) error { return txn.Emit(core.Event{Run: run}) })
		if !errors.Is(err, core.ErrInvalid) {
			t.Errorf("Emit of run %q: %v", run, err)
		}
	}

	_, err := s.Update(t.Context(), func(txn core.Txn) error { return txn.Emit(core.Event{Data: []byte("{")}) })
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("Emit of half an object: %v", err)
	}

	_, err = s.Update(t.Context(), func(txn core.Txn) error { return txn.Put(core.TableSetting, "a", make(chan int)) })
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("Put of a channel: %v", err)
	}
}

func TestChainsGoOnOverRestarts(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()

	for round := range uint64(3) {
		s, err := store.Open(t.Context(), small(dir))
		if err != nil {
			t.Fatal(err)
		}

		for n := range uint64(10) {
			if _, err := s.Update(t.Context(), write(10*round+n)); err != nil {
				t.Fatal(err)
			}
		}

		if count, err := s.Verify(t.Context()); err != nil || count.Events != 10*(round+1) || count.Links < count.Commits {
			t.Errorf("round %d: %+v, %v", round, count, err)
		}

		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func ExampleStore_Update() {
	ctx := context.Background()

	s, err := store.OpenMemory(ctx, nil)
	if err != nil {
		fmt.Println(err)

		return
	}
	defer s.Close()

	seq, err := s.Update(ctx, func(txn core.Txn) error {
		if err := txn.Put(core.TableHost, "52:54:00:12:34:56", core.Host{Name: "rack3-07"}); err != nil {
			return err
		}

		return txn.Emit(core.Event{Kind: core.EventHost, Host: "52:54:00:12:34:56"})
	})
	fmt.Println(seq, err)
	// Output: 1 <nil>
}
