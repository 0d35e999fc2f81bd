package view

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/route"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// NetbootFacts is what the boot services are about.
type NetbootFacts struct {
	Interface string
	Mode      string // "dhcp", "proxy" or "off"
	Address   string // ours on the test NIC, with the length
	Pool      string // "10.77.0.10 to 10.77.0.254"
	Files     []BootFile
}

// BootFile is a file that is served to machines that boot.
type BootFile struct {
	Name   string
	Size   int64
	SHA256 string
}

// Netboot is the page of the boot services.
type Netboot struct {
	Frame  Frame
	Facts  *NetbootFacts // nil: this appliance serves no boots
	Checks []route.HealthCheck
	Boots  []Boot // heard last first
	Steps  []core.BootStep
	Leases []core.Lease
	Names  map[core.MAC]string
}

// Take adds steps of a trace, and keeps the newest of all.
func (n *Netboot) Take(steps []core.BootStep, most int) {
	n.Steps = append(n.Steps, steps...)
	slices.SortStableFunc(n.Steps, func(a, b core.BootStep) int { return b.Time.Compare(a.Time) })
	n.Steps = n.Steps[:min(most, len(n.Steps))]
}

// silent reports whether no machine has asked for anything of late.
func (n *Netboot) silent() bool {
	const lately = 10 * time.Minute

	return len(n.Steps) == 0 || n.Frame.Now.Sub(n.Steps[0].Time) > lately
}

func (n *Netboot) modeWord() string {
	return map[string]string{
		"dhcp":  "gives addresses on a network of its own",
		"proxy": "beside another DHCP server, which gives the addresses",
		"off":   "answers no DHCP",
	}[n.Facts.Mode]
}

// who names a machine.
func (n *Netboot) who(mac core.MAC) string {
	if name := text.Line(n.Names[mac]); name != "" {
		return name
	}

	return text.Line(mac)
}

// leased counts the leases that are in force.
func (n *Netboot) leased() (count int) {
	for _, l := range n.Leases {
		if l.Expires.After(n.Frame.Now) {
			count++
		}
	}

	return count
}

// Boot is the last boot of one machine.
type Boot struct {
	MAC       core.MAC
	Name      string // empty: not registered
	Steps     []core.BootStep
	Diagnosis *bootdoctor.Diagnosis
}

// bootPhase is a part of a boot.
type bootPhase struct {
	Name     string
	Mark     mark.Mark
	From, To time.Time // zero: it has not come
	Note     string

	left, wide float64 // of the bar, in thousandths
}

// phaseOf says which part of a boot a step belongs to; -1: none.
func phaseOf(kind string) int {
	switch kind {
	case "power":
		return 0
	case "discover", "offer", "stand", "request", "ack", "conflict", "pool-empty", "rogue", "sighting":
		return 1
	case "tftp", "tftp-probe", "tftp-failed", "tftp-missing", "http-missing", "loader":
		return 2
	case "script":
		return 3
	case "kernel", "initrd", "boot-failed":
		return 4
	case "seed", "seed-refused":
		return 5
	case "hello":
		return 6
	default:
		return -1
	}
}

// phases are the parts of a boot, in their order, with their share of its time.
func (b *Boot) phases() []bootPhase {
	names := []string{"Power", "Address", "Boot program", "Boot script", "Kernel and image", "Token, kernel starts", "Agent speaks"}
	list := make([]bootPhase, len(names))
	bytes := make([]int64, len(names))
	last := -1

	for i, name := range names {
		list[i].Name = name
	}

	for i := range b.Steps {
		s := &b.Steps[i]

		at := phaseOf(s.Kind)
		if at < 0 {
			continue
		}

		if list[at].From.IsZero() {
			list[at].From = s.Time
		}

		list[at].To, list[at].Note, last = s.Time, bootDetail(*s), max(last, at)
		bytes[at] = max(bytes[at], s.Bytes)
	}

	b.measure(list)

	for i := range list {
		list[i].Mark = b.phaseMark(&list[i], i, last)
		if bytes[i] > 0 && !strings.Contains(list[i].Note, size(bytes[i])) {
			list[i].Note += " · " + size(bytes[i])
		}
	}

	return list
}

// measure gives each phase the time until the next one that came, and its bar.
func (b *Boot) measure(list []bootPhase) {
	var begin, end, next time.Time

	for i := range list {
		if !list[i].From.IsZero() && (begin.IsZero() || list[i].From.Before(begin)) {
			begin = list[i].From
		}

		if list[i].To.After(end) {
			end = list[i].To
		}
	}

	for i := range slices.Backward(list) {
		p := &list[i]
		if p.From.IsZero() {
			continue
		}

		if !next.IsZero() && next.After(p.To) {
			p.To = next
		}

		next = p.From

		if whole := end.Sub(begin); whole > 0 {
			p.left = 1000 * float64(p.From.Sub(begin)) / float64(whole)
			p.wide = max(8, 1000*float64(p.To.Sub(p.From))/float64(whole))
			p.left = min(p.left, 1000-p.wide)
		}
	}
}

func (b *Boot) phaseMark(p *bootPhase, at, last int) mark.Mark {
	switch {
	case !p.From.IsZero() && (b.Diagnosis == nil || at != last || !b.failedIn(at)):
		return mark.Mark{Class: "pass", Icon: "check", Word: "Done"}
	case b.Diagnosis != nil && (at == last+1 || !p.From.IsZero()):
		return mark.Mark{Class: "fail", Icon: "cross", Word: "Stands still"}
	case at < last:
		return mark.Mark{Class: "idle", Icon: "dash", Word: "Not seen"}
	default:
		return mark.Mark{Class: "idle", Icon: "ring", Word: "Not yet"}
	}
}

// failedIn reports whether the last step of a phase says that it did not work.
func (b *Boot) failedIn(phase int) bool {
	for i := range slices.Backward(b.Steps) {
		if s := &b.Steps[i]; phaseOf(s.Kind) == phase {
			return s.Code != "" || slices.Contains([]string{"tftp-failed", "pool-empty", "rogue", "conflict", "seed-refused", "boot-failed"}, s.Kind)
		}
	}

	return false
}

// took is how long a phase took, for people.
func (p *bootPhase) took() string {
	if p.From.IsZero() {
		return ""
	}

	d := p.To.Sub(p.From)

	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	default:
		return text.Duration(d)
	}
}

func thousandth(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }

// begun is when the boot began, as far as it was seen.
func (b *Boot) begun() time.Time {
	if len(b.Steps) == 0 {
		return time.Time{}
	}

	return b.Steps[0].Time
}

// told is how long a boot took that came to its end.
func (b *Boot) told() string {
	d := b.Steps[len(b.Steps)-1].Time.Sub(b.Steps[0].Time)

	return "Booted in " + strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s, part by part"
}

// over reports whether the agent spoke.
func (b *Boot) over() bool {
	return slices.ContainsFunc(b.Steps, func(s core.BootStep) bool { return s.Kind == "hello" })
}

func (b *Boot) mark() mark.Mark {
	switch {
	case b.Diagnosis != nil:
		return mark.Mark{Class: "fail", Icon: "cross", Word: "Stands still"}
	case b.over():
		return mark.Mark{Class: "pass", Icon: "check", Word: "Booted"}
	default:
		return mark.Mark{Class: "run", Icon: "play", Word: "Seen"}
	}
}
