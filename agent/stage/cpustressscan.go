package stage

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"time"

	"vetting/agent/probe"
	"vetting/core"
)

// scan is the result of Intel In-Field Scan on one core (Documentation/arch/x86/ifs).
type scan struct {
	thread  probe.Thread
	test    string // "intel_ifs_0"
	result  string // "pass", "fail", "untested"
	details string
}

const (
	scanBatches = 16 // image files of a stepping are numbered from 1
	scanTries   = 3  // a core that was disturbed is "untested"
)

// fieldScan has every core tested by the CPU's own scan, where there is one. It does
// nothing on CPUs without.
func fieldScan(ctx context.Context, m probe.Machine, threads []probe.Thread, write Writer, env Env) (scans []scan) {
	for _, test := range m.FieldScans() {
		env.Progress("field scan "+test, 0, time.Duration(0))

		loaded := 0

		for batch := 1; batch <= scanBatches && ctx.Err() == nil; batch++ {
			// The array test has no images, and so no batches.
			if m.HasBatches(test) {
				if write(path.Join(probe.ScanFolder, test, "current_batch"), fmt.Sprintf("%#x", batch)) != nil {
					break
				}
			} else if batch > 1 {
				break
			}

			loaded++

			scans = append(scans, scanCores(ctx, m, test, threads, write)...)
		}

		if loaded == 0 {
			env.Log.Info("there are no images for the CPU's own scan", slog.String("test", test))

			scans = append(scans, scan{test: test, result: "untested", details: "there are no scan images"})
		}
	}

	return scans
}

func scanCores(ctx context.Context, m probe.Machine, test string, threads []probe.Thread, write Writer) (scans []scan) {
	for _, t := range threads {
		if !t.Online || len(t.Siblings) > 0 && slices.Min(t.Siblings) != t.Number {
			continue // one thread has the whole core tested
		}

		s := scan{thread: t, test: test}

		for try := 0; try < scanTries && ctx.Err() == nil; try++ {
			if err := write(path.Join(probe.ScanFolder, test, "run_test"), fmt.Sprint(t.Number)); err != nil {
				s.result, s.details = "untested", err.Error()

				continue
			}

			if s.result, s.details = m.ScanResult(test); s.result != "untested" {
				break
			}
		}

		scans = append(scans, s)
	}

	return scans
}

func scanFailures(v *cpuView) (findings []core.Finding) {
	for _, s := range v.scans {
		if s.result == "fail" {
			findings = append(findings, found("cpustress/field-scan-failed", "", s.thread.Part(), "%s: %s failed, details %s", s.thread, s.test, s.details))
		}
	}

	return findings
}

// scansUntested makes one finding of all cores whose scan gave no result.
func scansUntested(v *cpuView) []core.Finding {
	var first *scan

	count := 0

	for i := range v.scans {
		if s := &v.scans[i]; s.result != "pass" && s.result != "fail" {
			if first == nil {
				first = s
			}

			count++
		}
	}

	if first == nil {
		return nil
	}

	return []core.Finding{found("cpustress/field-scan-untested", "", first.thread.Part(), "%d of %d scans gave no result; the first, %s: %s %s",
		count, len(v.scans), first.test, first.result, first.details)}
}
