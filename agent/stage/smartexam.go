package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/catalogue"
)

// reading is a disk's health at one moment.
type reading struct {
	values   map[string]float64 // quantity of the catalogue → value
	findings []core.Finding     // beyond what the rules say about values
	tests    []disk.SelfTest    // the log, the latest first
	notes    []string           // for the summary
}

// testState is how a self-test stands.
type testState struct {
	running bool
	left    float64 // part left, 0..1
	untold  bool    // the disk does not tell the part left
	outcome disk.Outcome
	length  disk.Length // of the entry in the log that it is from; empty: it is not from there
	detail  string
	tests   []disk.SelfTest // the log then, the latest first; nil while it runs
	logged  bool            // the outcome is that of the log's latest entry
}

// estimate is how long a self-test takes where the disk does not tell: two minutes for
// a short one (ACS and NVMe: it takes two minutes or less), and for an extended one as
// long as reading all of it at a pace that any disk keeps.
func estimate(length disk.Length, told int, d core.Disk) int {
	const perMinute, short, least = 60 * 100e6, 2, 10

	switch {
	case told > 0:
		return told
	case length == disk.ExtendedTest:
		return max(int(float64(d.SizeBytes)/perMinute), least)
	default:
		return short
	}
}

// patient is a disk that can be examined, whatever its language.
type patient interface {
	read() (reading, error)
	start(length disk.Length) error // starts a self-test
	abort() error                   // ends it
	test() (testState, error)       // asks how it stands
	rules(used bool) []limit        // what the values must keep to
	minutes(length disk.Length) int // how long a self-test takes
	self() bool                     // it has self-tests
	io.Closer
}

// examination is the way of one disk through the stage.
type examination struct {
	subject

	env      Env
	machine  probe.Machine
	key      string // part of its sample keys
	used     bool
	selfTest disk.Length // empty: none
	begun    *begunTests
	progress func(done float64, eta time.Duration)
}

func (x examination) run(ctx context.Context) exam {
	log := x.env.Log.With(slog.String("disk", x.Name), slog.String("serial", x.Serial))

	if x.members > 0 {
		return x.volume()
	}

	p, err := x.open(ctx)
	if err != nil {
		log.Warn("disk cannot be tested", slog.String("error", err.Error()))

		return x.unreadable(err)
	}

	defer p.Close() //nolint:errcheck // opened for reading

	before, err := p.read()
	if err != nil {
		log.Warn("disk cannot be tested", slog.String("error", err.Error()))

		return x.unreadable(err)
	}

	x.env.Sensor(x.samples(before)...)
	x.progress(0.1, 0)

	testFindings, testErr := x.runTest(ctx, log, p, before.tests)

	rules := p.rules(x.used)

	after, err := p.read()
	if err == nil && len(untold(rules, before.values, after.values, x.Model)) > 0 { // it may have been busy
		after, err = p.read()
	}

	if err != nil {
		return x.unreadable(err)
	}

	e := x.conclude(before, after, rules, testFindings, testErr)
	if e.verdict == core.Fail {
		x.record(p)
	}

	log.Info("disk examined", slog.String("verdict", string(e.verdict)), slog.String("summary", e.summary))

	return e
}

// conclude says what came of a disk that was read before and after its self-test.
func (x examination) conclude(before, after reading, rules []limit, testFindings []core.Finding, testErr error) exam {
	e := exam{drive: x.Drive, part: probe.DiskPart(x.Disk), samples: x.samples(after), verdict: core.Pass}
	x.env.Sensor(e.samples...)

	e.asked = x.selfTest != "" && !slices.ContainsFunc(testFindings, func(f core.Finding) bool { return f.Code == noSelfTest })
	e.passed = e.asked && testErr == nil && len(testFindings) == 0

	e.findings = slices.Concat(after.findings, x.judge(rules, before, after), testFindings, x.history(after))
	for i := range e.findings {
		e.findings[i].Part = e.part
	}

	e.verdict = worst(e.findings)
	if uncompared := slices.ContainsFunc(e.findings, isNotCompared); e.verdict == core.Pass && (uncompared || testErr != nil) {
		e.verdict = core.Error
	}

	e.summary = summary(after, e, testErr)

	return e
}

// open finds the way to the disk.
func (x examination) open(ctx context.Context) (patient, error) {
	if x.Network != "" {
		return nil, fmt.Errorf("it is reached by %s, and others may have it in use", x.Network)
	}

	switch {
	case x.member != nil && x.member.Silent != nil:
		return nil, x.member.Silent
	case x.member != nil:
		return openRAID(ctx, *x.member, x.Drive), nil
	}

	return x.address()
}

// address finds the disk's language.
func (x examination) address() (patient, error) {
	switch {
	case x.RAID:
		return nil, x.hidden()
	case x.Language == probe.SpeaksNVMe:
		return openNVMe(x.machine.Bus, x.Drive)
	case x.Language == probe.SpeaksATA && x.SMART:
		return openATA(x.machine.Bus, x.Drive)
	case x.Language == probe.SpeaksSCSI && x.SMART:
		return openSCSI(x.machine.Bus, x.Drive)
	case x.Language == probe.SpeaksNone:
		return nil, fmt.Errorf("a %s disk has no health data", x.Transport)
	default:
		return nil, errors.New("the disk has no SMART")
	}
}

// unreadable is the exam of a disk that was not tested, and says so.
func (x examination) unreadable(cause error) exam {
	finding := core.Finding{
		Code: "smart/not-readable", Severity: core.Warning, Title: "A disk's health cannot be read: it was NOT tested",
		Part: probe.DiskPart(x.Disk), Evidence: cause.Error(),
		Next: "Test the disk another way: set the RAID controller to pass disks through (HBA mode), or connect the disk to a SATA or NVMe port.",
	}

	if x.member != nil {
		finding.Next = "Ask the controller itself for the disk (its BIOS or the maker's tool); replace the disk if it does not answer there either."
	}

	e := exam{drive: x.Drive, part: finding.Part, verdict: core.Unmeasurable, summary: "NOT tested: " + cause.Error()}

	expected := slices.ContainsFunc(x.env.Disks, func(want core.ExpectedDisk) bool { return !want.Known && isExpected(want, x.Disk) })
	if expected {
		e.verdict = core.Error
	}

	if x.Network != "" {
		finding.Code, finding.Title = "smart/networked", "A disk that is reached over a network was NOT tested"
		finding.Next = "Test it on the machine that it is in."

		if !expected {
			finding.Severity = core.Info
		}
	}

	if x.Transport == "usb" && !expected {
		finding.Code, finding.Severity, finding.Title = "smart/usb-storage", core.Info, "USB storage is plugged in; it was NOT tested"
		finding.Next = "Pull it out if it does not belong to the machine."
	}

	e.findings = []core.Finding{finding}

	return e
}

// samples turns values into samples, in the order of the catalogue.
func (x examination) samples(r reading) (samples []core.Sample) {
	now := time.Now().UTC()

	for _, entry := range catalogue.All() {
		if value, ok := r.values[entry.Quantity]; ok && entry.Kind == "disk" {
			samples = append(samples, core.Sample{
				Time: now, Key: entry.Key(strings.ToLower(x.key)), Value: value, Unit: entry.Unit, Stage: core.SMART,
			})
		}
	}

	return samples
}

// history looks at the self-tests the disk ran before ours: a failed one is worth
// telling, and where we ran none it is the last word.
func (x examination) history(r reading) []core.Finding {
	for i, test := range r.tests {
		if test.Outcome != disk.TestFailed && test.Outcome != disk.TestBroken {
			continue
		}

		severity := core.Warning
		if i == 0 && x.selfTest == "" {
			severity = core.Critical
		}

		evidence := fmt.Sprintf("self-test at %d power-on hours: %s (code %d)", test.Hours, test.Outcome, test.Code)
		if test.HasLBA {
			evidence += fmt.Sprintf(", first failing block %d", test.LBA)
		}

		return []core.Finding{{
			Code: "smart/earlier-self-test-failed", Severity: severity, Title: "The disk's log holds a failed self-test",
			Evidence: evidence, Next: "Run the extended self-test; replace the disk if it fails.",
		}}
	}

	return nil
}

func summary(r reading, e exam, testErr error) string {
	words := slices.Clone(r.notes)

	if temperature, ok := r.values["temperature_celsius"]; ok {
		words = append(words, fmt.Sprintf("%.0f °C", temperature))
	}

	if hours, ok := r.values["power_on_hours"]; ok {
		words = append(words, fmt.Sprintf("%.0f h", hours))
	}

	if testErr != nil {
		words = append(words, testErr.Error())
	}

	if n := len(e.findings); n > 0 {
		words = append(words, fmt.Sprintf("%d findings", n))
	}

	return strings.Join(words, ", ")
}

// record keeps what a disk that failed tells of itself, for people and for its maker: the
// answers to all commands that we know, and the telemetry of NVMe.
func (x examination) record(p patient) {
	if x.member == nil {
		var answers bytes.Buffer

		err := disk.Survey(disk.NewRecorder(x.machine.Bus, &answers), x.Name)
		if err != nil || answers.Len() == 0 {
			x.env.Log.Warn("disk that failed cannot be recorded", slog.String("disk", x.Name))
		} else {
			x.env.Keep("disk-"+x.key+".jsonl", answers.Bytes())
		}
	}

	maker, ok := p.(interface{ telemetry() ([]byte, error) })
	if !ok {
		return
	}

	if log, err := maker.telemetry(); err == nil {
		x.env.Keep("disk-"+x.key+"-telemetry.bin", log)
	}
}
