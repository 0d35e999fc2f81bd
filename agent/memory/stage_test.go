package memory_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/stage"
	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
)

// staged runs the stage over some of this machine's memory, and has its worker seen
// to while that stands still.
func staged(t *testing.T, do func(v *victim)) core.Result {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var once sync.Once

	env := stage.Env{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Progress: func(string, float64, time.Duration) {},
		Sensor: func(...core.Sample) {}, Scale: 1, Keep: func(string, []byte) {}, Checkpoint: func([]byte) bool { return true },
		Config: map[string]string{
			profile.MemoryLimit: "32", profile.MemoryFloor: "0", profile.MemoryPasses: "5", profile.MemoryRetention: "0s",
		},
	}
	test := func(ctx context.Context, test memory.Test) (*memory.Report, error) {
		saved := test.Saved
		test.Saved = func(s memory.State) {
			once.Do(func() {
				if v := stop(t); v != nil {
					do(v)
				}
			})
			saved(s)
		}

		return memory.Run(ctx, test)
	}

	return stage.Memory(probe.Machine{Root: os.DirFS("/")}, test, memory.BootLog)(ctx, env)
}

func TestTheStageOverRealMemory(t *testing.T) {
	needsRoot(t)

	for name, c := range map[string]struct {
		do      func(v *victim)
		verdict core.Verdict
		code    string
	}{
		"memory that is good": {func(*victim) {}, core.Pass, ""},
		"a flipped bit": {func(v *victim) {
			if err := v.write(v.read() ^ 1<<40); err != nil {
				t.Error(err)
			}
		}, core.Fail, problem.MemoryMiscompare},
		"a worker that is killed": {func(v *victim) {
			if err := unix.Kill(v.pid, unix.SIGKILL); err != nil {
				t.Error(err)
			}
		}, core.Error, "worker/killed"},
	} {
		out := staged(t, func(v *victim) { c.do(v); v.goOn() })

		code := ""
		for _, f := range out.Findings {
			if f.Severity == core.Critical && code == "" {
				code = f.Code
			}
		}

		if out.Verdict != c.verdict || code != c.code || !strings.Contains(out.Coverage, "limited to 32 MiB") {
			t.Errorf("%s: %s, %s, %+v", name, out.Verdict, out.Coverage, out.Findings)
		}
	}
}
