package janitor_test

import (
	"cmp"
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/retention"
	"vetting/core/threshold"
	"vetting/store"
	"vetting/store/janitor"
)

const step = 10 * time.Second

func rules() []core.Rule {
	return []core.Rule{
		{ID: "hot", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 50, Severity: core.Warning, Count: 3},
		{ID: "alike", Stage: "*", Key: "disk/sdb/temperature_celsius", Op: core.OpWithinPct, Value: 20, Of: "disk/sda/temperature_celsius", Severity: core.Critical},
	}
}

// try is what was measured in a try of a stage.
type try struct {
	stage   core.StageName
	attempt int
	samples []core.Sample
}

// tries are two tries of SMART, and a while outside stages: a minute and a half
// each, a sample a second of three keys, in batches of five seconds.
func tries() (all []try) {
	at := now().Add(-200 * day).Add(3 * time.Second)

	for n, t := range []try{{"", 0, nil}, {core.SMART, 1, nil}, {core.SMART, 2, nil}} {
		for s := range 90 {
			a, b := float64(40+s%7), float64(41+(s*n)%13)
			if s%31 == 30 {
				b = math.NaN()
			}

			at = at.Add(time.Second)
			t.samples = append(t.samples, core.Sample{Time: at, Key: "disk/sda/temperature_celsius", Value: a, Unit: "celsius"},
				core.Sample{Time: at, Key: "disk/sdb/temperature_celsius", Value: b, Unit: "celsius"},
				core.Sample{Time: at, Key: "memory/all/used_bytes", Value: float64(s) * 1e9, Unit: "bytes"})
		}

		all = append(all, t)
	}

	return all
}

// measured writes a run that ended so many days ago, with its samples.
func measured(t *testing.T, ledger core.Ledger, id core.RunID, state core.State, verdict core.Verdict, days int) {
	t.Helper()

	var batches []core.SampleBatch

	for _, try := range tries() {
		for some := range slices.Chunk(try.samples, 15) {
			batches = append(batches, core.SampleBatch{
				Run: id, Epoch: 1, Seq: uint64(len(batches) + 1), Stage: try.stage, Attempt: try.attempt, Samples: some,
			})
		}
	}

	_, err := ledger.Update(t.Context(), func(tx core.Txn) error {
		for i := range batches {
			key := string(id) + "/000001/" + time.Unix(int64(i), 0).UTC().Format("150405")
			if err := tx.Put(core.TableSamples, key, batches[i]); err != nil {
				return err
			}
		}

		return tx.Put(core.TableRun, string(id), core.Run{
			ID: id, State: state, Verdict: verdict, EndedAt: now().Add(-time.Duration(days) * day), Rules: rules(),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// series reads what there is of the samples of a run, as whoever shows them does.
func series(t *testing.T, ledger core.Ledger, id core.RunID) (raw int, rollups []core.RollupBatch, summed bool) {
	t.Helper()

	err := ledger.View(t.Context(), func(r core.Reader) error {
		var e core.Expiry
		if err := r.Get(core.TableExpiry, string(id), &e); err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		summed = !e.SamplesAt.IsZero()

		return errors.Join(
			r.Scan(core.TableSamples, core.Query{Prefix: string(id) + "/"}, func(string, func(any) error) error { raw++; return nil }),
			r.Scan(core.TableRollup, core.Query{Prefix: string(id) + "/"}, func(_ string, decode func(any) error) error {
				var b core.RollupBatch
				err := decode(&b)
				rollups = append(rollups, b)

				return err
			}))
	})
	if err != nil {
		t.Fatal(err)
	}

	return raw, rollups, summed
}

// wanted is what the rollups of a run should be, by the rules and the raw samples.
func wanted() (all []core.RollupBatch) {
	for _, try := range tries() {
		rules := rules()
		if try.stage == "" {
			rules = nil
		}

		all = append(all, core.RollupBatch{
			Run: "R1", Stage: try.stage, Attempt: try.attempt, Step: step, Rollups: threshold.Fold(rules, try.stage, try.samples, step, nil),
		})
	}

	return all
}

// joined puts the parts of each try together.
func joined(parts []core.RollupBatch) (all []core.RollupBatch) {
	for _, p := range parts {
		if n := len(all); n > 0 && all[n-1].Stage == p.Stage && all[n-1].Attempt == p.Attempt {
			all[n-1].Rollups = append(all[n-1].Rollups, p.Rollups...)
		} else {
			all = append(all, p)
		}
	}

	for _, b := range all {
		slices.SortFunc(b.Rollups, func(a, b core.Rollup) int { return cmp.Or(cmp.Compare(a.Key, b.Key), a.Time.Compare(b.Time)) })
	}

	return all
}

func summing(t *testing.T, ledger core.Ledger, policy retention.Policy) *janitor.Janitor {
	t.Helper()

	j, err := janitor.New(janitor.Config{Policy: policy}, janitor.Ports{Ledger: ledger, Logs: empty{}, Shelf: &counting{}, Now: now})
	if err != nil {
		t.Fatal(err)
	}

	return j
}

func TestRawSamplesGiveWayToRollups(t *testing.T) {
	ledger, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "ledger"), Small: true, Ballast: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()

	measured(t, ledger, "R1", core.StateCompleted, core.Pass, 31)
	measured(t, ledger, "R2", core.StateCompleted, core.Pass, 29)
	measured(t, ledger, "R3", core.StateReleased, core.Fail, 31) // evidence
	measured(t, ledger, "R4", core.StateFailedHolding, core.Fail, 400)

	policy := retention.Default()

	if _, err := summing(t, ledger, policy).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}

	if raw, rollups, summed := series(t, ledger, "R1"); raw != 54 || len(rollups) != 0 || summed {
		t.Errorf("nobody asked for it: %d batches left, %d rollups", raw, len(rollups))
	}

	policy.Downsample = step

	j := summing(t, ledger, policy)
	j.Small(150, 20, 7)

	if dry, err := j.DryRun(t.Context()); err != nil || len(dry.Items) != 1 || dry.Items[0].What != janitor.ItemSamples || dry.Items[0].Run != "R1" {
		t.Errorf("the dry run: %+v %v", dry, err)
	}

	for range 2 { // the second time there is nothing to do
		if _, err := j.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	raw, rollups, summed := series(t, ledger, "R1")
	if raw != 0 || len(rollups) < 9 || !summed {
		t.Errorf("%d batches left, %d records of rollups, summed up: %v", raw, len(rollups), summed)
	}

	if diff := gocmp.Diff(wanted(), joined(rollups)); diff != "" {
		t.Error(diff)
	}

	for _, id := range []core.RunID{"R2", "R3", "R4"} {
		if raw, rollups, summed := series(t, ledger, id); raw != 54 || len(rollups) != 0 || summed {
			t.Errorf("%s: %d batches left, %d rollups", id, raw, len(rollups))
		}
	}

	if _, err := ledger.Verify(t.Context()); err != nil {
		t.Errorf("chains and checksums: %v", err)
	}
}

// mortal is a ledger that fails from its n-th write on.
type mortal struct {
	core.Ledger

	left int
}

var errDead = errors.New("killed")

func (m *mortal) Update(ctx context.Context, change func(core.Txn) error) (uint64, error) {
	if m.left--; m.left < 0 {
		return 0, errDead
	}

	return m.Ledger.Update(ctx, change)
}

// Wherever it is cut short, there is one whole series: raw, until the rollups count.
func TestSummingUpMayBeCutShortAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		ledger := coretest.NewLedger()
		measured(t, ledger, "R1", core.StateCompleted, core.Pass, 31)

		policy := retention.Default()
		policy.Downsample = 5 * time.Second // a sweep with another step, cut short, came before

		before := summing(t, &mortal{ledger, min(n, 12)}, policy)
		before.Small(150, 5, 7)

		if _, err := before.Sweep(t.Context()); !errors.Is(err, errDead) {
			t.Fatalf("%d writes did it: %v", n, err)
		}

		policy.Downsample = step
		j := summing(t, &mortal{ledger, n}, policy)
		j.Small(150, 20, 7)

		_, err := j.Sweep(t.Context())
		whole(t, n, ledger)

		if err == nil {
			if n < 15 {
				t.Errorf("only %d writes", n)
			}

			return
		}

		if _, err := summing(t, ledger, policy).Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}

		if raw, _, summed := series(t, ledger, "R1"); raw != 0 || !summed {
			t.Errorf("%d writes, then a whole sweep: %d batches left", n, raw)
		}

		whole(t, n, ledger)
	}
}

func whole(t *testing.T, n int, ledger core.Ledger) {
	t.Helper()

	raw, rollups, summed := series(t, ledger, "R1")
	if !summed && raw != 54 {
		t.Fatalf("after %d writes: %d batches are left, and the rollups do not count", n, raw)
	}

	if diff := gocmp.Diff(wanted(), joined(rollups)); summed && diff != "" {
		t.Fatalf("after %d writes: %s", n, diff)
	}
}
