package view

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/bootdoctor"
	"vetting/core/report"
	"vetting/core/wayhome"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// NewHost is the form that registers a host.
type NewHost struct {
	Taken core.MAC // the host that has an address of this one already; empty: none
	Frame Frame
	MAC   string
	Name  string
	Adopt bool // it was heard on the test network
	Host  core.Host
	Quick []QuickLine
}

// told reports whether more was typed than an address and a name: then it stands open.
func (n *NewHost) told() bool {
	return HostDifferences(&core.Host{Name: n.Host.Name}, &n.Host) != ""
}

// Host is the page of one host.
type Host struct {
	Frame   Frame
	Row     HostRow
	Runs    []core.Run
	Waivers []core.Waiver
	Report  report.Report // of the run of the row; zero: never vetted
	Boot    core.BootTrace
	// Diagnosis is what is in the way of the boot that a run waits for; nil: nothing.
	Diagnosis *bootdoctor.Diagnosis
	Profiles  []core.Profile
	Chosen    string // profile of the form
	Usual     string // profile where nobody has chosen one; empty: the shortest that comes with the product
	Learned   bool   // the editor shows what a run found
	Spec      string // as the editor shows it
	SpecErr   *SpecError
	Edit      *core.Host // as it was typed and refused; nil: nothing was
	Override  *Override  // likewise
	Seen      Seen       // what the forms were drawn from
	Stale     bool       // the spec in the editor was refused: somebody else has saved another
	Keys      []core.HostKey
	Notes     []core.Note // the oldest first
	NoteText  string      // as it was typed and refused
	Panel     *core.Panel // that the controller told just now; nil: it was not asked
}

func (h *Host) book() *noteBook {
	return &noteBook{frame: h.Frame, host: h.Row.Host.MAC, notes: h.Notes, typed: h.NoteText}
}

// edited is the host as the form shows it.
func (h *Host) edited() *core.Host {
	if h.Edit != nil {
		return h.Edit
	}

	return &h.Row.Host
}

// SpecError is what is wrong with a spec, and where.
type SpecError struct {
	Sentences []string
	Line      int // 1 for the first; 0: not known
	Column    int
}

// where writes the place of the error.
func (e *SpecError) where() string {
	switch {
	case e.Line == 0:
		return ""
	case e.Column == 0:
		return fmt.Sprintf("Line %d", e.Line)
	default:
		return fmt.Sprintf("Line %d, column %d", e.Line, e.Column)
	}
}

// excerptOf is the lines around an error: those before, the bad one, and those
// after, with the caret first.
type excerptOf struct{ Before, Bad, After string }

// around returns the lines around the error, with a caret below it.
func (e *SpecError) around(spec string) excerptOf {
	var out excerptOf

	for i, line := range strings.Split(spec, "\n") {
		row := fmt.Sprintf("%4d  %s\n", i+1, text.Block(line))

		switch n := i + 1; {
		case n == e.Line:
			out.Bad, out.After = row, e.caret()
		case n >= e.Line-2 && n < e.Line:
			out.Before += row
		case n > e.Line && n <= e.Line+2:
			out.After += row
		}
	}

	return out
}

func (e *SpecError) caret() string {
	if e.Column < 1 || e.Column > 200 {
		return ""
	}

	return "      " + strings.Repeat(" ", e.Column-1) + "^\n"
}

// keyWaits reports whether a key of the host waits for somebody who approves it.
func (h *Host) keyWaits() bool {
	return slices.ContainsFunc(h.Keys, func(k core.HostKey) bool { return k.State == core.HostKeyPending })
}

// partsWords sums up the parts of a machine: how many, of how many something was found, and
// which run says so.
func partsWords(parts []report.Component, run core.RunID) string {
	found := 0

	for i := range parts {
		if parts[i].Worst != "" {
			found++
		}
	}

	words := strconv.Itoa(len(parts))
	if found > 0 {
		words += ", " + strconv.Itoa(found) + " with a finding"
	}

	return words + ", as run " + shortID(run) + " found them"
}

// specWords says how much the spec of a host asks for.
func specWords(h *Host) string {
	lines := strings.Split(strings.TrimSpace(text.Clean(h.Spec)), "\n")
	if lines[0] == "" {
		return "none, nothing is compared"
	}

	return text.Count(len(lines), "line", "lines")
}

// parts are those of the machine, as the last run found them.
func (h *Host) parts() []report.Component { return h.Report.Components }

// mostTold bounds the findings that a host's page tells: the page of the run has them all.
const mostTold = 3

// decided reports whether the run of the row has come to something: it is over, or held.
func (h *Host) decided() bool {
	return h.Row.Run != nil && (h.Row.Run.State.Over() || h.held())
}

func (h *Host) held() bool { return h.Row.Run.State == core.StateFailedHolding }

// cameTo is how the run ended, or that a person has to say how.
func (h *Host) cameTo() mark.Mark {
	if h.held() {
		return needsDecision()
	}

	return mark.Read(h.Report.Verdict)
}

// told are the findings that a host's page tells, the worst first; more is how many it leaves out.
func (h *Host) told() (list []core.Finding, more int) {
	list = h.Report.Findings

	return list[:min(len(list), mostTold)], max(0, len(list)-mostTold)
}

// busy reports whether a run is under way on the host.
func (h *Host) busy() bool { return h.Row.Host.CurrentRun != "" }

// disks are those that can be armed: a serial names them.
func (h *Host) disks() []report.Component {
	var list []report.Component

	for i := range h.parts() {
		if h.parts()[i].Kind == "disk" && h.parts()[i].Serial != "" {
			list = append(list, h.parts()[i])
		}
	}

	return list
}

func (h *Host) chosen(p *core.Profile, i int) bool {
	if h.Chosen != "" {
		return p.Name == h.Chosen
	}

	return p.Name == h.usual() || i == 0 && h.usual() == ""
}

// usual is the profile that is chosen where nobody chose: that of the last run, or the one
// that is set as usual.
func (h *Host) usual() string {
	name := cmp.Or(h.Usual, "quick")
	if len(h.Runs) > 0 {
		name = h.Runs[0].Profile.Name
	}

	if slices.ContainsFunc(h.Profiles, func(p core.Profile) bool { return p.Name == name }) {
		return name
	}

	return ""
}

func stageList(p *core.Profile) string {
	words := make([]string, 0, len(p.Stages))
	for _, s := range p.Stages {
		words = append(words, string(s))
	}

	return strings.Join(words, " → ")
}

func powerWord(m core.PowerMethod) string {
	switch m {
	case core.PowerWoL:
		return "Wake-on-LAN"
	case core.PowerAgent:
		return "by its installed agent"
	case core.PowerIPMI:
		return "IPMI"
	case core.PowerRedfish:
		return "Redfish"
	case core.PowerWebhook:
		return "a webhook"
	default:
		return "by hand"
	}
}

// loaderSentence says what a boot program is; the empty one is no choice.
func loaderSentence(l core.Loader) string {
	return map[core.Loader]string{
		"":                 "what works, tried in this order",
		core.LoaderSNPOnly: "snponly: iPXE, firmware's driver",
		core.LoaderIPXE:    "ipxe: iPXE, its own drivers",
		core.LoaderUKI:     "uki: one program, UEFI only",
		core.LoaderShim:    "shim: Secure Boot, UEFI only",
	}[l]
}

func loaders() []core.Loader { return append([]core.Loader{""}, core.Loaders()...) }

// bootProgram says which one the host was given last, and which one has worked.
func bootProgram(l core.Ladder) string {
	switch {
	case l.Rung == "":
		return ""
	case l.Worked == l.Rung:
		return string(l.Rung) + ", which works"
	case l.Worked == "":
		return string(l.Rung) + ", not proven yet"
	default:
		return string(l.Rung) + ", not proven yet; " + string(l.Worked) + " has worked"
	}
}

// homeSentence says what a way to the own disk is; the empty one is no choice.
func homeSentence(way core.Home) string {
	if way == "" {
		return "what works, tried in turn"
	}

	return string(way) + ": " + wayhome.Words(way)
}

func homes() []core.Home { return append([]core.Home{""}, core.Homes()...) }

// wayHome says by which way the host was sent to its own disk last, and whether it got there.
func wayHome(h core.Homeward) string {
	switch {
	case h.Way == "":
		return ""
	case h.Worked == h.Way:
		return wayhome.Words(h.Way) + ", which works"
	case h.Worked == "":
		return wayhome.Words(h.Way) + ", not proven yet"
	default:
		return wayhome.Words(h.Way) + ", not proven yet; " + wayhome.Words(h.Worked) + " has worked"
	}
}

// powerSentence says what a way to switch a host does.
func powerSentence(m core.PowerMethod) string {
	return map[core.PowerMethod]string{
		core.PowerManual:  "by hand, at its power button",
		core.PowerWoL:     "Wake-on-LAN: magic packets",
		core.PowerAgent:   "installed agent: it reboots",
		core.PowerIPMI:    "IPMI: management controller",
		core.PowerRedfish: "Redfish: management controller",
		core.PowerWebhook: "webhook: a service of yours",
	}[m]
}

func powerOf(h *core.Host) core.PowerMethod {
	if h.Power.Method == "" {
		return core.PowerManual
	}

	return h.Power.Method
}

func tagWords(h *core.Host) string { return strings.Join(h.Tags, ", ") }

type fact struct{ label, word string }

// afterWords says where the network sends a host that has passed; empty: to its own disk.
func afterWords(h *core.Host) string {
	passed := core.Host{BootURL: h.BootURL, ProfileURL: h.ProfileURL, LastVerdict: core.Pass}

	return passed.Onward()
}

// hostFacts are what people noted of a host.
func hostFacts(h *core.Host) []fact {
	var list []fact

	for _, f := range []fact{{"After a pass, boots from", afterWords(h)}, {"Rack", h.Rack}, {"Asset tag", h.AssetTag}, {"Model class", h.Class}, {"Tags", tagWords(h)}} {
		if f.word = text.Line(f.word); f.word != "" {
			list = append(list, f)
		}
	}

	return list
}

func aliases(h *core.Host) string {
	words := make([]string, 0, len(h.Aliases))
	for _, m := range h.Aliases {
		words = append(words, string(m))
	}

	return strings.Join(words, ", ")
}

func size(n int64) string { return report.Bytes(uint64(max(0, n))) }

func bootDetail(s core.BootStep) string {
	words := []string{}

	if s.Detail != "" {
		words = append(words, text.Line(s.Detail))
	}

	if s.Addr.IsValid() {
		words = append(words, s.Addr.String())
	}

	if s.Bytes > 0 {
		words = append(words, size(s.Bytes))
	}

	return strings.Join(words, " · ")
}

// Fits reports whether the row has all words of query in it.
func (h *HostRow) Fits(query string) bool {
	hay := strings.ToLower(strings.Join([]string{
		h.Host.Name, string(h.Host.MAC), aliases(&h.Host), h.Host.Notes, h.Model, h.Mark().Word,
		h.Host.Identity.BoardSerial, h.Host.Identity.SMBIOSUUID, h.Host.Rack, h.Host.AssetTag, h.Host.Class, tagWords(&h.Host),
	}, " "))

	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if !strings.Contains(hay, word) {
			return false
		}
	}

	return true
}

// noDifference says why no lines stand above a spec that was learned.
func (h *Host) noDifference() string {
	if strings.TrimSpace(h.Row.Host.SpecYAML) == strings.TrimSpace(h.Spec) {
		return "Nothing would change: what the run found is what is expected already."
	}

	return "The two are too long to be compared line by line here; read what would be saved before you save it."
}
