package simhost_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/simhost"
	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
)

// A sensor that a rule requires and that says nothing (NaN) makes an error of the
// stage, whatever the stage itself says; the finding names the sensor.
func TestARequiredSensorThatSaysNothingIsAnError(t *testing.T) {
	const key = "disk/sda/temperature_celsius"

	for name, c := range map[string]struct {
		value float64
		want  core.Verdict
	}{
		"a number":  {31, core.Pass},
		"no number": {math.NaN(), core.Error},
	} {
		t.Run(name, func(t *testing.T) {
			onSite(t, func(t *testing.T, s *site) {
				if _, err := s.engine.RegisterHost(t.Context(), "op", coretest.Host(1)); err != nil {
					t.Fatal(err)
				}

				run, err := s.engine.StartRun(t.Context(), coretest.MAC(1), core.StartRun{Profile: "quick", Who: "op", Overrides: core.Override{
					Rules: []core.Rule{{ID: "must-measure", Stage: string(core.SMART), Key: key, Op: core.OpLT, Value: 60, Severity: core.Critical, Required: true}},
				}})
				if err != nil {
					t.Fatal(err)
				}

				synctest.Wait()

				h := s.boot(1, "boot-1")
				h.Script = simhost.With(h.Script, core.SMART, simhost.Play{
					Samples: []core.Sample{{Key: key, Value: c.value, Unit: "celsius"}},
					Every:   time.Second, Takes: 20 * time.Second, Result: core.Result{Verdict: core.Pass},
				})

				p := s.run(h)

				time.Sleep(10 * time.Minute)

				got := record[core.Run](s, core.TableRun, string(run.ID))
				i := slices.IndexFunc(got.Stages, func(st core.Stage) bool { return st.Name == core.SMART })

				if got.Stages[i].Verdict != c.want || got.Verdict != c.want {
					t.Errorf("SMART is %s, the run %s", got.Stages[i].Verdict, got.Verdict)
				}

				found := slices.ContainsFunc(got.Stages[i].Findings, func(f core.Finding) bool {
					return f.Code == problem.ThresholdNoMetric && strings.Contains(f.Evidence, key)
				})
				if found != (c.want == core.Error) {
					t.Errorf("findings %+v", got.Stages[i].Findings)
				}

				if c.want == core.Error {
					_, err = s.engine.ReleaseRun(t.Context(), "op", run.ID)
				}

				if endErr := s.end(p); err != nil || endErr != nil {
					t.Error(err, endErr)
				}
			})
		})
	}
}
