package view

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// Hosts is the page that lists hosts.
type Hosts struct {
	Frame Frame
	Want  HostsWant
	Rows  []HostRow // all of them
	Trash []core.Host
}

// HostsWant is what of the list of hosts is looked at, as it stands in the page's address.
type HostsWant struct {
	Query   string
	State   string // word of a counter of the rack in lower case
	Model   string // maker and product, as it is shown
	Rack    string // without the unit
	Tag     string
	Sort    string   // name of a column; empty: by name
	Down    bool     // the largest first
	Columns []string // in their order, besides the host's name; nil: the usual ones
}

// column is one that the list can have.
type column struct {
	name, head string
	num, off   bool // numbers; left out on a phone
	less       func(a, b *HostRow) int
}

// HostColumns are those that the list can have, in their order.
func hostColumns() []column {
	byText := func(of func(*HostRow) string) func(a, b *HostRow) int {
		return func(a, b *HostRow) int {
			x, y := of(a), of(b)

			return cmp.Or(last(x == "", y == ""), text.Natural(x, y))
		}
	}
	byNumber := func(of func(*HostRow) uint64) func(a, b *HostRow) int {
		return func(a, b *HostRow) int {
			x, y := of(a), of(b)

			return cmp.Or(last(x == 0, y == 0), cmp.Compare(x, y))
		}
	}
	byTime := func(of func(*HostRow) time.Time) func(a, b *HostRow) int {
		return func(a, b *HostRow) int {
			x, y := of(a), of(b)

			return cmp.Or(last(x.IsZero(), y.IsZero()), y.Compare(x)) // the youngest first: by age
		}
	}

	return []column{
		{name: "state", head: "State", less: byText(func(h *HostRow) string { return h.Mark().Word })},
		{name: "what", head: "What goes on", less: byText((*HostRow).line)},
		{name: "model", head: "Model", less: byText(func(h *HostRow) string { return h.Model })},
		{name: "rack", head: "Place", less: byText(func(h *HostRow) string { return h.Host.Rack })},
		{name: "tags", head: "Tags", less: byText(func(h *HostRow) string { return tagWords(&h.Host) })},
		{name: "class", head: "Class", less: byText(func(h *HostRow) string { return h.Host.Class })},
		{name: "asset", head: "Asset tag", less: byText(func(h *HostRow) string { return h.Host.AssetTag })},
		{name: "serial", head: "Serial", less: byText(func(h *HostRow) string { return h.Facts.Serial })},
		{name: "cores", head: "Cores", num: true, less: byNumber(func(h *HostRow) uint64 { return uint64(max(0, h.Facts.Cores)) })},
		{name: "ram", head: "RAM", num: true, less: byNumber(func(h *HostRow) uint64 { return h.Facts.RAM })},
		{name: "disks", head: "Disks", num: true, less: byNumber(func(h *HostRow) uint64 { return uint64(h.Facts.Disks) })}, //nolint:gosec // a length
		{name: "storage", head: "Storage", num: true, less: byNumber(func(h *HostRow) uint64 { return h.Facts.Storage })},
		{name: "power", head: "Power", off: true, less: byText(func(h *HostRow) string { return powerWord(h.Host.Power.Method) })},
		{name: "online", head: "Installed system", less: byText((*HostRow).heard)},
		{name: "verdict", head: "Last verdict", less: byText(func(h *HostRow) string { return h.verdict().Word })},
		{name: "age", head: "Age of verdict", less: byTime((*HostRow).decided)},
		{name: "changed", head: "Last change", off: true, less: byTime((*HostRow).changed)},
	}
}

// last puts what is not known behind all else, whichever way the list goes: Sorted
// turns only what both know.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return unknownLast
	default:
		return -unknownLast
	}
}

const unknownLast = 2

// usualColumns are shown where nobody chose.
func usualColumns() []string {
	return []string{"state", "what", "model", "rack", "power", "online", "verdict", "age"}
}

// ReadHostsWant reads the query of an address; a word that is none chooses nothing.
func ReadHostsWant(query func(key string) string, columns []string) HostsWant {
	w := HostsWant{
		Query: query("q"), State: query("state"), Model: query("model"), Rack: query("rack"), Tag: query("tag"), Sort: query("sort"),
	}
	w.Sort, w.Down = strings.CutPrefix(w.Sort, "-")

	if !slices.ContainsFunc(countersOfNone(), func(c counter) bool { return c.state() == w.State }) {
		w.State = ""
	}

	if w.Sort != "name" && columnOf(w.Sort) == nil {
		w.Sort = ""
	}

	asked := strings.FieldsFunc(strings.Join(columns, ","), func(r rune) bool { return r == ',' || r == ' ' })

	for _, c := range hostColumns() {
		if slices.Contains(asked, c.name) {
			w.Columns = append(w.Columns, c.name)
		}
	}

	return w
}

func columnOf(name string) *column {
	all := hostColumns()
	if i := slices.IndexFunc(all, func(c column) bool { return c.name == name }); i >= 0 {
		return &all[i]
	}

	return nil
}

// columns are those that are shown; w may be nil.
func (w *HostsWant) columns() (list []column) {
	names := usualColumns()
	if w != nil && w.Columns != nil {
		names = w.Columns
	}

	for _, c := range hostColumns() {
		if slices.Contains(names, c.name) {
			list = append(list, c)
		}
	}

	return list
}

// filtered reports whether less than all hosts are asked for.
func (w *HostsWant) filtered() bool {
	return w.Query != "" || w.State != "" || w.Model != "" || w.Rack != "" || w.Tag != ""
}

// href is the address of what is wanted, below path.
func (w *HostsWant) href(path string) string {
	values := url.Values{}

	for key, value := range map[string]string{
		"q": w.Query, "state": w.State, "model": w.Model, "rack": w.Rack, "tag": w.Tag, "sort": w.order(), "cols": strings.Join(w.Columns, ","),
	} {
		if value != "" {
			values.Set(key, value)
		}
	}

	if len(values) == 0 {
		return path
	}

	return path + "?" + values.Encode()
}

func (w *HostsWant) order() string {
	if w.Down {
		return "-" + w.Sort
	}

	return w.Sort
}

// sorted is where a click on the head of a column leads: its order, and then the other
// way round.
func (w *HostsWant) sorted(name string) string {
	other := *w
	other.Down = w.Sort == name && !w.Down || w.Sort == "" && name == "name"
	other.Sort = name

	return other.href("/hosts")
}

// ariaSort says to those who do not see it how the list is ordered.
func (w *HostsWant) ariaSort(name string) string {
	switch {
	case w.Sort != name && (w.Sort != "" || name != "name"):
		return ""
	case w.Down:
		return "descending"
	default:
		return "ascending"
	}
}

// arrow shows the same to those who do.
func (w *HostsWant) arrow(name string) string {
	return map[string]string{"ascending": " ↑", "descending": " ↓"}[w.ariaSort(name)]
}

// filters are the parts of the address that choose hosts.
func (w *HostsWant) filters() (kept []Hidden) {
	for _, f := range []Hidden{{"q", w.Query}, {"state", w.State}, {"model", w.Model}, {"rack", w.Rack}, {"tag", w.Tag}} {
		if f.Value != "" {
			kept = append(kept, f)
		}
	}

	return kept
}

// usual is the address with the usual columns.
func (w *HostsWant) usual() string {
	other := *w
	other.Columns = nil

	return other.href("/hosts")
}

// NeedsFacts reports whether a column shows what machines are made of.
func (w *HostsWant) NeedsFacts() bool {
	of := []string{"serial", "cores", "ram", "disks", "storage"}

	return slices.Contains(of, w.Sort) || slices.ContainsFunc(w.Columns, func(name string) bool { return slices.Contains(of, name) })
}

// withChosen are the offers of a list; what was chosen is among them, also where no host
// has it any more.
func withChosen(offers []string, chosen string) []string {
	if chosen == "" || slices.Contains(offers, chosen) {
		return offers
	}

	return append(slices.Clone(offers), chosen)
}

// without is the address without the filters: sorting and columns stay.
func (w *HostsWant) without() string {
	other := HostsWant{Sort: w.Sort, Down: w.Down, Columns: w.Columns}

	return other.href("/hosts")
}

// Fits reports whether a host is asked for.
func (w *HostsWant) Fits(h *HostRow) bool {
	rack, _ := h.place()

	return (w.State == "" || h.standing() == w.State) && (w.Model == "" || text.Line(h.Model) == w.Model) && (w.Rack == "" || rack == w.Rack) &&
		(w.Tag == "" || slices.Contains(h.tags(), w.Tag)) && h.Fits(w.Query)
}

// Chosen are the hosts that are asked for, in the order that is.
func (w *HostsWant) Chosen(rows []HostRow) (list []*HostRow) {
	for i := range rows {
		if w.Fits(&rows[i]) {
			list = append(list, &rows[i])
		}
	}

	c := columnOf(w.Sort)

	slices.SortStableFunc(list, func(a, b *HostRow) int {
		order := text.Natural(a.Host.Name, b.Host.Name)
		if c != nil {
			order = c.less(a, b)
		}

		if w.Down && order != unknownLast && order != -unknownLast {
			return -order
		}

		return order
	})

	return list
}

// offers are the values that hosts have, for the lists to choose from.
func (h *Hosts) offers(of func(*HostRow) []string) []string {
	var list []string

	for i := range h.Rows {
		for _, word := range of(&h.Rows[i]) {
			if word != "" && !slices.Contains(list, word) {
				list = append(list, word)
			}
		}
	}

	slices.SortFunc(list, text.Natural)

	return list
}

func (h *Hosts) models() []string {
	return h.offers(func(row *HostRow) []string { return []string{text.Line(row.Model)} })
}

func (h *Hosts) racks() []string {
	return h.offers(func(row *HostRow) []string {
		rack, _ := row.place()

		return []string{rack}
	})
}

func (h *Hosts) tags() []string { return h.offers((*HostRow).tags) }

// tags are those of a host as they are shown and asked for.
func (h *HostRow) tags() []string {
	list := make([]string, 0, len(h.Host.Tags))
	for _, tag := range h.Host.Tags {
		list = append(list, text.Line(tag))
	}

	return list
}

// states are the words of the counters of the rack.
func (h *Hosts) states() (list []string) {
	for _, c := range countersOfNone() {
		list = append(list, c.state())
	}

	return list
}

// picks are the columns that can be chosen; the third of each is whether it is shown.
func (h *Hosts) picks() (list []choice) {
	shown := h.Want.columns()

	for _, c := range hostColumns() {
		list = append(list, choice{c.head, c.name, slices.ContainsFunc(shown, func(s column) bool { return s.name == c.name })})
	}

	return list
}

// told reports whether the state of the host is its last verdict already.
func (h *HostRow) told() bool {
	return h.Last == nil || h.Run != nil && h.Run.ID == h.Last.ID && h.Run.State.Over()
}

// verdict marks what the last run that was decided came to.
func (h *HostRow) verdict() mark.Mark {
	if h.Last == nil {
		return mark.Mark{}
	}

	m := mark.Run(h.Last)
	if h.Last.State == core.StateFailedHolding || !h.Last.State.Over() {
		m = mark.Verdict(report.Read(h.Last, nil).Kind)
	}

	return m
}

// decided is when that was; zero: never.
func (h *HostRow) decided() time.Time {
	if h.Last == nil {
		return time.Time{}
	}

	if h.Last.EndedAt.IsZero() {
		return h.Last.UpdatedAt
	}

	return h.Last.EndedAt
}

func (h *HostRow) changed() time.Time {
	if h.Run == nil {
		return time.Time{}
	}

	return h.Run.UpdatedAt
}

func (h *HostRow) heard() string {
	if h.Presence == nil {
		return ""
	}

	return mark.Online(h.Presence.Online).Word
}

// plain is the text of a column that is nothing but text.
func (h *HostRow) plain(name string) string {
	switch name {
	case "model":
		return text.Line(h.Model)
	case "rack":
		return text.Line(h.Host.Rack)
	case "tags":
		return text.Line(tagWords(&h.Host))
	case "class":
		return text.Line(h.Host.Class)
	case "asset":
		return text.Line(h.Host.AssetTag)
	case "serial":
		return text.Line(h.Facts.Serial)
	case "cores":
		return figure(h.Facts.Cores)
	case "ram":
		return amount(h.Facts.RAM)
	case "disks":
		return figure(h.Facts.Disks)
	case "storage":
		return amount(h.Facts.Storage)
	case "power":
		return powerWord(h.Host.Power.Method)
	default:
		return ""
	}
}

// age says how old a verdict is, roughly.
func age(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return ""
	case d < time.Hour:
		return text.Count(max(0, int(d.Minutes())), "minute", "minutes")
	case d < 48*time.Hour:
		return text.Count(int(d.Hours()), "hour", "hours")
	default:
		return text.Count(int(d.Hours()/24), "day", "days")
	}
}

// figure writes a number; nothing where it is not known.
func figure(n int) string {
	if n == 0 {
		return ""
	}

	return strconv.Itoa(n)
}

// amount writes a size; nothing where it is not known.
func amount(n uint64) string {
	if n == 0 {
		return ""
	}

	return size(int64(min(n, 1<<62))) //nolint:gosec // bounded
}
