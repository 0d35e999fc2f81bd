//go:build e2e && linux

package main_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tried is what vetting netboot test says in JSON.
type tried struct {
	OK    bool `json:"ok"`
	Boots []struct {
		Firmware, Title, Evidence, Next string
		OK                              bool `json:"ok"`
		Steps                           []struct{ Kind string }
	}
}

// trials runs vetting netboot test with arguments and returns what it says and its exit code.
func trials(t *testing.T, args ...string) (said tried, code int) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()

	cmd := exec.CommandContext(ctx, filepath.Join("..", "..", "build", "vetting"), append([]string{"netboot", "test", "-o", "json"}, args...)...)

	var errs bytes.Buffer
	cmd.Stderr = &errs

	out, err := cmd.Output()

	exit := &exec.ExitError{}
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}

	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs.String())
	}

	return said, cmd.ProcessState.ExitCode()
}

// TestTheTrialOfTheBootServices plays each kind of machine in each mode, and nothing may stay
// behind. It takes minutes, and is a campaign of make endure.
func TestTheTrialOfTheBootServices(t *testing.T) {
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("TRIALS_OF_BOOTS"), "0"))
	if err != nil {
		t.Fatal(err)
	}

	if rounds == 0 {
		t.Skip("not asked for")
	}

	for range rounds {
		for mode, firmware := range map[string]string{"dhcp": "bios,uefi,uefi-http,uefi-secure", "proxy": "bios,uefi", "off": "bios,uefi,uefi-secure"} {
			said, code := trials(t, "--mode", mode, "--firmware", firmware)
			if !said.OK || code != 0 || len(said.Boots) != len(strings.Split(firmware, ",")) {
				t.Errorf("mode %s: %+v, exit code %d", mode, said, code)
			}
		}

		// Machines have no time to boot.
		said, code := trials(t, "--firmware", "bios", "--timeout", "10s")
		if said.OK || code != 1 || len(said.Boots) != 1 || !strings.Contains(said.Boots[0].Title, "has not booted in 10s") || said.Boots[0].Next == "" {
			t.Errorf("without time: %+v, exit code %d", said, code)
		}
	}

	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "vetting-trial-*")); len(left) > 0 {
		t.Errorf("%v stayed behind", left)
	}
}
