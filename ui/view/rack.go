package view

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/mark"
	"vetting/ui/pace"
	"vetting/ui/text"
)

// HostRow is a host with the run that matters: the current one, else the last.
type HostRow struct {
	Host  core.Host
	Run   *core.Run // nil: never vetted
	Model string    // maker and product, as the last run found them
	Last  *core.Run // the last one that came to a verdict; nil: none has
	Facts lookup.Facts

	Untested []string // what a run that passed says nothing of

	Plan pace.Plan // what earlier runs tell of the one that goes on

	Presence *core.Presence // of its installed agent; nil: never heard

	looks *mark.Mark // made once: it reads the whole run
}

// Mark is how the host looks. Not safe for concurrent use.
func (h *HostRow) Mark() mark.Mark {
	if h.looks == nil {
		looks := mark.Host(&h.Host, h.Run)
		h.looks = &looks
	}

	return *h.looks
}

// Rack is the page of tiles.
type Rack struct {
	Frame Frame
	Want  RackWant
	Rows  []HostRow // all hosts, by name
	Quick []QuickLine
	Slots int // runs that may be under way at once; 0: not known
}

// RackWant is what of the rack is looked at, as it stands in the page's address.
type RackWant struct {
	Query string // words that must all be there
	State string // word of a counter in lower case; empty: all
	Group string // "rack", "model", "class", "state"; empty: one group
	Look  string // "list" or "elevation"; empty: tiles
}

// ReadRackWant reads the query of an address; a word that is none chooses nothing.
func ReadRackWant(query func(key string) string) RackWant {
	w := RackWant{Query: query("q"), State: query("state"), Group: query("group"), Look: query("look")}

	if !slices.ContainsFunc(countersOfNone(), func(c counter) bool { return c.state() == w.State }) {
		w.State = ""
	}

	if !slices.Contains([]string{"rack", "model", "class", "state"}, w.Group) {
		w.Group = ""
	}

	if w.Look != "list" && w.Look != "elevation" {
		w.Look = ""
	}

	return w
}

// href is the address of the rack as it is wanted.
func (w RackWant) href() string {
	values := url.Values{}

	for key, value := range map[string]string{"q": w.Query, "state": w.State, "group": w.Group, "look": w.Look} {
		if value != "" {
			values.Set(key, value)
		}
	}

	if len(values) == 0 {
		return "/"
	}

	return "/?" + values.Encode()
}

func (w RackWant) state(state string) string {
	w.State = state

	return w.href()
}

func (w RackWant) look(look string) string {
	w.Look = look

	return w.href()
}

func (w RackWant) group(group string) string {
	w.Group = group

	return w.href()
}

// choice is one of a row of links, of which one is where we are.
type choice struct {
	word, href string
	on         bool
}

func (r Rack) looks() []choice {
	w := r.Want

	return []choice{
		{"Tiles", w.look(""), w.Look == ""}, {"List", w.look("list"), w.Look == "list"}, {"Elevation", w.look("elevation"), w.Look == "elevation"},
	}
}

func (r Rack) groupings() []choice {
	list := []choice{{"No groups", r.Want.group(""), r.Want.Group == ""}}

	for _, g := range []string{"rack", "model", "class", "state"} {
		list = append(list, choice{"By " + g, r.Want.group(g), r.Want.Group == g})
	}

	return list
}

func countersOfNone() []counter {
	return []counter{
		{Mark: mark.Mark{Class: "run", Icon: "play", Word: "Running"}},
		{Mark: mark.Mark{Class: "hold", Icon: "pause", Word: "Holding"}},
		{Mark: mark.Mark{Class: "fail", Icon: "cross", Word: "Fail"}},
		{Mark: mark.Mark{Class: "warn", Icon: "bang", Word: "Warning"}},
		{Mark: mark.Mark{Class: "pass", Icon: "check", Word: "Pass"}},
		{Mark: mark.Mark{Class: "idle", Icon: "ring", Word: "Waiting"}},
	}
}

// standing is the counter that a host belongs to.
func (h *HostRow) standing() string {
	class := h.Mark().Class
	if class == "err" {
		class = "fail"
	}

	for _, c := range countersOfNone() {
		if c.Mark.Class == class {
			return c.state()
		}
	}

	return ""
}

// counters are the boxes on top of the rack, in their order.
func (r Rack) counters() []counter {
	list := countersOfNone()

	for i := range r.Rows {
		at := r.Rows[i].standing()

		for j := range list {
			if list[j].state() == at {
				list[j].N++
			}
		}
	}

	return list
}

type counter struct {
	Mark mark.Mark
	N    int
}

func (c counter) n() string { return strconv.Itoa(c.N) }

func (c counter) state() string { return strings.ToLower(c.Mark.Word) }

// toggled is where a click on a counter leads: to its hosts alone, and back.
func (r Rack) toggled(c counter) string {
	if r.Want.State == c.state() {
		return r.Want.state("")
	}

	return r.Want.state(c.state())
}

// rackGroup is some hosts under a heading.
type rackGroup struct {
	Name string // empty: no heading
	Rows []*HostRow
}

// chosen are the hosts that are wanted.
func (r Rack) chosen() (rows []*HostRow) {
	for i := range r.Rows {
		row := &r.Rows[i]
		if (r.Want.State == "" || row.standing() == r.Want.State) && row.Fits(r.Want.Query) {
			rows = append(rows, row)
		}
	}

	return rows
}

// groups are the hosts that are wanted, under their headings: those without one
// come last.
func (r Rack) groups() (list []rackGroup) {
	at := map[string]int{}

	for _, row := range r.chosen() {
		name := row.heading(r.Want.Group)

		i, known := at[name]
		if !known {
			i = len(list)
			at[name] = i
			list = append(list, rackGroup{Name: name})
		}

		list[i].Rows = append(list[i].Rows, row)
	}

	slices.SortStableFunc(list, func(a, b rackGroup) int {
		if (a.Name == "") != (b.Name == "") {
			return strings.Compare(b.Name, a.Name)
		}

		return text.Natural(a.Name, b.Name)
	})

	for i := range list {
		if r.Want.Group != "" && list[i].Name == "" {
			list[i].Name = "No " + r.Want.Group + " given"
		}
	}

	return list
}

// heading is the group of a host.
func (h *HostRow) heading(group string) string {
	switch group {
	case "rack":
		name, _ := h.place()

		return name
	case "model":
		return text.Line(h.Model)
	case "class":
		return text.Line(h.Host.Class)
	case "state":
		return h.Mark().Word
	default:
		return ""
	}
}

// place reads where a host is mounted: "B07/U12" is unit 12 of rack B07. A unit of
// 0 is not known.
func (h *HostRow) place() (rack string, unit int) {
	rack, low, _ := strings.Cut(text.Line(h.Host.Rack), "/")

	unit, err := strconv.Atoi(strings.TrimLeft(strings.TrimSpace(low), "Uu"))
	if err != nil || unit < 1 || unit > tallest {
		unit = 0
	}

	return strings.TrimSpace(rack), unit
}

// The height of racks, in units: what is drawn at least, and what is believed.
const (
	usual   = 42
	tallest = 60
)

// cabinet is a rack as one stands in front of it.
type cabinet struct {
	Name  string
	Units []rackUnit // from the top down
	Loose []*HostRow // whose unit is not known
}

// rackUnit is one height unit.
type rackUnit struct {
	Number int
	Rows   []*HostRow // nothing: free, as far as is known
}

// cabinets are the racks with the hosts that are wanted.
func (r Rack) cabinets() (list []cabinet) {
	r.Want.Group = "rack"

	for _, g := range r.groups() {
		c := cabinet{Name: g.Name}
		at := map[int][]*HostRow{}
		top := 0

		for _, row := range g.Rows {
			name, unit := row.place()
			if name == "" || unit == 0 {
				c.Loose = append(c.Loose, row)

				continue
			}

			at[unit] = append(at[unit], row)
			top = max(top, unit, usual)
		}

		for n := top; n > 0; n-- {
			c.Units = append(c.Units, rackUnit{n, at[n]})
		}

		list = append(list, c)
	}

	return list
}

// decision is a host that waits for a person.
type decision struct {
	Row  *HostRow
	Text string
}

// decisionsShown is how many hosts that wait for a person stand above the rack; the others
// are folded, so that the rack stays in sight.
const decisionsShown = 5

// decisions are the hosts that wait for a person.
func (r Rack) decisions() []decision {
	var list []decision

	for i := range r.Rows {
		row := &r.Rows[i]

		switch {
		case row.Host.Quarantine != "":
			list = append(list, decision{row, "quarantined: " + text.Line(row.Host.Quarantine)})
		case row.Run != nil && row.Run.State == core.StateFailedHolding:
			list = append(list, decision{row, Why(row.Run)})
		}
	}

	return list
}

// summary is the line under the title.
func (r Rack) summary() string {
	busy, queued := 0, 0

	for i := range r.Rows {
		switch {
		case r.Rows[i].placed():
			busy++
		case r.Rows[i].waits():
			queued++
		}
	}

	line := text.Count(len(r.Rows), "host", "hosts") + " · "

	if r.Slots > 0 {
		line += strconv.Itoa(busy) + " of " + text.Count(r.Slots, "place", "places") + " busy"
	} else {
		line += text.Count(busy, "run", "runs") + " under way"
	}

	if queued > 0 {
		line += " · " + strconv.Itoa(queued) + " queued"
	}

	if free, guess := r.nextFree(); r.Slots > 0 && busy >= r.Slots && free > 0 {
		line += " · next free in " + text.Left(free) + measured(guess)
	}

	return line
}

// waits reports whether a run of the host waits for a place.
func (h *HostRow) waits() bool {
	return h.Run != nil && (h.Run.State == core.StateQueued || h.Run.State == core.StateRegistered)
}

// placed reports whether a run of the host has a place: a held host takes none.
func (h *HostRow) placed() bool {
	return h.Run != nil && !h.Run.State.Over() && !h.waits() && h.Run.State != core.StateFailedHolding
}

// nextFree is when the first of the runs under way ends, as far as it is known; 0: it
// is not.
func (r Rack) nextFree() (soonest time.Duration, guess bool) {
	for i := range r.Rows {
		if !r.Rows[i].placed() {
			continue
		}

		if rest, about, ok := r.Rows[i].Plan.Rest(r.Rows[i].Run, r.Frame.Now); ok && rest > 0 && (soonest == 0 || rest < soonest) {
			soonest, guess = rest, about
		}
	}

	return soonest, guess
}

// Why says in one sentence what stopped a run.
func Why(run *core.Run) string {
	r := report.Build(report.Input{Run: *run})
	if len(r.Findings) > 0 {
		f := r.Findings[0]
		words := text.Line(f.Title)

		if f.Evidence != "" {
			words += ": " + text.Line(f.Evidence)
		}

		return words
	}

	return text.Line(r.Summary)
}

// line is the middle line of the tile: what goes on, or what came of it.
func (h *HostRow) line() string {
	run := h.Run

	switch {
	case h.Host.Quarantine != "":
		return text.Line(h.Host.Quarantine)
	case run == nil:
		return "never vetted"
	case run.State.Over() || run.State == core.StateFailedHolding:
		if f := worstFinding(run); f != "" {
			return f
		}

		if run.EndedAt.IsZero() {
			return Why(run)
		}

		return text.Line(run.Profile.Name) + ", " + text.Duration(run.EndedAt.Sub(run.StartedAt))
	case h.waits():
		return "waiting for a free place"
	case run.State == core.StateWaitingPower:
		return "waiting for power"
	case run.State == core.StateWaitingWoL:
		return "magic packet sent"
	case run.State == core.StateWaitingReboot:
		return "told to reboot"
	case run.State == core.StateBooting:
		return "waiting for the agent"
	case run.State == core.StateFailed:
		return "stopping its work for the hold"
	default:
		return string(run.State)
	}
}

func worstFinding(run *core.Run) string {
	f := report.Worst(run)
	if f == nil || f.Severity == core.Info {
		return ""
	}

	return text.Line(f.Title)
}

// foot is the small line of the tile; moment is the time at its end.
func (h *HostRow) foot(now time.Time) string {
	run := h.Run
	if run == nil {
		return "start a run from the host's page"
	}

	at, _ := route.Position(run)
	line := strconv.Itoa(at+1) + " of " + text.Count(len(run.Stages), "stage", "stages")

	switch {
	case run.Pending():
		return "can be withdrawn until "
	case run.State.Over() && h.untested() != "":
		return h.untested() + " · finished "
	case run.State.Over():
		return line + " · finished "
	case h.waiting():
		return line + " · waiting for you since "
	case at >= 0:
		if rest, guess, ok := h.Plan.Rest(run, now); ok && rest > 0 {
			return line + " · " + text.Left(rest) + " left" + measured(guess)
		}

		if left := text.Left(run.Stages[at].ETA); left != "" && run.Stages[at].Phase == core.Active {
			return line + " · " + left + " left"
		}

		return line
	case !run.Deadline.IsZero():
		return "must answer by "
	default:
		return "profile " + text.Line(run.Profile.Name)
	}
}

// untested says what a run that passed vouches for nothing of: without it, what was left out
// reads as health.
func (h *HostRow) untested() string {
	const most = 2

	if len(h.Untested) == 0 {
		return ""
	}

	names := make([]string, 0, most)
	for _, name := range h.Untested[:min(most, len(h.Untested))] {
		short, _, _ := strings.Cut(name, " (")
		names = append(names, text.Line(short))
	}

	words := "NOT tested: " + strings.Join(names, ", ")
	if more := len(h.Untested) - most; more > 0 {
		words += " and " + strconv.Itoa(more) + " more"
	}

	return words
}

// moment is the time that ends the small line; zero for none.
func (h *HostRow) moment() time.Time {
	run := h.Run

	switch {
	case run == nil:
		return time.Time{}
	case run.State.Over():
		return run.EndedAt
	case h.waiting():
		return run.UpdatedAt
	default:
		if at, _ := route.Position(run); at >= 0 {
			return time.Time{}
		}

		return run.Deadline
	}
}

func (h *HostRow) waiting() bool {
	return h.Run.State == core.StateFailedHolding || h.Run.State == core.StateFailed
}

// bar is how far the bar of the tile is; ok is false when it has none.
func (h *HostRow) bar() (p float64, ok bool) {
	if h.Run == nil {
		return 0, false
	}

	at, done := route.Position(h.Run)

	return done, at >= 0
}

// sub is the line under the host's name.
func (h *HostRow) sub() string {
	if m := text.Line(h.Model); m != "" {
		return m
	}

	return string(h.Host.MAC)
}

// href leads to the run that goes on, else to the host.
func (h *HostRow) href() string {
	if h.Run != nil && !h.Run.State.Over() && h.Host.Quarantine == "" {
		return "/runs/" + string(h.Run.ID)
	}

	return "/hosts/" + string(h.Host.MAC)
}
