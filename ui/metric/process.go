package metric

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Process returns the figures of this process and its Go runtime under the names
// that dashboards know (process_*, go_*), as far as the system tells: proc is /proc
// (proc(5)). They are read here, since the module that would do it writes to
// standard error when it is only linked in, where the kernel counts no pressure.
func Process(proc fs.FS) []Family {
	return append(ofProcess(proc), ofRuntime()...)
}

// Proc is where the system tells of processes.
func Proc() fs.FS { return os.DirFS("/proc") }

const ticks = 100 // USER_HZ: the kernel's unit of time for programs, whatever its own

func gauge(name, help string, n float64) Family {
	return Family{Name: name, Help: help, Kind: Gauge, Values: []Value{{Number: n}}}
}

func counter(name, help string, n float64) Family {
	return Family{Name: name, Help: help, Kind: Counter, Values: []Value{{Number: n}}}
}

func ofProcess(proc fs.FS) (families []Family) {
	if stat, ok := stat(proc); ok {
		families = append(families,
			counter("process_cpu_seconds_total", "Processor time spent.", (stat(14)+stat(15))/ticks),
			gauge("process_threads", "Threads of the system.", stat(20)),
			gauge("process_virtual_memory_bytes", "Bytes of address space.", stat(23)),
			gauge("process_resident_memory_bytes", "Bytes of memory in use.", stat(24)*float64(os.Getpagesize())),
		)

		if boot, ok := field(proc, "stat", "btime "); ok {
			families = append(families, gauge("process_start_time_seconds", "When the process was started, since the epoch.", boot+stat(22)/ticks))
		}
	}

	if open, err := fs.ReadDir(proc, "self/fd"); err == nil {
		families = append(families, gauge("process_open_fds", "Files that are open.", float64(len(open))))
	}

	if most, ok := field(proc, "self/limits", "Max open files"); ok {
		families = append(families, gauge("process_max_fds", "Files that may be open.", most))
	}

	return families
}

// stat reads self/stat; the answer returns a field by its number in proc(5), 1 for
// the first.
func stat(proc fs.FS) (value func(n int) float64, ok bool) {
	text, err := fs.ReadFile(proc, "self/stat")
	if err != nil {
		return nil, false
	}

	// The second field is the program's name in parentheses, whatever is in it.
	rest := string(text)
	rest = rest[strings.LastIndex(rest, ")")+1:]
	fields := strings.Fields(rest)

	if len(fields) < 22 {
		return nil, false
	}

	return func(n int) float64 {
		v, err := strconv.ParseFloat(fields[n-3], 64)
		if err != nil {
			return 0
		}

		return v
	}, true
}

// field reads the first number behind a word that begins a line.
func field(proc fs.FS, name, word string) (float64, bool) {
	text, err := fs.ReadFile(proc, name)
	if err != nil {
		return 0, false
	}

	for line := range strings.SplitSeq(string(text), "\n") {
		rest, ok := strings.CutPrefix(line, word)
		if !ok {
			continue
		}

		if words := strings.Fields(rest); len(words) > 0 {
			n, err := strconv.ParseFloat(words[0], 64)

			return n, err == nil
		}
	}

	return 0, false
}

func ofRuntime() []Family {
	var m runtime.MemStats

	runtime.ReadMemStats(&m)

	return []Family{
		{
			Name: "go_info", Help: "The Go that the program was built with; always 1.", Kind: Gauge,
			Values: []Value{{Labels: []string{"version", runtime.Version()}, Number: 1}},
		},
		gauge("go_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine())),
		gauge("go_gomaxprocs", "Processors that may be used at once.", float64(runtime.GOMAXPROCS(0))),
		gauge("go_memstats_heap_alloc_bytes", "Bytes of the heap in use.", float64(m.HeapAlloc)),
		gauge("go_memstats_heap_objects", "Objects on the heap.", float64(m.HeapObjects)),
		gauge("go_memstats_sys_bytes", "Bytes taken from the system.", float64(m.Sys)),
		counter("go_memstats_alloc_bytes_total", "Bytes that were ever taken from the heap.", float64(m.TotalAlloc)),
		counter("go_gc_cycles_total", "Garbage collections.", float64(m.NumGC)),
		counter("go_gc_pause_seconds_total", "Time that the program stood still for them.", time.Duration(min(m.PauseTotalNs, 1<<62)).Seconds()), //nolint:gosec // bounded
	}
}
