package lookup_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
	"vetting/core/report"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

func TestABatchHasTheLastRunOfEachHostThatIsAskedFor(t *testing.T) {
	t.Parallel()

	ledger := scene(t)

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		var host core.Host

		if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		host.Tags, host.Rack = []string{"delivery-7"}, "Z9/U12"

		return txn.Put(core.TableHost, string(canned.Host), host)
	})
	if err != nil {
		t.Fatal(err)
	}

	gather := func(of report.BatchOf) (batch report.Batch) {
		view(t, ledger, func(r core.Reader) (err error) {
			batch, err = lookup.Batch(r, of, canned.Author())

			return err
		})

		return batch
	}

	all := gather(report.BatchOf{})
	seen := map[core.MAC]bool{}

	for _, row := range all.Rows {
		if seen[row.MAC] {
			t.Errorf("%s is there twice", row.MAC)
		}

		seen[row.MAC] = true
	}

	n := all.Totals
	if n.Hosts != len(all.Rows) || n.Hosts < 5 || n.Pass+n.Fail+n.Error+n.Cancelled+n.Undecided != n.Hosts || n.Pass == 0 || n.Fail == 0 || n.Undecided == 0 {
		t.Errorf("%+v of %d rows", n, len(all.Rows))
	}

	for _, of := range []report.BatchOf{{Tag: "delivery-7"}, {Rack: "Z9"}, {Rack: "Z9/U12", Tag: "delivery-7"}} {
		if rows := gather(of).Rows; len(rows) != 1 || rows[0].MAC != canned.Host {
			t.Errorf("%+v: %+v", of, rows)
		}
	}

	for _, of := range []report.BatchOf{{Tag: "none"}, {Rack: "Z"}, {Day: "2001-01-01"}, {Profile: "none"}, {Rack: "Z9", Tag: "none"}} {
		if rows := gather(of).Rows; len(rows) != 0 {
			t.Errorf("%+v: %+v", of, rows)
		}
	}

	if got := gather(report.BatchOf{Rack: "Z9", Day: "2001-01-01"}); len(got.NotVetted) != 1 || got.NotVetted[0].MAC != canned.Host || got.Totals.NotVetted != 1 {
		t.Errorf("a host of the rack without a run: %+v", got)
	}

	if got := gather(report.BatchOf{Rack: "Z9"}); len(got.NotVetted) != 0 {
		t.Errorf("a host with a run is called not vetted: %+v", got.NotVetted)
	}

	if lookup.ParseDay("23.11.2026") == nil || lookup.ParseDay("") != nil || lookup.ParseDay("2026-11-23") != nil {
		t.Error("days are not told apart")
	}
}

// A start that was withdrawn says nothing about its host: the run before it stands in what
// is handed over.
func TestAWithdrawnStartStandsForNoHost(t *testing.T) {
	t.Parallel()

	ledger := scene(t)

	gather := func() (all report.Batch) {
		view(t, ledger, func(r core.Reader) (err error) {
			all, err = lookup.Batch(r, report.BatchOf{}, canned.Author())

			return err
		})

		return all
	}

	rowOf := func(batch report.Batch, mac core.MAC) report.BatchRow {
		i := slices.IndexFunc(batch.Rows, func(row report.BatchRow) bool { return row.MAC == mac })
		if i < 0 {
			t.Fatalf("%s is not there", mac)
		}

		return batch.Rows[i]
	}

	const stranger = core.MAC("52:54:00:ff:ff:01")

	before := rowOf(gather(), canned.Host)

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		for id, mac := range map[core.RunID]core.MAC{"7ZZZZZZZZZZZZZZZZZZZZZZZZ1": canned.Host, "7ZZZZZZZZZZZZZZZZZZZZZZZZ2": stranger} {
			if err := txn.Put(core.TableRun, string(id), core.Run{
				ID: id, Host: mac, HostName: "rack", State: core.StateCancelled, Verdict: core.Cancelled, Findings: []core.Finding{{Code: problem.RunWithdrawn}},
			}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	all := gather()

	if got := rowOf(all, canned.Host); got.Run != before.Run {
		t.Errorf("run %s stands for the host, %s did", got.Run, before.Run)
	}

	if got := rowOf(all, stranger); got.Run != "7ZZZZZZZZZZZZZZZZZZZZZZZZ2" {
		t.Errorf("a host with nothing else: %+v", got)
	}
}

// However many batches are asked for, a page reads the runs of a bounded number.
func TestAPageOfBatchesHasABoundedNumberOfRuns(t *testing.T) {
	t.Parallel()

	ledger := coretest.NewLedger()
	large := make([]core.RunID, core.MostBatchRuns)

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		for i := range 5 {
			name := fmt.Sprintf("batch-%d", i)
			if err := txn.Put(core.TableBatch, name, core.Batch{Name: name, CreatedAt: coretest.Start().Add(time.Duration(i) * time.Hour), Runs: large}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	var pages []string

	for page, more := (lookup.Page{Limit: lookup.MaxLimit}), true; more; {
		view(t, ledger, func(r core.Reader) error {
			rows, next, err := lookup.Batches(r, page)
			names := ""

			for i := range rows {
				names += rows[i].Name + " "
			}

			pages = append(pages, names)

			if more = next != ""; more && err == nil {
				page, err = lookup.ReadPage(lookup.MaxLimit, next)
			}

			return err
		})
	}

	if got := strings.Join(pages, "|"); got != "batch-4 batch-3 |batch-2 batch-1 |batch-0 " {
		t.Errorf("pages %q", got)
	}
}

// Whoever asks for a part that nobody knows has no inventory taken apart.
func TestWhatHasNothingOfAPartIsNotTakenApart(t *testing.T) {
	t.Parallel()

	ledger := scene(t)

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		return txn.Put(core.TableInventory, "7ZZZZZZZZZZZZZZZZZZZZZZZZ1", map[string]any{"disks": "none that can be read"})
	})
	if err != nil {
		t.Fatal(err)
	}

	view(t, ledger, func(r core.Reader) error {
		for _, serial := range []string{"no such part", `"<&`, strings.Repeat("x", lookup.LongestSerial+1)} {
			if list, _, err := lookup.PartHistory(r, serial); err != nil || len(list) != 0 {
				t.Errorf("%.20q: %d, %v", serial, len(list), err)
			}
		}

		return nil
	})
}
