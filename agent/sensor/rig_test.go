package sensor_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/agent/sensor"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/catalogue"
)

// board is a machine whose sensors a test turns. Safe for concurrent use.
type board struct {
	mu    sync.Mutex
	files fstest.MapFS
	hangs map[string]chan struct{} // files that nobody opens before the channel is closed
	stuck int                      // who tries to
}

func (b *board) Open(name string) (fs.File, error) {
	b.wait(name)

	b.mu.Lock()
	defer b.mu.Unlock()

	return b.files.Open(name)
}

func (b *board) wait(name string) {
	b.mu.Lock()
	until := b.hangs[name]

	if until != nil {
		b.stuck++
	}

	b.mu.Unlock()

	if until != nil {
		<-until
	}
}

// hang lets nobody go who opens a file, until the function is called that it returns.
func (b *board) hang(name string) (free func()) {
	b.mu.Lock()
	defer b.mu.Unlock()

	until := make(chan struct{})
	b.hangs = map[string]chan struct{}{name: until}

	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()

		close(until)

		b.hangs, b.stuck = nil, 0
	}
}

// waiting is how many are stuck.
func (b *board) waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.stuck
}

func (b *board) ReadLink(name string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.files.ReadLink(name)
}

func (b *board) Lstat(name string) (fs.FileInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	return b.files.Lstat(name)
}

func (b *board) set(name, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.files[name] = &fstest.MapFile{Data: []byte(text + "\n")}
}

func (b *board) link(name, target string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.files[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

func (b *board) remove(prefix string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	for name := range b.files {
		if strings.HasPrefix(name, prefix) {
			delete(b.files, name)
		}
	}
}

// celsius turns a temperature.
func (b *board) celsius(file string, v float64) { b.set(hwmon+file, fmt.Sprintf("%.0f", 1000*v)) }

const hwmon = "sys/class/hwmon/"

// The sensors of the board.
const (
	package0 = "hwmon0/temp1_input"
	core0    = "hwmon0/temp2_input"
	core1    = "hwmon0/temp3_input"
	core2    = "hwmon0/temp4_input"
	package1 = "hwmon1/temp1_input"
	dimm     = "hwmon2/temp1_input"
	drive    = "hwmon3/temp1_input"
	super    = "hwmon4/temp1_input"
	fan1     = "hwmon4/fan1_input"
	fan2     = "hwmon4/fan2_input"
)

// newBoard is a server with two sockets, at rest.
func newBoard() *board {
	b := &board{files: fstest.MapFS{}}

	for socket, n := range map[int]string{0: "hwmon0", 1: "hwmon1"} {
		b.set(hwmon+n+"/name", "coretemp")
		b.link(hwmon+n+"/device", fmt.Sprintf("../../../coretemp.%d", socket))
		b.set(hwmon+n+"/temp1_label", fmt.Sprintf("Package id %d", socket))
		b.set(hwmon+n+"/temp1_max", "90000")
		b.set(hwmon+n+"/temp1_crit", "100000")
		b.celsius(n+"/temp1_input", 40)
	}

	for i, file := range []string{"temp2", "temp3", "temp4"} {
		b.set(hwmon+"hwmon0/"+file+"_label", fmt.Sprintf("Core %d", i))
		b.set(hwmon+"hwmon0/"+file+"_crit", "100000")
		b.celsius("hwmon0/"+file+"_input", 40)
	}

	b.set(hwmon+"hwmon2/name", "jc42")
	b.link(hwmon+"hwmon2/device", "../../../3-0018")
	b.celsius(dimm, 42)

	b.set(hwmon+"hwmon3/name", "nvme")
	b.link(hwmon+"hwmon3/device", "../../nvme0")
	b.set(hwmon+"hwmon3/temp1_label", "Composite")
	b.set(hwmon+"hwmon3/temp1_crit", "84850")
	b.set(hwmon+"hwmon3/temp1_max", "65261850")
	b.celsius(drive, 35)

	b.set(hwmon+"hwmon4/name", "nct6775")
	b.link(hwmon+"hwmon4/device", "../../../nct6775.656")
	b.set(hwmon+"hwmon4/temp1_label", "SYSTIN")
	b.celsius(super, 30)
	b.set(hwmon+"hwmon4/temp2_label", "AUXTIN0")
	b.celsius("hwmon4/temp2_input", 127)
	b.set(hwmon+"hwmon4/in0_input", "1208")
	b.set(hwmon+fan1, "1200")
	b.set(hwmon+fan2, "1100")
	b.set(hwmon+"hwmon4/fan3_input", "0")

	b.set("sys/class/powercap/intel-rapl:0/name", "package-0")
	b.set("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850")
	b.set("sys/class/powercap/intel-rapl:0/constraint_0_name", "long_term")
	b.set("sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw", "205000000")
	b.set("sys/class/powercap/intel-rapl:0/energy_uj", "262143000000")
	b.set("sys/class/powercap/intel-rapl:0:0/name", "dram")
	b.set("sys/class/powercap/intel-rapl:0:0/max_energy_range_uj", "65712999613")
	b.set("sys/class/powercap/intel-rapl:0:0/energy_uj", "5")

	for cpu, socket := range []string{"0", "0", "1", "1"} {
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", cpu)
		b.set(dir+"topology/physical_package_id", socket)
		b.set(dir+"cpufreq/scaling_cur_freq", fmt.Sprint(2_000_000+cpu*100_000))
		b.set(dir+"thermal_throttle/core_throttle_count", "0")
		b.set(dir+"thermal_throttle/core_throttle_total_time_ms", "0")
	}

	return b
}

// rig is a board with a sidecar, in a bubble of time.
type rig struct {
	*board
	bus     disk.Bus
	bmc     ipmi.BMC
	sidecar *sensor.Sidecar
	halted  error
	samples []core.Sample
	stat    [4]float64 // jiffies of work, by CPU
	clock   float64
	load    float64 // percent
	perf    float64 // microjoules
}

// within runs a scenario.
func within(t *testing.T, virtual bool, scenario func(t *testing.T, r *rig)) {
	t.Helper()
	withinBoard(t, newBoard(), virtual, scenario)
}

func withinBoard(t *testing.T, b *board, virtual bool, scenario func(t *testing.T, r *rig)) {
	t.Helper()
	withRig(t, &rig{board: b}, virtual, scenario)
}

func withinBMC(t *testing.T, bmc ipmi.BMC, scenario func(t *testing.T, r *rig)) {
	t.Helper()
	withRig(t, &rig{board: newBoard(), bmc: bmc}, false, scenario)
}

func withRig(t *testing.T, r *rig, virtual bool, scenario func(t *testing.T, r *rig)) {
	t.Helper()

	synctest.Test(t, func(t *testing.T) {
		r.bus, r.perf = &disk.Replay{}, 262_143_000_000
		r.turn()

		r.sidecar = sensor.New(sensor.Config{Root: r.board, Bus: r.bus, BMC: r.bmc, Virtual: virtual, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)

		go func() { done <- r.sidecar.Run(ctx) }()

		r.pass(time.Minute) // at rest

		scenario(t, r)
		cancel()
		<-done
	})
}

// turn writes what a second has changed.
func (r *rig) turn() {
	var text strings.Builder

	r.clock += 100

	for cpu := range r.stat {
		r.stat[cpu] += r.load
		fmt.Fprintf(&text, "cpu%d %.0f 0 0 %.0f 0 0 0 0 0 0\n", cpu, r.stat[cpu], r.clock-r.stat[cpu])
	}

	r.set("proc/stat", "cpu 1 1 1 1 1 1 1 1\n"+text.String())

	r.perf += 150_000_000 // 150 W
	if r.perf > 262_143_328_850 {
		r.perf -= 262_143_328_850
	}

	r.set("sys/class/powercap/intel-rapl:0/energy_uj", fmt.Sprintf("%.0f", r.perf))
}

// pass lets time pass, second by second.
func (r *rig) pass(d time.Duration) {
	for range int(d / time.Second) {
		r.turn()
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

// stage lets a stage pass in which something happens.
func (r *rig) stage(name core.StageName, happens func()) stage.Seen {
	ctx, halt := context.WithCancelCause(context.Background())
	r.samples = nil

	env := stage.Env{Sensor: func(samples ...core.Sample) { r.samples = append(r.samples, samples...) }}
	end := r.sidecar.Watch(ctx, name, env, halt)

	happens()

	seen := end()
	r.halted = context.Cause(ctx)

	return seen
}

func (r *rig) valuesOf(t *testing.T, key string) (values []float64) {
	t.Helper()

	for _, s := range r.samples {
		if err := catalogue.Check(s.Key, s.Unit); err != nil {
			t.Errorf("%v", err)
		}

		if s.Key == key {
			values = append(values, s.Value)
		}
	}

	return values
}
