//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// moduleRoot is the module's folder, seen from this package's.
const moduleRoot = "../.."

// TestARM64: the agent builds for arm64, and the kernels and loops that it has in
// assembly there give, on an emulated CPU, the same bits as everywhere.
func TestARM64(t *testing.T) {
	qemu := emulator(t)
	dir := t.TempDir()
	agent := filepath.Join(dir, "vetting-agent")

	cross(t, "build", "-o", agent, "./cmd/vetting-agent")
	cross(t, "vet", "./agent/cpu", "./agent/memory/pattern", "./agent/worker")

	// Started as a worker by hand it says so: it got as far as its own code.
	out, err := exec.CommandContext(t.Context(), qemu, agent, "worker").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a worker is started by the agent") {
		t.Errorf("the agent on arm64: %v\n%s", err, out)
	}

	for folder, tests := range map[string]string{
		"agent/cpu":            "^TestThePlainVariantGivesTheKnownAnswers$|^TestEveryVariantGivesEveryKnownAnswer$|^TestAFlippedBitIsNotLost$",
		"agent/memory/pattern": ".",
	} {
		program := filepath.Join(dir, filepath.Base(folder))
		cross(t, "test", "-c", "-o", program, "./"+folder)

		run := exec.CommandContext(t.Context(), qemu, program, "-test.run="+tests, "-test.skip=^TestBench|^Fuzz")
		run.Dir = filepath.Join(moduleRoot, folder)

		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s on arm64: %v\n%s", folder, err, out)
		}
	}
}

// emulator finds qemu, whose name differs from one Debian to the next.
func emulator(t *testing.T) string {
	t.Helper()

	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if file, err := exec.LookPath(name); err == nil {
			return file
		}
	}

	t.Skip("qemu-aarch64 is not installed (package qemu-user-static)")

	return ""
}

// cross runs the go tool for arm64.
func cross(t *testing.T, args ...string) {
	t.Helper()

	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = moduleRoot
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")

	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", args[0], err, out)
	}
}
