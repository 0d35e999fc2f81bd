package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/simhost"
)

// Who reads what the demo says may go before it ends; nothing stays behind then.
func TestADemoThatNobodyReadsEndsAndLeavesNothing(t *testing.T) {
	for name, both := range map[string]bool{"output": false, "both": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()

			demo := exec.CommandContext(t.Context(), "vetting", "demo", "--simulated", "--hosts", "2", "--speed", "1000", "--console-listen", "127.0.0.1:0")
			demo.Env = append(demo.Environ(), "TMPDIR="+dir, "VETTING_LOG_LEVEL=debug")

			pipe, err := demo.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}

			if demo.Stderr = nil; both {
				demo.Stderr = demo.Stdout
			}

			if err := demo.Start(); err != nil {
				t.Fatal(err)
			}

			lines := bufio.NewScanner(pipe)
			for lines.Scan() && !strings.Contains(lines.Text(), "simulated hosts; nothing here") { //nolint:revive // until it says so
			}

			if made, _ := filepath.Glob(filepath.Join(dir, "vetting-demo-*")); len(made) != 1 {
				t.Fatalf("it has made %v", made)
			}

			ended := make(chan error, 1)
			go func() { ended <- demo.Wait() }()

			// What the kernel does when a browser breaks off its connection is no reason to end.
			_ = demo.Process.Signal(unix.SIGPIPE)

			select {
			case err := <-ended:
				for lines.Scan() {
					t.Log(lines.Text())
				}

				t.Fatalf("it ended with its reader there: %v", err)
			case <-time.After(time.Second):
			}

			_ = pipe.Close()

			select {
			case err := <-ended:
				t.Logf("it ended: %v", err)
			case <-time.After(time.Minute):
				_ = demo.Process.Kill()

				t.Fatal("it goes on")
			}

			if left, _ := filepath.Glob(filepath.Join(dir, "vetting-demo-*")); len(left) != 0 {
				t.Errorf("it has left %v", left)
			}
		})
	}
}

func TestSpecsOfTheSimulatedHostsAreSpecs(t *testing.T) {
	for _, c := range simhost.Cast(8) {
		if c.Spec == "" {
			continue
		}

		if _, err := parseSpec(c.Spec); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
