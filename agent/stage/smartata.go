package stage

import (
	"fmt"
	"regexp"
	"slices"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
)

// SMART attributes by number, as the vendors agree on them more or less.
const (
	attrReallocated     = 5
	attrHours           = 9
	attrSpinRetries     = 10
	attrPowerCycles     = 12
	attrWearLevel       = 177
	attrEndToEnd        = 184
	attrReported        = 187
	attrTimeouts        = 188
	attrAirflow         = 190
	attrTemperature     = 194
	attrReallocEvents   = 196
	attrPending         = 197
	attrOffline         = 198
	attrCRC             = 199
	attrLifetime        = 202
	attrLifeLeft        = 231
	attrMediaWear       = 233
	hottest             = 125 // °C; beyond, the raw value means something else
	hddWarm, hddHot     = 55, 60
	flashWarm, flashHot = 70, 75
)

type ataPatient struct {
	dev      disk.SCSI
	ata      disk.ATA
	drive    probe.Drive
	identity disk.ATAIdentity
	last     disk.ATASMART
}

func openATA(bus disk.Bus, drive probe.Drive) (patient, error) {
	dev, err := bus.SCSI(drive.Name)
	if err != nil {
		return nil, err
	}

	p := &ataPatient{dev: dev, ata: disk.ATAOver(dev), drive: drive}

	p.identity, err = disk.ReadIdentify(p.ata)
	if err == nil && !p.identity.SMARTOn {
		err = disk.EnableSMART(p.ata)
	}

	if err != nil {
		_ = dev.Close()

		return nil, err
	}

	return p, nil
}

// Close gives the device back.
func (p *ataPatient) Close() error { return p.dev.Close() }

func (p *ataPatient) self() bool { return p.identity.SelfTest || p.last.SelfTest }

func (p *ataPatient) minutes(length disk.Length) int {
	told := p.last.ShortMinutes
	if length == disk.ExtendedTest {
		told = p.last.ExtendedMinutes
	}

	return estimate(length, told, p.drive.Disk)
}

func (p *ataPatient) start(length disk.Length) error { return disk.StartATASelfTest(p.ata, length) }

func (p *ataPatient) abort() error { return disk.AbortATASelfTest(p.ata) }

// tests asks for the log of self-tests: the one with addresses of 48 bits, where the
// disk has it.
func (p *ataPatient) tests() ([]disk.SelfTest, error) {
	if p.identity.Logs {
		if tests, err := disk.ReadATAExtSelfTests(p.ata); err == nil && len(tests) > 0 {
			return tests, nil
		}
	}

	return disk.ReadATASelfTests(p.ata)
}

func (p *ataPatient) test() (testState, error) {
	smart, err := disk.ReadAttributes(p.ata)
	if err != nil {
		return testState{}, err
	}

	if left, running := smart.TestRunning(); running {
		return testState{running: true, left: left}, nil
	}

	code := smart.TestStatus >> 4
	state := testState{outcome: disk.ATAOutcome(code), detail: fmt.Sprintf("self-test status %d", code)}

	// The status says how it ended, the log only where.
	if tests, err := p.tests(); err == nil {
		state.tests = tests
	}

	if len(state.tests) > 0 && state.outcome == disk.TestFailed && state.tests[0].HasLBA {
		state.detail += fmt.Sprintf(", first failing block %d", state.tests[0].LBA)
	}

	return state, nil
}

func (p *ataPatient) read() (reading, error) {
	smart, err := disk.ReadAttributes(p.ata)
	if err != nil {
		return reading{}, err
	}

	p.last = smart
	r := reading{values: p.values(smart)}

	healthy, err := disk.ReadHealth(p.ata)

	switch {
	case err != nil:
		return reading{}, err
	case healthy:
		r.notes = append(r.notes, "healthy")
	default:
		r.notes = append(r.notes, "FAILING")
		r.findings = append(r.findings, core.Finding{
			Code: "smart/failing", Severity: core.Critical, Title: "The disk predicts its own failure",
			Evidence: "SMART RETURN STATUS: threshold exceeded", Next: replaceDisk,
		})
	}

	if tests, err := p.tests(); err == nil {
		r.tests = tests
	}

	r.findings = append(r.findings, p.flags(smart)...)

	return r, nil
}

// values are those of the attributes, of the flash and of the link.
func (p *ataPatient) values(smart disk.ATASMART) map[string]float64 {
	values := attributeValues(smart)
	leaveOutRumours(values, p.identity.Model)

	if used, ok := p.wear(smart); ok {
		values["used_percent"] = float64(used)
	}

	p.link(values)

	return values
}

// rumours are models whose attribute 197 goes from 0 to 1 and back at random, with nothing
// wrong (smartmontools' database of drives, ticket 1237).
var rumours = regexp.MustCompile(`^(?i:crucial_|ata )?CT(250|500|1000|2000|4000)MX500SSD[14]`) //nolint:gochecknoglobals // made once, never changed

// leaveOutRumours leaves out what a model is known to say without a reason.
func leaveOutRumours(values map[string]float64, model string) {
	if rumours.MatchString(model) && values["pending_sectors_count"] <= 1 {
		delete(values, "pending_sectors_count")
	}
}

// attributeValues picks the attributes that the catalogue knows.
func attributeValues(smart disk.ATASMART) map[string]float64 {
	values := map[string]float64{}

	plainly := map[byte]string{
		attrReallocated: "reallocated_sectors_count", attrReallocEvents: "reallocation_events_count",
		attrPending: "pending_sectors_count", attrOffline: "offline_uncorrectable_count", attrReported: "reported_uncorrected_count",
		attrEndToEnd: "end_to_end_errors_count", attrSpinRetries: "spin_retries_count", attrCRC: "crc_errors_count",
		attrHours: "power_on_hours", attrPowerCycles: "power_cycles_count",
	}

	for id, quantity := range plainly {
		if a, ok := smart.Attribute(id); ok {
			values[quantity] = float64(a.Low32())
		}
	}

	if a, ok := smart.Attribute(attrTimeouts); ok {
		values["command_timeouts_count"] = float64(a.Low16())
	}

	for _, id := range []byte{attrAirflow, attrTemperature} { // the latter wins
		if a, ok := smart.Attribute(id); ok && a.Low8() > 0 && a.Low8() <= hottest {
			values["temperature_celsius"] = float64(a.Low8())
		}
	}

	return values
}

// link adds what the disk counts on its link, where it keeps such a log.
func (p *ataPatient) link(values map[string]float64) {
	if !p.identity.Logs {
		return
	}

	events, err := disk.ReadPhyEvents(p.ata)
	if err != nil {
		return
	}

	values["phy_errors_count"], values["phy_losses_count"] = float64(events.Errors()), float64(events.Losses())
}

// wear returns the share of an SSD's rated life that is used up: by the device
// statistics log, else by the normalised value of a vendor's attribute, which
// counts down from 100.
func (p *ataPatient) wear(smart disk.ATASMART) (percent int, ok bool) {
	if p.identity.Rotational {
		return 0, false
	}

	if p.identity.Logs {
		if used, err := disk.ReadEndurance(p.ata); err == nil {
			return used, true
		}
	}

	return attributeWear(smart)
}

// attributeWear is the most that one of the vendors' attributes tells.
func attributeWear(smart disk.ATASMART) (percent int, ok bool) {
	for _, id := range []byte{attrLifeLeft, attrMediaWear, attrWearLevel, attrLifetime} {
		if a, found := smart.Attribute(id); found && a.Value >= 1 && a.Value <= 100 {
			percent, ok = max(percent, 100-int(a.Value)), true
		}
	}

	return percent, ok
}

// flags are findings beyond the counters.
func (p *ataPatient) flags(smart disk.ATASMART) (findings []core.Finding) {
	findings = crossed(smart)

	if p.identity.Locked {
		findings = append(findings, core.Finding{
			Code: "smart/locked", Severity: core.Critical, Title: "The disk is locked by a password",
			Evidence: "IDENTIFY word 128: security locked", Next: "Unlock the disk with its password, or erase it with the PSID on its label.",
		})
	}

	return findings
}

// crossed are the attributes that are at their thresholds.
func crossed(smart disk.ATASMART) (findings []core.Finding) {
	for _, a := range smart.Attributes {
		if !a.Failing() {
			continue
		}

		severity := core.Warning
		if a.PreFail() {
			severity = core.Critical
		}

		findings = append(findings, core.Finding{
			Code: "smart/attribute-failing", Severity: severity, Title: "An attribute of the disk has crossed its threshold",
			Evidence: fmt.Sprintf("attribute %d: value %d, threshold %d, raw %d", a.ID, a.Value, a.Threshold, a.Raw), Next: replaceDisk,
		})
	}

	return findings
}

func (p *ataPatient) rules(used bool) []limit { return ataRules(p.identity.Rotational, used) }

// ataRules are what the values of an ATA disk must keep to.
func ataRules(rotational, used bool) []limit {
	critical, warm, hot, worn := above(0, core.Critical), flashWarm, flashHot, 10.0

	if rotational {
		warm, hot = hddWarm, hddHot
	}

	if used {
		worn = 90
	}

	rules := []limit{
		{"reallocated_sectors_count", "smart/reallocated", "The disk has replaced bad sectors", replaceDisk, defects(used), critical},
		{"reallocation_events_count", "smart/reallocated", "The disk has tried to replace bad sectors", replaceDisk, defects(used), critical},
		{"pending_sectors_count", "smart/pending-sectors", "The disk has sectors it cannot read", replaceDisk, critical, critical},
		{"offline_uncorrectable_count", "smart/uncorrectable", "The disk has sectors it cannot correct", replaceDisk, critical, critical},
		{"reported_uncorrected_count", "smart/uncorrectable", "The disk has reported errors it could not correct", replaceDisk, critical, critical},
		{"end_to_end_errors_count", "smart/end-to-end", "The disk has altered data inside itself", replaceDisk, critical, critical},
		{"spin_retries_count", "smart/spin-retries", "The disk had trouble spinning up", replaceDisk, critical, nil},
		{"crc_errors_count", codeCRC, "Data was damaged between disk and controller", replaceCable, above(0, core.Warning), critical},
		{
			"command_timeouts_count", "smart/command-timeouts", "Commands to the disk timed out", "Check power and cable of the disk.",
			above(0, core.Warning), steps(1, 6),
		},
		{"used_percent", "smart/worn", "The disk's flash is worn", replaceDisk, steps(worn, worn), nil},
		temperatureRule(warm, hot),
	}

	return slices.Concat(rules, link(above(0, core.Warning)), age(used))
}
