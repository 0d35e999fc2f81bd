package lookup

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"vetting/core"
	"vetting/ui/metric"
)

// mostProfiles bounds the profiles that are told apart; runs of further ones are
// counted as "other".
const mostProfiles = 32

// The bounds of the histograms, in seconds.
func runBounds() []float64 {
	return []float64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800}
}

func stageBounds() []float64 {
	return []float64{1, 10, 60, 300, 900, 3600, 14400, 28800, 86400, 259200}
}

func bootBounds() []float64 { return []float64{10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900} }

// Tally counts what came of all runs of the ledger: it goes on where it was, so a
// run is looked at when it is new and when it is over. The zero value has counted
// nothing. Safe for concurrent use.
type Tally struct {
	mu       sync.Mutex
	last     core.RunID
	open     map[core.RunID]bool
	profiles map[string]bool
	runs     map[words]uint64
	breaches map[words]uint64
	runTimes map[words]*metric.Histogram
	stages   map[words]*metric.Histogram
	boots    *metric.Histogram
}

// words are those of two labels.
type words struct{ a, b string }

// Count takes in what has happened since the last time.
func (t *Tally) Count(r core.Reader) error {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.open == nil {
		t.open, t.profiles, t.runs, t.breaches = map[core.RunID]bool{}, map[string]bool{}, map[words]uint64{}, map[words]uint64{}
		t.runTimes, t.stages, t.boots = map[words]*metric.Histogram{}, map[words]*metric.Histogram{}, metric.NewHistogram(nil, bootBounds())
	}

	for id := range t.open {
		run, err := Run(r, id)
		if err != nil {
			return err
		}

		if run.State.Over() {
			delete(t.open, id)
			t.take(&run)
		}
	}

	err := r.Scan(core.TableRun, core.Query{After: string(t.last)}, func(key string, decode func(any) error) error {
		var run core.Run

		if err := decode(&run); err != nil {
			return err
		}

		if t.last = core.RunID(key); run.State.Over() {
			t.take(&run)
		} else {
			t.open[run.ID] = true
		}

		return nil
	})
	if err != nil {
		return fmt.Errorf("counting runs: %w", err)
	}

	return nil
}

// take counts a run that is over; the mutex is held.
func (t *Tally) take(run *core.Run) {
	profile := run.Profile.Name
	if !t.profiles[profile] && len(t.profiles) >= mostProfiles {
		profile = "other"
	}

	t.profiles[profile] = true
	of := words{profile, string(run.Verdict)}
	t.runs[of]++

	if !run.StartedAt.IsZero() && !run.EndedAt.IsZero() {
		add(t.runTimes, of, []string{"profile", of.a, "result", of.b}, runBounds(), run.EndedAt.Sub(run.StartedAt).Seconds())
	}

	if begun := slices.IndexFunc(run.Stages, func(st core.Stage) bool { return !st.StartedAt.IsZero() }); begun == 0 && !run.StartedAt.IsZero() {
		t.boots.Add(max(0, run.Stages[0].StartedAt.Sub(run.StartedAt).Seconds()))
	}

	for i := range run.Stages {
		st := &run.Stages[i]
		if st.Phase != core.Done {
			continue
		}

		of := words{string(st.Name), string(st.Verdict)}
		add(t.stages, of, []string{"stage", of.a, "result", of.b}, stageBounds(), max(0, st.EndedAt.Sub(st.StartedAt).Seconds()))

		for _, e := range st.Evaluations {
			if e.Verdict == core.Fail {
				t.breaches[words{string(st.Name), string(e.Severity)}]++
			}
		}
	}
}

func add(to map[words]*metric.Histogram, of words, labels []string, bounds []float64, seconds float64) {
	if to[of] == nil {
		to[of] = metric.NewHistogram(labels, bounds)
	}

	to[of].Add(max(0, seconds))
}

// Figures are what was counted.
func (t *Tally) Figures() []metric.Family {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.open == nil {
		return nil
	}

	return []metric.Family{
		{Name: "vetting_runs_total", Help: "Runs that are over.", Kind: metric.Counter, Values: counted(t.runs, "profile", "result")},
		{Name: "vetting_run_duration_seconds", Help: "From the start of a run to its end.", Kind: metric.Buckets, Values: drawn(t.runTimes)},
		{Name: "vetting_stage_duration_seconds", Help: "How long stages took.", Kind: metric.Buckets, Values: drawn(t.stages)},
		{Name: "vetting_boot_duration_seconds", Help: "From the start of a run to its first stage.", Kind: metric.Buckets, Values: t.boots.Values()},
		{
			Name: "vetting_threshold_breaches_total", Help: "Limits that were broken in stages of runs that are over.", Kind: metric.Counter,
			Values: counted(t.breaches, "stage", "severity"),
		},
	}
}

func counted(counts map[words]uint64, a, b string) []metric.Value {
	list := []metric.Value{}
	for _, of := range inOrder(counts) {
		list = append(list, metric.Value{Labels: []string{a, of.a, b, of.b}, Number: float64(counts[of])})
	}

	return list
}

func drawn(histograms map[words]*metric.Histogram) (list []metric.Value) {
	for _, of := range inOrder(histograms) {
		list = append(list, histograms[of].Values()...)
	}

	return list
}

func inOrder[T any](of map[words]T) []words {
	keys := make([]words, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}

	slices.SortFunc(keys, func(x, y words) int {
		if order := strings.Compare(x.a, y.a); order != 0 {
			return order
		}

		return strings.Compare(x.b, y.b)
	})

	return keys
}

// lately bounds how many batches of samples are looked at for what a machine
// measures now.
const lately = 8

// Latest returns the newest sample of each key of a run under way, of those that
// came with the newest one.
func Latest(r core.Reader, run core.RunID) ([]core.Sample, error) {
	newest := map[string]core.Sample{}

	err := r.Scan(core.TableSamples, core.Query{Prefix: string(run) + "/", Reverse: true, Limit: lately}, func(_ string, decode func(any) error) error {
		var batch core.SampleBatch

		if err := decode(&batch); err != nil {
			return err
		}

		for _, s := range batch.Samples {
			if known, ok := newest[s.Key]; !ok || s.Time.After(known.Time) {
				newest[s.Key] = s
			}
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the newest samples of %s: %w", run, err)
	}

	list := make([]core.Sample, 0, len(newest))
	for _, s := range newest {
		list = append(list, s)
	}

	slices.SortFunc(list, func(a, b core.Sample) int { return strings.Compare(a.Key, b.Key) })

	return list, nil
}
