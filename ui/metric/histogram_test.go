package metric_test

import (
	"strings"
	"testing"

	"vetting/ui/metric"
)

func TestAHistogramCountsUpToEachBound(t *testing.T) {
	t.Parallel()

	h := metric.NewHistogram([]string{"stage", "SMART"}, []float64{1, 10, 60})
	for _, v := range []float64{0, 1, 1.5, 10, 59, 61, 1000} {
		h.Add(v)
	}

	var b strings.Builder

	if err := metric.Write(&b, []metric.Family{{Name: "took_seconds", Help: "How long.", Kind: metric.Buckets, Values: h.Values()}}); err != nil {
		t.Fatal(err)
	}

	want := `# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{stage="SMART",le="1"} 2
took_seconds_bucket{stage="SMART",le="10"} 4
took_seconds_bucket{stage="SMART",le="60"} 5
took_seconds_bucket{stage="SMART",le="+Inf"} 7
took_seconds_sum{stage="SMART"} 1132.5
took_seconds_count{stage="SMART"} 7
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
