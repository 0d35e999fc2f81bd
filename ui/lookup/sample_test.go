package lookup_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

func start() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

// series is ten batches of six samples: two keys, a second apart.
func series(t *testing.T) *coretest.Ledger {
	t.Helper()

	return ledger(t, func(tx core.Txn) error {
		for b := range 10 {
			batch := core.SampleBatch{Run: canned.Run, Epoch: 1, Seq: uint64(b)} //nolint:gosec // small

			for i := range 3 {
				at := start().Add(time.Duration(b*3+i) * time.Second)
				batch.Samples = append(batch.Samples,
					core.Sample{Time: at, Key: "cpu/package0/temperature_celsius", Value: float64(b*3 + i), Unit: "celsius"},
					core.Sample{Time: at, Key: "fan/1/speed_rpm", Value: math.NaN()})
			}

			if err := tx.Put(core.TableSamples, fmt.Sprintf("%s/00001/%08d", canned.Run, b), batch); err != nil {
				return err
			}
		}

		return tx.Put(core.TableSamples, "01JD4X00000000000000000099/00001/00000001",
			core.SampleBatch{Samples: []core.Sample{{Key: "another/run/of_it", Value: 1}}})
	})
}

func TestSamplesAreReadInPagesAndFiltered(t *testing.T) {
	t.Parallel()

	l := series(t)

	for name, c := range map[string]struct {
		query lookup.SampleQuery
		want  int
	}{
		"all of the run":          {lookup.SampleQuery{}, 60},
		"one key":                 {lookup.SampleQuery{Key: "fan/1/speed_rpm"}, 30},
		"a pattern":               {lookup.SampleQuery{Key: "cpu/*/temperature_celsius"}, 30},
		"a star ends at a slash":  {lookup.SampleQuery{Key: "cpu/*"}, 0},
		"from a time":             {lookup.SampleQuery{From: start().Add(20 * time.Second)}, 20},
		"before a time":           {lookup.SampleQuery{To: start().Add(5 * time.Second)}, 10},
		"a key in a span of time": {lookup.SampleQuery{Key: "fan/*/*", From: start().Add(2 * time.Second), To: start().Add(4 * time.Second)}, 2},
	} {
		for _, limit := range []int{1, 7, 500} {
			n, seen := 0, map[string]bool{}

			for token := ""; ; {
				page, err := lookup.ReadPage(limit, token)
				if err != nil {
					t.Fatal(err)
				}

				view(t, l, func(r core.Reader) error {
					rows, next, err := lookup.Samples(r, canned.Run, c.query, page)
					n, token = n+len(rows), next

					if len(rows) > limit || token != "" && len(rows) < limit {
						t.Errorf("%s, in pages of %d: a page of %d", name, limit, len(rows))
					}

					for _, row := range rows {
						at := row.Time.String() + row.Key
						if seen[at] {
							t.Errorf("%s, in pages of %d: %s comes twice", name, limit, at)
						}

						seen[at] = true
					}

					return err
				})

				if token == "" {
					break
				}
			}

			if n != c.want {
				t.Errorf("%s, in pages of %d: %d samples, want %d", name, limit, n, c.want)
			}
		}
	}
}

// Somebody made up a token that points into the midst of a batch.
func TestAPlaceInABatchThatNobodyGaveIsRefused(t *testing.T) {
	t.Parallel()

	l := series(t)

	for _, inside := range []string{"\x00", "\x00x", "\x00-1", "\x000", "\x001\x001"} {
		view(t, l, func(r core.Reader) error {
			if _, _, err := lookup.Samples(r, canned.Run, lookup.SampleQuery{}, lookup.Page{After: inside, Limit: 3}); !errors.Is(err, core.ErrInvalid) {
				t.Errorf("%q: %v", inside, err)
			}

			return nil
		})
	}
}

// The extremes survive, and what could not be measured counts for nothing.
func TestBucketsSumUpByKeyAndStep(t *testing.T) {
	t.Parallel()

	view(t, series(t), func(r core.Reader) error {
		rows, err := lookup.Buckets(r, canned.Run, lookup.SampleQuery{Step: 10 * time.Second})
		if err != nil || len(rows) != 3 {
			t.Fatalf("%d buckets, %v", len(rows), err)
		}

		for i, b := range rows {
			low := float64(10 * i)
			if b.Min != low || b.Max != low+9 || b.Mean != low+4.5 || b.Count != 10 || !b.Time.Equal(start().Add(time.Duration(10*i)*time.Second)) || b.Unit != "celsius" {
				t.Errorf("bucket %d: %+v", i, b)
			}
		}

		return nil
	})
}

// Once raw samples were summed up, what is left of them counts no more, and buckets
// come out as before.
func TestSamplesThatWereSummedUp(t *testing.T) {
	t.Parallel()

	l := series(t)
	summed := core.RollupBatch{Run: canned.Run, Stage: core.SMART, Step: 5 * time.Second}

	for i := range 6 {
		low := float64(5 * i)
		summed.Rollups = append(summed.Rollups, core.Rollup{
			Time: start().Add(time.Duration(5*i) * time.Second), Key: "cpu/package0/temperature_celsius", Unit: "celsius",
			Min: low, Max: low + 4, Mean: low + 2, Count: 5,
		}, core.Rollup{Time: start().Add(time.Duration(5*i) * time.Second), Key: "fan/1/speed_rpm", Silent: 5})
	}

	_, err := l.Update(t.Context(), func(tx core.Txn) error {
		return errors.Join(
			tx.Put(core.TableRollup, string(canned.Run)+"/000001", summed),
			tx.Put(core.TableExpiry, string(canned.Run), core.Expiry{Run: canned.Run, SamplesAt: start()}))
	})
	if err != nil {
		t.Fatal(err)
	}

	view(t, l, func(r core.Reader) error {
		page, err := lookup.ReadPage(500, "")
		if err != nil {
			t.Fatal(err)
		}

		rows, _, err := lookup.Samples(r, canned.Run, lookup.SampleQuery{Key: "cpu/*/*", From: start().Add(5 * time.Second)}, page)
		if err != nil || len(rows) != 5 || *rows[0].Value != 7 || *rows[0].Min != 5 || *rows[0].Max != 9 || rows[0].Count != 5 || rows[0].Stage != core.SMART {
			t.Errorf("%+v %v", rows, err)
		}

		if rows, _, err := lookup.Samples(r, canned.Run, lookup.SampleQuery{Key: "fan/*/*"}, page); err != nil || len(rows) != 6 || rows[0].Value != nil {
			t.Errorf("%+v %v", rows, err)
		}

		buckets, err := lookup.Buckets(r, canned.Run, lookup.SampleQuery{Step: 10 * time.Second})
		if err != nil || len(buckets) != 3 {
			t.Fatalf("%d buckets, %v", len(buckets), err)
		}

		for i, b := range buckets {
			if low := float64(10 * i); b.Min != low || b.Max != low+9 || b.Mean != low+4.5 || b.Count != 10 {
				t.Errorf("bucket %d: %+v", i, b)
			}
		}

		return nil
	})
}

func TestTooManyBucketsAreRefused(t *testing.T) {
	t.Parallel()

	l := ledger(t, func(tx core.Txn) error {
		for b := range 21 {
			batch := core.SampleBatch{}
			for i := range 1000 {
				batch.Samples = append(batch.Samples, core.Sample{Time: start(), Key: fmt.Sprintf("k/%d/%d", b, i), Value: 1})
			}

			if err := tx.Put(core.TableSamples, fmt.Sprintf("%s/00001/%08d", canned.Run, b), batch); err != nil {
				return err
			}
		}

		return nil
	})

	err := l.View(t.Context(), func(r core.Reader) error {
		_, err := lookup.Buckets(r, canned.Run, lookup.SampleQuery{Step: time.Second})

		return err
	})
	if !errors.Is(err, core.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestAQueryThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()

	for name, q := range map[string]lookup.SampleQuery{
		"a pattern that does not end": {Key: "cpu/["},
		"a step below a second":       {Step: time.Millisecond},
		"a step backwards":            {Step: -time.Second},
	} {
		if err := q.Check(); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if err := (lookup.SampleQuery{Key: "cpu/*/x", Step: time.Second}).Check(); err != nil {
		t.Error(err)
	}
}

// holes is a log of which some lines are gone.
type holes []uint64

func (h holes) ReadLog(_ context.Context, _ core.RunID, after uint64, limit int) (lines []core.LogLine, err error) {
	for _, seq := range h {
		if seq > after && len(lines) < limit {
			lines = append(lines, core.LogLine{Seq: seq})
		}
	}

	return lines, nil
}

func TestTheTailIsTheEndOfTheLog(t *testing.T) {
	t.Parallel()

	for n := range uint64(700) {
		var log holes

		for seq := uint64(1); seq <= n; seq++ {
			log = append(log, seq)
		}

		lines, err := lookup.Tail(t.Context(), log, canned.Run, 50)
		if err != nil {
			t.Fatal(err)
		}

		if n == 0 && len(lines) != 0 || n > 0 && (len(lines) == 0 || lines[len(lines)-1].Seq != n) {
			t.Fatalf("%d lines: the tail has %d and does not end with the last", n, len(lines))
		}

		if len(lines) > 50 || uint64(len(lines)) < min(n, 20) {
			t.Fatalf("%d lines: the tail has %d", n, len(lines))
		}
	}
}

type broken struct{}

func (broken) ReadLog(context.Context, core.RunID, uint64, int) ([]core.LogLine, error) {
	return nil, core.ErrFull
}

func TestATailThatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()

	if _, err := lookup.Tail(t.Context(), broken{}, canned.Run, 50); !errors.Is(err, core.ErrFull) {
		t.Error(err)
	}
}
