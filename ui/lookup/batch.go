package lookup

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/text"
)

// mostBatch bounds the hosts of a batch.
const mostBatch = 500

// ParseDay checks a day as a batch is asked for by; empty chooses all.
func ParseDay(day string) error {
	if day == "" {
		return nil
	}

	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return core.NewProblem(core.ErrInvalid, "request/bad-day", "A day is written like 2026-01-31.")
	}

	return nil
}

// Batch gathers the last report of each host that is asked for. A start that was withdrawn
// has none, unless it is all there is of its host.
func Batch(r core.Reader, of report.BatchOf, by Author) (report.Batch, error) {
	batch := report.NewBatch(of, by.Appliance, by.Now)

	hosts, err := batchHosts(r, of)
	if err != nil {
		return batch, err
	}

	taken, withdrawn := map[core.MAC]bool{}, map[core.MAC]core.Run{}

	add := func(run *core.Run) error {
		if len(taken) == mostBatch {
			batch.Cut = true

			return errEnough
		}

		taken[run.Host] = true

		found, err := Report(r, run, by)
		if err == nil {
			batch.Add(&found)
		}

		return err
	}

	err = eachRun(r, of.Batch, func(run core.Run) error {
		if taken[run.Host] || hosts != nil && hosts[run.Host] == nil || !ofBatch(&run, of) {
			return nil
		}

		if !run.Withdrawn() {
			return add(&run)
		}

		if _, newer := withdrawn[run.Host]; !newer {
			withdrawn[run.Host] = run
		}

		return nil
	})

	for _, mac := range slices.Sorted(maps.Keys(withdrawn)) {
		if run := withdrawn[mac]; err == nil && !taken[mac] {
			err = add(&run)
		}
	}

	if err != nil && !errors.Is(err, errEnough) {
		return batch, err
	}

	if !batch.Cut {
		missed(&batch, hosts, taken)
	}

	slices.SortStableFunc(batch.Rows, func(a, b report.BatchRow) int { return text.Natural(a.Host, b.Host) })

	return batch, nil
}

// missed notes the hosts that were asked for and not taken.
func missed(batch *report.Batch, hosts map[core.MAC]*core.Host, taken map[core.MAC]bool) {
	for mac, host := range hosts {
		if !taken[mac] {
			batch.Miss(host)
		}
	}

	slices.SortFunc(batch.NotVetted, func(a, b report.BatchHost) int {
		return cmp.Or(text.Natural(a.Host, b.Host), cmp.Compare(a.MAC, b.MAC))
	})
}

// batchHosts are the hosts with the tag and of the rack; nil: all, also those that are
// registered no more.
func batchHosts(r core.Reader, of report.BatchOf) (map[core.MAC]*core.Host, error) {
	if of.Tag == "" && of.Rack == "" {
		return nil, nil //nolint:nilnil // nil stands for all
	}

	all, err := AllHosts(r)
	if err != nil {
		return nil, err
	}

	chosen := map[core.MAC]*core.Host{}

	for i := range all {
		rack, _, _ := strings.Cut(all[i].Rack, "/")

		if (of.Tag == "" || slices.Contains(all[i].Tags, of.Tag)) && (of.Rack == "" || rack == of.Rack || all[i].Rack == of.Rack) {
			chosen[all[i].MAC] = &all[i]
		}
	}

	return chosen, nil
}

// eachRun reads the runs of a batch, all runs where it has no name, the newest first.
// A batch that is not there has none.
func eachRun(r core.Reader, batch string, take func(core.Run) error) error {
	if batch == "" {
		return r.Scan(core.TableRun, core.Query{Reverse: true}, func(_ string, decode func(any) error) error {
			var run core.Run

			if err := decode(&run); err != nil {
				return err
			}

			return take(run)
		})
	}

	found, err := BatchOf(r, batch)
	if errors.Is(err, core.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}

	for _, id := range slices.Backward(found.Runs) {
		run, err := Run(r, id)
		if err != nil {
			return err
		}

		if err := take(run); err != nil {
			return err
		}
	}

	return nil
}

func ofBatch(run *core.Run, of report.BatchOf) bool {
	at := run.EndedAt
	if at.IsZero() {
		at = run.CreatedAt
	}

	return (of.Day == "" || at.UTC().Format(time.DateOnly) == of.Day) && (of.Profile == "" || run.Profile.Name == of.Profile)
}
