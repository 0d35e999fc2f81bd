package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/engine"
	"vetting/core/report"
	"vetting/store"
	"vetting/store/artifact"
	"vetting/store/runlog"
)

// The process that is killed is this test binary, run again to play the script.
const (
	crashDirVar   = "VETTING_CRASH_DIR"   // the child's data directory
	crashStepVar  = "VETTING_CRASH_STEP"  // the step of its writes at which it dies; 0: none
	crashStepsVar = "VETTING_CRASH_STEPS" // how many steps to try, or "all"; 8 without it
)

// outcome is what is left of a run when its script is over, without what differs
// from one play to the next: times, and numbers drawn by lot.
type outcome struct {
	State     core.State
	Verdict   core.Verdict
	Reported  core.Verdict
	Epoch     int
	Alarms    bool
	Stages    []string
	Samples   []string
	Log       []string
	Artifacts []string
	Acts      map[string]int
}

// TestPlayOfTheChild is the child: it plays the script on the real ledger, and dies
// at the step it was given.
func TestPlayOfTheChild(t *testing.T) {
	dir := os.Getenv(crashDirVar)
	if dir == "" {
		return // as everybody else
	}

	die, err := strconv.ParseInt(os.Getenv(crashStepVar), 10, 64)
	if err != nil {
		t.Fatal(err)
	}

	var steps atomic.Int64

	step := func(string) {
		if steps.Add(1) == die {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)

			select {}
		}
	}

	ledger, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(dir, "ledger"), Small: true, Ballast: -1, Step: step})
	if err != nil {
		t.Fatal(err)
	}

	a := newPlayer(t, dir, ledger, step)
	a.playOn()

	if _, err := ledger.Verify(t.Context()); err != nil {
		t.Error(err)
	}

	last := steps.Load()
	got := a.outcome()
	a.r.stop()

	if err := errors.Join(a.logs.Close(), ledger.Close()); err != nil {
		t.Error(err)
	}

	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}

	fmt.Printf("\n%d %s\n", last, encoded)
}

// player is the actor of the script on the real ledger.
type player struct {
	actor

	dir string
}

// memory is what the machine and the person know, who are not the appliance.
type memory struct {
	Run   core.RunID
	Token string
	Seed  core.Seed
	State core.State
	Flags []string
	Keys  int
}

func newPlayer(t *testing.T, dir string, ledger core.Ledger, step func(string)) *player {
	t.Helper()

	r := &rig{
		t: t, ledger: ledger, clock: coretest.NewClock(), waker: &waker{codes: map[core.PowerMethod]string{}}, settle: func() {},
		tune: func(c *engine.Config) {
			c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
			c.Stages = core.Pipeline()
			c.Profiles = []core.Profile{{
				Name: "quick", Scale: 1, Stages: []core.StageName{
					core.InventoryCheck, core.Firmware, core.SpecValidate, core.SMART, core.Storage, core.Reporting,
				},
				Rules: []core.Rule{{ // which no stage passes without the samples that were taken
					ID: "hot", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLT, Value: 60, Severity: core.Critical, Required: true,
				}},
			}}
		},
	}
	r.restart()

	p := &player{dir: dir, actor: actor{machine: r.machine(1), fails: true, wipes: true}}

	var err error
	if p.logs, err = runlog.Open(runlog.Config{Dir: filepath.Join(dir, "logs"), Step: step}); err != nil {
		t.Fatal(err)
	}

	if p.files, err = artifact.Open(artifact.Config{Dir: filepath.Join(dir, "artifacts"), Step: step}); err != nil {
		t.Fatal(err)
	}

	p.keep = p.write
	p.read()

	return p
}

func (p *player) path() string { return filepath.Join(p.dir, "memory") }

func (p *player) read() {
	text, err := os.ReadFile(p.path())
	if errors.Is(err, os.ErrNotExist) {
		return
	}

	var m memory
	if err := errors.Join(err, json.Unmarshal(text, &m)); err != nil {
		p.r.t.Fatal(err)
	}

	p.run, p.token, p.seed, p.state, p.flags, p.keys = m.Run, m.Token, m.Seed, m.State, m.Flags, m.Keys
}

func (p *player) write() {
	text, err := json.Marshal(memory{p.run, p.token, p.seed, p.state, p.flags, p.keys})
	if err = errors.Join(err, os.WriteFile(p.path()+".new", text, 0o600), os.Rename(p.path()+".new", p.path())); err != nil {
		p.r.t.Fatal(err)
	}
}

// playOn plays until the run is over. The dispatcher gives a queued run its turn
// when it can; until then there is no boot script.
func (p *player) playOn() {
	for range 5000 {
		err := p.play()

		switch {
		case err == nil:
			return
		case codeOf(err) != "boot/no-run":
			p.r.t.Fatal(err)
		}

		time.Sleep(time.Millisecond)
	}

	p.r.t.Fatal("the run never got its turn")
}

// outcome reads what there is, and demands that it fits together.
func (p *player) outcome() outcome {
	r, t := p.r, p.r.t
	run := r.run(p.run)
	got := outcome{
		State: run.State, Verdict: run.Verdict, Epoch: run.Epoch, Alarms: r.noticed("boot/token-reused"), Acts: map[string]int{},
		Reported: get[report.Report](r, core.TableReport, string(run.ID)).Verdict.Kind,
	}

	for _, s := range run.Stages {
		line := fmt.Sprintf("%s %s, try %d", s.Name, s.Verdict, s.Attempt)
		for _, e := range s.Evaluations {
			line += fmt.Sprintf(", %s %s %v", e.Rule, e.Verdict, e.Value)
		}

		got.Stages = append(got.Stages, line)
	}

	for _, a := range r.audits() {
		got.Acts[a.Action]++
	}

	lines, err := p.logs.ReadLog(t.Context(), run.ID, 0, 0)
	if err != nil {
		t.Fatal(err)
	}

	for i, l := range lines {
		if l.Seq != uint64(i+1) {
			t.Errorf("line %d has the number %d", i+1, l.Seq)
		}

		got.Log = append(got.Log, l.Text)
	}

	p.records(&got)

	return got
}

func (p *player) records(got *outcome) {
	t := p.r.t

	err := p.r.ledger.View(t.Context(), func(rd core.Reader) error {
		prefix := core.Query{Prefix: string(p.run) + "/"}

		return errors.Join(
			rd.Scan(core.TableSamples, prefix, func(_ string, decode func(any) error) error {
				var b core.SampleBatch
				err := decode(&b)
				got.Samples = append(got.Samples, fmt.Sprintf("%s, try %d, batch %d: %d", b.Stage, b.Attempt, b.Seq, len(b.Samples)))

				return err
			}),
			rd.Scan(core.TableArtifact, prefix, func(_ string, decode func(any) error) error {
				var a core.Artifact
				if err := decode(&a); err != nil {
					return err
				}

				file, err := p.files.OpenArtifact(t.Context(), a.SHA256)
				if err != nil {
					return err
				}

				text, err := io.ReadAll(file)
				got.Artifacts = append(got.Artifacts, a.Name+": "+string(text))

				return errors.Join(err, file.Close())
			}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// playAgain runs the child on a directory until it ends or dies, and returns what
// came of it.
func playAgain(t *testing.T, dir string, die int) (steps int, got outcome, killed bool) {
	t.Helper()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPlayOfTheChild$", "-test.count=1")
	child.Env = append(os.Environ(), crashDirVar+"="+dir, fmt.Sprintf("%s=%d", crashStepVar, die))

	out, err := child.CombinedOutput()

	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return 0, got, true
	}

	if err != nil {
		t.Fatalf("step %d: %v\n%s", die, err, out)
	}

	for line := range strings.Lines(string(out)) {
		number, text, found := strings.Cut(line, " {")
		if steps, err = strconv.Atoi(number); !found || err != nil {
			continue
		}

		if err := json.Unmarshal([]byte("{"+text), &got); err != nil {
			t.Fatal(err)
		}

		return steps, got, false
	}

	t.Fatalf("step %d: the child said\n%s", die, out)

	return 0, got, false
}

// reliability.md §5: the scripted run, killed at the steps of its writes, over the
// real ledger, log and shelf. A failed stage is run again, a wipe is overridden.
func TestKilledAtTheStepsOfItsWritesTheRunEndsAsItsScriptSays(t *testing.T) {
	steps, want, _ := playAgain(t, t.TempDir(), 0)

	if want.State != core.StateCompleted || want.Verdict != core.Pass || want.Epoch != 1 || want.Alarms || steps < 60 ||
		len(want.Samples) < 6 || len(want.Log) != 2*len(want.Samples) || len(want.Artifacts) != 4 {
		t.Fatalf("the script by itself, in %d steps: %+v", steps, want)
	}

	tries := 8
	if text := os.Getenv(crashStepsVar); text == "all" {
		tries = math.MaxInt
	} else if n, err := strconv.Atoi(text); err == nil {
		tries = n
	}

	tries = min(tries, steps)
	t.Logf("%d of %d steps", tries, steps)

	for i := range tries {
		die := 1 + i*steps/tries
		dir := t.TempDir()

		if _, _, killed := playAgain(t, dir, die); !killed {
			continue // writes were grouped otherwise: the script was over before
		}

		if _, got, _ := playAgain(t, dir, 0); !cmp.Equal(want, got) {
			t.Errorf("killed at step %d of %d:\n%s", die, steps, cmp.Diff(want, got))
		}
	}
}
