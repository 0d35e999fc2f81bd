package lookup_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

// ledger holds what write puts into it.
func ledger(t *testing.T, write func(core.Txn) error) *coretest.Ledger {
	t.Helper()

	l := coretest.NewLedger()
	if _, err := l.Update(t.Context(), write); err != nil {
		t.Fatal(err)
	}

	return l
}

func view(t *testing.T, l *coretest.Ledger, look func(core.Reader) error) {
	t.Helper()

	if err := l.View(t.Context(), look); err != nil {
		t.Fatal(err)
	}
}

func scene(t *testing.T) *coretest.Ledger {
	t.Helper()

	l := coretest.NewLedger()
	if err := canned.Fill(t.Context(), l, canned.Full); err != nil {
		t.Fatal(err)
	}

	return l
}

func TestAListIsWholeWhateverThePagesAre(t *testing.T) {
	t.Parallel()

	l := ledger(t, func(tx core.Txn) error {
		for i := range 23 {
			mac := core.MAC(fmt.Sprintf("52:54:00:00:00:%02x", i))
			if err := tx.Put(core.TableHost, string(mac), core.Host{MAC: mac}); err != nil {
				return err
			}
		}

		return nil
	})

	for limit := 1; limit <= 30; limit++ {
		var seen []core.MAC

		for token := ""; ; {
			page, err := lookup.ReadPage(limit, token)
			if err != nil {
				t.Fatal(err)
			}

			view(t, l, func(r core.Reader) (err error) {
				var hosts []core.Host

				hosts, token, err = lookup.Hosts(r, page)
				for i := range hosts {
					seen = append(seen, hosts[i].MAC)
				}

				return err
			})

			if token == "" {
				break
			}
		}

		if len(seen) != 23 || !slices.IsSorted(seen) || len(slices.Compact(slices.Clone(seen))) != 23 {
			t.Errorf("in pages of %d: %v", limit, seen)
		}
	}
}

func TestAPageThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		limit int
		token string
	}{
		"a limit below one":    {-1, ""},
		"a limit too large":    {lookup.MaxLimit + 1, ""},
		"a token of no page":   {10, "%%%"},
		"a token that is huge": {10, strings.Repeat("QUFB", 100)},
	} {
		if _, err := lookup.ReadPage(c.limit, c.token); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if page, err := lookup.ReadPage(0, ""); err != nil || page.Limit != lookup.DefaultLimit {
		t.Errorf("no limit: %+v %v", page, err)
	}
}

func TestHostsAreOrderedAsPeopleDo(t *testing.T) {
	t.Parallel()

	names := []string{"u10", "u9", "u009a", "", "10", "9", "rack2-u1", "rack10-u1", "rack2", "u9b"}
	l := ledger(t, func(tx core.Txn) error {
		for i, name := range names {
			mac := core.MAC(fmt.Sprintf("52:54:00:00:00:%02x", i))
			if err := tx.Put(core.TableHost, string(mac), core.Host{MAC: mac, Name: name}); err != nil {
				return err
			}
		}

		return nil
	})

	view(t, l, func(r core.Reader) error {
		hosts, err := lookup.AllHosts(r)
		got := make([]string, 0, len(hosts))

		for i := range hosts {
			got = append(got, hosts[i].Name)
		}

		if want := "|9|10|rack2|rack2-u1|rack10-u1|u9|u009a|u9b|u10"; strings.Join(got, "|") != want {
			t.Errorf("%s, want %s", strings.Join(got, "|"), want)
		}

		return err
	})
}

func TestAHostIsFoundByAnyOfItsAddresses(t *testing.T) {
	t.Parallel()

	l := ledger(t, func(tx core.Txn) error {
		if err := tx.Put(core.TableHost, "52:54:00:00:00:01", core.Host{MAC: "52:54:00:00:00:01", Name: "a"}); err != nil {
			return err
		}

		if err := tx.Put(core.TableAlias, "52:54:00:00:00:02", core.MAC("52:54:00:00:00:01")); err != nil {
			return err
		}

		return tx.Put(core.TableAlias, "52:54:00:00:00:03", core.MAC("52:54:00:00:00:99"))
	})

	view(t, l, func(r core.Reader) error {
		for _, mac := range []core.MAC{"52:54:00:00:00:01", "52:54:00:00:00:02"} {
			if h, err := lookup.Host(r, mac); err != nil || h.Name != "a" {
				t.Errorf("%s: %+v %v", mac, h, err)
			}
		}

		for _, mac := range []core.MAC{"52:54:00:00:00:03", "52:54:00:00:00:04"} {
			if _, err := lookup.Host(r, mac); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("%s: %v", mac, err)
			}
		}

		return nil
	})
}

func TestOnlyIDsOfRunsAreLookedUp(t *testing.T) {
	t.Parallel()

	if id, err := lookup.ParseRunID(string(canned.Run)); err != nil || id != canned.Run {
		t.Errorf("%s: %v", id, err)
	}

	for _, word := range []string{"", "x", string(canned.Run) + "0", strings.ToLower(string(canned.Run)), "../../../../etc/passwd0000", "01JD4X0000000000000000001I"} {
		if _, err := lookup.ParseRunID(word); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%q: %v", word, err)
		}
	}
}

func TestRunsAreChosenNewestFirst(t *testing.T) {
	t.Parallel()

	l := scene(t)

	for name, c := range map[string]struct {
		filter lookup.Filter
		want   string // last digits of the runs
	}{
		"all":          {lookup.Filter{}, "9 7 6 5 4 3 2 1"},
		"under way":    {lookup.Filter{State: "active"}, "7 6 2 1"},
		"over":         {lookup.Filter{State: "over"}, "9 5 4 3"},
		"of one state": {lookup.Filter{State: "FailedHolding"}, "2"},
		"of one host":  {lookup.Filter{Host: canned.Host}, "1"},
		"of both":      {lookup.Filter{Host: canned.Host, State: "over"}, ""},
		"of nobody's":  {lookup.Filter{Host: "52:54:00:00:00:99"}, ""},
	} {
		for _, limit := range []int{1, 3, 100} {
			var got []string

			for token := ""; ; {
				page, err := lookup.ReadPage(limit, token)
				if err != nil {
					t.Fatal(err)
				}

				view(t, l, func(r core.Reader) error {
					runs, next, err := lookup.Runs(r, c.filter, page)
					for i := range runs {
						got = append(got, string(runs[i].ID[25:]))
					}

					token = next

					return err
				})

				if token == "" {
					break
				}
			}

			if strings.Join(got, " ") != c.want {
				t.Errorf("%s, in pages of %d: %v, want %s", name, limit, got, c.want)
			}
		}
	}
}

func TestAFilterOfNoStateIsRefused(t *testing.T) {
	t.Parallel()

	for _, word := range []string{"", "active", "over", "Queued", "SMART", "Burn", "Cancelled"} {
		if err := lookup.ParseState(word); err != nil {
			t.Errorf("%q: %v", word, err)
		}
	}

	for _, word := range []string{"smart", "queued", "Any", "<script>"} {
		if err := lookup.ParseState(word); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// A report as it was written stays as it is; one of a run that went on since is
// made anew.
func TestTheReportIsTheWrittenOneWhileItFits(t *testing.T) {
	t.Parallel()

	l := scene(t)
	id := canned.Run[:25] + "3"

	report := func() (summary string, preliminary bool) {
		view(t, l, func(r core.Reader) error {
			run, err := lookup.Run(r, id)
			if err != nil {
				return err
			}

			found, err := lookup.Report(r, &run, canned.Author())
			summary, preliminary = found.Summary, found.Preliminary

			return err
		})

		return summary, preliminary
	}

	change := func(edit func(tx core.Txn, run *core.Run) error) {
		if _, err := l.Update(t.Context(), func(tx core.Txn) error {
			var run core.Run

			if err := tx.Get(core.TableRun, string(id), &run); err != nil {
				return err
			}

			return edit(tx, &run)
		}); err != nil {
			t.Fatal(err)
		}
	}

	change(func(tx core.Txn, run *core.Run) error {
		return tx.Put(core.TableReport, string(id), map[string]any{
			"summary": "as written", "run": map[string]any{"verdict": run.Verdict, "state": run.State},
		})
	})

	if s, _ := report(); s != "as written" {
		t.Errorf("the written report is not shown: %q", s)
	}

	change(func(tx core.Txn, run *core.Run) error { // the same verdict, another state
		run.State = core.StateReleased

		return tx.Put(core.TableRun, string(id), run)
	})

	if s, _ := report(); s == "as written" {
		t.Error("a report of before is shown for a run that was released since")
	}

	change(func(tx core.Txn, run *core.Run) error {
		run.State, run.Verdict = core.State(core.SMART), ""

		return tx.Put(core.TableRun, string(id), run)
	})

	if s, preliminary := report(); s == "as written" || !preliminary {
		t.Errorf("a report of before is shown for a run that went on: %q %t", s, preliminary)
	}
}

func TestAFileIsFoundOnlyInItsRun(t *testing.T) {
	t.Parallel()

	l, sum := scene(t), strings.Repeat("5e", 32)

	view(t, l, func(r core.Reader) error {
		if f, err := lookup.Artifact(r, canned.Run, sum); err != nil || f.Size != 40960 {
			t.Errorf("%+v %v", f, err)
		}

		for run, hash := range map[core.RunID]string{canned.Run: strings.Repeat("00", 32), "01JD4X00000000000000000099": sum} {
			if _, err := lookup.Artifact(r, run, hash); !errors.Is(err, core.ErrNotFound) {
				t.Errorf("%s in %s: %v", hash, run, err)
			}
		}

		return nil
	})
}
