package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/smartctl"
	"vetting/core"
)

// SMART asks every disk for its health, runs a self-test, and asks again. All disks
// work in parallel. Rules: stages.md §3.4, policy "new", or with SMART.policy "used" the
// milder one for disks that have a life behind them. SMART.self_test is the length of
// the self-test, "short" where it says nothing; "none" leaves them out and says so.
//
// A disk that answers no SMART (a virtual disk, a RAID volume) was not tested: it
// is a finding, counts against the coverage, and is an error when it was expected.
func SMART(m probe.Machine) Func { return SMARTThrough(m, nil) }

// SMARTThrough is SMART that asks disks behind RAID controllers through smartctl; nil:
// the image has none.
func SMARTThrough(m probe.Machine, tool smartctl.Run) Func {
	return func(ctx context.Context, env Env) core.Result {
		drives, err := m.Disks()
		if err != nil {
			env.Log.Warn("something did not answer", slog.String("error", err.Error()))
		}

		exams := examineAll(ctx, env, m, subjects(ctx, m, tool, drives))
		if err := ctx.Err(); err != nil {
			return stopped(err)
		}

		return smartResult(env, exams)
	}
}

// exam is what came of one disk.
type exam struct {
	drive    probe.Drive
	volume   bool // of a RAID controller, whose disks have exams of their own
	part     core.Part
	verdict  core.Verdict
	asked    bool // it has a self-test, which was asked of it …
	passed   bool // … and passed
	summary  string
	findings []core.Finding
	samples  []core.Sample
}

func examineAll(ctx context.Context, env Env, m probe.Machine, all []subject) []exam {
	exams, progress := make([]exam, len(all)), newProgress(env, len(all))
	parts, begun := sampleParts(all), newBegunTests(env)

	var work sync.WaitGroup

	for i, s := range all {
		drive := s.Drive

		work.Go(func() {
			x := examination{
				env: env, machine: m, subject: s, key: parts[i], used: env.Config["SMART.policy"] == "used",
				selfTest: testLength(env), begun: begun,
				progress: func(done float64, eta time.Duration) { progress.set(i, drive.Name, done, eta) },
			}
			exams[i] = x.run(ctx)
			progress.set(i, drive.Name, 1, 0)
		})
	}

	work.Wait()

	return exams
}

// testLength is the self-test that the profile asks for; empty: none.
func testLength(env Env) disk.Length {
	switch env.Config["SMART.self_test"] {
	case "none":
		return ""
	case string(disk.ExtendedTest):
		return disk.ExtendedTest
	default:
		return disk.ShortTest
	}
}

// progress joins what the disks report into one figure.
type progress struct {
	env Env

	mu   sync.Mutex // guards the rest
	done []float64
	eta  []time.Duration
}

func newProgress(env Env, disks int) *progress {
	return &progress{env: env, done: make([]float64, disks), eta: make([]time.Duration, disks)}
}

// set tells how far one disk is. It speaks inside the lock, so that nothing older is
// told after something newer.
func (p *progress) set(i int, name string, done float64, eta time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()

	p.done[i], p.eta[i] = done, eta

	total := 0.0
	for _, d := range p.done {
		total += d
	}

	p.env.Progress(name, total/float64(len(p.done)), slices.Max(p.eta))
}

// sampleParts names each disk in sample keys: by its serial number or, where that
// is missing or shared, by its name.
func sampleParts(drives []subject) []string {
	count, parts := map[string]int{}, make([]string, len(drives))

	for i, d := range drives {
		parts[i] = strings.Map(func(r rune) rune {
			if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+-", r) {
				return r
			}

			return '-'
		}, d.Serial[:min(len(d.Serial), 40)])
		count[parts[i]]++
	}

	for i, d := range drives {
		if parts[i] == "" || count[parts[i]] > 1 {
			parts[i] = strings.ReplaceAll(d.Name, "/", "-")
		}
	}

	return parts
}

// smartResult adds up the disks, and the expected ones that are not there.
func smartResult(env Env, exams []exam) core.Result {
	var (
		result        core.Result
		tested, disks int
		asked, passed int // self-tests
		sticks        []string
		remote        []string
	)

	for _, e := range exams {
		switch {
		case e.volume: // its disks count
		case e.drive.Network != "" && e.verdict == core.Unmeasurable:
			remote = append(remote, e.drive.Name)
		case e.drive.Transport == "usb" && e.verdict == core.Unmeasurable:
			sticks = append(sticks, e.drive.Name)
		default:
			disks++
		}

		if !e.volume && (e.verdict == core.Pass || e.verdict == core.Fail) {
			tested++
		}

		if e.asked {
			asked++
		}

		if e.passed {
			passed++
		}

		result.Findings = append(result.Findings, e.findings...)
		result.Measurements = append(result.Measurements, e.samples...)
		result.SubSteps = append(result.SubSteps, core.SubStep{
			Name: e.drive.Name, Part: e.part, Verdict: e.verdict, Summary: e.summary, Progress: 1,
		})
	}

	for _, want := range env.Disks {
		if !slices.ContainsFunc(exams, func(e exam) bool { return isExpected(want, e.drive.Disk) }) {
			result.Findings = append(result.Findings, missingDisk(want))

			if want.Known {
				continue // nobody asks for it: it may have been taken out
			}

			disks++
			result.SubSteps = append(result.SubSteps, core.SubStep{
				Name: want.Serial, Part: core.Part{Kind: "disk", Model: want.Model, Serial: want.Serial}, Verdict: core.Error,
				Summary: "not found, NOT tested", Progress: 1,
			})
		}
	}

	result.Coverage = smartCoverage(tested, disks, sticks, selfTestCoverage(testLength(env), tested, passed, asked)) + remoteCoverage(remote)
	result.Verdict, result.SkipReason = smartVerdict(result, tested, disks)

	return result
}

func missingDisk(want core.ExpectedDisk) core.Finding {
	return core.Finding{
		Code: "smart/expected-disk-missing", Severity: core.Warning, Title: "An expected disk could not be tested: it is not there",
		Part:     core.Part{Kind: "disk", Model: want.Model, Serial: want.Serial},
		Evidence: noSuchDisk(want),
		Next:     "Check the disk, its slot and its cable.",
	}
}

// remoteCoverage names disks that are reached over a network: they are not the machine's.
func remoteCoverage(names []string) string {
	if len(names) == 0 {
		return ""
	}

	return "; reached over a network: " + strings.Join(names, " ") + " NOT tested"
}

// noSuchDisk says who asks for a disk that is not there.
func noSuchDisk(want core.ExpectedDisk) string {
	text := fmt.Sprintf("no disk with serial %q or WWN %q answers", want.Serial, want.WWN)
	if want.Known {
		text += "; it was there when the host was last looked at, and is neither armed nor in its spec"
	}

	return text
}

func smartCoverage(tested, disks int, sticks []string, selfTests string) string {
	text := fmt.Sprintf("%d of %d disks", tested, disks)

	if untested := disks - tested; untested > 0 {
		text += fmt.Sprintf(", %d NOT tested", untested)
	}

	if len(sticks) > 0 {
		text += ", USB storage " + strings.Join(sticks, " ") + " NOT tested"
	}

	return text + selfTests
}

// selfTestCoverage says how many disks passed the self-test: not all of them have one.
// Short ones go without a word.
func selfTestCoverage(length disk.Length, tested, passed, asked int) string {
	switch {
	case length == "":
		return ", self-tests NOT run"
	case length == disk.ExtendedTest && tested+asked > 0:
		return fmt.Sprintf(", extended self-tests: %d of %d disks that have one", passed, asked)
	default:
		return ""
	}
}

func smartVerdict(result core.Result, tested, disks int) (verdict core.Verdict, skipReason string) {
	broken := slices.ContainsFunc(result.SubSteps, func(s core.SubStep) bool { return s.Verdict == core.Error })

	switch {
	case worst(result.Findings) == core.Fail:
		return core.Fail, ""
	case broken:
		return core.Error, ""
	case disks == 0:
		return core.Skip, "the machine has no disks"
	case tested == 0:
		return core.Unmeasurable, ""
	default:
		return core.Pass, ""
	}
}

// isExpected reports whether a disk is the one that was expected: by WWN when both
// have one, else by serial.
func isExpected(want core.ExpectedDisk, d core.Disk) bool {
	if want.WWN != "" && d.WWN != "" {
		return strings.EqualFold(want.WWN, d.WWN)
	}

	return want.Serial != "" && want.Serial == d.Serial
}
