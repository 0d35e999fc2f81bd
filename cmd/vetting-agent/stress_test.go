package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"vetting/agent/stage"
	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/profile"
)

// TestMain lets the test's own program be the workers, and the program itself.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == worker.Word:
		os.Exit(worker.Main(context.Background(), kinds(), os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == stressWord:
		os.Exit(stress(context.Background(), os.Args[2:], os.Stdout, os.Stderr))
	}

	os.Exit(m.Run())
}

func TestStressTellsWhatCameOfIt(t *testing.T) {
	var out, errs bytes.Buffer

	code := stress(t.Context(), []string{"memory", "--memory-mib", "64", "--json"}, &out, &errs)
	if code != stressPassed {
		t.Fatalf("code %d, %s%s", code, &out, &errs)
	}

	var said stressResult
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatal(err)
	}

	if said.Stage != core.Memory || said.Verdict != core.Pass || said.Seconds <= 0 || len(said.Steps) == 0 || !strings.Contains(said.Coverage, "NOT tested") {
		t.Errorf("%+v", said)
	}

	if !slices.ContainsFunc(said.Steps, func(s stressStep) bool { return s.Name == "sensors" }) {
		t.Errorf("nobody watched: %+v", said.Steps)
	}
}

// openTerminal makes a terminal: the end of who looks at it, and that of programs.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()

	const ptyNumber, ptyLock = 0x80045430, 0x40045431 // TIOCGPTN, TIOCSPTLCK

	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = master.Close() })

	var number, unlocked int32

	for request, value := range map[uintptr]*int32{ptyNumber: &number, ptyLock: &unlocked} {
		if _, _, fault := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(unsafe.Pointer(value))); fault != 0 {
			t.Fatal(fault)
		}
	}

	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(int(number)), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}

	return master, slave
}

func TestStressShowsABarAndEndsWhenItIsTold(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", stressWord, "burn", "--duration", "1h", "--memory-mib", "16")

	terminal, screenSide := openTerminal(t)
	cmd.Stdout, cmd.Stderr = screenSide, screenSide

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	_ = screenSide.Close() // it is the program's

	var screen bytes.Buffer

	for part := make([]byte, 4096); !strings.Contains(screen.String(), "] "); {
		n, err := terminal.Read(part)
		if err != nil {
			t.Fatalf("%v; on the terminal: %q", err, &screen)
		}

		screen.Write(part[:n])
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}

	_, _ = io.Copy(&screen, terminal) // a terminal whose program has ended gives an error
	_ = cmd.Wait()

	if code := cmd.ProcessState.ExitCode(); code != stressError || !strings.Contains(screen.String(), "Burn: ERROR after") {
		t.Errorf("code %d; on the terminal: %q", code, &screen)
	}
}

func TestStressEndsAsItsVerdictSays(t *testing.T) {
	for verdict, want := range map[core.Verdict]int{core.Pass: 0, core.Fail: 1, core.Error: 3, core.Skip: 3} {
		var out, errs bytes.Buffer

		s := &stressing{name: core.CPUStress, out: &out, board: newBoard(&errs), gaps: []string{"the moon"}}
		s.run = func(_ context.Context, env stage.Env) core.Result {
			env.Progress("fma, all", 0.5, time.Minute)
			env.Log.Warn("something is odd")

			return core.Result{Verdict: verdict, Coverage: "2 of 2", Findings: []core.Finding{
				{Code: "cpustress/offline", Severity: core.Warning, Title: "t", Evidence: "CPU 3", Next: "n"},
			}}
		}

		if code := s.carry(t.Context()); code != want {
			t.Errorf("%s: code %d, want %d", verdict, code, want)
		}

		for _, words := range []string{"WARNING cpustress/offline: t\n  seen: CPU 3\n  next: n\n", "tested: 2 of 2\n", "NOT tested: the moon\n", "CPUStress: " + strings.ToUpper(string(verdict))} {
			if !strings.Contains(out.String(), words) {
				t.Errorf("%s: no %q in %s", verdict, words, &out)
			}
		}

		if said := errs.String(); !strings.Contains(said, " 50 % fma, all, 1m0s left\n") || !strings.Contains(said, "something is odd") {
			t.Errorf("%s: %q", verdict, said)
		}
	}
}

func TestStressUnderstandsItsWords(t *testing.T) {
	for line, want := range map[string]struct {
		code   int
		config map[string]string
		errs   string
	}{
		"cpu --duration 90s":               {0, map[string]string{profile.CPUDuration: "1m30s"}, ""},
		"memory --memory-mib 100":          {0, map[string]string{profile.MemoryLimit: "100", profile.MemoryFloor: "0", profile.MemoryDuration: "0s"}, ""},
		"burn":                             {0, map[string]string{profile.BurnDuration: "10m"}, ""},
		"":                                 {stressUsage, nil, "cpu, memory or burn"},
		"disk":                             {stressUsage, nil, "cpu, memory or burn"},
		"cpu now":                          {stressUsage, nil, "--help"},
		"cpu --duration soon":              {stressUsage, nil, "invalid value"},
		"cpu --duration -1s":               {stressUsage, nil, "--help"},
		"memory --memory-mib=-1":           {stressUsage, nil, "--help"},
		"--help":                           {stressPassed, nil, "writes to no disk"},
		"memory --memory-mib 100 --no-way": {stressUsage, nil, "not defined"},
	} {
		var out, errs bytes.Buffer

		if want.config == nil {
			if code := stress(t.Context(), strings.Fields(line), &out, &errs); code != want.code || !strings.Contains(errs.String(), want.errs) {
				t.Errorf("%s: code %d, %s", line, code, &errs)
			}

			continue
		}

		s, err := readStress(strings.Fields(line), &out, &errs)
		if err != nil {
			t.Errorf("%s: %v", line, err)

			continue
		}

		for key, value := range want.config {
			if s.config[key] != value {
				t.Errorf("%s: %s is %q, want %q", line, key, s.config[key], value)
			}
		}

		p := core.Profile{Name: "by-hand", Scale: 1, Stages: profile.Available(), Config: s.config}
		if err := profile.Check(p); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
