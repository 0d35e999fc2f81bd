package stage

import (
	"fmt"
	"slices"
	"strings"

	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
)

const unitBytes = 512_000 // a data unit of the health log

type nvmePatient struct {
	dev        disk.NVMe
	controller disk.NVMeController
	drive      probe.Drive
	plain      bool // it has no log page C0h of the kind that is known
	ocp        bool // it has told one
}

func openNVMe(bus disk.Bus, drive probe.Drive) (patient, error) {
	dev, err := bus.NVMe(drive.Name)
	if err != nil {
		return nil, err
	}

	p := &nvmePatient{dev: dev, drive: drive}

	if p.controller, err = disk.ReadNVMeController(dev); err != nil {
		_ = dev.Close()

		return nil, err
	}

	return p, nil
}

// Close gives the device back.
func (p *nvmePatient) Close() error { return p.dev.Close() }

// telemetry is what the controller's maker wants to see.
func (p *nvmePatient) telemetry() ([]byte, error) {
	if !p.controller.Telemetry {
		return nil, disk.ErrRefused
	}

	return disk.ReadNVMeTelemetry(p.dev)
}

func (p *nvmePatient) self() bool { return p.controller.SelfTest }

func (p *nvmePatient) minutes(length disk.Length) int {
	told := 0
	if length == disk.ExtendedTest {
		told = p.controller.TestMinutes
	}

	return estimate(length, told, p.drive.Disk)
}

func (p *nvmePatient) start(length disk.Length) error { return disk.StartNVMeSelfTest(p.dev, length) }

func (p *nvmePatient) abort() error { return disk.AbortNVMeSelfTest(p.dev) }

func (p *nvmePatient) test() (testState, error) {
	log, err := disk.ReadNVMeSelfTests(p.dev)
	if err != nil {
		return testState{}, err
	}

	if log.Running {
		return testState{running: true, left: 1 - log.Done}, nil
	}

	if len(log.Tests) == 0 {
		return testState{}, fmt.Errorf("%w: the log is empty", errTestBroken)
	}

	test := log.Tests[0]
	state := testState{
		outcome: test.Outcome, length: test.Length, detail: fmt.Sprintf("self-test result %d", test.Code), tests: log.Tests, logged: true,
	}

	if test.HasLBA {
		state.detail += fmt.Sprintf(", first failing block %d", test.LBA)
	}

	return state, nil
}

func (p *nvmePatient) read() (reading, error) {
	health, err := disk.ReadNVMeHealth(p.dev)
	if err != nil {
		return reading{}, err
	}

	r := reading{values: map[string]float64{
		"critical_warning_bits": float64(health.CriticalWarning), "used_percent": float64(health.Used),
		"power_on_hours": float64(health.Hours), "power_cycles_count": float64(health.PowerCycles),
		"unsafe_shutdowns_count": float64(health.UnsafeShutdowns), "media_errors_count": float64(health.MediaErrors),
		"error_log_entries_count":     float64(health.LogEntries),
		"warning_temperature_minutes": float64(health.WarningMinutes), "critical_temperature_minutes": float64(health.CriticalMinutes),
		"light_throttles_count": float64(health.LightThrottles), "heavy_throttles_count": float64(health.HeavyThrottles),
		"read_bytes": float64(health.UnitsRead) * unitBytes, "written_bytes": float64(health.UnitsWritten) * unitBytes,
	}}

	if health.Temperature > 0 && health.Temperature <= hottest {
		r.values["temperature_celsius"] = float64(health.Temperature)
	}

	// QEMU 7.2 tells a spare of 0 % with a threshold of 0 %: it does not know.
	if health.Spare > 0 || health.SpareThreshold > 0 {
		r.values["available_spare_percent"] = float64(health.Spare)
		r.values["spare_threshold_percent"] = float64(health.SpareThreshold)
	}

	r.findings = spareFindings(health)

	if errors, err := disk.ReadNVMeErrors(p.dev, p.controller.ErrorEntries); err == nil {
		r.findings = append(r.findings, errorFindings(errors)...)
	}

	if p.controller.SelfTest {
		if log, err := disk.ReadNVMeSelfTests(p.dev); err == nil {
			r.tests = log.Tests
		}
	}

	if !p.plain { // a drive that refuses may log that it was asked: once is enough
		if h, err := disk.ReadOCPHealth(p.dev); err == nil {
			ocpValues(h, r.values)

			p.ocp = true
		} else {
			p.plain = !p.ocp
		}
	}

	if health.CriticalWarning == 0 {
		r.notes = append(r.notes, "healthy")
	} else {
		r.notes = append(r.notes, "CRITICAL WARNING")
		r.findings = append(r.findings, warningFinding(health.CriticalWarning))
	}

	return r, nil
}

func warningFinding(bits byte) core.Finding {
	names := []string{
		"the spare blocks run out", "the temperature is out of range", "the medium has become unreliable",
		"the medium is read-only", "the backup of the cache has failed", "the persistent memory region has become unreliable",
	}

	var said []string

	for bit, name := range names {
		if bits&(1<<bit) != 0 {
			said = append(said, name)
		}
	}

	return core.Finding{
		Code: "smart/critical-warning", Severity: core.Critical, Title: "The disk raises a critical warning",
		Evidence: fmt.Sprintf("critical warning %#02x: %s", bits, strings.Join(said, ", ")), Next: replaceDisk,
	}
}

func spareFindings(health disk.NVMeHealth) []core.Finding {
	if health.SpareThreshold == 0 || health.Spare > health.SpareThreshold {
		return nil
	}

	return []core.Finding{{
		Code: "smart/spare-exhausted", Severity: core.Critical, Title: "The disk has used up its spare blocks",
		Evidence: fmt.Sprintf("available spare %d %%, threshold %d %%", health.Spare, health.SpareThreshold), Next: replaceDisk,
	}}
}

// errorFindings counts the error log by status type: many disks log an entry for
// every optional command they do not have, which means nothing.
func errorFindings(entries []disk.NVMeError) []core.Finding {
	media, other := 0, 0

	var first disk.NVMeError

	for _, e := range entries {
		if e.Media() {
			if media == 0 {
				first = e
			}

			media++
		} else {
			other++
		}
	}

	switch {
	case media > 0:
		return []core.Finding{{
			Code: "smart/media-errors", Severity: core.Critical, Title: "The disk's error log holds media errors",
			Evidence: fmt.Sprintf("%d entries; the first: status %#x, namespace %d, block %d", media, first.Status, first.NSID, first.LBA),
			Next:     replaceDisk,
		}}
	case other > 0:
		return []core.Finding{{
			Code: "smart/error-log", Severity: core.Info, Title: "The disk's error log holds entries about commands, none about its medium",
			Evidence: fmt.Sprintf("%d entries", other), Next: "Nothing to do.",
		}}
	default:
		return nil
	}
}

func (p *nvmePatient) rules(used bool) []limit {
	critical := above(0, core.Critical)

	worn := func(value float64) core.Severity {
		switch {
		case value >= 10:
			return core.Critical
		case value > 1:
			return core.Warning
		default:
			return ""
		}
	}
	if used {
		worn = steps(80, 100)
	}

	rules := []limit{
		{"media_errors_count", "smart/media-errors", "The disk could not read some of its blocks", replaceDisk, critical, critical},
		{"used_percent", "smart/worn", "The disk's flash is worn", replaceDisk, worn, nil},
	}

	if !used {
		rules = append(rules, limit{
			"available_spare_percent", "smart/spare-low", "The disk has begun to use its spare blocks", "Accept it as used, or send it back.",
			func(value float64) core.Severity {
				if value < 100 {
					return core.Warning
				}

				return ""
			}, nil,
		})
	}

	warm, hot := p.controller.WarningTemp, p.controller.CriticalTemp
	if warm > 0 && hot >= warm {
		rules = append(rules, temperatureRule(warm, hot))
	} else {
		rules = append(rules, temperatureRule(flashWarm, flashHot))
	}

	return slices.Concat(rules, heat(), ocpRules(used), age(used))
}
