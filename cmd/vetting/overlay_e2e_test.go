//go:build e2e && linux

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
)

// fenceCheck is a custom stage that tries what it must not be able to do.
const fenceCheck = `#!/bin/sh
# vetting:
#   name: fence-check
#   description: what a custom stage must not be able to do
#   after: InventoryCheck
#   timeout: 60s

said() {
    echo '{"type":"step","name":"'$1'","verdict":"'$2'"}'
}

for disk in sda sdb vda nvme0n1 nvme0 mem; do
    if test -e /dev/$disk; then said $disk-hidden fail; else said $disk-hidden pass; fi
done

if mknod /tmp/disk b 8 0 2>/dev/null; then said no-disk-made fail; else said no-disk-made pass; fi
if cp /bin/sh /etc/copy 2>/dev/null; then said image-read-only fail; else said image-read-only pass; fi
if test -s /vetting/seed.json; then said no-token fail; else said no-token pass; fi
if test -e /run/vetting/session.json; then said no-session fail; else said no-session pass; fi
if cp /bin/sh /tmp/copy; then said scratch pass; else said scratch fail; fi

sleep 1000 &

echo '{"type":"measurement","name":"disks","quantity":"events_count","value":0}'
echo '{"type":"finding","code":"seen","severity":"info","title":"The script was run","evidence":"on '$VETTING_HOST' after '$VETTING_STAGE'","next":"Nothing.","part":{"kind":"board"}}'
echo '{"type":"verdict","verdict":"pass","summary":"nothing of it"}'
`

// addOverlay gives the appliance an overlay that has the script.
func addOverlay(t *testing.T, dataDir string) {
	t.Helper()

	script, archive := filepath.Join(t.TempDir(), "fence-check"), filepath.Join(t.TempDir(), "acme.cpio")
	if err := os.WriteFile(script, []byte(fenceCheck), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}

	for _, args := range [][]string{
		{"overlay", "build", "script", script, "--name", "acme", "--out", archive}, {"overlay", "add", archive, "--data-dir", dataDir},
	} {
		if out, err := exec.CommandContext(t.Context(), "../../build/vetting", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// hasCustomStage looks for all that the script has said.
func (s subject) hasCustomStage(run route.Run) {
	s.t.Helper()

	if len(run.Overlays) != 1 || run.Overlays[0].Name != "acme" {
		s.t.Errorf("overlays of the run: %+v", run.Overlays)
	}

	steps, seen, measured := 0, false, false

	for _, stage := range run.Stages {
		for _, step := range stage.SubSteps {
			if name, own := strings.CutPrefix(step.Name, "custom/fence-check"); own && stage.Name == core.InventoryCheck {
				steps++

				if step.Verdict != core.Pass {
					s.t.Errorf("%s: %s", name, step.Verdict)
				}
			}
		}

		for _, f := range stage.Findings {
			seen = seen || f.Code == "custom/fence-check-seen" && strings.Contains(f.Evidence, s.Name+" after InventoryCheck")
		}

		for _, m := range stage.Measurements {
			measured = measured || m.Key == "custom/fence-check.disks/events_count"
		}
	}

	if steps != 12 || !seen || !measured {
		s.t.Errorf("the custom stage: %d steps, finding %t, measurement %t: %+v", steps, seen, measured, run.Stages[0])
	}

	report, err := s.rack.API.Report(s.ctx, run.ID)
	if err != nil {
		s.t.Fatal(err)
	}

	if page := string(report.Page); !strings.Contains(page, run.Overlays[0].SHA256) || !strings.Contains(page, "custom/fence-check no-token") {
		s.t.Error("the report has neither the overlay's sum nor its steps")
	}
}
