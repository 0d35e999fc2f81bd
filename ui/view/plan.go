package view

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/profile"
	"vetting/ui/text"
)

// StartPlan is the page of a run before it is started.
type StartPlan struct {
	Frame     Frame
	Trial     *Trial
	Armed     []string // serial numbers of disks that are to be overwritten
	Inventory core.Inventory
	Data      map[string]string // what the last run found on the disks, by serial number
}

// pathStart leads to the plan of a profile on a host.
func pathStart(mac core.MAC, name string) templ.SafeURL {
	return templ.URL(string(pathHost(mac)) + "/start?profile=" + url.QueryEscape(name))
}

// wordLength is how much of a serial number is typed.
const wordLength = 4

// Word is what is typed to start a run that overwrites disks: the end of the machine's
// serial number, or of its MAC address where it has none.
func (p *StartPlan) Word() string {
	serial := strings.TrimSpace(text.Line(p.serial()))

	letters := []rune(serial)

	return string(letters[max(0, len(letters)-wordLength):])
}

func (p *StartPlan) serial() string {
	return cmp.Or(p.Inventory.System.Serial, p.Trial.Host.Identity.BoardSerial, strings.ReplaceAll(string(p.Trial.Host.MAC), ":", ""))
}

// wordOf says where what is typed is read.
func (p *StartPlan) wordOf() string {
	switch {
	case p.Inventory.System.Serial != "":
		return "serial number of the machine"
	case p.Trial.Host.Identity.BoardSerial != "":
		return "serial number of its board"
	default:
		return "MAC address of the machine, which tells no serial number"
	}
}

// writes reports whether disks would be overwritten.
func (p *StartPlan) writes() bool { return len(p.Armed) > 0 && profile.Destructive(&p.Trial.Profile) }

// planDisk is a disk in the plan.
type planDisk struct {
	Bay, Name, Model, Serial, Size, Data string
	Overwritten                          bool
}

// disks lists the disks of the machine, those that would be overwritten first, and what is
// armed and was not seen.
func (p *StartPlan) disks() (list []planDisk) {
	seen := map[string]bool{}

	for i := range p.Inventory.Disks {
		d := &p.Inventory.Disks[i]
		seen[d.Serial] = true
		list = append(list, planDisk{
			text.Line(d.Bay), text.Line(d.Name), text.Line(d.Model), text.Line(d.Serial), size(int64(min(d.SizeBytes, 1<<62))), //nolint:gosec // bounded
			cmp.Or(text.Line(p.Data[d.Serial]), "not looked at yet"), d.Serial != "" && slices.Contains(p.Armed, d.Serial) && p.writes(),
		})
	}

	for _, serial := range p.Armed {
		if !seen[serial] {
			list = append(list, planDisk{Serial: text.Line(serial), Data: "was not in the machine when it was last looked at", Overwritten: p.writes()})
		}
	}

	slices.SortStableFunc(list, func(a, b planDisk) int {
		switch {
		case a.Overwritten == b.Overwritten:
			return 0
		case a.Overwritten:
			return -1
		default:
			return 1
		}
	})

	return list
}

// overwritten counts the disks that would be.
func (p *StartPlan) overwritten() (n int) {
	for _, d := range p.disks() {
		if d.Overwritten {
			n++
		}
	}

	return n
}

// hinders says why the run cannot be started; empty: it can.
func (p *StartPlan) hinders() string {
	switch {
	case p.Trial.Host.Quarantine != "":
		return "The host is quarantined."
	case p.Trial.Host.CurrentRun != "":
		return "A run is under way on this host."
	default:
		return ""
	}
}
