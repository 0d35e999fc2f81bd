package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/drift"
	"vetting/ui/text"
)

// baselineExample stands in an empty form.
const baselineExample = "rules:\n  - id: r640-bios\n    system: PowerEdge R640\n    part: board\n    min: 2.19.1"

func pathFirmware(mac core.MAC) templ.SafeURL {
	return templ.URL("/hosts/" + string(mac) + "/firmware")
}

// text is what stands in the form.
func (p *Firmware) text() string {
	if p.Typed != nil {
		return *p.Typed
	}

	return p.Baseline.Text
}

func (p *Firmware) summary() string {
	if len(p.Hosts) == 0 {
		return "No host was vetted yet."
	}

	return fmt.Sprintf("%s, %d off the baseline, %s of more than one version.", text.Count(len(p.Hosts), "host", "hosts"), p.off(),
		text.Count(len(p.drifting()), "model", "models"))
}

// off counts the hosts that a rule speaks against.
func (p *Firmware) off() (n int) {
	for i := range p.Hosts {
		if p.Hosts[i].Off {
			n++
		}
	}

	return n
}

func (p *Firmware) drifting() []drift.Group {
	return slices.DeleteFunc(slices.Clone(p.Groups), func(g drift.Group) bool { return !g.Drifts() })
}

func (p *Firmware) even() []drift.Group {
	return slices.DeleteFunc(slices.Clone(p.Groups), func(g drift.Group) bool { return g.Drifts() })
}

// offChecks are the checks that speak against a host, the gravest first.
func offChecks(s *core.FirmwareSnapshot) (list []core.FirmwareCheck) {
	for _, c := range s.Checks {
		if c.Verdict == core.Fail || c.Verdict == core.Error {
			list = append(list, c)
		}
	}

	slices.SortStableFunc(list, func(a, b core.FirmwareCheck) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })

	return list
}

// mostNames is how many hosts are named of a version.
const mostNames = 8

func hostNames(names []string) string {
	shown := make([]string, 0, mostNames)
	for _, name := range names[:min(len(names), mostNames)] {
		shown = append(shown, text.Line(name))
	}

	if more := len(names) - mostNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}

	return strings.Join(shown, ", ")
}

// changes counts what changed.
func (p *HostFirmware) changes() (n int) {
	for i := range p.History.Runs {
		n += len(p.History.Runs[i].Changes)
	}

	return n
}

func changeWord(c *drift.Change) string {
	if c.Other {
		return "another part"
	}

	return c.What
}
