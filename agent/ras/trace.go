package ras

import (
	"regexp"
	"strconv"
	"strings"

	"vetting/core"
)

// traces are the events of the kernel that are listened to (include/ras/ras_event.h,
// include/trace/events/mce.h).
func traces() []string {
	return []string{
		"ras/mc_event", "ras/aer_event", "ras/non_standard_event", "ras/memory_failure_event", "ras/extlog_mem_event", "mce/mce_record",
	}
}

// traceForm is a line of trace_pipe: task, CPU, flags, time, event, text.
func traceForm() *regexp.Regexp {
	return regexp.MustCompile(`^.{1,32}-\d+\s+(?:\(.{1,8}\)\s+)?\[\d+\]\s+\S*\s+[\d.]+: (\w+): (.*)$`)
}

// ParseTrace reads a line of trace_pipe; false is a line of something else.
func ParseTrace(line string) (Event, bool) {
	m := traceForm().FindStringSubmatch(strings.TrimRight(line, "\n"))
	if m == nil {
		return Event{}, false
	}

	e := Event{Text: m[1] + ": " + m[2], Severity: core.Critical, When: Always}

	switch m[1] {
	case "mc_event":
		mcEvent(&e, m[2])
	case "aer_event":
		aerEvent(&e, m[2])
	case "mce_record":
		mceRecord(&e, m[2])
	case "memory_failure_event":
		e.Code, e.Part = "trace/memory-failure", core.Part{Kind: "memory", Slot: pfn(m[2])}
	case "extlog_mem_event":
		e.Code, e.Part = "trace/memory-error", core.Part{Kind: "memory"}
		e.Severity = severityOf(m[2])
	case "non_standard_event":
		e.Code, e.Severity = "trace/firmware-record", severityOf(m[2])
	default:
		return Event{}, false
	}

	return e, true
}

// severityOf reads what firmware-first machines say about their own records.
func severityOf(text string) core.Severity {
	lower := strings.ToLower(text)

	switch {
	case strings.Contains(lower, "uncorrected"), strings.Contains(lower, "fatal"), strings.Contains(lower, "recoverable"):
		return core.Critical
	case strings.Contains(lower, "corrected"):
		return bySort
	default:
		return core.Warning
	}
}

// mcEvent: "1 Corrected error: memory read error on DIMM_A2 (mc:0 location:0:1:0 address:0x12345000 grain:32 syndrome:0x0)".
func mcEvent(e *Event, text string) {
	e.Code, e.Part = "trace/memory-error", core.Part{Kind: "dimm"}
	e.Severity = severityOf(text)

	if _, after, ok := strings.Cut(text, " on "); ok {
		label, _, _ := strings.Cut(after, " (mc:")
		e.Part.Slot = strings.TrimSpace(label)
	}
}

// address returns where in memory an mc_event was; empty: it does not say.
func address(text string) string {
	_, after, ok := strings.Cut(text, " address:")
	if !ok {
		return ""
	}

	value, _, _ := strings.Cut(after, " ")
	if strings.Trim(value, "0x") == "" {
		return ""
	}

	return value
}

// aerEvent: "0000:00:03.0 PCIe Bus Error: severity=Corrected, Receiver Error".
func aerEvent(e *Event, text string) {
	device, rest, _ := strings.Cut(text, " ")
	e.Code, e.Part = "trace/pcie-error", core.Part{Kind: "pci", Slot: device}

	if strings.Contains(rest, "severity=Corrected") {
		e.Severity = core.Warning
	}
}

// mceRecord: "CPU: 3, MCGc/s: 0/0, MC5: 9c00000000000000, IPID: …". CPUs are told
// by number, banks by what the status says.
func mceRecord(e *Event, text string) {
	e.Code = "trace/machine-check"

	m := regexp.MustCompile(`^CPU: (\d+),.*?MC\d+: ([0-9a-fA-F]{1,16})`).FindStringSubmatch(text)
	if m == nil {
		return
	}

	e.Part = core.Part{Kind: "cpu", Slot: "CPU " + m[1]}

	if status, err := strconv.ParseUint(m[2], 16, 64); err == nil && status&statusUC == 0 {
		e.Severity = bySort
	}
}

// pfn: "pfn 0x1234: recovery action for dirty LRU page: Recovered".
func pfn(text string) string {
	place, _, ok := strings.Cut(text, ":")
	if !ok {
		return ""
	}

	return place
}
