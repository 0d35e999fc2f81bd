package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A campaign is clean only when its test ran: go test ends well too when the test
// skips itself, and when there is none of its name. The go command is played.
func TestACampaignThatDidNotRunIsNotClean(t *testing.T) {
	t.Parallel()

	script := filepath.Join("..", "..", ".ci", "endure")
	if _, err := os.ReadFile(script); err != nil { // so that go test knows what the result depends on
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		campaign, log, exit, want string
		fails                     bool
	}{
		"passed":  {"cuts", "=== RUN   TestAPowerCut\n--- PASS: TestAPowerCut (1.00s)\nPASS\nok  \tx\t1s", "0", "| clean |", false},
		"skipped": {"cuts", "=== RUN   TestAPowerCut\n    disk_test.go:28: only root may mount a disk\n--- SKIP: TestAPowerCut (0.00s)\nPASS", "0", "| NOT RUN: disk_test.go:28: only root may", true},
		"a part skipped": {
			"flips", "=== RUN   T\n=== RUN   T/a\n    f_test.go:1: not here\n    --- SKIP: T/a (0.00s)\n--- PASS: T (0.00s)\nPASS", "0", "| NOT RUN: f_test.go:1: not here", true,
		},
		"no such test": {"fire", "testing: warning: no tests to run\nPASS\nok  \tx\t1s [no tests to run]", "0", "no tests to run |", true},
		"silent":       {"kills", "PASS\nok  \tx\t1s", "0", "| NOT RUN: no test says", true},
		"failed":       {"kills", "--- FAIL: TestKill (0.00s)\nFAIL", "1", "| FAILED: --- FAIL: TestKill", true},
		"fuzzed":       {"fuzz", "fuzz: elapsed: 3s, execs: 3 (1/sec)\nPASS\nok  \tx\t3s", "0", "| clean |", false},
		"not fuzzed":   {"fuzz", "testing: warning: no fuzz tests to fuzz\nPASS", "0", "| NOT RUN: testing: warning: no fuzz", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			dir := t.TempDir()
			table := filepath.Join(dir, "table.md")
			// What it builds (go test -c -o FILE) is itself.
			played := "#!/bin/sh\n[ \"$2\" != -c ] || exec cp \"$0\" \"$4\"\ncat <<'END'\n" + c.log + "\nEND\nexit " + c.exit + "\n"

			if err := os.WriteFile(filepath.Join(dir, "go"), []byte(played), 0o700); err != nil { //nolint:gosec // it is run
				t.Fatal(err)
			}

			cmd := exec.CommandContext(t.Context(), "bash", script, c.campaign)
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "TABLE="+table)

			out, err := cmd.CombinedOutput()
			if (err != nil) != c.fails {
				t.Errorf("it ends with %v:\n%s", err, out)
			}

			row, err := os.ReadFile(table) //nolint:gosec // our own
			if err != nil || strings.Count(string(row), "\n") != 1 || !strings.Contains(string(row), c.want) {
				t.Errorf("written is %q, wanted %q (%v)", row, c.want, err)
			}
		})
	}
}
