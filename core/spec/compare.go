package spec

import (
	"fmt"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

// Result is what came of a comparison.
type Result struct {
	Diffs    []core.SpecDiff
	Findings []core.Finding // one for each diff, and those of the general checks
	Compared int            // fields that were compared, whatever came of it
}

// Critical reports whether a finding is critical.
func (r *Result) Critical() bool {
	for i := range r.Findings {
		if r.Findings[i].Severity == core.Critical {
			return true
		}
	}

	return false
}

// Compare holds the inventory against the spec and adds the general checks, which
// need no spec. Same input, same output, in a stable order.
func Compare(want Spec, got *core.Inventory) Result {
	r := &Result{}

	r.system(&want, got)
	r.cpus(&want.CPUs, got)
	r.memory(&want.Memory, got)
	r.disks(want.Disks, got)
	r.nics(want.NICs, got)
	r.pci(want.PCI, got)
	r.supplies(&want.PSUs, got)
	r.general(&want, got)

	return *r
}

// General makes only the checks that need no spec.
func General(got *core.Inventory) Result {
	r := &Result{}
	r.general(&Spec{}, got)

	return *r
}

// field is one thing compared.
type field struct {
	path     string
	code     string // problem code when it differs
	want     string // as written; empty: not asked for
	got      string // as found; empty: the platform does not tell
	ok       bool
	severity core.Severity
	part     core.Part
}

// text makes a field of a text.
func text(name, code string, want Want, got string, severity core.Severity) field {
	return field{path: name, code: code, want: want.String(), got: got, ok: want.like(got), severity: want.severe(severity)}
}

// atLeast makes a field of a number, which must not be smaller than the one asked
// for. Zero is "not told".
func atLeast(name, code string, want Want, got int, severity core.Severity) field {
	return numeric(name, code, want, got, severity, func(want, got uint64) bool { return got >= want })
}

// exactly makes a field of a number that must be the one asked for.
func exactly(name, code string, want Want, got int, severity core.Severity) field {
	return numeric(name, code, want, got, severity, func(want, got uint64) bool { return got == want })
}

func numeric(name, code string, want Want, got int, severity core.Severity, fits func(want, got uint64) bool) field {
	return field{
		path: name, code: code, want: want.say(numberWords), got: number(got), severity: want.severe(severity),
		ok: want.allows(uint64(max(got, 0)), readNumber, fits),
	}
}

// sizeAtLeast makes a field of a size with the slack, in permille, by which the
// found one may fall short of the one asked for. A range has no slack.
func sizeAtLeast(name, code string, want Want, got uint64, slack uint64, severity core.Severity) field {
	return sized(name, code, want, got, severity, func(want, got uint64) bool { return got >= want-want/1000*slack })
}

// sizeExactly makes a field of a size that must be the one asked for.
func sizeExactly(name, code string, want Want, got uint64, severity core.Severity) field {
	return sized(name, code, want, got, severity, func(want, got uint64) bool { return got == want })
}

func sized(name, code string, want Want, got uint64, severity core.Severity, fits func(want, got uint64) bool) field {
	f := field{
		path: name, code: code, want: want.say(sizeWords), severity: want.severe(severity), ok: want.allows(got, readSize, fits),
	}
	if got > 0 {
		f.got = Size(got).String()
	}

	return f
}

// flag makes a field of an answer that is yes or no.
func flag(name, code string, want Want, got bool, severity core.Severity) field {
	f := field{path: name, code: code, got: yesNo(got), severity: want.severe(severity)}
	if want.asked() {
		f.want, f.ok = yesNo(want.yes()), want.yes() == got
	}

	return f
}

func number(n int) string {
	if n == 0 {
		return ""
	}

	return strconv.Itoa(n)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}

	return "no"
}

// check records one field below a path, unless the spec does not ask for it.
func (r *Result) check(under string, part core.Part, fields ...field) {
	for _, f := range fields {
		if f.want == "" {
			continue
		}

		r.Compared++

		if f.ok {
			continue
		}

		f.path = join(under, f.path)
		f.part = part
		r.differ(f)
	}
}

// differ records that a field is not as expected, or not told.
func (r *Result) differ(f field) {
	d := core.SpecDiff{
		Path: f.path, Expected: f.want, Actual: f.got, Severity: f.severity, Part: f.part, NotReported: f.got == "",
	}

	evidence := fmt.Sprintf("%s: expected %s, found %s", f.path, f.want, f.got)

	if d.NotReported {
		f.code = problem.SpecNotReported
		if d.Severity == core.Critical { // it may well be right
			d.Severity = core.Warning
		}

		evidence = fmt.Sprintf("%s: expected %s, not reported by the platform", f.path, f.want)
	}

	r.Diffs = append(r.Diffs, d)
	r.find(f.code, d.Severity, d.Part, evidence)
	r.Findings[len(r.Findings)-1].Subject = f.path
}

// find records a finding in the words of the problem catalogue.
func (r *Result) find(code string, severity core.Severity, part core.Part, evidence string) {
	r.Findings = append(r.Findings, problem.Finding(code, severity, core.SpecValidate, part, evidence))
}

func join(under, name string) string {
	return strings.TrimPrefix(strings.TrimSuffix(under+"."+name, "."), ".")
}
