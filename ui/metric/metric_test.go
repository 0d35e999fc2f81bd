package metric_test

import (
	"math"
	"strings"
	"testing"

	"vetting/ui/metric"
)

func TestFiguresAreWrittenAsPrometheusReadsThem(t *testing.T) {
	t.Parallel()

	var b strings.Builder

	err := metric.Write(&b, []metric.Family{
		{Name: "vetting_hosts", Help: "Registered hosts.", Kind: metric.Gauge, Values: []metric.Value{{Number: 3}}},
		{Name: "vetting_none", Help: "Left out.", Kind: metric.Gauge},
		{Name: "vetting_odd_total", Help: "Back\\slash and\nline.", Kind: metric.Counter, Values: []metric.Value{
			{Labels: []string{"a", "quote \" back \\ line\nend", "b", "x"}, Number: 1.5e9},
			{Labels: []string{"a", "bad \xff byte"}, Number: math.NaN()},
			{Labels: []string{"a", "up"}, Number: math.Inf(1)},
			{Labels: []string{"a", "down"}, Number: math.Inf(-1)},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}

	want := `# HELP vetting_hosts Registered hosts.
# TYPE vetting_hosts gauge
vetting_hosts 3
# HELP vetting_odd_total Back\\slash and\nline.
# TYPE vetting_odd_total counter
vetting_odd_total{a="quote \" back \\ line\nend",b="x"} 1.5e+09
vetting_odd_total{a="bad ` + "\uFFFD" + ` byte"} NaN
vetting_odd_total{a="up"} +Inf
vetting_odd_total{a="down"} -Inf
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
