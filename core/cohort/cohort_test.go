package cohort_test

import (
	"fmt"
	"math"
	"testing"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/cohort"
)

// hosts have one memory node each, of these bandwidths; NaN: not measured.
func hosts(values ...float64) (list []cohort.Host) {
	for i, v := range values {
		list = append(list, cohort.Host{
			Name:    fmt.Sprint(i),
			Figures: []core.Figures{{Stage: core.Memory, Medians: map[string]float64{"memory/node0/triad_mibps": v}}},
		})
	}

	return list
}

func TestWhatStandsOut(t *testing.T) {
	t.Parallel()

	none := math.NaN()

	tests := map[string]struct {
		values   []float64
		out      string // the names of those that stand out
		measured int
		median   float64
	}{
		"one slow among many":                      {[]float64{100, 101, 99, 100, 102, 98, 80}, "6", 7, 100},
		"fast ones, too":                           {[]float64{100, 101, 99, 100, 102, 98, 140}, "6", 7, 100},
		"two of seven do not hide each other":      {[]float64{100, 101, 99, 100, 101, 50, 40}, "56", 7, 100},
		"all are alike but for a hair":             {[]float64{100, 100, 100, 100, 100, 100.5}, "", 6, 100},
		"all are alike but for one":                {[]float64{100, 100, 100, 100, 100, 90}, "5", 6, 100},
		"they differ as much as ever":              {[]float64{60, 80, 100, 120, 140, 160}, "", 6, 110},
		"too few":                                  {[]float64{100, 100, 100, 10}, "", 4, 100},
		"too few were measured":                    {[]float64{100, 100, 100, 10, none, none}, "", 4, 100},
		"nought is a number and no share of it is": {[]float64{0, 0, 0, 0, 0, 7}, "5", 6, 0},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := cohort.Compare(hosts(tt.values...))
			if len(got.Columns) != 1 || got.Columns[0].Measured != tt.measured || got.Columns[0].Median != tt.median || got.Columns[0].Unit != "MiB/s" {
				t.Fatalf("%+v", got.Columns)
			}

			out := map[string]bool{}

			for i, r := range got.Rows {
				if r.Outs() > 0 {
					out[r.Host.Name] = true
				}

				if i > 0 && r.Outs() > got.Rows[i-1].Outs() {
					t.Error("one that stands out comes after others")
				}

				if math.IsNaN(r.Cells[0].Off) || math.IsInf(r.Cells[0].Off, 0) {
					t.Errorf("%s is off by %v", r.Host.Name, r.Cells[0].Off)
				}
			}

			for _, name := range tt.out {
				if !out[string(name)] {
					t.Errorf("%c does not stand out: %v", name, out)
				}
			}

			if len(out) != len(tt.out) {
				t.Errorf("%v stand out", out)
			}
		})
	}
}

// Of several parts the slowest or the hottest counts, of one stage alone; a key of another kind
// is none, whatever its name.
func TestWhichFigureCounts(t *testing.T) {
	t.Parallel()

	host := cohort.Host{Figures: []core.Figures{
		{Stage: core.Storage, Medians: map[string]float64{
			"disk/a/read_mibps": 500, "disk/b/read_mibps": 240, "disk/a/temperature_celsius": 31, "disk/b/temperature_celsius": 44,
			"disk/b/model_read_mibps": 7, "gpu/b/temperature_celsius": 90,
		}},
		{Stage: core.Burn, Medians: map[string]float64{"disk/b/read_mibps": 90, "disk/b/temperature_celsius": 60}},
	}}

	got := cohort.Compare([]cohort.Host{host})
	if len(got.Columns) != 2 || got.Rows[0].Cells[0].Value != 240 || got.Rows[0].Cells[1].Value != 44 {
		t.Errorf("%+v %+v", got.Columns, got.Rows[0].Cells)
	}

	if got := cohort.Compare(nil); len(got.Columns) > 0 || len(got.Rows) > 0 {
		t.Errorf("of nobody: %+v", got)
	}
}

// Off is a share of the median, but for degrees.
func TestHowFarOff(t *testing.T) {
	t.Parallel()

	list := hosts(100, 100, 100, 100, 91)
	for i := range list {
		list[i].Figures = append(list[i].Figures, core.Figures{Stage: core.CPUStress, Medians: map[string]float64{"cpu/package0/temperature_celsius": 60 + float64(i/4)*12}})
	}

	slow := cohort.Compare(list).Rows[0]
	if slow.Host.Name != "4" || slow.Cells[0].Off != 12 || math.Abs(slow.Cells[1].Off+9) > 1e-9 || !slow.Cells[0].Out || !slow.Cells[1].Out {
		t.Errorf("%s %+v", slow.Host.Name, slow.Cells)
	}
}

func TestEveryQuantityIsInTheCatalogue(t *testing.T) {
	t.Parallel()

	for _, q := range cohort.Quantities() {
		if q.Unit == "" {
			t.Errorf("%s has no unit: is it in the catalogue?", q.Name)
		}
	}

	if _, known := catalogue.Lookup("memory/x/triad_mibps"); !known {
		t.Error("parts may have any name")
	}
}
