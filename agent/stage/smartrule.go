package stage

import (
	"fmt"
	"slices"
	"strings"

	"vetting/agent/probe"
	"vetting/core"
)

// limit is a rule about one quantity of a disk.
type limit struct {
	quantity string
	code     string
	title    string
	next     string
	// judge ranks a value; the empty severity is fine. nil: any value is fine.
	judge func(value float64) core.Severity
	// grow ranks an increase during the stage; nil: it may grow.
	grow func(delta float64) core.Severity
}

const (
	replaceDisk  = "Replace the disk."
	replaceCable = "Replace the cable or reseat the disk."
	coolDisk     = "Check the fans and the air flow before the disk bay."

	codeTemperature = "smart/temperature"
	codeThrottled   = "smart/throttled"
	codeCRC         = "smart/crc-errors"
	codeNotCompared = "smart/not-compared"
)

// above ranks values over a limit.
func above(bound float64, severity core.Severity) func(float64) core.Severity {
	return func(value float64) core.Severity {
		if value > bound {
			return severity
		}

		return ""
	}
}

// steps ranks values from one limit up, and from a higher one up.
func steps(warn, critical float64) func(float64) core.Severity {
	return func(value float64) core.Severity {
		switch {
		case value >= critical:
			return core.Critical
		case value >= warn:
			return core.Warning
		default:
			return ""
		}
	}
}

// defects ranks replaced sectors: none on a new disk, a few on a used one.
func defects(used bool) func(float64) core.Severity {
	if !used {
		return above(0, core.Critical)
	}

	return steps(1, 11)
}

// judge applies the rules to the second reading, and to what changed since the
// first.
func (x examination) judge(rules []limit, before, after reading) (findings []core.Finding) {
	for _, rule := range rules {
		value, ok := after.values[rule.quantity]
		if !ok {
			continue
		}

		if rule.judge != nil {
			if severity := rule.judge(value); severity != "" {
				findings = append(findings, core.Finding{
					Code: rule.code, Severity: severity, Title: rule.title,
					Evidence: fmt.Sprintf("%s is %s", rule.quantity, plain(value)), Next: rule.next,
				})
			}
		}

		if f, grew := rule.growth(before.values, after.values); grew {
			findings = append(findings, f)
		}
	}

	if quantities := untold(rules, before.values, after.values, x.Model); len(quantities) > 0 {
		findings = append(findings, notCompared(probe.DiskPart(x.Disk), strings.Join(quantities, ", ")+" could be read before the self-test, and not after it"))
	}

	return findings
}

// untold are the counters that a disk told before and does not any more: whether they grew
// is not known. Where it never told them, its page of them may be one that it lacks.
func untold(rules []limit, before, after map[string]float64, model string) (quantities []string) {
	for _, rule := range rules {
		_, was := before[rule.quantity]
		_, is := after[rule.quantity]
		rumour := rule.quantity == "pending_sectors_count" && rumours.MatchString(model) // one that is left out where it is low

		if rule.grow != nil && was && !is && !rumour && !slices.Contains(quantities, rule.quantity) {
			quantities = append(quantities, rule.quantity)
		}
	}

	return quantities
}

// notCompared is the finding of counters that cannot be compared.
func notCompared(part core.Part, evidence string) core.Finding {
	return core.Finding{
		Code: codeNotCompared, Severity: core.Warning, Title: "A disk's error counters cannot be read any more", Part: part,
		Evidence: evidence, Next: "Check the disk, its cable and its slot; then retry the stage.",
	}
}

func isNotCompared(f core.Finding) bool { return f.Code == codeNotCompared }

// growth ranks what a quantity grew by; grew is whether that is worth a word.
func (l limit) growth(before, after map[string]float64) (f core.Finding, grew bool) {
	was, known := before[l.quantity]
	is, there := after[l.quantity]

	if l.grow == nil || !known || !there || is <= was {
		return core.Finding{}, false
	}

	severity := l.grow(is - was)
	code, title := l.increase()

	return core.Finding{
		Code: code, Severity: severity, Title: title,
		Evidence: fmt.Sprintf("%s went from %s to %s", l.quantity, plain(was), plain(is)), Next: l.next,
	}, severity != ""
}

// increase says what the growth of a counter is called: heat, and what the drive has
// coped with, by its own name; the rest as errors.
func (l limit) increase() (code, title string) {
	switch l.code {
	case codeTemperature, codeThrottled, "smart/bad-blocks", "smart/rebuilt-data", "smart/link-errors":
		return l.code, l.title
	}

	return "smart/increase", "An error counter of the disk grew while it was watched"
}

// plain prints a count without a decimal point.
func plain(value float64) string { return fmt.Sprintf("%.6g", value) }

// age are the rules for disks that are to be new.
func age(used bool) []limit {
	if used {
		return nil
	}

	return []limit{
		{
			quantity: "power_on_hours", code: "smart/not-new", title: "The disk is not new: it has run for a while",
			next: "Accept it as used (SMART.policy: used), or send it back.", judge: above(48, core.Warning),
		},
		{
			quantity: "power_cycles_count", code: "smart/not-new", title: "The disk is not new: it was switched on many times",
			next: "Accept it as used (SMART.policy: used), or send it back.", judge: above(50, core.Warning),
		},
	}
}

func temperatureRule(warn, critical int) limit {
	return limit{
		quantity: "temperature_celsius", code: codeTemperature, title: "The disk is too hot",
		next: coolDisk, judge: steps(float64(warn), float64(critical)),
	}
}

// heat are the rules for disks that count how long they were too hot and how often
// they slowed themselves down: what they counted before is their past.
func heat() []limit {
	return []limit{
		{
			quantity: "warning_temperature_minutes", code: codeTemperature, title: "The disk was above its warning temperature while it was watched",
			next: coolDisk, grow: above(0, core.Warning),
		},
		{
			quantity: "critical_temperature_minutes", code: codeTemperature, title: "The disk was above its critical temperature while it was watched",
			next: coolDisk, grow: above(0, core.Critical),
		},
		{
			quantity: "light_throttles_count", code: codeThrottled, title: "The disk slowed itself down on account of heat",
			next: coolDisk, grow: above(0, core.Warning),
		},
		{
			quantity: "heavy_throttles_count", code: codeThrottled, title: "The disk slowed itself down a lot on account of heat",
			next: coolDisk, grow: above(0, core.Warning),
		},
	}
}

// link are the rules for the errors that a disk counts on its link. judge ranks
// those of its past: SATA disks count damaged frames only, SAS disks also what
// happens whenever a link comes up.
func link(judge func(float64) core.Severity) []limit {
	return []limit{
		{
			quantity: "phy_errors_count", code: codeCRC, title: "Data was damaged between disk and controller",
			next: replaceCable, judge: judge, grow: above(0, core.Critical),
		},
		{
			quantity: "phy_losses_count", code: codeCRC, title: "The link between disk and controller went down",
			next: replaceCable, grow: above(0, core.Critical),
		},
	}
}
