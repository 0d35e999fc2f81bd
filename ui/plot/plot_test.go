package plot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
	"vetting/ui/plot"
)

// ramp is a series that climbs by one each second.
func ramp(key string, from float64, n int) plot.Series {
	s := plot.Series{Key: key}

	for i := range n {
		v := from + float64(i)
		s.Points = append(s.Points, plot.Point{Time: coretest.Start().Add(time.Duration(i) * time.Second), Min: v - 1, Max: v + 1, Mean: v})
	}

	return s
}

func draw(t *testing.T, charts []plot.Chart) string {
	t.Helper()

	var b strings.Builder
	if err := plot.Show(charts).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}

	return b.String()
}

func run() *core.Run {
	return &core.Run{
		Rules: []core.Rule{
			{ID: "disk-too-hot", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 85, Severity: core.Critical},
			{ID: "of-class", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 110, Of: "baseline", Severity: core.Warning},
			{ID: "dimm", Key: "memory/*/temperature_celsius", Op: core.OpLT, Value: 95, Severity: core.Critical},
		},
		Stages: []core.Stage{{Name: core.SMART, StartedAt: coretest.Start(), EndedAt: coretest.Start().Add(20 * time.Second)}},
	}
}

func TestLimitsStandInTheChartOfWhatTheyAreFor(t *testing.T) {
	t.Parallel()

	evaluations := []report.Evaluation{
		{Key: "cpu/package0/temperature_celsius", Limit: "lt 40", Severity: core.Critical, Verdict: core.Fail},
		{Key: "cpu/package0/temperature_celsius", Limit: "within_pct 10 of 50", Severity: core.Warning, Verdict: core.Pass},
	}

	charts := plot.Charts(run(), evaluations, []plot.Series{
		ramp("disk/sda/temperature_celsius", 30, 20), ramp("disk/sdb/temperature_celsius", 31, 20), ramp("cpu/package0/temperature_celsius", 30, 20),
	})

	if len(charts) != 2 || charts[0].Title != "CPU temperature" || !charts[0].Breached || charts[1].Breached {
		t.Fatalf("the chart with the broken limit must come first: %+v", charts)
	}

	if l := charts[0].Limits; len(l) != 1 || l[0] != (plot.Limit{Value: 40, Severity: core.Critical, Words: "below 40"}) {
		t.Errorf("limits %+v: that which was applied is wanted, and none that is no value", l)
	}

	if l := charts[1].Limits; len(l) != 1 || l[0].Value != 85 || len(charts[1].Lines) != 2 {
		t.Errorf("a stage that has not ended has the limits of its rules: %+v", charts[1])
	}

	page := draw(t, charts)
	for _, want := range []string{`class="lim fail"`, "critical: must be below 85", "limit broken", "sdb", "29 to 50 °C", "SMART", "09:00:00", `aria-label="CPU temperature; package0 29 to 50 °C; critical limit: below 40"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}

	for _, never := range []string{"NaN", "Inf", "<script", "style="} {
		if strings.Contains(page, never) {
			t.Errorf("%q in\n%s", never, page)
		}
	}
}

func TestOnlyTheWorstLinesAreDrawn(t *testing.T) {
	t.Parallel()

	var series []plot.Series
	for i := range 20 {
		series = append(series, ramp(fmt.Sprintf("disk/sd%c/temperature_celsius", 'a'+i), float64(20+i), 10))
	}

	charts := plot.Charts(run(), []report.Evaluation{{Key: "disk/sda/temperature_celsius", Verdict: core.Fail, Limit: "lt 19", Severity: core.Warning}}, series)
	if len(charts) != 1 || len(charts[0].Lines) != 6 || len(charts[0].Rest) != 14 {
		t.Fatalf("%d charts, %d lines, %d not drawn", len(charts), len(charts[0].Lines), len(charts[0].Rest))
	}

	if l := charts[0].Lines; l[0].Name != "sda" || l[1].Name != "sdt" {
		t.Errorf("%s and %s come first; want the one that broke its limit, then the hottest", l[0].Name, l[1].Name)
	}

	if page := draw(t, charts); !strings.Contains(page, "14 more lines not drawn, 20 to 44 °C") {
		t.Errorf("nothing is said of the others:\n%s", page)
	}
}

func TestWhatTellsNothingIsNotDrawn(t *testing.T) {
	t.Parallel()

	still := ramp("disk/sda/reallocated_sectors_count", 0, 3)
	for i := range still.Points {
		still.Points[i] = plot.Point{Time: still.Points[i].Time}
	}

	charts := plot.Charts(run(), nil, []plot.Series{still, ramp("no/such/key", 1, 9), ramp("memory/dimm0/temperature_celsius", 30, 1)})
	if len(charts) != 0 {
		t.Errorf("a counter that stands still, a key nobody knows and a single point make charts: %+v", charts)
	}

	if flat := draw(t, plot.Charts(run(), nil, []plot.Series{{Key: "cpu/p0/power_watts", Points: []plot.Point{{Time: coretest.Start()}, {Time: coretest.Start()}}}})); strings.Contains(flat, "NaN") {
		t.Errorf("a flat line in no time:\n%s", flat)
	}
}
