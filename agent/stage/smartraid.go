package stage

import (
	"context"
	"errors"
	"fmt"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/agent/smartctl"
	"vetting/core"
)

// subject is what is examined: a disk, a disk behind a RAID controller, or a volume of
// one.
type subject struct {
	probe.Drive

	member  *smartctl.Member // the way to a disk behind a RAID controller; nil: it is none
	members int              // of a volume: the disks behind its controller that are examined
	cause   error            // of a volume: why none is
}

// subjects adds the disks behind RAID controllers. A controller with several volumes is
// asked once.
func subjects(ctx context.Context, m probe.Machine, tool smartctl.Run, drives []probe.Drive) (all []subject) {
	type controller struct {
		driver string
		host   int
	}

	var behind []subject

	seen := map[controller]subject{}

	for _, d := range drives {
		s := subject{Drive: d}
		if !d.RAID {
			all = append(all, s)

			continue
		}

		id := controller{d.Driver, d.Host}

		known, asked := seen[id]
		if !asked {
			var members []subject

			members, known.cause = behindController(ctx, m, tool, d)
			known.members = len(members)
			seen[id], behind = known, append(behind, members...)
		}

		s.members, s.cause = known.members, known.cause
		all = append(all, s)
	}

	return append(all, behind...)
}

// behindController lists the disks behind the controller of a volume.
func behindController(ctx context.Context, m probe.Machine, tool smartctl.Run, volume probe.Drive) (all []subject, err error) {
	if tool == nil {
		return nil, smartctl.ErrAbsent
	}

	members, reports, err := smartctl.Members(ctx, tool, volume.Driver, "/dev/"+volume.Name, volume.Host, m.Generic(volume.Host))
	if err != nil {
		return nil, err
	}

	if len(members) == 0 {
		return nil, errors.New("smartctl finds no disk behind it")
	}

	for i, r := range reports {
		d := probe.Drive{Disk: core.Disk{
			Name: volume.Name + "/" + members[i].Type, Transport: "sas", Path: volume.Path + "-" + members[i].Type,
			Model: r.Model, Serial: r.Serial, SizeBytes: r.Bytes, Rotational: r.RPM > 0, RPM: r.RPM, SMART: true,
		}, Language: probe.SpeaksSCSI}

		if members[i].Silent != nil {
			d.SMART, d.Rotational = false, false
		}

		if r.ATA {
			d.Transport, d.Language = "sata", probe.SpeaksATA
		}

		all = append(all, subject{Drive: d, member: &members[i]})
	}

	return all, nil
}

// hidden says why the disks of a volume were not tested.
func (x examination) hidden() error {
	why := "it is a volume of a RAID controller, which hides its disks"
	if x.Driver != "" {
		why = fmt.Sprintf("it is a volume of a RAID controller (%s), which hides its disks", x.Driver)
	}

	if x.cause == nil {
		return errors.New(why)
	}

	return fmt.Errorf("%s: %w", why, x.cause)
}

// volume is the exam of a volume whose disks have exams of their own.
func (x examination) volume() exam {
	return exam{
		drive: x.Drive, volume: true, part: probe.DiskPart(x.Disk), verdict: core.Pass,
		summary: fmt.Sprintf("a RAID volume: the %d disks behind its controller are asked one by one", x.members),
	}
}

// raidPatient is a disk behind a RAID controller.
type raidPatient struct {
	drive probe.Drive
	ask   func() (smartctl.Report, error)
	begin func(length disk.Length) error
	end   func() error
	last  smartctl.Report
}

func openRAID(ctx context.Context, m smartctl.Member, drive probe.Drive) patient {
	return &raidPatient{
		drive: drive,
		ask:   func() (smartctl.Report, error) { return m.Read(ctx) },
		begin: func(length disk.Length) error { return m.Start(ctx, length) },
		end:   func() error { return m.Abort(context.WithoutCancel(ctx)) },
	}
}

// Close does nothing: smartctl opens and closes.
func (*raidPatient) Close() error { return nil }

func (p *raidPatient) self() bool { return p.last.SelfTests }

func (p *raidPatient) minutes(length disk.Length) int {
	told := p.last.ShortMinutes
	if length == disk.ExtendedTest {
		told = p.last.LongMinutes
	}

	return estimate(length, told, p.drive.Disk)
}

func (p *raidPatient) start(length disk.Length) error { return p.begin(length) }

func (p *raidPatient) abort() error { return p.end() }

func (p *raidPatient) test() (testState, error) {
	r, err := p.ask()
	if err != nil {
		return testState{}, err
	}

	if r.Running {
		return testState{running: true, left: r.Left, untold: !r.LeftTold}, nil
	}

	if len(r.Tests) == 0 {
		return testState{}, fmt.Errorf("%w: the log is empty", errTestBroken)
	}

	t := r.Tests[0]
	state := testState{outcome: t.Outcome, length: t.Length, detail: fmt.Sprintf("self-test result %d", t.Code), tests: r.Tests, logged: true}

	if t.HasLBA {
		state.detail += fmt.Sprintf(", first failing block %d", t.LBA)
	}

	return state, nil
}

func (p *raidPatient) read() (reading, error) {
	report, err := p.ask()
	if err != nil {
		return reading{}, err
	}

	if !report.Told {
		return reading{}, errors.New("smartctl does not say whether the disk is healthy")
	}

	p.last = report
	r := reading{values: raidValues(&report), tests: report.Tests, notes: []string{"healthy"}}

	if !report.Healthy {
		r.notes = []string{"FAILING"}
		r.findings = append(r.findings, core.Finding{
			Code: "smart/failing", Severity: core.Critical, Title: "The disk predicts its own failure",
			Evidence: "smartctl: the overall health self-assessment is not passed", Next: replaceDisk,
		})
	}

	r.findings = append(r.findings, crossed(disk.ATASMART{Attributes: report.Attributes})...)

	return r, nil
}

// raidValues are what the rules look at.
func raidValues(r *smartctl.Report) map[string]float64 {
	attributes := disk.ATASMART{Attributes: r.Attributes}
	values := attributeValues(attributes)
	leaveOutRumours(values, r.Model)

	put := func(quantity string, v float64, told bool) {
		if told {
			values[quantity] = v
		}
	}

	put("temperature_celsius", float64(r.Celsius), r.Celsius > 0 && r.Celsius <= hottest)
	put("power_on_hours", float64(r.Hours), r.Hours > 0)
	put("power_cycles_count", float64(r.Cycles), r.Cycles > 0)

	if r.Grown != nil {
		values["grown_defects_count"] = float64(*r.Grown)
	}

	if r.Uncorrected != nil {
		values["uncorrected_errors_count"] = float64(*r.Uncorrected)
	}

	if r.RPM > 0 {
		return values
	}

	if worn, ok := attributeWear(attributes); ok {
		values["used_percent"] = float64(worn)
	}

	if r.Used != nil {
		values["used_percent"] = float64(*r.Used)
	}

	return values
}

func (p *raidPatient) rules(used bool) []limit {
	if p.drive.Language == probe.SpeaksATA {
		return ataRules(p.drive.Rotational, used)
	}

	return scsiRules(p.drive.Rotational, used)
}
