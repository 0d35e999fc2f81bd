package sensor

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// cpu is a logical CPU.
type cpu struct {
	number int
	busy   float64 // jiffies that it worked, of all
	all    float64
}

// cpus reads how busy each logical CPU is since the machine was started
// (proc_stat(5)): busy is everything but idle and waiting for I/O.
func cpus(root fs.FS) map[int]cpu {
	t := tree{root}
	list := map[int]cpu{}

	for row := range strings.Lines(t.text("proc/stat")) {
		words := strings.Fields(row)
		if len(words) < 6 || !strings.HasPrefix(words[0], "cpu") {
			continue
		}

		number, err := strconv.Atoi(words[0][len("cpu"):])
		if err != nil {
			continue // the sum of all
		}

		c := cpu{number: number}

		for i, word := range words[1:min(len(words), 9)] {
			n, err := strconv.ParseFloat(word, 64)
			if err != nil {
				break
			}

			c.all += n
			if i != 3 && i != 4 { // idle, iowait
				c.busy += n
			}
		}

		list[number] = c
	}

	return list
}

// sockets says which package each logical CPU is of.
func sockets(root fs.FS) map[int]int {
	t := tree{root}
	of := map[int]int{}

	for _, dir := range t.glob("sys/devices/system/cpu/cpu[0-9]*") {
		number, err := strconv.Atoi(strings.TrimPrefix(path.Base(dir), "cpu"))
		if socket := t.number(dir + "/topology/physical_package_id"); err == nil && !math.IsNaN(socket) {
			of[number] = int(socket)
		}
	}

	return of
}

// frequencies returns what each CPU's clock runs at, in MHz.
func frequencies(root fs.FS) map[int]float64 {
	t := tree{root}
	mhz := map[int]float64{}

	for _, file := range t.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq") {
		number, err := strconv.Atoi(strings.TrimPrefix(strings.Split(file, "/")[4], "cpu"))
		if khz := t.number(file); err == nil && khz > 0 {
			mhz[number] = khz / 1000
		}
	}

	return mhz
}

// throttle is how often and how long the CPUs slowed themselves down on account of
// heat (arch/x86/kernel/cpu/mce/therm_throt.c; Intel only).
type throttle struct {
	times  float64 // sum over cores and packages
	millis float64 // the longest of any
}

func throttled(root fs.FS) (sum throttle, known bool) {
	t := tree{root}

	for _, dir := range t.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle") {
		for _, what := range []string{"core", "package"} {
			if n := t.number(dir + "/" + what + "_throttle_count"); !math.IsNaN(n) {
				sum.times, known = sum.times+n, true
			}

			if n := t.number(dir + "/" + what + "_throttle_total_time_ms"); !math.IsNaN(n) {
				sum.millis = max(sum.millis, n)
			}
		}
	}

	return sum, known
}
