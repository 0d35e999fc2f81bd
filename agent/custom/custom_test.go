package custom_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"vetting/agent/custom"
	"vetting/agent/stage"
	"vetting/core"
)

// TestMain lets this program be the one that builds the fence.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == custom.Word {
		os.Exit(custom.Fence(os.Args[2:]))
	}

	os.Exit(m.Run())
}

const (
	good    = `{"type":"verdict","verdict":"pass","summary":"6 of 6 fans"}`
	bad     = `{"type":"verdict","verdict":"fail","summary":"one of them is slow"}`
	weak    = `{"type":"finding","code":"slow","severity":"warning","title":"A fan is slow","evidence":"900 rpm","next":"Clean it.","part":{"kind":"fan","slot":"FAN1"}}`
	grave   = `{"type":"finding","code":"dead","severity":"critical","title":"A fan is dead","evidence":"0 rpm","next":"Replace it.","part":{"kind":"fan","slot":"FAN2"}}`
	steps   = `{"type":"step","name":"FAN1","verdict":"pass"}`
	failing = `{"type":"step","name":"FAN2","verdict":"fail"}`
	lost    = `{"type":"step","name":"FAN3","verdict":"error"}`
)

// What a script says, and how it ends, come to a verdict; none but an explicit pass
// with a good end is one.
func TestWhatComesOfACustomStage(t *testing.T) {
	tests := map[string]struct {
		lines       []string
		fault, exit string
		want        core.Verdict
		codes       []string
	}{
		"it passes":                                  {lines: []string{steps, good}, want: core.Pass},
		"it passes with a warning":                   {lines: []string{weak, good}, want: core.Pass, codes: []string{"custom/fan-check-slow"}},
		"it says nothing and exits well":             {want: core.Error, codes: []string{"custom/no-verdict"}},
		"it has steps that pass and no verdict":      {lines: []string{steps}, want: core.Error, codes: []string{"custom/no-verdict"}},
		"it says pass and exits with 1":              {lines: []string{good}, exit: "exit status 1", want: core.Error, codes: []string{"custom/crashed"}},
		"it crashes":                                 {exit: "signal: segmentation fault", want: core.Error, codes: []string{"custom/crashed"}},
		"it exits with the code that means skip":     {exit: "exit status 77", want: core.Error, codes: []string{"custom/crashed"}},
		"it fails":                                   {lines: []string{bad}, want: core.Fail, codes: []string{"custom/failed"}},
		"it fails and exits with 1":                  {lines: []string{grave, bad}, exit: "exit status 1", want: core.Fail, codes: []string{"custom/fan-check-dead", "custom/crashed"}},
		"it says pass beside a critical finding":     {lines: []string{grave, good}, want: core.Fail, codes: []string{"custom/fan-check-dead"}},
		"it says pass beside a step that failed":     {lines: []string{failing, good}, want: core.Fail, codes: []string{"custom/failed"}},
		"it says pass beside a step that broke":      {lines: []string{lost, good}, want: core.Error, codes: []string{"custom/crashed"}},
		"it finds a fault and then takes too long":   {lines: []string{grave}, fault: "custom/time-out", want: core.Fail, codes: []string{"custom/fan-check-dead", "custom/time-out"}},
		"it says skip with a reason":                 {lines: []string{`{"type":"verdict","verdict":"skip","summary":"no fans here"}`}, want: core.Skip},
		"it cannot tell":                             {lines: []string{`{"type":"verdict","verdict":"unmeasurable","summary":"no sensor"}`}, want: core.Unmeasurable},
		"it says pass and then does not end in time": {lines: []string{good}, fault: "custom/time-out", want: core.Error, codes: []string{"custom/time-out"}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			verdict, _, findings, err := custom.Judge("fan-check", tt.lines, tt.fault, tt.exit)
			if err != nil || verdict != tt.want {
				t.Fatalf("verdict %s, %v; want %s", verdict, err, tt.want)
			}

			var codes []string
			for _, f := range findings {
				codes = append(codes, f.Code)
			}

			if !slices.Equal(codes, tt.codes) {
				t.Errorf("codes %q, want %q", codes, tt.codes)
			}
		})
	}
}

// A line that is not understood is refused in words that help: it may be the one that
// speaks against the machine.
func TestLinesThatCannotBeTaken(t *testing.T) {
	tests := map[string]struct {
		lines []string
		says  string
	}{
		"no JSON":                           {[]string{"all fans are good"}, "no line of ours"},
		"an unknown type":                   {[]string{`{"type":"result"}`}, "the type"},
		"an unknown key":                    {[]string{`{"type":"verdict","verdict":"pass","verdcit":"fail"}`}, "verdcit"},
		"a verdict that is none":            {[]string{`{"type":"verdict","verdict":"ok"}`}, "none of pass"},
		"a skip without a reason":           {[]string{`{"type":"verdict","verdict":"skip"}`}, "summary"},
		"a failure without a reason":        {[]string{`{"type":"verdict","verdict":"fail"}`}, "summary"},
		"a second verdict":                  {[]string{bad, good}, "comes last"},
		"a finding after the verdict":       {[]string{good, grave}, "comes last"},
		"a severity that is none":           {[]string{strings.Replace(grave, "critical", "fatal", 1)}, "severity"},
		"a code that climbs":                {[]string{strings.Replace(grave, `"dead"`, `"../dead"`, 1)}, "hyphens"},
		"a finding without a next step":     {[]string{strings.Replace(grave, "Replace it.", "", 1)}, "next"},
		"a quantity that is not known":      {[]string{`{"type":"measurement","name":"fan1","quantity":"speed_knots","value":1}`}, "speed_rpm"},
		"a measurement without a value":     {[]string{`{"type":"measurement","name":"fan1","quantity":"speed_rpm"}`}, "no value"},
		"a name that is a key":              {[]string{`{"type":"measurement","name":"a/b","quantity":"speed_rpm","value":1}`}, "plain name"},
		"two objects on a line":             {[]string{good + good}, "one a line"},
		"progress beyond the end":           {[]string{`{"type":"progress","done":2}`}, "from 0 to 1"},
		"a step without a name":             {[]string{`{"type":"step","verdict":"pass"}`}, "name"},
		"more findings than anybody reads":  {slices.Repeat([]string{grave}, 65), "more than 64"},
		"more lines than a script can mean": {slices.Repeat([]string{`{"type":"log","text":"x"}`}, 4097), "4096"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := custom.Judge("fan-check", tt.lines, "", ""); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want something with %q", err, tt.says)
			}
		})
	}
}

func FuzzLines(f *testing.F) {
	for _, line := range []string{good, bad, weak, grave, steps, `{"type":"measurement","name":"fan1","quantity":"speed_rpm","value":5230}`} {
		f.Add(line)
	}

	f.Fuzz(func(t *testing.T, text string) {
		verdict, _, findings, err := custom.Judge("x", strings.Split(text, "\n"), "", "")
		if err == nil && verdict == core.Pass && !strings.Contains(text, "verdict") {
			t.Errorf("%q passes with %v", text, findings)
		}
	})
}

// script writes an executable.
func script(t *testing.T, text string) string {
	t.Helper()

	name := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}

	return name
}

// env is a stage's, with one overlay that has one script.
func env(s core.Script) stage.Env {
	return stage.Env{
		Log: slog.New(slog.DiscardHandler), Progress: func(string, float64, time.Duration) {}, Run: "01JD8WVZ6T0000000000000001", HostName: "db-1",
		Scale: 1, Overlays: []core.Overlay{{Name: "acme", Manifest: sumOf(list), Scripts: []core.Script{s}}},
	}
}

const list = `{"version":1,"name":"acme","files":[]}`

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))

	return hex.EncodeToString(sum[:])
}

func whole() fstest.MapFS { return fstest.MapFS{"overlay/acme/manifest.json": {Data: []byte(list)}} }

func after(ctx context.Context, run custom.Run, root fstest.MapFS, limit time.Duration, own core.Verdict) stage.Seen {
	s := core.Script{Name: "fan-check", File: "stages/fan-check", Stage: core.Burn, Timeout: limit}

	return custom.New(root, run).After(ctx, core.Burn, env(s), &core.Result{Verdict: own})
}

func TestACustomStageOnAMachine(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		text    string
		limit   time.Duration
		verdict core.Verdict
		says    string
	}{
		"that passes":                           {"echo '" + good + "'", time.Minute, core.Pass, "6 of 6"},
		"that hangs":                            {"echo '" + steps + "'; exec sleep 600", 300 * time.Millisecond, core.Error, "killed after"},
		"that shuts its output and stays":       {"echo '" + good + "'; exec sleep 600 >&- 2>&-", 300 * time.Millisecond, core.Error, "did not end"},
		"that hangs on with its output":         {"echo '" + good + "'; sleep 600 & exit 0", 300 * time.Millisecond, core.Error, "killed after"},
		"that writes without end":               {"while :; do echo '{\"type\":\"log\",\"text\":\"x\"}'; done", time.Minute, core.Error, "more than 4096 lines"},
		"that writes a line without end":        {"while :; do printf 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'; done", time.Minute, core.Error, "a line is longer"},
		"that writes nonsense to the other end": {"head -c 100000 /dev/urandom >&2; echo '" + good + "'", time.Minute, core.Pass, "6 of 6"},
		"that exits with 3":                     {"echo no such fan >&2; exit 3", time.Minute, core.Error, "exit status 3; it wrote: no such fan"},
		"that kills itself":                     {"kill -9 $$", time.Minute, core.Error, "signal: killed"},
		"that is told no token":                 {"env | grep -i -e token -e secret && exit 1; echo \"{\\\"type\\\":\\\"verdict\\\",\\\"verdict\\\":\\\"pass\\\",\\\"summary\\\":\\\"$VETTING_HOST $VETTING_STAGE\\\"}\"", time.Minute, core.Pass, "db-1 Burn"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			seen := after(t.Context(), custom.Shell(script(t, tt.text)), whole(), tt.limit, core.Pass)

			i := slices.IndexFunc(seen.SubSteps, func(s core.SubStep) bool { return s.Name == "custom/fan-check" })
			if i < 0 || seen.SubSteps[i].Verdict != tt.verdict || (tt.verdict == core.Error) != (len(seen.Errors) > 0) {
				t.Fatalf("%+v", seen)
			}

			if text := fmt.Sprintf("%+v", seen); !strings.Contains(text, tt.says) {
				t.Errorf("%s, want something with %q", text, tt.says)
			}
		})
	}

	t.Run("that cannot be started", func(t *testing.T) {
		t.Parallel()

		seen := after(t.Context(), custom.Bare("/no/such/file"), whole(), time.Minute, core.Pass)
		if len(seen.Errors) != 1 || seen.Errors[0].Code != "custom/crashed" {
			t.Errorf("%+v", seen)
		}
	})

	t.Run("behind a stage that failed", func(t *testing.T) {
		t.Parallel()

		seen := after(t.Context(), custom.Bare("/no/such/file"), whole(), time.Minute, core.Fail)
		if len(seen.SubSteps) != 1 || seen.SubSteps[0].Verdict != core.Skip || seen.SubSteps[0].Summary != "not run: Burn itself ended in fail" || len(seen.Errors) > 0 {
			t.Errorf("%+v", seen)
		}
	})

	t.Run("behind a stage that was halted", func(t *testing.T) {
		t.Parallel()

		ctx, halt := context.WithCancelCause(t.Context())
		halt(errors.New("CPU0 is at 105 degrees"))

		seen := after(ctx, custom.Bare("/no/such/file"), whole(), time.Minute, core.Error)
		if len(seen.SubSteps) != 1 || seen.SubSteps[0].Verdict != core.Skip || seen.SubSteps[0].Summary != "not run: Burn was stopped: CPU0 is at 105 degrees" || len(seen.Errors) > 0 {
			t.Errorf("%+v", seen)
		}
	})

	t.Run("whose stage is stopped", func(t *testing.T) {
		t.Parallel()

		ctx, stop := context.WithCancel(t.Context())
		run := custom.Shell(script(t, "echo '"+steps+"'; exec sleep 600"))

		seen := after(ctx, func(ctx context.Context, job custom.Job, _ func(float64), log *slog.Logger) (*custom.Said, custom.Ended) {
			return run(ctx, job, func(float64) { stop() }, log)
		}, whole(), time.Hour, core.Pass)

		if len(seen.Errors) != 1 || seen.Errors[0].Code != "custom/stopped" || !strings.Contains(seen.Errors[0].Evidence, "was stopped") {
			t.Errorf("%+v", seen)
		}
	})
}

// An overlay that is not what the appliance has sent proves nothing, so no script of it
// is run and no stage passes.
func TestAnOverlayThatDidNotArriveWhole(t *testing.T) {
	altered := whole()
	altered["overlay/acme/manifest.json"] = &fstest.MapFile{Data: []byte(list + " ")}

	for name, root := range map[string]fstest.MapFS{"nothing of it": {}, "another list": altered} {
		t.Run(name, func(t *testing.T) {
			seen := after(t.Context(), custom.Bare("/bin/true"), root, time.Minute, core.Pass)
			if len(seen.Errors) != 1 || seen.Errors[0].Code != "overlay/incomplete" || len(seen.SubSteps) != 1 ||
				seen.SubSteps[0].Verdict != core.Skip || seen.SubSteps[0].Summary != "not run: an overlay of the run did not arrive whole" {
				t.Errorf("%+v", seen)
			}

			if got := stage.Merge(core.Result{Verdict: core.Pass}, seen); got.Verdict != core.Error {
				t.Errorf("the stage ends in %s", got.Verdict)
			}
		})
	}
}

// Behind the fence a script finds no disk and no token, can write nowhere but to its own
// scratch space, and leaves no process behind.
func TestTheFence(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces")
	}

	const text = `
set -e
say() { echo "{\"type\":\"step\",\"name\":\"$1\",\"verdict\":\"$2\"}"; }
refused() { name=$1; shift; if "$@" 2>/dev/null; then say "$name" fail; else say "$name" pass; fi; }
refused disks sh -c 'ls /dev | grep -e sd -e vd -e nvme -e loop -e mapper -e "^mem$"'
refused "making a disk" mknod /tmp/disk b 8 0
refused "writing to the image" touch /etc/vetting-was-here
refused "mounting" mount -t tmpfs none /tmp
refused "sysrq" sh -c 'echo b > /proc/sysrq-trigger'
refused "writing to sysfs" sh -c 'echo 1 > /sys/kernel/mm/ksm/run'
refused "other processes" sh -c 'ls /proc | grep -E "^[0-9]{4,}$"'
refused "the network" sh -c 'for f in /proc/net/dev; do grep -v lo: $f | grep :; done'
refused "tokens" sh -c 'ls /run/vetting /vetting | grep .'
touch /tmp/scratch
echo >/dev/null
setsid sleep 600 &
echo '{"type":"verdict","verdict":"pass"}'
`
	root := t.TempDir()
	name := filepath.Join("/overlay", "fence-test-"+filepath.Base(root), "stages", "check")

	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // as on a machine
		t.Skipf("no folder /overlay here: %v", err)
	}

	t.Cleanup(func() {
		os.RemoveAll(filepath.Dir(filepath.Dir(name)))
		os.Remove("/overlay")
		os.Remove("/run/vetting/fence")
		os.Remove("/run/vetting")
	})

	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}

	s := core.Script{Name: "check", File: "stages/check", Stage: core.Burn, Timeout: time.Minute}
	e := env(s)
	e.Overlays[0].Name = filepath.Base(filepath.Dir(filepath.Dir(name)))
	manifest := fstest.MapFS{"overlay/" + e.Overlays[0].Name + "/manifest.json": {Data: []byte(list)}}

	var log strings.Builder

	e.Log = slog.New(slog.NewTextHandler(io.Writer(&log), nil))
	begin := time.Now()
	seen := custom.New(manifest, custom.Fenced("/proc/self/exe", os.Args[0])).After(t.Context(), core.Burn, e, &core.Result{Verdict: core.Pass})

	if strings.Contains(log.String(), "operation not permitted") && strings.Contains(log.String(), "fence of a custom stage") {
		t.Skip("this machine allows no namespaces")
	}

	if len(seen.SubSteps) != 10 || len(seen.Errors) > 0 || len(seen.Findings) > 0 {
		t.Errorf("%+v\n%s", seen, log.String())
	}

	if took := time.Since(begin); took > 50*time.Second {
		t.Errorf("what it left behind held it up for %v", took)
	}

	if _, err := os.Stat("/etc/vetting-was-here"); err == nil {
		t.Error("it wrote to the image")
	}
}

// The example of the documentation does what it says.
func TestTheExampleOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/overlays.md")
	if err != nil {
		t.Fatal(err)
	}

	_, text, found := strings.Cut(string(page), "```sh\n#!/bin/sh\n")
	text, _, ended := strings.Cut(text, "```")

	if !found || !ended {
		t.Fatal("docs/overlays.md has no example")
	}

	seen := after(t.Context(), custom.Shell(script(t, text)), whole(), time.Minute, core.Pass)
	if len(seen.SubSteps) == 0 || seen.SubSteps[0].Verdict != core.Pass || len(seen.Measurements) != 1 || len(seen.Errors) > 0 {
		t.Errorf("%+v", seen)
	}
}
