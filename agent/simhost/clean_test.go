package simhost_test

import (
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"vetting/agent/simhost"
	"vetting/core"
)

// cleanRunsVar says how many machines with nothing wrong are vetted; two without it.
const cleanRunsVar = "VETTING_CLEAN_RUNS"

// A machine with nothing wrong is never said to have something: no run of it ends
// but with a pass, and none has a finding that anybody must act on.
func TestCleanRunsFindNothing(t *testing.T) {
	runs, tempers := 2, 10

	if text := os.Getenv(cleanRunsVar); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s is %q", cleanRunsVar, text)
		}

		runs = n
	}

	clean := 0

	for i := range runs {
		onSite(t, func(t *testing.T, s *site) {
			c := simhost.Cast(tempers*i + 1)[tempers*i] // the healthy one of each round
			c.Dial = s.Wire.Dial

			end := s.live(c, netip.MustParseAddr("10.77.0.9"))
			id := s.vet(c.MAC)

			time.Sleep(10 * time.Minute) // in the bubble
			end()

			run := record[core.Run](s, core.TableRun, string(id))
			if run.State != core.StateCompleted || run.Verdict != core.Pass {
				t.Errorf("%s is %s with verdict %q", c.Name, run.State, run.Verdict)

				return
			}

			for _, f := range append(findings(&run), run.Findings...) {
				t.Errorf("%s: %s %s: %s", c.Name, f.Severity, f.Code, f.Evidence)

				return
			}

			clean++
		})
	}

	t.Logf("%d of %d runs were clean", clean, runs)

	if clean != runs {
		t.Errorf("%d of %d runs were clean", clean, runs)
	}
}

// findings are those that somebody must act on.
func findings(run *core.Run) (list []core.Finding) {
	for i := range run.Stages {
		for _, f := range run.Stages[i].Findings {
			if f.Severity != core.Info {
				list = append(list, f)
			}
		}
	}

	return list
}
