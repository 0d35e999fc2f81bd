package load

import (
	"bytes"
	"strconv"
	"strings"
)

// Ticks is how long a CPU was busy, and how long it was counted, in the kernel's own
// unit.
type Ticks struct{ Busy, All uint64 }

// ParseStat reads the times of each CPU out of /proc/stat (proc_stat(5)).
func ParseStat(text []byte) (cpus []Ticks) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) < 6 || !strings.HasPrefix(fields[0], "cpu") || fields[0] == "cpu" {
			continue
		}

		var t Ticks

		for i, field := range fields[1:min(len(fields), 9)] { // guest time is in user time already
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				break
			}

			t.All += n
			if i != 3 && i != 4 { // idle, and waiting for disks
				t.Busy += n
			}
		}

		cpus = append(cpus, t)
	}

	return cpus
}

// Busiest is the share of time that the busiest CPU was busy, in percent; 0 where it
// is not known.
func Busiest(before, now []Ticks) (percent float64) {
	if len(before) != len(now) {
		return 0
	}

	for i := range now {
		if all := now[i].All - before[i].All; all > 0 && now[i].All > before[i].All {
			percent = max(percent, 100*float64(now[i].Busy-before[i].Busy)/float64(all))
		}
	}

	return min(percent, 100)
}
