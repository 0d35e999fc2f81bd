package view

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/ui/text"
	"vetting/ui/trial"
)

// StartPlan is the page of a run before it is started.
type StartPlan struct {
	Frame Frame
	Trial *Trial
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
	serial, _ := p.serial()
	letters := []rune(serial)

	return string(letters[max(0, len(letters)-wordLength):])
}

// serial is what the end of is typed, and where it is read. What shows no letter, as the
// spaces that some makers leave, is none: nobody could type it, and nothing would do for it.
func (p *StartPlan) serial() (serial, of string) {
	for _, one := range [][2]string{
		{p.Trial.Inventory.System.Serial, "serial number of the machine"}, {p.Trial.Host.Identity.BoardSerial, "serial number of its board"},
	} {
		if serial = strings.TrimSpace(text.Line(one[0])); serial != "" {
			return serial, one[1]
		}
	}

	return strings.ReplaceAll(string(p.Trial.Host.MAC), ":", ""), "MAC address of the machine, which tells no serial number"
}

// wordOf says where what is typed is read.
func (p *StartPlan) wordOf() string {
	_, of := p.serial()

	return of
}

// writes reports whether disks would be overwritten.
func (p *StartPlan) writes() bool { return p.Trial.Writes() }

// planDisk is a disk in the plan.
type planDisk struct {
	Bay, Name, Model, Serial, Size, Data string
	Fate                                 trial.Fate
	Why                                  string // it is refused
}

// disks lists what becomes of the disks.
func (p *StartPlan) disks() (list []planDisk) {
	for _, row := range p.Trial.Disks() {
		d, against := &row.Disk, make([]string, 0, len(row.Against))
		for _, r := range row.Against {
			against = append(against, text.Line(r.Evidence))
		}

		shown := planDisk{
			text.Line(d.Bay), text.Line(d.Name), text.Line(d.Model), text.Line(d.Serial), "",
			cmp.Or(text.Line(row.Content), "not looked at yet"), row.Fate, strings.Join(against, "; "),
		}

		if d.SizeBytes > 0 {
			shown.Size = size(int64(min(d.SizeBytes, 1<<62))) //nolint:gosec // bounded
		}

		list = append(list, shown)
	}

	return list
}

// overwritten counts the disks that would be.
func (p *StartPlan) overwritten() (n int) {
	for _, d := range p.disks() {
		if d.Fate == trial.Overwritten {
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
	case p.Trial.Fault != nil:
		return "What is set on this host does not fit: " + text.Line(p.Trial.Fault.Error())
	default:
		return ""
	}
}
