package lookup

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/core/threshold"
)

// SampleQuery chooses samples. Zero fields choose all.
type SampleQuery struct {
	Key      string // may hold *, which matches within one part of the key
	From, To time.Time
	Step     time.Duration // 0: no buckets
}

// Check says what is wrong with the query.
func (q SampleQuery) Check() error {
	if _, err := path.Match(q.Key, ""); err != nil {
		return core.NewProblem(core.ErrInvalid, "sample/bad-key", fmt.Sprintf("%.96q is not a key or a pattern of keys.", q.Key))
	}

	if q.Step < 0 || q.Step > 0 && q.Step < time.Second {
		return core.NewProblem(core.ErrInvalid, "sample/bad-step", "step is a number of seconds, 1 or more.")
	}

	return nil
}

// Chooses reports whether a key is one that the query wants.
func (q SampleQuery) Chooses(key string) bool {
	match, err := path.Match(q.Key, key)

	return q.Key == key || err == nil && match
}

func (q SampleQuery) chooses(at time.Time, key string) bool {
	if !q.From.IsZero() && at.Before(q.From) || !q.To.IsZero() && !at.Before(q.To) {
		return false
	}

	return q.Key == "" || q.Chooses(key)
}

// Samples reads a page of samples, in the order in which they came, or, where they
// were summed up, of what they were summed up to, key by key.
func Samples(r core.Reader, run core.RunID, q SampleQuery, page Page) (rows []route.Sample, next string, err error) {
	sheet, err := newSheet(page)
	if err != nil {
		return nil, "", err
	}

	err = eachRecord(r, run, sheet.last, records{
		raw: func(key string, batch *core.SampleBatch) error {
			var chosen []route.Sample

			for i := range batch.Samples {
				if s := &batch.Samples[i]; q.chooses(s.Time, s.Key) {
					chosen = append(chosen, route.NewSample(*s))
				}
			}

			return sheet.add(key, chosen)
		},
		summed: func(key string, batch *core.RollupBatch) error {
			var chosen []route.Sample

			for i := range batch.Rollups {
				if s := &batch.Rollups[i]; q.chooses(s.Time, s.Key) {
					chosen = append(chosen, route.NewSummary(*s, batch.Stage))
				}
			}

			return sheet.add(key, chosen)
		},
	})

	return sheet.rows, sheet.next, err
}

// Badged is Samples with what the rules of the run made of each. It looks at
// everything that was measured before the page, too.
func Badged(r core.Reader, run *core.Run, q SampleQuery, page Page) (rows []route.Sample, next string, err error) {
	sheet, err := newSheet(page)
	if err != nil {
		return nil, "", err
	}

	before := sheet.last
	teller := teller{
		rules: run.Rules, compared: threshold.Compared(run.Rules), query: &q, judges: map[try]*threshold.Judge{},
	}

	err = eachRecord(r, run.ID, "", records{
		raw: func(key string, batch *core.SampleBatch) error {
			badged := teller.tell(batch)
			if key <= before {
				return nil
			}

			return sheet.add(key, badged)
		},
		summed: func(string, *core.RollupBatch) error { return errSummed },
	})
	if errors.Is(err, errSummed) {
		return Samples(r, run.ID, q, page) // which have their badges
	}

	return sheet.rows, sheet.next, err
}

// sheet fills a page of samples, whose limit counts samples, out of records that
// hold many. Its token names the last record that was shown whole and, after a
// zero byte, how many of the samples of the next were shown, of those that the
// query chooses.
type sheet struct {
	limit int
	last  string // key of the record before
	shown int    // samples of the record after it
	rows  []route.Sample
	next  string
}

func newSheet(page Page) (*sheet, error) {
	last, shown, inside := strings.Cut(page.After, "\x00")
	s := &sheet{limit: page.Limit, last: last, rows: []route.Sample{}}

	if !inside {
		return s, nil
	}

	var err error
	if s.shown, err = strconv.Atoi(shown); err != nil || s.shown < 1 {
		return nil, errPageToken()
	}

	return s, nil
}

// add takes the chosen samples of a record; errEnough: one of them had no room.
func (s *sheet) add(key string, chosen []route.Sample) error {
	shown := min(s.shown, len(chosen))

	for i := range chosen[shown:] {
		if len(s.rows) == s.limit {
			s.next = token(s.last)
			if at := shown + i; at > 0 {
				s.next = token(s.last + "\x00" + strconv.Itoa(at))
			}

			return errEnough
		}

		s.rows = append(s.rows, chosen[shown+i])
	}

	s.last, s.shown = key, 0

	return nil
}

// errSummed says that the raw samples are gone.
var errSummed = errors.New("summed up")

// teller makes the badges of samples as their batches come by.
type teller struct {
	rules    []core.Rule
	compared []string // keys that rules compare others with
	query    *SampleQuery
	judges   map[try]*threshold.Judge
}

// try is a try of a stage.
type try struct {
	stage   core.StageName
	attempt int
}

// tell returns the samples of a batch that the query wants, with their badges.
func (t *teller) tell(batch *core.SampleBatch) (rows []route.Sample) {
	at := try{batch.Stage, batch.Attempt}
	if t.judges[at] == nil {
		t.judges[at] = threshold.New(t.rules, batch.Stage)
	}

	timeless := SampleQuery{Key: t.query.Key}
	judged := slices.DeleteFunc(batch.Samples, func(s core.Sample) bool {
		return !timeless.chooses(s.Time, s.Key) && !slices.Contains(t.compared, s.Key)
	})

	badges := make([]threshold.Badge, len(judged))
	if batch.Stage != "" { // outside stages nothing is judged
		badges = t.judges[at].Badge(judged)
	}

	for i := range judged {
		if !t.query.chooses(judged[i].Time, judged[i].Key) {
			continue
		}

		row := route.NewSample(judged[i])
		if b := badges[i]; b.Rule != "" {
			row.Badge = &route.Badge{Rule: b.Rule, Severity: b.Severity, Verdict: b.Verdict}
		}

		rows = append(rows, row)
	}

	return rows
}

// mostBuckets bounds the answer of Buckets.
const mostBuckets = 20000

// Buckets sums samples up by key and step. ErrInvalid when that would be too many.
func Buckets(r core.Reader, run core.RunID, q SampleQuery) ([]route.Bucket, error) {
	sums := map[slot]*route.Bucket{}

	sum := func(s core.Rollup) error {
		if s.Count == 0 || !q.chooses(s.Time, s.Key) {
			return nil
		}

		return sumUp(sums, &s, q.Step)
	}

	err := eachRecord(r, run, "", records{
		raw: func(_ string, batch *core.SampleBatch) error {
			for i := range batch.Samples {
				if err := sum(alone(&batch.Samples[i])); err != nil {
					return err
				}
			}

			return nil
		},
		summed: func(_ string, batch *core.RollupBatch) error {
			for i := range batch.Rollups {
				if err := sum(batch.Rollups[i]); err != nil {
					return err
				}
			}

			return nil
		},
	})
	if err != nil {
		return nil, err
	}

	rows := make([]route.Bucket, 0, len(sums))
	for _, b := range sums {
		b.Mean /= float64(b.Count)
		rows = append(rows, *b)
	}

	slices.SortFunc(rows, func(a, b route.Bucket) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}

		return strings.Compare(a.Key, b.Key)
	})

	return rows, nil
}

// slot tells the buckets apart.
type slot struct {
	key string
	at  int64
}

// alone is what one sample sums up to.
func alone(s *core.Sample) core.Rollup {
	r := core.Rollup{Time: s.Time, Key: s.Key, Unit: s.Unit, Min: s.Value, Max: s.Value, Mean: s.Value, Count: 1}
	if math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		r.Count = 0
	}

	return r
}

// sumUp counts s into its bucket.
func sumUp(sums map[slot]*route.Bucket, s *core.Rollup, step time.Duration) error {
	start := s.Time.Truncate(step).UTC()
	at := slot{s.Key, start.Unix()}

	if sums[at] == nil {
		if len(sums) == mostBuckets {
			return core.NewProblem(core.ErrInvalid, "sample/too-many",
				"This would be too many buckets; ask for fewer keys, a shorter time or a longer step.")
		}

		sums[at] = &route.Bucket{Time: start, Key: s.Key, Unit: s.Unit, Min: s.Min, Max: s.Max}
	}

	b := sums[at]
	b.Min, b.Max = min(b.Min, s.Min), max(b.Max, s.Max)
	b.Mean += s.Mean * float64(s.Count) // the sum until the end
	b.Count += s.Count

	return nil
}

// records are what is done with the records of a run's samples: with one kind of
// them, for they are raw or summed up.
type records struct {
	raw    func(key string, batch *core.SampleBatch) error
	summed func(key string, batch *core.RollupBatch) error
}

// Expiry reads what of a run was removed since it was old.
func Expiry(r core.Reader, run core.RunID) (gone core.Expiry, err error) {
	err = r.Get(core.TableExpiry, string(run), &gone)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return gone, fmt.Errorf("reading what is gone of %s: %w", run, err)
	}

	return gone, nil
}

// eachRecord calls one of each for the records of run past after; errEnough ends it.
func eachRecord(r core.Reader, run core.RunID, after string, each records) error {
	expiry, err := Expiry(r, run)
	if err != nil {
		return err
	}

	q := core.Query{Prefix: string(run) + "/", After: after}

	if expiry.SamplesAt.IsZero() {
		err = r.Scan(core.TableSamples, q, scanned(each.raw))
	} else {
		err = r.Scan(core.TableRollup, q, scanned(each.summed))
	}

	if err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("reading samples of %s: %w", run, err)
	}

	return nil
}

func scanned[T any](each func(key string, batch *T) error) func(string, func(any) error) error {
	return func(key string, decode func(any) error) error {
		var batch T

		if err := decode(&batch); err != nil {
			return err
		}

		return each(key, &batch)
	}
}
