package lookup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/ui/pace"
	"vetting/ui/text"
)

// Live is a run that is not over.
type Live struct {
	Run  *core.Run
	Plan pace.Plan
	Due  pace.Due // as earlier runs tell
}

// Waits reports whether the run waits for its turn.
func (l *Live) Waits() bool {
	return l.Run.State == core.StateQueued || l.Run.State == core.StateRegistered
}

// LiveRuns lists the runs that go on or are held, the oldest first, and those that wait
// for their turn, the next first. slots is how many may go on at once; 0: not known.
func LiveRuns(r core.Reader, shelf *Shelf, paces *Paces, slots int, now time.Time) (going, waiting []Live, err error) {
	hosts, err := AllHosts(r)
	if err != nil {
		return nil, nil, err
	}

	var queue core.Queue
	if err := r.Get(core.TableSetting, core.QueueKey, &queue); err != nil && !errors.Is(err, core.ErrNotFound) {
		return nil, nil, fmt.Errorf("reading the order of the queue: %w", err)
	}

	for i := range hosts {
		if hosts[i].CurrentRun == "" {
			continue
		}

		live := Live{}

		if live.Run, err = shelf.Run(r, hosts[i].CurrentRun); err != nil {
			return nil, nil, err
		}

		if live.Plan, err = planOf(r, shelf, paces, &hosts[i], live.Run, now); err != nil {
			return nil, nil, err
		}

		if live.Waits() {
			waiting = append(waiting, live)
		} else {
			going = append(going, live)
		}
	}

	ranks := queue.Ranks()
	rank := func(id core.RunID) int {
		if n, moved := ranks[id]; moved {
			return n
		}

		return len(ranks)
	}

	slices.SortFunc(going, func(a, b Live) int { return strings.Compare(string(a.Run.ID), string(b.Run.ID)) })
	slices.SortFunc(waiting, func(a, b Live) int {
		return cmp.Or(cmp.Compare(rank(a.Run.ID), rank(b.Run.ID)), strings.Compare(string(a.Run.ID), string(b.Run.ID)))
	})

	foretell(going, waiting, slots, now)

	return going, waiting, nil
}

// planOf is what is known of the stages of a run. One that has not read its machine yet
// is taken to be on the machine that the last run of its host found.
func planOf(r core.Reader, shelf *Shelf, paces *Paces, host *core.Host, run *core.Run, now time.Time) (pace.Plan, error) {
	if err := paces.look(r, shelf, now); err != nil {
		return nil, err
	}

	on, err := shelf.Machine(r, run)
	if err == nil && on.Model == "" && host.LastRun != "" {
		on, err = shelf.machine(r, host.LastRun)
	}

	paces.mu.Lock()
	defer paces.mu.Unlock()

	return paces.book.Of(run, on), err
}

// foretell says when the runs are due. One that is held takes no place.
func foretell(going, waiting []Live, slots int, now time.Time) {
	var (
		jobs []pace.Job
		of   []*Live
	)

	for _, list := range [][]Live{going, waiting} {
		for i := range list {
			l := &list[i]
			if l.Run.State == core.StateFailedHolding {
				continue
			}

			rest, guess, known := l.Plan.Rest(l.Run, now)
			jobs, of = append(jobs, pace.Job{Takes: rest, Known: known, Guess: guess, Waits: l.Waits()}), append(of, l)
		}
	}

	for i, due := range pace.Forecast(jobs, slots) {
		of[i].Due = due
	}
}

// BatchOf reads a batch by its name.
func BatchOf(r core.Reader, name string) (core.Batch, error) {
	var batch core.Batch

	err := core.ErrNotFound // a name that none can have would be no key either
	if _, bad := core.ParseBatch(name); bad == nil {
		err = r.Get(core.TableBatch, name, &batch)
	}

	if errors.Is(err, core.ErrNotFound) {
		return batch, core.NewProblem(core.ErrNotFound, "run/no-batch", fmt.Sprintf("There is no batch %.70q.", name))
	}

	return batch, err
}

// mostBatched bounds the runs of the batches on one page: all of them are read for it.
const mostBatched = 2 * core.MostBatchRuns

// Batches lists batches, the newest first. A page may be short and still have a next one.
func Batches(r core.Reader, page Page) (rows []core.Batch, next string, err error) {
	var all []core.Batch

	err = r.Scan(core.TableBatch, core.Query{}, func(_ string, decode func(any) error) error {
		var batch core.Batch

		err := decode(&batch)
		all = append(all, batch)

		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("listing batches: %w", err)
	}

	slices.SortFunc(all, func(a, b core.Batch) int { return strings.Compare(batchKey(&b), batchKey(&a)) })

	rows = []core.Batch{}
	runs := 0

	for i := range all {
		if page.After != "" && batchKey(&all[i]) >= page.After {
			continue
		}

		if runs += len(all[i].Runs); len(rows) == page.Limit || len(rows) > 0 && runs > mostBatched {
			return rows, token(batchKey(&rows[len(rows)-1])), nil
		}

		rows = append(rows, all[i])
	}

	return rows, "", nil
}

// batchKey orders batches by their time.
func batchKey(b *core.Batch) string { return b.CreatedAt.UTC().Format(time.RFC3339) + " " + b.Name }

// LastRuns reads the runs that a batch comes to, by the host's name, and how many there
// are besides.
func LastRuns(r core.Reader, shelf *Shelf, batch *core.Batch) (runs []*core.Run, before int, err error) {
	var last core.Last

	for _, id := range slices.Backward(batch.Runs) {
		run, err := shelf.Run(r, id)
		if err != nil {
			return nil, 0, err
		}

		last.Add(run)
	}

	slices.SortStableFunc(last.Runs, func(a, b *core.Run) int {
		return cmp.Or(text.Natural(a.HostName, b.HostName), strings.Compare(string(a.Host), string(b.Host)))
	})

	return last.Runs, last.Before, nil
}
