package stage_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/machines"
	"vetting/agent/smartctl"
	"vetting/agent/stage"
	"vetting/core"
)

// raidMachine has two volumes of a PERC H740P.
const raidMachine = "dell-poweredge-r740-2.12.2"

// fakeTool plays smartctl: a disk behind each place of answers, each of which it gives
// in turn, the last one again and again. As smartctl does, it tells a serial number only to
// who asks for --info, and says by bit 2 of its exit status that a command failed.
type fakeTool struct {
	mu      sync.Mutex // guards the rest
	answers map[string][]string
	listed  []string          // places at which the controller says that a disk is
	refuses map[string]string // what it says instead of starting a self-test
	hangs   map[string]bool   // places that hold it up
	now     map[string]string // the latest answer of a disk
	tested  map[string]bool   // places whose disk has tested itself
	started []string
}

// newer matches the hours of the latest self-test, which a new one puts up.
var newer = regexp.MustCompile(`("lifetime_hours": |"scsi_self_test_0"[^$]*?"hours": )`)

// Run is a smartctl.Run.
func (f *fakeTool) Run(_ context.Context, args ...string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if args[0] == "--scan" {
		return []byte(`{"json_format_version":[1,0],"devices":[` + strings.Join(f.listed, ",") + `]}`), nil
	}

	kind := strings.TrimPrefix(args[len(args)-2], "--device=")

	if f.hangs[kind] {
		return nil, fmt.Errorf("running smartctl: %w", context.DeadlineExceeded)
	}

	list, ok := f.answers[kind]
	if !ok {
		return []byte(`{"json_format_version":[1,0],"smartctl":{"exit_status":2,"messages":[{"string":"Smartctl open device: failed: INQUIRY failed"}]}}`), nil
	}

	if f.now == nil {
		f.now, f.tested = map[string]string{}, map[string]bool{}
	}

	if args[0] == "--xall" || f.now[kind] == "" {
		f.now[kind] = list[0]
	}

	answer := f.now[kind]

	switch {
	case strings.HasPrefix(args[0], "--test"), args[0] == "--abort":
		f.started = append(f.started, kind+" "+args[0])

		if words := f.refuses[kind]; words != "" && args[0] != "--abort" {
			return []byte(exit.ReplaceAllString(answer, `"exit_status": 4, "output": ["smartctl 7.4", "`+words+`"]`)), nil
		}

		answer = exit.ReplaceAllString(answer, `"exit_status": 0`)

		if args[0] != "--abort" {
			f.tested[kind] = true
		}
	case args[0] == "--xall" && len(list) > 1:
		f.answers[kind] = list[1:]
	}

	if at := newer.FindStringIndex(answer); at != nil && f.tested[kind] {
		answer = answer[:at[1]] + "9" + answer[at[1]:]
	}

	if !slices.Contains(args, "--info") {
		answer = strings.Replace(answer, `"serial_number"`, `"not_asked_for"`, 1)
	}

	return []byte(answer), nil
}

var exit = regexp.MustCompile(`"exit_status": \d+`)

// edited is one of the answers in agent/smartctl/testdata with words replaced.
func edited(t *testing.T, name string, words ...string) string {
	t.Helper()

	raw, err := os.ReadFile("../smartctl/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}

	text := string(raw)
	for i := 0; i < len(words); i += 2 {
		if !strings.Contains(text, words[i]) {
			t.Fatalf("%s has no %q", name, words[i])
		}

		text = strings.Replace(text, words[i], words[i+1], 1)
	}

	return text
}

func TestDisksBehindARAIDControllerAreTestedThroughSmartctl(t *testing.T) {
	const running = `"value": 0,
    "string": "completed without error",
    "passed": true`

	left := func(value, percent string) string {
		return `"value": ` + value + `, "string": "in progress", "remaining_percent": ` + percent
	}

	for name, c := range map[string]struct {
		answers  map[string][]string
		listed   []string
		refuses  map[string]string
		hangs    map[string]bool
		length   string
		verdict  core.Verdict
		code     string
		evidence string
		started  []string
		coverage string
	}{
		"two that are well": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata")}, "megaraid,5": {edited(t, "scsi")}},
			verdict: core.Pass, started: []string{"megaraid,4 --test=short", "megaraid,5 --test=short"}, coverage: "2 of 2 disks",
		},
		"extended, for hours": {
			answers: map[string][]string{"megaraid,4": append(
				append([]string{edited(t, "ata")}, slices.Repeat([]string{edited(t, "ata", running, left("249", "90"))}, 500)...),
				edited(t, "ata", `"type": {
      "value": 1,`, `"type": {
      "value": 2,`),
			)},
			length: "extended", verdict: core.Pass, started: []string{"megaraid,4 --test=long"}, coverage: "1 of 1 disks, extended self-tests: 1 of 1 disks that have one",
		},
		"pending sectors": {
			answers: map[string][]string{"megaraid,4": {pending(t)}},
			verdict: core.Fail, code: "smart/pending-sectors", evidence: "pending_sectors_count is 3", started: []string{"megaraid,4 --test=short"}, coverage: "1 of 1 disks",
		},
		"failing": {
			answers: map[string][]string{"megaraid,5": {edited(t, "scsi", `"smart_status": {
  "passed": true`, `"smart_status": {
  "passed": false`)}},
			verdict: core.Fail, code: "smart/failing", evidence: "not passed", started: []string{"megaraid,5 --test=short"}, coverage: "1 of 1 disks",
		},
		"grown defects": {
			answers: map[string][]string{"megaraid,5": {edited(t, "scsi", `"scsi_grown_defect_list": 0`, `"scsi_grown_defect_list": 2`)}},
			verdict: core.Fail, code: "smart/grown-defects", evidence: "is 2", started: []string{"megaraid,5 --test=short"}, coverage: "1 of 1 disks",
		},
		"fails at a block": {
			answers: map[string][]string{"megaraid,5": {edited(t, "scsi"), edited(t, "scsi", `"result": {
   "value": 0,`, `"lba_first_failure": 815, "result": {
   "value": 7,`)}},
			verdict: core.Fail, code: "smart/self-test-failed", evidence: "result 7, first failing block 815", started: []string{"megaraid,5 --test=short"}, coverage: "1 of 1 disks",
		},
		"no word of its health": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata", `"smart_status"`, `"no_status"`)}},
			verdict: core.Unmeasurable, code: "smart/not-readable", evidence: "does not say", coverage: "0 of 1 disks, 1 NOT tested",
		},
		"a self-test that does not start": {
			answers: map[string][]string{"megaraid,5": {edited(t, "scsi")}},
			refuses: map[string]string{"megaraid,5": "Short offline self test failed [unsupported scsi opcode]"},
			verdict: core.Error, code: "smart/self-test-broken", evidence: "smartctl --test=short: Short offline self test failed [unsupported scsi opcode]",
			started: []string{"megaraid,5 --test=short"}, coverage: "0 of 1 disks, 1 NOT tested",
		},
		"somebody else's self-test is under way": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata", running, left("249", "90"))}},
			verdict: core.Error, code: "smart/self-test-broken", evidence: "a self-test is under way",
			started: []string{"megaraid,4 --abort"}, coverage: "0 of 1 disks, 1 NOT tested",
		},
		"a disk that the controller lists and that is silent": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata")}},
			listed:  []string{`{"name":"/dev/bus/0","type":"megaraid,4"}`, `{"name":"/dev/bus/0","type":"megaraid,200"}`, `{"name":"/dev/bus/1","type":"megaraid,201"}`},
			verdict: core.Pass, code: "smart/not-readable", evidence: "no disk answers: Smartctl open device: failed: INQUIRY failed",
			started: []string{"megaraid,4 --test=short"}, coverage: "1 of 2 disks, 1 NOT tested",
		},
		"a disk at a place that is not usual": {
			answers: map[string][]string{"megaraid,200": {edited(t, "ata")}},
			listed:  []string{`{"name":"/dev/bus/0","type":"megaraid,200"}`},
			verdict: core.Pass, started: []string{"megaraid,200 --test=short"}, coverage: "1 of 1 disks",
		},
		"a disk without an identity": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata")}, "megaraid,7": {edited(t, "ata", `"serial_number"`, `"none"`)}},
			verdict: core.Pass, code: "smart/not-readable", evidence: "the disk does not answer: no serial number",
			started: []string{"megaraid,4 --test=short"}, coverage: "1 of 2 disks, 1 NOT tested",
		},
		"a place that holds smartctl up": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata")}}, hangs: map[string]bool{"megaraid,9": true},
			verdict: core.Pass, code: "smart/not-readable", evidence: "deadline exceeded",
			started: []string{"megaraid,4 --test=short"}, coverage: "1 of 2 disks, 1 NOT tested",
		},
		"a controller that holds smartctl up again and again": {
			answers: map[string][]string{"megaraid,4": {edited(t, "ata")}}, hangs: map[string]bool{"megaraid,9": true, "megaraid,10": true, "megaraid,11": true},
			verdict: core.Unmeasurable, code: "smart/not-readable", evidence: "hides its disks: running smartctl", coverage: "0 of 2 disks, 2 NOT tested",
		},
		"no disk at all": {
			verdict: core.Unmeasurable, code: "smart/not-readable", evidence: "(megaraid_sas), which hides its disks: smartctl finds no disk behind it",
			coverage: "0 of 2 disks, 2 NOT tested",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tool := &fakeTool{answers: c.answers, listed: c.listed, refuses: c.refuses, hangs: c.hangs}
			machine := machines.Open(t, raidMachine).Machine()

			var took time.Duration

			result := run(t, newBench(map[string]string{"SMART.self_test": c.length}), func(ctx context.Context, env stage.Env) core.Result {
				begin := time.Now()
				defer func() { took = time.Since(begin) }()

				return stage.SMARTThrough(machine, tool.Run)(ctx, env)
			})

			if result.Verdict != c.verdict || result.Coverage != c.coverage {
				t.Errorf("verdict %s, %q: %+v", result.Verdict, result.Coverage, result.Findings)
			}

			if found := find(result, c.code); c.code != "" && (len(found) == 0 || !strings.Contains(found[0].Evidence, c.evidence)) || c.code == "" && len(result.Findings) > 0 {
				t.Errorf("found %+v", result.Findings)
			}

			slices.Sort(tool.started)

			if !slices.Equal(tool.started, c.started) {
				t.Errorf("started %v, want %v", tool.started, c.started)
			}

			if c.length == "extended" && took < 4*time.Hour {
				t.Errorf("took %s", took)
			}

			for _, s := range result.SubSteps {
				if strings.HasPrefix(s.Name, "sda/") && (s.Part.Serial == "" && s.Verdict != core.Unmeasurable || !strings.Contains(s.Part.Slot, "megaraid,")) {
					t.Errorf("which disk? %+v", s.Part)
				}
			}
		})
	}
}

// pending is a disk with sectors that cannot be read.
func pending(t *testing.T) string {
	t.Helper()

	text := edited(t, "ata")
	at := strings.Index(text, "Current_Pending_Sector")
	rest := strings.Replace(text[at:], `"value": 0,`, `"value": 3,`, 1)

	if rest == text[at:] {
		t.Fatal("no raw value to change")
	}

	return text[:at] + rest
}

// TestARAIDControllerWithoutSmartctlIsNoPass: the finding says what is missing.
func TestARAIDControllerWithoutSmartctlIsNoPass(t *testing.T) {
	var none smartctl.Run

	result := run(t, newBench(nil), stage.SMARTThrough(machines.Open(t, raidMachine).Machine(), none))

	found := find(result, "smart/not-readable")
	if result.Verdict != core.Unmeasurable || len(found) != 2 || !strings.Contains(found[0].Evidence, "megaraid_sas") || !strings.Contains(found[0].Evidence, "no smartctl") {
		t.Errorf("%s, %+v", result.Verdict, found)
	}
}

// TestDisksBehindARAIDControllerAreComparedAfterBurn: their counters grow like those of
// others.
func TestDisksBehindARAIDControllerAreComparedAfterBurn(t *testing.T) {
	tool := &fakeTool{answers: map[string][]string{
		"megaraid,4": {edited(t, "ata"), pending(t)}, "megaraid,5": {edited(t, "scsi")},
	}}

	seen := around(t, stage.DiskCounters(machines.Open(t, raidMachine).Machine(), tool.Run), core.SMART, core.Burn)
	if found := seen[1].Findings; len(found) != 1 || found[0].Code != "smart/increase" || found[0].Part.Serial != "ZL2MADE4" ||
		!strings.Contains(seen[1].SubSteps[0].Summary, "2 of 2 disks") {
		t.Errorf("%+v", seen[1])
	}

	// A disk that is pulled.
	tool = &fakeTool{answers: map[string][]string{"megaraid,4": {edited(t, "ata")}}}
	watch := stage.DiskCounters(machines.Open(t, raidMachine).Machine(), tool.Run)
	around(t, watch, core.SMART)
	delete(tool.answers, "megaraid,4")

	if seen := around(t, watch, core.Burn); len(seen[0].Errors) != 1 || seen[0].Errors[0].Code != "smart/not-compared" {
		t.Errorf("%+v", seen[0])
	}
}
