package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
	"vetting/firmware/inventory"
)

// MemoryTester tests memory, as [memory.Run] does.
type MemoryTester func(ctx context.Context, t memory.Test) (*memory.Report, error)

// Memory writes known contents to all memory that the reserve leaves, and fails on
// the first word that comes back otherwise. It reads what the kernel's own test
// found at boot, says which DIMM is to blame as far as the machine tells, and what
// was tested by physical page. Rules: stages.md §3.6; the counters of errors are
// judged by package ras, which watches over every stage.
//
// bootLog returns the kernel's messages since it booted.
func Memory(m probe.Machine, test MemoryTester, bootLog func() []string) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &memoryExam{env: env, machine: m, kept: memoryCheckpoint{State: memory.State{}}}

		if err := x.configure(); err != nil {
			return x.notBegun(err)
		}

		x.look(bootLog())
		x.resume()

		report, err := test(ctx, x.test)
		x.gone = switchedOff(m, x.threads)

		if report == nil {
			return x.notBegun(err)
		}

		if err != nil {
			env.Log.Warn("a worker was not understood", slog.String("error", err.Error()))
		}

		x.blameAgain()
		x.keepReport(report)

		if cause := context.Cause(ctx); cause != nil {
			return x.interrupted(report, cause)
		}

		return x.judge(report)
	}
}

// memoryExam is one run of the stage.
type memoryExam struct {
	env     Env
	machine probe.Machine
	test    memory.Test
	floor   float64 // percent that must be tested
	boot    memory.BootTest
	tables  []inventory.Structure
	board   memory.Board
	threads []probe.Thread // present when the stage began, online or not
	gone    []int          // CPUs that were online, and were no more at the end
	virtual bool           // the machine is a virtual one: what it moves in a second is its host's affair
	before  memory.Counts
	grown   []core.Part    // DIMMs whose errors were counted meanwhile
	earlier []memory.Fault // found by a process before this one

	mu    sync.Mutex       // guards kept and saved
	kept  memoryCheckpoint // what is known if this process ends
	saved time.Time
}

// memoryCheckpoint is how far the stage is, and what it found until then.
type memoryCheckpoint struct {
	State  memory.State   `json:"state"`
	Faults []memory.Fault `json:"faults,omitempty"`
}

const (
	largeMemory    = 8 << 30 // from here on largeFloor holds
	largeFloor     = 92      // percent
	smallFloor     = 20      // percent, where the profile says nothing
	usualRetention = time.Minute
	faultsKept     = 50 // in the checkpoint
	saveEvery      = 5 * time.Second
)

// configure reads the profile's settings.
func (x *memoryExam) configure() (err error) {
	x.test = memory.Test{
		Root: x.machine.Root, Runner: worker.Self(x.env.Log), Patterns: memory.Short, Passes: 1, Stream: true,
		Seed:     rand.Uint64(), //nolint:gosec // contents are no secret; the report tells the seed
		Progress: x.env.Progress, Saved: x.save, Found: x.found,
	}

	config := x.env.Config
	if kind := config[profile.MemoryPatterns]; kind != "" {
		x.test.Patterns = memory.Patterns(kind)
	}

	if x.test.Passes, err = number(config, profile.MemoryPasses, 1); err != nil {
		return err
	}

	if x.test.Duration, err = x.duration(profile.MemoryDuration, 0); err != nil {
		return err
	}

	if x.test.Retention, err = x.duration(profile.MemoryRetention, usualRetention); err != nil {
		return err
	}

	limit, err := number(config, profile.MemoryLimit, 0)
	if err != nil {
		return err
	}

	floor, err := number(config, profile.MemoryFloor, smallFloor)
	x.test.Limit, x.floor = uint64(limit)<<20, float64(floor)

	return err
}

// number reads a whole number of the profile.
func number(config map[string]string, key string, missing int) (int, error) {
	value := config[key]
	if value == "" {
		return missing, nil
	}

	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("reading the setting %s: %q is no whole number", key, value)
	}

	return n, nil
}

// duration reads a time of the profile, shortened by its scale.
func (x *memoryExam) duration(key string, missing time.Duration) (time.Duration, error) {
	d := missing

	if value := x.env.Config[key]; value != "" {
		var err error
		if d, err = time.ParseDuration(value); err != nil {
			return 0, fmt.Errorf("reading the setting %s: %w", key, err)
		}
	}

	return time.Duration(float64(d) * x.env.Scale), nil
}

// look reads what the machine says of its memory before the test.
func (x *memoryExam) look(bootLog []string) {
	tables, err := inventory.ReadSMBIOS(x.machine.Root)
	if err != nil {
		x.env.Log.Warn("DIMMs cannot be named", slog.String("error", err.Error()))
	}

	x.tables, x.board = tables, memory.ReadBoard(tables)
	x.boot = memory.ReadBootTest(x.machine.Root, bootLog)
	x.before = memory.ReadCounts(x.machine.Root, tables)
	x.threads, x.virtual = x.machine.Threads(), x.machine.Virtual()
	x.test.Silence = silence(x.virtual)
}

// resume goes on where a process before this one was.
func (x *memoryExam) resume() {
	if len(x.env.Resume) == 0 {
		return
	}

	var kept memoryCheckpoint
	if err := json.Unmarshal(x.env.Resume, &kept); err != nil {
		x.env.Log.Warn("the stage begins anew", slog.String("error", err.Error()))

		return
	}

	x.kept, x.earlier, x.test.State, x.test.Stream = kept, slices.Clone(kept.Faults), kept.State, false
	x.env.Log.Info("the stage goes on where it was", slog.Any("state", kept.State))
}

// save keeps how far the test is, now and then.
func (x *memoryExam) save(s memory.State) {
	x.mu.Lock()
	defer x.mu.Unlock()

	x.kept.State = s

	if time.Since(x.saved) >= saveEvery {
		x.write()
	}
}

// found keeps a fault at once.
func (x *memoryExam) found(f memory.Fault) {
	x.env.Log.Error("memory is wrong", slog.String("fault", f.Evidence()))

	x.mu.Lock()
	defer x.mu.Unlock()

	if len(x.kept.Faults) < faultsKept {
		x.kept.Faults = append(x.kept.Faults, f)
		x.write()
	}
}

// write hands the checkpoint over. x.mu is held.
func (x *memoryExam) write() {
	x.saved = time.Now()

	text, err := json.Marshal(x.kept)
	if err != nil {
		x.env.Log.Warn("how far the stage is cannot be kept", slog.String("error", err.Error()))

		return
	}

	x.env.Checkpoint(text)
}

// blameAgain looks which DIMMs have counted errors meanwhile.
func (x *memoryExam) blameAgain() {
	x.grown = memory.ReadCounts(x.machine.Root, x.tables).Grown(x.before)
}

// keepReport leaves all that was found for people to read.
func (x *memoryExam) keepReport(r *memory.Report) {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		x.env.Log.Warn("the report of the test cannot be kept", slog.String("error", err.Error()))

		return
	}

	x.env.Keep("memory.json", text)
}
