package ras

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"vetting/core"
)

// classText is the list of what the kernel's lines mean.
//
//go:embed class.tsv
var classText string

// When says which lines of a class count.
type When string

// The moments.
const (
	Always When = "always"
	Later  When = "later" // not while the machine was starting
	Metal  When = "metal" // for information only on a virtual machine
)

// bySort is the severity of a class that depends on how old the machine is.
const bySort core.Severity = "corrected"

// Class is one sort of lines.
type Class struct {
	Code     string // "-" means harmless
	Severity core.Severity
	When     When
	Pattern  *regexp.Regexp
}

// Classes reads the list that comes with the agent.
func Classes() ([]Class, error) { return ParseClasses(classText) }

// ParseClasses reads a list of classes. All faults are joined.
func ParseClasses(text string) (classes []Class, err error) {
	var faults []error

	number := 0

	for row := range strings.Lines(text) {
		number++
		row = strings.TrimRight(row, "\r\n")

		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}

		class, err := parseClass(row)
		if err != nil {
			faults = append(faults, fmt.Errorf("reading line %d of the classes: %w", number, err))
		}

		classes = append(classes, class)
	}

	return classes, errors.Join(faults...)
}

func parseClass(row string) (c Class, err error) {
	columns := strings.SplitN(row, "\t", 4)
	if len(columns) != 4 {
		return c, fmt.Errorf("it has %d columns, 4 wanted", len(columns))
	}

	c = Class{Code: columns[0], Severity: core.Severity(columns[1]), When: When(columns[2])}

	switch c.Severity {
	case core.Critical, core.Warning, core.Info, bySort:
	default:
		return c, fmt.Errorf("severity %q does not exist", c.Severity)
	}

	if c.When != Always && c.When != Later && c.When != Metal {
		return c, fmt.Errorf("moment %q does not exist", c.When)
	}

	c.Pattern, err = regexp.Compile(columns[3])

	return c, err
}

// statusUC is bit 61 of IA32_MCi_STATUS: the error was not corrected (Intel SDM 3B,
// 16.3.2.2).
const statusUC = 1 << 61

// match reads a line by a class.
func (c *Class) match(text string) (e Event, ok bool) {
	found := c.Pattern.FindStringSubmatch(text)
	if found == nil {
		return e, false
	}

	e = Event{Code: c.Code, Severity: c.Severity, When: c.When, Text: text}

	for i, name := range c.Pattern.SubexpNames() {
		if name == "" || found[i] == "" {
			continue
		}

		if name != "status" {
			e.Part = core.Part{Kind: name, Slot: slot(name, found[i])}

			continue
		}

		if status, err := strconv.ParseUint(found[i], 16, 64); err == nil && status&statusUC == 0 {
			e.Severity = bySort
		}
	}

	return e, true
}

func slot(kind, name string) string {
	if kind == "cpu" {
		return "CPU " + name
	}

	return name
}

// Event is something that the kernel told.
type Event struct {
	Code     string
	Severity core.Severity
	When     When
	Part     core.Part
	Text     string
}

// Classify reads a line of the kernel's log; false is nothing to tell.
func Classify(classes []Class, text string) (Event, bool) {
	for i := range classes {
		if e, ok := classes[i].match(text); ok {
			return e, e.Code != "-"
		}
	}

	return Event{}, false
}

// rank turns the severity of an event into one of the three there are.
func (e *Event) rank(used, virtual, starting bool) core.Severity {
	switch {
	case e.When == Metal && virtual, e.When == Later && starting:
		return core.Info
	case e.Severity != bySort:
		return e.Severity
	case used:
		return core.Warning
	default:
		return core.Critical
	}
}
