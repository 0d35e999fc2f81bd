package metric_test

import (
	"testing"
	"testing/fstest"

	"vetting/ui/metric"
)

func named(families []metric.Family) map[string]float64 {
	all := map[string]float64{}

	for _, f := range families {
		for _, v := range f.Values {
			all[f.Name] = v.Number
		}
	}

	return all
}

// As a kernel 6.12 tells it; the program is called "a) b".
func TestFiguresOfAProcess(t *testing.T) {
	t.Parallel()

	proc := fstest.MapFS{
		"self/stat":   {Data: []byte("4242 (a) b) S 1 4242 4242 0 -1 4194560 1000 0 3 0 1234 566 0 0 20 0 17 0 10000 123456789 2048 18446744073709551615 1 1 0 0 0 0 0 0 0\n")},
		"stat":        {Data: []byte("cpu  1 2 3\nbtime 1700000000\nprocesses 9\n")},
		"self/limits": {Data: []byte("Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n")},
		"self/fd/0":   {}, "self/fd/1": {}, "self/fd/2": {},
	}
	got := named(metric.Process(proc))

	for name, want := range map[string]float64{
		"process_cpu_seconds_total": 18, "process_threads": 17, "process_virtual_memory_bytes": 123456789, "process_start_time_seconds": 1700000100,
		"process_open_fds": 3, "process_max_fds": 1024,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}

	if got["process_resident_memory_bytes"] != 2048*4096 && got["process_resident_memory_bytes"] != 2048*16384 && got["process_resident_memory_bytes"] != 2048*65536 {
		t.Errorf("resident: %v", got["process_resident_memory_bytes"])
	}
}

// What cannot be read is left out, and nothing breaks.
func TestFiguresOfAProcessWithoutProc(t *testing.T) {
	t.Parallel()

	for name, proc := range map[string]fstest.MapFS{
		"nothing there": {}, "cut off": {"self/stat": {Data: []byte("1 (x) S 1 2")}}, "no text": {"self/stat": {Data: []byte("\xff\x00")}, "stat": {Data: []byte("btime")}},
	} {
		got := named(metric.Process(proc))
		if _, ok := got["process_cpu_seconds_total"]; ok {
			t.Errorf("%s: a figure that nobody told", name)
		}

		if got["go_goroutines"] == 0 || got["go_memstats_sys_bytes"] == 0 {
			t.Errorf("%s: the runtime is silent", name)
		}
	}
}
