package lookup

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/ui/plot"
)

// Bounds of a course: what a plot can show, and what a machine that makes keys up
// can make us remember.
const (
	mostCells  = 240
	mostSeries = 512
	mostKept   = 8
)

// Courses keeps the courses of the runs that people look at, so that a page that
// follows a run reads only what is new. The zero value is ready; safe for concurrent
// use.
type Courses struct {
	mu   sync.Mutex // held while one is looked for, and never while the ledger is read
	kept []*course  // the one used last comes last
}

// course is what was measured during a run, summed up to cells that grow with it.
type course struct {
	run  core.RunID
	over bool

	mu     sync.Mutex // guards all below; who waits for it waits for what they want to know
	after  string     // key of the last record read
	from   time.Time
	step   time.Duration
	series map[string][]cell
}

type cell struct {
	count          int
	low, high, sum float64
}

// Of returns the course of a run, in the order of the keys.
func (c *Courses) Of(r core.Reader, run *core.Run) ([]plot.Series, error) {
	k := c.course(run)

	k.mu.Lock()
	defer k.mu.Unlock()

	if err := k.read(r); err != nil {
		return nil, err
	}

	return k.lines(), nil
}

// course is the one that is kept of a run, or a new one.
func (c *Courses) course(run *core.Run) *course {
	c.mu.Lock()
	defer c.mu.Unlock()

	at := slices.IndexFunc(c.kept, func(k *course) bool { return k.run == run.ID && k.over == run.State.Over() })

	// What comes late has a key before those that were read: when the run is over,
	// everything is read once more.
	k := &course{run: run.ID, over: run.State.Over(), step: time.Second, series: map[string][]cell{}}
	if at >= 0 {
		k = c.kept[at]
	}

	c.kept = append(slices.DeleteFunc(c.kept, func(o *course) bool { return o == k || o.run == k.run }), k)
	c.kept = c.kept[max(0, len(c.kept)-mostKept):]

	return k
}

func (k *course) read(r core.Reader) error {
	return eachRecord(r, k.run, k.after, records{
		raw: func(key string, batch *core.SampleBatch) error {
			k.after = key
			for i := range batch.Samples {
				k.take(alone(&batch.Samples[i]))
			}

			return nil
		},
		summed: func(key string, batch *core.RollupBatch) error {
			k.after = key
			for i := range batch.Rollups {
				k.take(batch.Rollups[i])
			}

			return nil
		},
	})
}

// take counts s into its cell. A number that no time can be told of is passed over.
func (k *course) take(s core.Rollup) {
	const year = 365 * 24 * time.Hour

	if k.from.IsZero() {
		k.from = s.Time.Truncate(time.Second)
	}

	gone := s.Time.Sub(k.from)
	if _, known := k.series[s.Key]; s.Count == 0 || gone > year || gone < -year || !known && len(k.series) == mostSeries {
		return
	}

	for gone/k.step >= mostCells {
		k.widen()
	}

	at := max(0, int(gone/k.step))
	cells := k.series[s.Key]

	for len(cells) <= at {
		cells = append(cells, cell{low: math.Inf(1), high: math.Inf(-1)})
	}

	cells[at] = cells[at].with(cell{s.Count, s.Min, s.Max, s.Mean * float64(s.Count)})
	k.series[s.Key] = cells
}

func (c cell) with(o cell) cell {
	return cell{c.count + o.count, min(c.low, o.low), max(c.high, o.high), c.sum + o.sum}
}

// widen makes cells of twice the length.
func (k *course) widen() {
	k.step *= 2

	for key, cells := range k.series {
		half := make([]cell, 0, len(cells)/2+1)

		for i := 0; i < len(cells); i += 2 {
			one := cells[i]
			if i+1 < len(cells) {
				one = one.with(cells[i+1])
			}

			half = append(half, one)
		}

		k.series[key] = half
	}
}

func (k *course) lines() []plot.Series {
	list := make([]plot.Series, 0, len(k.series))

	for key, cells := range k.series {
		s := plot.Series{Key: key}

		for i, c := range cells {
			if c.count > 0 {
				s.Points = append(s.Points, plot.Point{
					Time: k.from.Add(time.Duration(i) * k.step), Min: c.low, Max: c.high, Mean: c.sum / float64(c.count),
				})
			}
		}

		list = append(list, s)
	}

	slices.SortFunc(list, func(a, b plot.Series) int { return strings.Compare(a.Key, b.Key) })

	return list
}
