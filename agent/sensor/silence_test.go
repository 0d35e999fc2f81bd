package sensor_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/collect"
	"vetting/agent/disk"
	"vetting/agent/machines"
	"vetting/agent/sensor"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
)

// What is silent, and what comes of it: a stage whose CPU or DIMM nobody watched while
// it was at work is an error; all else is told and passes.
func TestSilentSensors(t *testing.T) {
	socket0 := []string{package0, core0, core1, core2}
	silent := func(r *rig, files ...string) {
		for _, file := range files {
			r.set(hwmon+file, "")
		}
	}

	for name, c := range map[string]struct {
		virtual bool
		stage   core.StageName
		before  func(r *rig)
		happens func(r *rig)
		want    []string // of the findings; those of errors begin with "error"
		slot    string
		verdict core.Verdict
	}{
		"a CPU's, at work": {
			stage: core.CPUStress, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, socket0...); r.pass(time.Minute) },
			want: []string{"error sensor/no-number"}, slot: "coretemp.0 Package id 0", verdict: core.Error,
		},
		"a CPU's, which answers what no sensor can say": {
			stage: core.Burn, happens: func(r *rig) {
				r.pass(5 * time.Second)
				r.celsius(package1, 127)
				r.pass(time.Minute)
			},
			want: []string{"error sensor/no-number"}, slot: "coretemp.1 Package id 1", verdict: core.Error,
		},
		"a CPU's, from the stage before on": {
			stage: core.Memory, before: func(r *rig) { silent(r, socket0...) }, happens: func(r *rig) { r.pass(time.Minute) },
			want: []string{"error sensor/no-number"}, slot: "coretemp.0 Package id 0", verdict: core.Error,
		},
		"a CPU's that is gone": {
			stage: core.CPUStress, happens: func(r *rig) { r.pass(5 * time.Second); r.remove(hwmon + "hwmon1"); r.pass(2 * time.Minute) },
			want: []string{"error sensor/vanished"}, slot: "coretemp.1 Package id 1", verdict: core.Error,
		},
		"a CPU's that was gone before the stage": {
			stage: core.CPUStress, before: func(r *rig) { r.remove(hwmon + "hwmon1") }, happens: func(r *rig) { r.pass(time.Minute) },
			want: []string{"error sensor/vanished"}, slot: "coretemp.1 Package id 1", verdict: core.Error,
		},
		"a CPU's, while disks are asked": {
			stage: core.SMART, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, socket0...); r.pass(time.Minute) },
			want: []string{"warning sensor/no-number"}, verdict: core.Pass,
		},
		"a core's, while its socket's answers": {
			stage: core.CPUStress, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, core1); r.pass(time.Minute) },
			want: []string{"warning sensor/no-number"}, slot: "coretemp.0 Core 1", verdict: core.Pass,
		},
		"a CPU's, for a moment": {
			stage: core.CPUStress, happens: func(r *rig) {
				r.pass(5 * time.Second)
				silent(r, socket0...)
				r.pass(25 * time.Second)

				for _, file := range socket0 {
					r.celsius(file, 40)
				}

				r.pass(time.Minute)
			}, verdict: core.Pass,
		},
		"a CPU's, for some seconds before the end": {
			stage: core.CPUStress, happens: func(r *rig) { r.pass(time.Minute); silent(r, socket0...); r.pass(8 * time.Second) }, verdict: core.Pass,
		},
		"a CPU's, for long": {
			stage: core.CPUStress, happens: func(r *rig) {
				r.pass(5 * time.Second)
				silent(r, package1)
				r.pass(3 * time.Minute)
				r.celsius(package1, 40)
				r.pass(time.Minute)
			}, want: []string{"warning sensor/no-number"}, slot: "coretemp.1 Package id 1", verdict: core.Pass,
		},
		"a virtual CPU's": {
			virtual: true, stage: core.CPUStress, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, socket0...); r.pass(time.Minute) },
			want: []string{"info sensor/no-number"}, verdict: core.Pass,
		},
		"a DIMM's, at work": {
			stage: core.Memory, happens: func(r *rig) { r.pass(5 * time.Second); r.celsius(dimm, -128); r.pass(time.Minute) },
			want: []string{"error sensor/no-number"}, slot: "3-0018 temp1", verdict: core.Error,
		},
		"a DIMM's, at rest": {
			stage: core.CPUStress, happens: func(r *rig) { r.pass(5 * time.Second); r.celsius(dimm, -128); r.pass(time.Minute) },
			want: []string{"warning sensor/no-number"}, slot: "3-0018 temp1", verdict: core.Pass,
		},
		"a disk's": {
			stage: core.Burn, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, drive); r.pass(2 * time.Minute) },
			want: []string{"warning sensor/no-number"}, slot: "nvme0 Composite", verdict: core.Pass,
		},
		"a board's": {
			stage: core.Burn, happens: func(r *rig) { r.pass(5 * time.Second); silent(r, super); r.pass(time.Minute) },
			want: []string{"warning sensor/no-number"}, slot: "nct6775.656 SYSTIN", verdict: core.Pass,
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, c.virtual, func(t *testing.T, r *rig) {
				if c.before != nil {
					c.before(r)
					r.pass(time.Minute)
				}

				seen := r.stage(c.stage, func() { c.happens(r) })
				wantSilence(t, seen, c.want, c.slot)

				if got := stage.Merge(core.Result{Verdict: core.Pass}, seen).Verdict; got != c.verdict {
					t.Errorf("the stage is %s, want %s", got, c.verdict)
				}
			})
		})
	}
}

// wantSilence checks the codes of what was seen, and the part of the first.
func wantSilence(t *testing.T, seen stage.Seen, want []string, slot string) {
	t.Helper()

	got := codes(seen.Findings)
	for _, f := range seen.Errors {
		got = append(got, "error "+f.Code)
	}

	if !slices.Equal(got, want) {
		t.Fatalf("found %v, want %v: %+v", got, want, seen)
	}

	for _, f := range slices.Concat(seen.Findings, seen.Errors) {
		if _, known := problem.Lookup(f.Code); !known {
			t.Errorf("%s is not explained", f.Code)
		}

		if slot != "" && f.Part.Slot != slot {
			t.Errorf("the part is %+v, want %s", f.Part, slot)
		}
	}
}

// A sensor that has never given a number is told while its part is at work, once for a
// chip. What boards have for parts that are not plugged in is not.
func TestSensorsThatHaveNeverSaidAnything(t *testing.T) {
	b := newBoard()
	for _, file := range []string{dimm, drive, core1, core2, super} {
		b.set(hwmon+file, "")
	}

	withinBoard(t, b, false, func(t *testing.T, r *rig) {
		wantSilence(t, r.stage(core.SMART, func() { r.pass(time.Minute) }), nil, "")

		seen := r.stage(core.Burn, func() { r.pass(time.Minute) })
		wantSilence(t, seen, []string{"warning sensor/no-number"}, "")

		var slots []string
		for _, f := range seen.Findings {
			slots = append(slots, f.Part.Slot)
		}

		if want := []string{"coretemp.0 Core 1", "nvme0 Composite", "3-0018 temp1"}; !slices.Equal(slots, want) {
			t.Errorf("told of %v, want %v", slots, want)
		}
	})
}

// No recorded machine, all of which are well, has sensors that are told of.
func TestSensorsOfHealthyMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		var seen stage.Seen

		synctest.Test(t, func(t *testing.T) { // however late the readers are, the clock waits for them
			sidecar := sensor.New(sensor.Config{Root: r.Root, Bus: r.Disks, Log: slog.New(slog.DiscardHandler)})
			sidecar.Look(time.Now())

			end := sidecar.Watch(t.Context(), core.Burn, stage.Env{Sensor: func(...core.Sample) {}}, func(error) {})

			for range 60 {
				time.Sleep(time.Second)
				sidecar.Look(time.Now())
			}

			seen = end()
		})

		for _, f := range seen.Findings {
			if f.Code != "sensor/no-cpu-temperature" {
				t.Errorf("%s %s: %s", f.Severity, f.Code, f.Evidence)
			}
		}

		if seen.Errors != nil {
			t.Errorf("errors %+v", seen.Errors)
		}
	})
}

// A disk that hangs keeps whoever asks it. The other sensors are read, a CPU that is
// too hot is stopped, and nobody asks the disk a second time.
func TestADiskThatHangs(t *testing.T) {
	within(t, false, func(t *testing.T, r *rig) {
		free := r.hang(hwmon + drive)

		seen := r.stage(core.Burn, func() {
			r.pass(10 * time.Minute)
			r.celsius(package1, 101)
			r.pass(15 * time.Second)
		})

		if r.halted == nil || !strings.Contains(r.halted.Error(), "coretemp.1") {
			t.Errorf("the hot CPU was not stopped: %v", r.halted)
		}

		if got, want := codes(seen.Findings), []string{"critical sensor/emergency-stop", "warning sensor/stale"}; !slices.Equal(got, want) {
			t.Fatalf("found %v, want %v: %+v", got, want, seen.Findings)
		}

		i := slices.IndexFunc(seen.Findings, func(f core.Finding) bool { return f.Code == "sensor/stale" })
		if f := seen.Findings[i]; f.Part != (core.Part{Kind: "disk", Slot: "nvme0 Composite"}) || !strings.Contains(f.Evidence, "35.0") {
			t.Errorf("told %+v", f)
		}

		if got := r.valuesOf(t, "cpu/package1/temperature_celsius"); len(got) < 60 {
			t.Errorf("%d values of the CPU in ten minutes", len(got))
		}

		if got := r.valuesOf(t, "disk/nvme0-composite/temperature_celsius"); len(got) < 5 || got[0] != 35 || got[len(got)-1] == got[0] {
			t.Errorf("values %v of the disk, want what it said and then nothing", got)
		}

		if n := r.waiting(); n != 1 {
			t.Errorf("%d ask the disk that hangs", n)
		}

		// The kernel takes the disk away, finds it again under another number, and it hangs still.
		r.remove(hwmon + "hwmon3")
		r.pass(time.Minute)

		other := newBoard()
		for name, file := range other.files {
			if rest, ok := strings.CutPrefix(name, hwmon+"hwmon3"); ok {
				r.set(hwmon+"hwmon9"+rest, strings.TrimSpace(string(file.Data)))
			}
		}

		r.link(hwmon+"hwmon9/device", "../../nvme0")
		r.pass(2 * time.Minute)

		if n := r.waiting(); n != 1 {
			t.Errorf("%d ask the disk that hangs after it was found again", n)
		}

		free()
		r.pass(time.Minute)

		if got := r.sidecar.Latest().Values["disk/nvme0-composite/temperature_celsius"]; got != 35 {
			t.Errorf("the disk answers again, and its temperature is %v", got)
		}
	})
}

// A disk is asked every 30 s, and every 5 s while it is at a limit.
func TestHowOftenADiskIsAsked(t *testing.T) {
	within(t, false, func(t *testing.T, r *rig) {
		seen := r.stage(core.Burn, func() {
			r.pass(10 * time.Minute)

			if got := len(r.valuesOf(t, "disk/nvme0-composite/temperature_celsius")); got < 19 || got > 22 {
				t.Errorf("%d values in ten minutes, want one each half minute", got)
			}

			r.celsius(drive, 90)
			r.pass(31 * time.Second)
			r.celsius(drive, 40)
			r.pass(6 * time.Second)
		})

		if got := r.sidecar.Latest().Values["disk/nvme0-composite/temperature_celsius"]; got != 40 {
			t.Errorf("the disk is at %v °C, want what it said within seconds", got)
		}

		for _, f := range seen.Findings {
			if f.Code == "sensor/stale" {
				t.Errorf("found %+v", f)
			}
		}
	})
}

// The same in a folder of the file system, where a FIFO that nobody writes to stands for
// the disk: opening it blocks a thread in the kernel, and no clock can be turned.
func TestAReaderThatIsStuckInTheKernel(t *testing.T) {
	dir := t.TempDir()

	for name, file := range newBoard().files {
		if strings.HasPrefix(name, hwmon+"hwmon0/") && !strings.HasSuffix(name, "/device") {
			write(t, filepath.Join(dir, name), file.Data)
		}
	}

	fifo := filepath.Join(dir, hwmon, "hwmon3", "temp1_input")
	write(t, filepath.Join(dir, hwmon, "hwmon3", "name"), []byte("drivetemp\n"))

	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { // lets the reader go
		if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			_ = f.Close()
		}
	})

	sidecar := sensor.New(sensor.Config{Root: os.DirFS(dir), Bus: &disk.Replay{}, Log: slog.New(slog.DiscardHandler)})
	ctx, halt := context.WithCancelCause(t.Context())
	end := sidecar.Watch(ctx, core.Burn, stage.Env{Sensor: func(...core.Sample) {}}, halt)
	now := time.Now()

	write(t, filepath.Join(dir, hwmon, package0), []byte("101000\n"))

	goroutines := runtime.NumGoroutine()

	// Time is told to the sidecar, so that nothing depends on how fast this machine is.
	for i := 0; i < 600 && ctx.Err() == nil; i++ {
		sidecar.Look(now.Add(time.Duration(i) * time.Second))
	}

	if cause := context.Cause(ctx); cause == nil || !strings.Contains(cause.Error(), "Package id 0") {
		t.Errorf("the hot CPU was not stopped: %v", cause)
	}

	if n := runtime.NumGoroutine() - goroutines; n > 2 {
		t.Errorf("%d goroutines more", n)
	}

	if got := codes(end().Findings); !slices.Contains(got, "critical sensor/emergency-stop") {
		t.Errorf("found %v", got)
	}
}

func write(t *testing.T, name string, content []byte) {
	t.Helper()

	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
