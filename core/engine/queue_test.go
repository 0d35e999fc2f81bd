package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
)

// inQueue runs a test where one run is under way and those of hosts 2 to 5 wait.
func inQueue(t *testing.T, test func(t *testing.T, r *rig, busy core.RunID, waiting []core.RunID)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), func(c *engine.Config) { c.MaxConcurrent = 1 })

		var ids []core.RunID

		for n := 1; n <= 5; n++ {
			r.host(n)
			ids = append(ids, r.start(n))
		}

		test(t, r, ids[0], ids[1:])
	})
}

func (r *rig) move(id core.RunID, to core.Place, before core.RunID) core.QueueMoved {
	r.t.Helper()

	moved, err := r.MoveRun(r.t.Context(), "op", id, core.QueueMove{To: to, Before: before})
	if err != nil {
		r.t.Fatal(err)
	}

	synctest.Wait()

	return moved
}

// turns cancels what is under way again and again and returns who got a turn.
func (r *rig) turns(busy core.RunID, waiting []core.RunID) (got []core.RunID) {
	r.t.Helper()

	for range waiting {
		if _, err := r.CancelRun(r.t.Context(), "op", busy); err != nil {
			r.t.Fatal(err)
		}

		synctest.Wait()

		for _, id := range waiting {
			if run := r.run(id); !run.State.Over() && run.State != core.StateQueued {
				busy = id
			}
		}

		got = append(got, busy)
	}

	return got
}

func TestTheQueueIsObeyedAsPeopleHaveOrderedIt(t *testing.T) {
	inQueue(t, func(t *testing.T, r *rig, busy core.RunID, w []core.RunID) {
		for _, m := range []struct {
			run    core.RunID
			to     core.Place
			before core.RunID
			want   []core.RunID
			stood  core.RunID
		}{
			{w[3], core.PlaceFirst, "", []core.RunID{w[3], w[0], w[1], w[2]}, ""},
			{w[0], core.PlaceDown, "", []core.RunID{w[3], w[1], w[0], w[2]}, w[1]},
			{w[2], core.PlaceUp, "", []core.RunID{w[3], w[1], w[2], w[0]}, ""},
			{w[3], core.PlaceLast, "", []core.RunID{w[1], w[2], w[0], w[3]}, w[1]},
			{w[3], core.PlaceBefore, w[2], []core.RunID{w[1], w[3], w[2], w[0]}, ""},
			{w[1], core.PlaceUp, "", []core.RunID{w[1], w[3], w[2], w[0]}, w[3]},
			{w[0], core.PlaceDown, "", []core.RunID{w[1], w[3], w[2], w[0]}, ""},
			{w[2], core.PlaceBefore, w[2], []core.RunID{w[1], w[3], w[2], w[0]}, w[0]},
		} {
			if got := r.move(m.run, m.to, m.before); !slices.Equal(got.Order, m.want) || got.Before != m.stood {
				t.Fatalf("%s %s %s: %v, it stood before %q", m.run, m.to, m.before, got.Order, got.Before)
			}
		}

		// A run that is started later waits after all others, and a restart forgets nothing.
		r.host(6)
		late := r.start(6)
		r.restart()

		all := []core.RunID{w[1], w[3], w[2], w[0], late}
		if got := r.turns(busy, all); !slices.Equal(got, all) {
			t.Errorf("turns %v, want %v", got, all)
		}
	})
}

func TestMovingIsAuditedAndMovingNowhereIsNot(t *testing.T) {
	inQueue(t, func(t *testing.T, r *rig, _ core.RunID, w []core.RunID) {
		r.move(w[2], core.PlaceFirst, "")
		r.move(w[2], core.PlaceFirst, "")

		var told []string

		for _, a := range r.audits() {
			if a.Action == "run.move" {
				told = append(told, a.Who+": "+a.Text)
			}
		}

		if len(told) != 1 || !strings.HasPrefix(told[0], "op: moved run "+string(w[2])) || !strings.HasSuffix(told[0], "from place 3 to place 1 of the queue") {
			t.Errorf("%q", told)
		}
	})
}

func TestWhatCannotBeMovedIsRefused(t *testing.T) {
	inQueue(t, func(t *testing.T, r *rig, busy core.RunID, w []core.RunID) {
		for name, c := range map[string]struct {
			run  core.RunID
			move core.QueueMove
			code string
		}{
			"no run":                  {"x", core.QueueMove{To: core.PlaceUp}, "run/not-found"},
			"a run that has its turn": {busy, core.QueueMove{To: core.PlaceUp}, "run/not-queued"},
			"before one that has":     {w[0], core.QueueMove{To: core.PlaceBefore, Before: busy}, "run/not-queued"},
			"before nobody":           {w[0], core.QueueMove{To: core.PlaceBefore}, "run/not-queued"},
			"to a place that is none": {w[0], core.QueueMove{To: "top"}, "run/bad-move"},
			"to no place":             {w[0], core.QueueMove{}, "run/bad-move"},
		} {
			if _, err := r.MoveRun(t.Context(), "op", c.run, c.move); codeOf(err) != c.code {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A move that is taken back is one of an order that others may have changed meanwhile.
func TestAMoveOfAnOrderThatWasChangedIsRefused(t *testing.T) {
	inQueue(t, func(t *testing.T, r *rig, _ core.RunID, w []core.RunID) {
		moved := r.move(w[2], core.PlaceFirst, "")
		back := core.QueueMove{To: core.PlaceBefore, Before: moved.Before, Stood: moved.Order}

		r.move(w[0], core.PlaceLast, "")

		if _, err := r.MoveRun(t.Context(), "op", w[2], back); codeOf(err) != "undo/over" {
			t.Errorf("with another order: %v", err)
		}

		r.move(w[0], core.PlaceBefore, w[1])

		// One that has left the queue changes nothing in the order of the others.
		if _, err := r.CancelRun(t.Context(), "op", w[1]); err != nil {
			t.Fatal(err)
		}

		if got, err := r.MoveRun(t.Context(), "op", w[2], back); err != nil || !slices.Equal(got.Order, []core.RunID{w[0], w[2], w[3]}) {
			t.Errorf("with the order as it was: %v %v", got.Order, err)
		}
	})
}

// The last of the queue is moved, and another run joins: taken back, it stands where it stood,
// and not behind the one that came after it.
func TestAMoveOutOfTheLastPlaceIsTakenBackBeforeNewcomers(t *testing.T) {
	inQueue(t, func(t *testing.T, r *rig, _ core.RunID, w []core.RunID) {
		moved := r.move(w[3], core.PlaceFirst, "")
		if moved.Before != "" {
			t.Fatalf("it stood before %s", moved.Before)
		}

		r.host(9)

		late := r.start(9)

		got, err := r.MoveRun(t.Context(), "op", w[3], core.QueueMove{To: core.PlaceLast, Stood: moved.Order})
		if want := append(slices.Clone(w), late); err != nil || !slices.Equal(got.Order, want) {
			t.Errorf("%v %v, not %v", got.Order, err, want)
		}

		// Without an earlier order it is the end.
		if got := r.move(w[0], core.PlaceLast, ""); got.Order[len(got.Order)-1] != w[0] {
			t.Errorf("%v", got.Order)
		}
	})
}

func TestRunsOfABatchAreKeptTogether(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var ids []core.RunID

		for n := 1; n <= 2; n++ {
			r.host(n)

			run, err := r.StartRun(t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Who: "op", Batch: "delivery-7"})
			if err != nil || run.Batch != "delivery-7" {
				t.Fatalf("%q %v", run.Batch, err)
			}

			ids = append(ids, run.ID)
			r.pass(time.Minute)
		}

		batch := get[core.Batch](r, core.TableBatch, "delivery-7")
		if !slices.Equal(batch.Runs, ids) || batch.By != "op" || !batch.CreatedAt.Equal(coretest.Start()) {
			t.Errorf("%+v", batch)
		}

		r.host(3)

		for _, name := range []string{".hidden", "a/b", "a b", "ä", strings.Repeat("x", 65), "<b>"} {
			if _, err := r.StartRun(t.Context(), coretest.MAC(3), core.StartRun{Profile: "quick", Batch: name}); codeOf(err) != "run/bad-batch" {
				t.Errorf("%q: %v", name, err)
			}
		}

		// A batch that is full refuses the run as a whole.
		if _, err := r.ledger.Update(t.Context(), func(txn core.Txn) error {
			return txn.Put(core.TableBatch, "full", core.Batch{Name: "full", Runs: make([]core.RunID, core.MostBatchRuns)})
		}); err != nil {
			t.Fatal(err)
		}

		if _, err := r.StartRun(t.Context(), coretest.MAC(3), core.StartRun{Profile: "quick", Batch: "full"}); codeOf(err) != "run/bad-batch" {
			t.Errorf("a full batch: %v", err)
		}

		if host := r.hostOf(3); host.CurrentRun != "" {
			t.Errorf("a run that was refused is there: %s", host.CurrentRun)
		}
	})
}

func TestTheEndOfABatchIsToldOnce(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		var ids []core.RunID

		for n := 1; n <= 3; n++ {
			r.host(n)

			run, err := r.StartRun(t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Who: "op", Batch: "delivery-7"})
			if err != nil {
				t.Fatal(err)
			}

			ids = append(ids, run.ID)
		}

		for i, id := range ids {
			if told := batchNews(t, r); len(told) != 0 {
				t.Fatalf("told before run %d is over: %+v", i, told)
			}

			if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
				t.Fatal(err)
			}
		}

		told := batchNews(t, r)
		if len(told) != 1 || told[0].Batch != "delivery-7" || told[0].Verdicts[core.Cancelled] != 3 || len(told[0].Verdicts) != 1 || told[0].Severity != core.Warning ||
			told[0].Text != "Batch delivery-7 is over: 0 of 3 passed, 3 ended with cancelled" {
			t.Errorf("%+v", told)
		}

		r.pass(time.Minute) // and a run of no batch tells nothing
		r.host(4)

		if _, err := r.CancelRun(t.Context(), "op", r.start(4)); err != nil {
			t.Fatal(err)
		}

		if told := batchNews(t, r); len(told) != 1 {
			t.Errorf("told again: %+v", told)
		}
	})
}

// joined starts a run of the n-th host in a batch.
func (r *rig) joined(n int, batch string, grace time.Duration) core.RunID {
	r.t.Helper()

	run, err := r.StartRun(r.t.Context(), coretest.MAC(n), core.StartRun{Profile: "quick", Who: "op", Batch: batch, Grace: grace})
	if err != nil {
		r.t.Fatal(err)
	}

	return run.ID
}

// A batch that goes on after its end is told of again, with what it comes to then: a host
// counts by its last run. A start that is withdrawn is no run of it.
func TestTheEndOfABatchThatWentOnIsToldAgain(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		told := func(n int, text string) {
			t.Helper()

			if all := batchNews(t, r); len(all) != n || n > 0 && all[n-1].Text != text {
				t.Errorf("told %+v, want %d of them, the last %q", all, n, text)
			}
		}

		end := func(ids ...core.RunID) {
			t.Helper()

			for _, id := range ids {
				if _, err := r.WithdrawRun(t.Context(), "op", id); codeOf(err) == "run/has-begun" {
					_, err = r.CancelRun(t.Context(), "op", id)
					if err != nil {
						t.Fatal(err)
					}
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}

		r.host(1)
		r.host(2)

		end(r.joined(1, "seven", core.Grace))
		told(0, "")

		end(r.joined(1, "seven", 0))
		told(1, "Batch seven is over: 0 of 1 passed, 1 ended with cancelled")

		end(r.joined(1, "seven", core.Grace), r.joined(2, "seven", core.Grace))
		told(1, "Batch seven is over: 0 of 1 passed, 1 ended with cancelled")

		two, one := r.joined(2, "seven", core.Grace), r.start(1) // of no batch

		r.pass(core.Grace + time.Second)
		end(two)
		told(2, "Batch seven is over: 0 of 2 passed, 2 ended with cancelled")

		end(one, r.joined(2, "seven", 0))
		told(3, "Batch seven is over: 0 of 2 passed, 2 ended with cancelled")

		id := r.joined(1, "seven", 0)
		r.pass(time.Second)

		m := r.machine(1)
		m.finish(m.boot().State)
		r.wantState(id, core.StateCompleted)
		told(4, "Batch seven is over: 1 of 2 passed, 1 ended with cancelled")
	})
}

// A run whose record was lost was told of with the others: the next end is told all the same.
func TestTheEndOfABatchIsToldThoughARunOfItWasLost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		cancel := func(id core.RunID) {
			t.Helper()

			if _, err := r.CancelRun(t.Context(), "op", id); err != nil {
				t.Fatal(err)
			}
		}

		r.host(1)
		r.host(2)

		one := r.joined(1, "seven", 0)
		cancel(one)
		cancel(r.joined(2, "seven", 0))

		if _, err := r.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Delete(core.TableRun, string(one)) }); err != nil {
			t.Fatal(err)
		}

		before := len(batchNews(t, r))
		cancel(r.joined(2, "seven", 0))

		if all := batchNews(t, r); len(all) != before+1 {
			t.Errorf("told %d times, and %d times before: %+v", len(all), before, all)
		}
	})
}

// batchNews are the notices about batches.
func batchNews(t *testing.T, r *rig) (list []core.Notice) {
	t.Helper()

	for _, e := range r.events(core.EventNotice) {
		var n core.Notice
		if err := json.Unmarshal(e.Data, &n); err != nil {
			t.Fatal(err)
		}

		if n.Topic == core.BatchCompleted {
			if e.Host != "" || e.Run != "" {
				t.Errorf("it is of a host or a run: %+v", e)
			}

			list = append(list, n)
		}
	}

	return list
}
