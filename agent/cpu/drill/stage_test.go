package drill_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"vetting/agent/cpu/drill"
	"vetting/agent/machines"
	"vetting/agent/probe"
	"vetting/agent/sensor"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/catalogue"
)

// runStage runs CPUStress on this machine, as short as it gets.
func runStage(t *testing.T, faults map[int]*drill.Fault, during func(*spy)) core.Result {
	t.Helper()

	return stageOver(t, os.DirFS("/"), faults, during)
}

// stageOver runs it with other things said of the machine than are true.
func stageOver(t *testing.T, root fs.FS, faults map[int]*drill.Fault, during func(*spy)) core.Result {
	t.Helper()

	if slowly {
		t.Skip("every kernel is done, which takes a minute under the race detector; the talk between the processes is that of the other tests")
	}

	pair(t)

	var (
		s    *spy
		once sync.Once
	)

	workers := func(*slog.Logger) drill.Starter {
		s = plant(&drill.Options{}, faults)

		return s
	}

	env := environment(t, func(what string) {
		if during != nil && strings.Contains(what, "division") {
			once.Do(func() { during(s) })
		}
	})
	env.Scale = 0.0001

	return stage.CPUStress(probe.Machine{Root: root}, workers, nil)(t.Context(), env)
}

// edited is this machine with some files that a test writes. Safe for concurrent use.
type edited struct {
	fs.FS

	mu    sync.Mutex
	files map[string]string // guarded by mu
}

func (e *edited) Open(name string) (fs.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()

	text, ours := e.files[name]
	if !ours {
		return e.FS.Open(name)
	}

	return fstest.MapFS{name: {Data: []byte(text + "\n")}}.Open(name)
}

func (e *edited) ReadLink(name string) (string, error) { return fs.ReadLink(e.FS, name) }

func (e *edited) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(e.FS, name) }

func (e *edited) set(name, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.files[name] = text
}

// environment is what a stage is given, with a listener for its progress.
func environment(t *testing.T, told func(what string)) stage.Env {
	t.Helper()

	return stage.Env{
		Log: slog.New(slog.DiscardHandler), Scale: 1, Config: map[string]string{"CPUStress.duration": "5m"},
		Progress:   func(what string, _ float64, _ time.Duration) { told(what) },
		Checkpoint: func([]byte) bool { return true },
		Sensor: func(samples ...core.Sample) {
			for _, s := range samples {
				if err := catalogue.Check(s.Key, s.Unit); err != nil {
					t.Error(err)
				}
			}
		},
	}
}

// code finds a finding.
func code(r core.Result, code string) (core.Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f core.Finding) bool { return f.Code == code })
	if i < 0 {
		return core.Finding{}, false
	}

	return r.Findings[i], true
}

func TestTheStageNamesTheCPUOfAFlippedBit(t *testing.T) {
	r := runStage(t, map[int]*drill.Fault{1: {Kernel: "aes", Block: 1, Lane: 7, Bit: 30}}, nil)

	f, ok := code(r, "cpustress/miscompare")
	if !ok || r.Verdict != core.Fail || !strings.Contains(f.Evidence, "CPU 1,") || !strings.Contains(f.Evidence, "lane 7 xor 0000000040000000") {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}
}

// Each of the two ways by which it is seen that a CPU went is enough.
func TestTheStageDoesNotPassWithoutACPU(t *testing.T) {
	for name, c := range map[string]struct {
		fault *drill.Fault
		file  bool // the kernel says so in the end
		words string
	}{
		"its worker was moved": {&drill.Fault{Block: 3, Leave: true, Always: true}, false, "it did not come back"},
		"the kernel says so":   {nil, true, "it was online when the stage began"},
	} {
		machine := &edited{FS: os.DirFS("/"), files: map[string]string{}}
		r := stageOver(t, machine, map[int]*drill.Fault{1: c.fault}, func(*spy) {
			if c.file {
				machine.set("sys/devices/system/cpu/online", "0")
			}
		})

		f, ok := code(r, "cpustress/offline")
		if !ok || r.Verdict != core.Fail || !strings.Contains(f.Evidence, "CPU 1,") || !strings.Contains(f.Evidence, c.words) {
			t.Errorf("%s: %s %+v", name, r.Verdict, r.Findings)
		}

		if _, bare := code(r, "cpustress/not-exercised"); bare || strings.HasPrefix(r.Coverage, "2 of 2") {
			t.Errorf("%s: %s %+v", name, r.Coverage, r.Findings)
		}
	}
}

func TestTheStageDoesNotPassWithoutAWorker(t *testing.T) {
	r := runStage(t, nil, func(s *spy) {
		if err := syscall.Kill(s.procs["cpu0"].PID(), syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})

	if _, ok := code(r, "worker/killed"); !ok || r.Verdict != core.Error || !strings.HasPrefix(r.Coverage, "1 of ") && !strings.HasPrefix(r.Coverage, "0 of ") {
		t.Errorf("%s %q %+v", r.Verdict, r.Coverage, r.Findings)
	}
}

// The sidecar halts the stage at work, as it would on the machine that was recorded:
// a core of it passes its critical limit while the workers of this one work.
func TestAPartThatIsTooHotHaltsTheStage(t *testing.T) {
	const core0 = "sys/class/hwmon/hwmon0/temp2_input"

	recorded := &edited{FS: machines.Open(t, "dell-poweredge-r740-2.12.2").Root, files: map[string]string{}}
	atWork := make(chan struct{})
	ctx, halt := context.WithCancelCause(t.Context())

	t.Cleanup(func() { halt(nil) })

	var (
		spied *spy
		begun sync.Once
	)

	env := environment(t, func(string) { begun.Do(func() { close(atWork) }) })
	env.Config = map[string]string{"CPUStress.duration": "24h"}
	workers := func(*slog.Logger) drill.Starter {
		spied = plant(&drill.Options{}, nil)

		return spied
	}

	over := make(chan core.Result, 1)

	go func() { over <- stage.CPUStress(probe.Machine{Root: os.DirFS("/")}, workers, nil)(ctx, env) }()

	<-atWork

	var seen stage.Seen

	// Its seconds pass at once; the workers do not notice.
	synctest.Test(t, func(t *testing.T) {
		sidecar := sensor.New(sensor.Config{Root: recorded, Log: slog.New(slog.DiscardHandler)})
		looking, enough := context.WithCancel(t.Context())
		quiet := stage.Env{Log: slog.New(slog.DiscardHandler), Sensor: func(...core.Sample) {}}

		go func() { _ = sidecar.Run(looking) }()

		end := sidecar.Watch(looking, core.CPUStress, quiet, halt)

		time.Sleep(time.Minute)

		if cause := context.Cause(ctx); cause != nil {
			t.Errorf("halted before it was hot: %v", cause)
		}

		recorded.set(core0, "101000")
		time.Sleep(20 * time.Second)

		seen = end()

		enough()
	})

	if context.Cause(ctx) == nil {
		t.Fatalf("the stage was not halted: %+v", seen)
	}

	r := stage.Merge(<-over, seen)

	f, ok := code(r, "sensor/emergency-stop")
	if !ok || r.Verdict != core.Fail || !strings.Contains(f.Evidence, "coretemp.0 Core 0") {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}

	if f, ok := code(r, "stage/interrupted"); !ok || !strings.Contains(f.Evidence, "101 °C") {
		t.Errorf("the stage does not say why it ended: %+v", r.Findings)
	}

	for name, p := range spied.procs {
		if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the worker %s is not gone: %v", name, err)
		}
	}

	if len(spied.procs) < 2 {
		t.Errorf("%d workers were at work", len(spied.procs))
	}
}

func TestTheStageStopsWhenItIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())

	env := environment(t, func(string) { cancel() })

	workers := func(*slog.Logger) drill.Starter { return plant(&drill.Options{}, nil) }

	r := stage.CPUStress(probe.Machine{Root: os.DirFS("/")}, workers, nil)(ctx, env)
	if _, ok := code(r, "stage/interrupted"); !ok || r.Verdict != core.Error {
		t.Errorf("%s %+v", r.Verdict, r.Findings)
	}
}
