package lookup_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/core/threshold"
	"vetting/ui/lookup"
)

// measured is a run with rules that need what came before: so many in a row, for
// so long, and beside another key.
func measured() (run core.Run, batches []core.SampleBatch) {
	run = core.Run{ID: "01JD4X00000000000000000077", Rules: []core.Rule{
		{ID: "row", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 50, Severity: core.Warning, Count: 3},
		{ID: "long", Stage: "*", Key: "cpu/*/temperature_celsius", Op: core.OpLT, Value: 80, Severity: core.Critical, For: 4 * time.Second},
		{ID: "near", Stage: "*", Key: "fan/a/speed_rpm", Op: core.OpWithinPct, Value: 10, Of: "fan/b/speed_rpm", Severity: core.Info},
	}}
	chance := rand.New(rand.NewPCG(1, 2))
	start := coretest.Start()

	for i := range 60 {
		batch := core.SampleBatch{Run: run.ID, Epoch: 1 + i/40, Seq: uint64(i), Stage: core.SMART, Attempt: 1}

		switch {
		case i < 5:
			batch.Stage, batch.Attempt = "", 0
		case i >= 40:
			batch.Stage, batch.Attempt = core.Burn, 1
		case i >= 20:
			batch.Attempt = 2
		}

		for _, key := range []string{"disk/x/temperature_celsius", "cpu/p0/temperature_celsius", "fan/a/speed_rpm", "fan/b/speed_rpm", "power/psu/power_watts"} {
			value := map[string]float64{"disk": 40, "cpu/": 70, "fan/": 1000, "powe": 90}[key[:4]] * (1 + chance.Float64()*0.4)
			batch.Samples = append(batch.Samples, core.Sample{Time: start.Add(time.Duration(i) * time.Second), Key: key, Value: value, Stage: batch.Stage})
		}

		batches = append(batches, batch)
	}

	return run, batches
}

// The badges of a page are those that all samples of the try have together,
// whatever the pages are and whatever is left out.
func TestBadgesDependOnTheRunAndNotOnThePage(t *testing.T) {
	t.Parallel()

	run, batches := measured()
	want := map[string]route.Badge{} // by key and time

	type try struct {
		stage   core.StageName
		attempt int
	}

	samples := map[try][]core.Sample{}
	for _, b := range batches {
		samples[try{b.Stage, b.Attempt}] = append(samples[try{b.Stage, b.Attempt}], b.Samples...)
	}

	for at, all := range samples {
		if at.stage == "" {
			continue
		}

		for i, badge := range threshold.Badges(run.Rules, at.stage, all) {
			if badge.Rule != "" {
				want[all[i].Key+all[i].Time.String()] = route.Badge{Rule: badge.Rule, Severity: badge.Severity, Verdict: badge.Verdict}
			}
		}
	}

	verdicts := map[core.Verdict]int{}
	for _, badge := range want {
		verdicts[badge.Verdict]++
	}

	if verdicts[core.Pass] < 20 || verdicts[core.Fail] < 5 {
		t.Fatalf("the samples show too little: %v", verdicts)
	}

	l := ledger(t, func(tx core.Txn) error {
		for i := range batches {
			b := &batches[i]
			if err := tx.Put(core.TableSamples, fmt.Sprintf("%s/%06d/%012d", run.ID, b.Epoch, b.Seq), b); err != nil {
				return err
			}
		}

		return nil
	})

	for _, key := range []string{"", "disk/x/temperature_celsius", "fan/a/*", "cpu/*/temperature_celsius"} {
		for _, limit := range []int{1, 7, 400} {
			got, rows := map[string]route.Badge{}, 0

			for token := ""; ; {
				page, err := lookup.ReadPage(limit, token)
				if err != nil {
					t.Fatal(err)
				}

				view(t, l, func(r core.Reader) error {
					list, next, err := lookup.Badged(r, &run, lookup.SampleQuery{Key: key}, page)
					rows += len(list)

					for _, s := range list {
						if s.Badge != nil {
							got[s.Key+s.Time.String()] = *s.Badge
						}
					}

					token = next

					return err
				})

				if token == "" {
					break
				}
			}

			expected := map[string]route.Badge{}

			for at, badge := range want {
				if key == "" || slices.ContainsFunc(batches[0].Samples, func(s core.Sample) bool {
					return len(at) > len(s.Key) && at[:len(s.Key)] == s.Key && lookup.SampleQuery{Key: key}.Chooses(s.Key)
				}) {
					expected[at] = badge
				}
			}

			if diff := cmp.Diff(expected, got); diff != "" || rows != len(batches)*map[bool]int{true: 5, false: 1}[key == ""] {
				t.Errorf("key %q in pages of %d: %d rows (-want +got):\n%s", key, limit, rows, diff)
			}
		}
	}
}

// Where the raw samples are gone, what they were summed up to has its badges.
func TestBadgesOutliveTheRawSamples(t *testing.T) {
	t.Parallel()

	run := core.Run{ID: "01JD4X00000000000000000077"}
	at := coretest.Start()
	l := ledger(t, func(tx core.Txn) error {
		if err := tx.Put(core.TableExpiry, string(run.ID), core.Expiry{Run: run.ID, SamplesAt: at}); err != nil {
			return err
		}

		return tx.Put(core.TableRollup, string(run.ID)+"/000001", core.RollupBatch{Run: run.ID, Stage: core.SMART, Rollups: []core.Rollup{
			{Time: at, Key: "a", Min: 1, Max: 3, Mean: 2, Count: 3, Rule: "hot", Severity: core.Warning, Verdict: core.Fail}, {Time: at, Key: "b", Count: 1},
		}})
	})

	view(t, l, func(r core.Reader) error {
		rows, _, err := lookup.Badged(r, &run, lookup.SampleQuery{}, lookup.Page{Limit: 10})
		if err != nil || len(rows) != 2 || rows[0].Badge == nil || *rows[0].Badge != (route.Badge{Rule: "hot", Severity: core.Warning, Verdict: core.Fail}) || rows[1].Badge != nil {
			t.Errorf("%+v %v", rows, err)
		}

		return nil
	})
}
