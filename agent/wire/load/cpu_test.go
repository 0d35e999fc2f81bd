package load_test

import (
	"testing"

	"vetting/agent/wire/load"
)

// TestBusiest finds the CPU that had most to do; waiting for disks is no work.
func TestBusiest(t *testing.T) {
	const before = "cpu  1 2 3 4 5 6 7 8 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\ncpu1 0 0 0 1000 0 0 0 0 0 0\nintr 7\n"

	for name, c := range map[string]struct {
		now  string
		want float64
	}{
		"one that does nothing but wait": {"cpu0 100 0 100 800 100 0 0 0 0 0\ncpu1 0 0 0 1100 0 0 0 0 0 0\n", 0},
		"one that is half busy":          {"cpu0 100 0 100 900 0 0 0 0 0 0\ncpu1 25 0 0 1050 0 0 25 0 0 0\n", 50},
		"one that is all busy":           {"cpu0 100 0 100 900 0 0 0 0 0 0\ncpu1 0 0 50 1000 0 0 50 0 0 0\n", 100},
		"one that went away":             {"cpu0 100 0 100 900 0 0 0 0 0 0\n", 0},
		"nonsense":                       {"cpu0 x\ncpu\n", 0},
		"nothing":                        {"", 0},
	} {
		if got := load.Busiest(load.ParseStat([]byte(before)), load.ParseStat([]byte(c.now))); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("cpu0 100 0 100 800 0 0 0 0 0 0\n"))
	f.Add([]byte("cpu0 18446744073709551615 1 1 1 1 1\n"))

	f.Fuzz(func(t *testing.T, b []byte) {
		if percent := load.Busiest(load.ParseStat(nil), load.ParseStat(b)); percent < 0 || percent > 100 {
			t.Errorf("%v %%", percent)
		}

		if percent := load.Busiest(load.ParseStat(b), load.ParseStat(b)); percent != 0 {
			t.Errorf("%v %% between the same", percent)
		}
	})
}
