package janitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/retention"
	"vetting/core/threshold"
)

// bounds are of what is held in memory, or written at once, while raw samples are
// summed up.
type bounds struct{ samplesAtOnce, rollupsAtOnce, keysAtOnce int }

func usual() bounds { return bounds{samplesAtOnce: 200_000, rollupsAtOnce: 4_000, keysAtOnce: 1_000} }

// seeSamples finds the runs whose raw samples are due to be summed up, and those of
// which a sweep that was cut short has left some.
func (f *found) seeSamples(ages *ages, r core.Reader) error {
	if f.step = ages.policy.Downsample; f.step == 0 {
		return nil
	}

	for after := ""; ; {
		run, err := nextRun(r, after)
		if err != nil || run == "" {
			return err
		}

		after = string(run) + "0" // past all of "RUN/": the digit follows the slash

		due, err := ages.of(run)
		if err != nil {
			return err
		}

		if retention.Past(due.Samples, f.now) {
			f.series = append(f.series, Item{What: ItemSamples, Run: run, Due: due.Samples})
		}
	}
}

// nextRun returns the first run past a key that has raw samples; empty: none.
func nextRun(r core.Reader, after string) (run core.RunID, err error) {
	err = r.Scan(core.TableSamples, core.Query{After: after, Limit: 1}, func(_ string, decode func(any) error) error {
		var batch core.SampleBatch
		err := decode(&batch)
		run = batch.Run

		return err
	})

	return run, err
}

// sumUp puts rollups in the place of the raw samples of a run. It may be cut short
// at any moment: until the ledger says that the rollups count the raw samples do,
// and from then on what is left of them does not.
func (j *Janitor) sumUp(ctx context.Context, id core.RunID, step time.Duration, now time.Time) error {
	var (
		expiry core.Expiry
		run    core.Run
	)

	err := j.ports.Ledger.View(ctx, func(r core.Reader) error {
		err := r.Get(core.TableExpiry, string(id), &expiry)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		return r.Get(core.TableRun, string(id), &run)
	})

	if err == nil && expiry.SamplesAt.IsZero() {
		err = j.writeRollups(ctx, &run, step, now)
	}

	if err == nil {
		err = j.dropSamples(ctx, id)
	}

	if err != nil {
		return fmt.Errorf("summing up the samples of %s: %w", id, err)
	}

	return nil
}

// series is one key in one try of a stage.
type series struct {
	stage   core.StageName
	attempt int
	key     string
}

func (s series) compare(o series) int {
	return cmp.Or(cmp.Compare(s.stage, o.stage), cmp.Compare(s.attempt, o.attempt), cmp.Compare(s.key, o.key))
}

// writeRollups writes all rollups of a run, and then that they count.
func (j *Janitor) writeRollups(ctx context.Context, run *core.Run, step time.Duration, now time.Time) error {
	counts, err := j.count(ctx, run.ID)
	if err != nil {
		return err
	}

	all := make([]series, 0, len(counts))
	for s := range counts {
		all = append(all, s)
	}

	slices.SortFunc(all, series.compare)

	number := 0

	for len(all) > 0 {
		some := portion(all, counts, j.samplesAtOnce)
		all = all[len(some):]

		if number, err = j.foldSome(ctx, run, some, step, number); err != nil {
			return err
		}
	}

	return j.swap(ctx, run.ID, number, now)
}

// swap lets the rollups count from now on, and the raw samples no more. Records past
// the last one are of a sweep with a shorter step, which was cut short.
func (j *Janitor) swap(ctx context.Context, run core.RunID, last int, now time.Time) error {
	_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
		var stale []string

		err := tx.Scan(core.TableRollup, core.Query{Prefix: string(run) + "/", After: rollupKey(run, last)}, func(key string, _ func(any) error) error {
			stale = append(stale, key)

			return nil
		})
		if err != nil {
			return err
		}

		for _, key := range stale {
			if err := tx.Delete(core.TableRollup, key); err != nil {
				return err
			}
		}

		return expire(tx, run, func(e *core.Expiry) { e.SamplesAt = now })
	})

	return err
}

// portion takes as many series of one try of a stage from the front as fit into
// memory: one at least.
func portion(all []series, counts map[series]int, limit int) []series {
	sum := 0

	for i, s := range all {
		if sum += counts[s]; i > 0 && (sum > limit || s.stage != all[0].stage || s.attempt != all[0].attempt) {
			return all[:i]
		}
	}

	return all
}

// count counts the samples of each series.
func (j *Janitor) count(ctx context.Context, run core.RunID) (map[series]int, error) {
	counts := map[series]int{}

	return counts, j.eachBatch(ctx, run, func(batch *core.SampleBatch) {
		for i := range batch.Samples {
			counts[series{batch.Stage, batch.Attempt, batch.Samples[i].Key}]++
		}
	})
}

func (j *Janitor) eachBatch(ctx context.Context, run core.RunID, see func(*core.SampleBatch)) error {
	return j.ports.Ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableSamples, core.Query{Prefix: string(run) + "/"}, func(_ string, decode func(any) error) error {
			var batch core.SampleBatch

			err := errors.Join(decode(&batch), ctx.Err())
			if err == nil {
				see(&batch)
			}

			return err
		})
	})
}

// foldSome sums up a few series of one try of a stage, and writes what comes of it
// after the number-th record. It returns the number of the last one.
func (j *Janitor) foldSome(ctx context.Context, run *core.Run, some []series, step time.Duration, number int) (int, error) {
	stage, attempt := some[0].stage, some[0].attempt
	wanted, needed := map[string]string{}, map[string]string{}

	for _, s := range some {
		wanted[s.key], needed[s.key] = s.key, s.key
	}

	for _, key := range threshold.Compared(run.Rules) {
		needed[key] = key
	}

	var samples []core.Sample

	err := j.eachBatch(ctx, run.ID, func(batch *core.SampleBatch) {
		if batch.Stage != stage || batch.Attempt != attempt {
			return
		}

		for _, s := range batch.Samples {
			if key, is := needed[s.Key]; is {
				s.Key = key // one text for all, so that those of the batches can go
				samples = append(samples, s)
			}
		}
	})
	if err != nil {
		return number, err
	}

	rules := run.Rules
	if stage == "" {
		rules = nil // outside stages nothing is judged
	}

	rollups := threshold.Fold(rules, stage, samples, step, func(key string) bool { return wanted[key] != "" })

	for chunk := range slices.Chunk(rollups, j.rollupsAtOnce) {
		number++

		_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
			return tx.Put(core.TableRollup, rollupKey(run.ID, number), core.RollupBatch{
				Run: run.ID, Stage: stage, Attempt: attempt, Step: step, Rollups: chunk,
			})
		})
		if err != nil {
			return number, err
		}
	}

	return number, nil
}

func rollupKey(run core.RunID, number int) string { return fmt.Sprintf("%s/%06d", run, number) }

// dropSamples removes the raw samples of a run, a few at a time.
func (j *Janitor) dropSamples(ctx context.Context, run core.RunID) error {
	for {
		var keys []string

		err := j.ports.Ledger.View(ctx, func(r core.Reader) error {
			return r.Scan(core.TableSamples, core.Query{Prefix: string(run) + "/", Limit: j.keysAtOnce}, func(key string, _ func(any) error) error {
				keys = append(keys, key)

				return nil
			})
		})
		if err != nil || len(keys) == 0 {
			return err
		}

		_, err = j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
			for _, key := range keys {
				if err := tx.Delete(core.TableSamples, key); err != nil {
					return err
				}
			}

			return nil
		})
		if err != nil {
			return err
		}
	}
}
