package stage

import (
	"errors"
	"fmt"
	"slices"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
)

const totalUncorrected = 6 // parameter of the error counter pages

type scsiPatient struct {
	dev   disk.SCSI
	drive probe.Drive
}

func openSCSI(bus disk.Bus, drive probe.Drive) (patient, error) {
	dev, err := bus.SCSI(drive.Name)
	if err != nil {
		return nil, err
	}

	return &scsiPatient{dev: dev, drive: drive}, nil
}

// Close gives the device back.
func (p *scsiPatient) Close() error { return p.dev.Close() }

// self: a disk has self-tests when it keeps a log of them.
func (p *scsiPatient) self() bool {
	_, err := disk.ReadLog(p.dev, disk.LogSelfTest)

	return err == nil
}

func (p *scsiPatient) minutes(length disk.Length) int {
	told := 0

	if length == disk.ExtendedTest {
		if minutes, err := disk.ReadExtendedMinutes(p.dev); err == nil {
			told = minutes
		}
	}

	return estimate(length, told, p.drive.Disk)
}

func (p *scsiPatient) start(length disk.Length) error { return disk.StartSCSISelfTest(p.dev, length) }

func (p *scsiPatient) abort() error { return disk.AbortSCSISelfTest(p.dev) }

func (p *scsiPatient) test() (testState, error) {
	page, err := disk.ReadLog(p.dev, disk.LogSelfTest)
	if err != nil {
		return testState{}, err
	}

	tests := disk.ParseSCSISelfTests(page)
	if len(tests) == 0 {
		return testState{}, fmt.Errorf("%w: the log is empty", errTestBroken)
	}

	state := testState{
		running: tests[0].Outcome == disk.TestRunning, outcome: tests[0].Outcome, length: tests[0].Length,
		detail: fmt.Sprintf("self-test result %d", tests[0].Code), tests: tests, logged: true,
	}

	if state.running {
		done, told := disk.ReadTestProgress(p.dev)
		state.left, state.untold = 1-done, !told
	}

	if tests[0].HasLBA {
		state.detail += fmt.Sprintf(", first failing block %d", tests[0].LBA)
	}

	return state, nil
}

func (p *scsiPatient) read() (reading, error) {
	page, err := disk.ReadLog(p.dev, disk.LogExceptions)
	if err != nil {
		return reading{}, err
	}

	asc, ascq, temperature, ok := page.Exception()
	if !ok {
		return reading{}, errors.New("the informational exceptions page is empty")
	}

	r := reading{values: map[string]float64{}, notes: []string{"healthy"}}

	if asc == 0x5d || asc == 0x0b {
		r.notes = []string{"FAILING"}
		r.findings = append(r.findings, core.Finding{
			Code: "smart/failing", Severity: exceptionSeverity(asc), Title: "The disk predicts its own failure",
			Evidence: fmt.Sprintf("informational exception %02x/%02x", asc, ascq), Next: replaceDisk,
		})
	}

	if temperature > 0 && temperature <= hottest {
		r.values["temperature_celsius"] = float64(temperature)
	}

	p.counters(r.values)

	if page, err := disk.ReadLog(p.dev, disk.LogSelfTest); err == nil {
		r.tests = disk.ParseSCSISelfTests(page)
	}

	return r, nil
}

// exceptionSeverity: 5Dh is a predicted failure, 0Bh a warning (temperature,
// degraded).
func exceptionSeverity(asc byte) core.Severity {
	if asc == 0x5d {
		return core.Critical
	}

	return core.Warning
}

// counters adds what the optional pages tell; a page the disk lacks adds nothing.
func (p *scsiPatient) counters(values map[string]float64) {
	for _, code := range []byte{disk.LogWriteErrors, disk.LogReadErrors, disk.LogVerifyErrors} {
		page, err := disk.ReadLog(p.dev, code)
		if err != nil {
			continue
		}

		if count, ok := page.Counter(totalUncorrected); ok {
			values["uncorrected_errors_count"] += float64(count)
		}
	}

	if page, err := disk.ReadLog(p.dev, disk.LogTemperature); err == nil {
		if current, ok := page.Temperature(); ok && current > 0 && current <= hottest {
			values["temperature_celsius"] = float64(current)
		}
	}

	if grown, err := disk.ReadGrownDefects(p.dev); err == nil {
		values["grown_defects_count"] = float64(grown)
	}

	p.past(values)
	p.link(values)
}

// past adds the disk's age and wear.
func (p *scsiPatient) past(values map[string]float64) {
	if page, err := disk.ReadLog(p.dev, disk.LogBackground); err == nil {
		if hours, ok := page.PowerOnHours(); ok {
			values["power_on_hours"] = float64(hours)
		}
	}

	if page, err := disk.ReadLog(p.dev, disk.LogStartStop); err == nil {
		if cycles, ok := page.StartStops(); ok {
			values["power_cycles_count"] = float64(cycles)
		}
	}

	if page, err := disk.ReadLog(p.dev, disk.LogNonMedium); err == nil {
		if count, ok := page.Counter(0); ok {
			values["non_medium_errors_count"] = float64(count)
		}
	}

	if p.drive.Rotational {
		return
	}

	if page, err := disk.ReadLog(p.dev, disk.LogSolidState); err == nil {
		if percent, ok := page.Endurance(); ok {
			values["used_percent"] = float64(percent)
		}
	}
}

// link adds what a SAS disk counts on those of its links that are plugged in.
func (p *scsiPatient) link(values map[string]float64) {
	page, err := disk.ReadLog(p.dev, disk.LogPort)
	if err != nil {
		return
	}

	for _, phy := range disk.ParseSASPhys(page) {
		if phy.Attached != 0 {
			values["phy_errors_count"] += float64(phy.Errors())
		}
	}
}

func (p *scsiPatient) rules(used bool) []limit { return scsiRules(p.drive.Rotational, used) }

// scsiRules are what the values of a SCSI disk must keep to.
func scsiRules(rotational, used bool) []limit {
	critical, warm, hot, worn := above(0, core.Critical), flashWarm, flashHot, 10.0
	if rotational {
		warm, hot = hddWarm, hddHot
	}

	if used {
		worn = 90
	}

	rules := []limit{
		{"uncorrected_errors_count", "smart/uncorrectable", "The disk has reported errors it could not correct", replaceDisk, critical, critical},
		{"grown_defects_count", "smart/grown-defects", "The disk has replaced bad sectors", replaceDisk, defects(used), critical},
		{"used_percent", "smart/worn", "The disk's flash is worn", replaceDisk, steps(worn, worn), nil},
		temperatureRule(warm, hot),
	}

	return slices.Concat(rules, link(nil), age(used))
}
