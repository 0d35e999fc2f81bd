// Package drift compares firmware: two runs with each other, and the parts of one
// model across all hosts. It only says what differs; which version is good is for a
// baseline to say.
package drift

import (
	"cmp"
	"slices"
	"strings"

	"vetting/core"
)

// What became of a piece of firmware or of a setting.
const (
	Changed = "changed"
	Added   = "added"
	Removed = "removed"
)

// Change is one difference between two runs.
type Change struct {
	What    string    `json:"what"` // "changed", "added" or "removed"
	Part    core.Part `json:"part"`
	Name    string    `json:"name"`
	Setting bool      `json:"setting,omitempty"` // of a setting, not of a version
	Old     string    `json:"old,omitempty"`
	New     string    `json:"new,omitempty"`
	// Other says that another part is in the place: the serial number differs.
	Other bool `json:"other_part,omitempty"`
}

// thing is an item or a setting.
type thing struct {
	part    core.Part
	name    string
	value   string
	setting bool
}

func thingsOf(s *core.FirmwareSnapshot) (list []thing) {
	for i := range s.Items {
		list = append(list, thing{part: s.Items[i].Part, name: s.Items[i].Name, value: s.Items[i].Version})
	}

	for i := range s.Settings {
		v := &s.Settings[i]
		list = append(list, thing{part: v.Part, name: v.Group + " " + v.Name, value: v.Value, setting: true})
	}

	return list
}

// Between lists what differs from the older run to the newer, in the order of the older. A part is the
// same where its serial number is, wherever it is now; else where its place is.
func Between(older, newer *core.FirmwareSnapshot) []Change {
	before, after := thingsOf(older), thingsOf(newer)
	pairs := pair(before, after)
	changes := []Change{}

	taken := make([]bool, len(after))

	for i := range before {
		b := &before[i]

		n := pairs[i]
		if n < 0 {
			changes = append(changes, Change{What: Removed, Part: b.part, Name: b.name, Setting: b.setting, Old: b.value})

			continue
		}

		taken[n] = true

		a := &after[n]
		if other := b.part.Serial != a.part.Serial; a.value != b.value || other && !b.setting {
			changes = append(changes, Change{What: Changed, Part: a.part, Name: a.name, Setting: a.setting, Old: b.value, New: a.value, Other: other})
		}
	}

	for n := range after {
		if a := &after[n]; !taken[n] {
			changes = append(changes, Change{What: Added, Part: a.part, Name: a.name, Setting: a.setting, New: a.value})
		}
	}

	return changes
}

// pair finds for each thing of before the one of after that it became, or -1.
func pair(before, after []thing) []int {
	pairs, taken := make([]int, len(before)), make([]bool, len(after))
	for i := range pairs {
		pairs[i] = -1
	}

	type key struct {
		setting          bool
		kind, name, mark string
	}

	for _, mark := range []func(p core.Part) string{
		func(p core.Part) string { return p.Serial + "\x00" + p.Slot },
		func(p core.Part) string { return p.Serial },
		func(p core.Part) string { return "in " + p.Slot },
	} {
		free := map[key][]int{}

		for n := range after {
			if a := &after[n]; !taken[n] && mark(a.part) != "" {
				k := key{a.setting, a.part.Kind, a.name, mark(a.part)}
				free[k] = append(free[k], n)
			}
		}

		for i := range before {
			b := &before[i]
			k := key{b.setting, b.part.Kind, b.name, mark(b.part)}

			if found := free[k]; pairs[i] < 0 && mark(b.part) != "" && len(found) > 0 {
				pairs[i], free[k] = found[0], found[1:]
				taken[found[0]] = true
			}
		}
	}

	return pairs
}

// Group is the firmware of one name of the parts of one model, across hosts.
type Group struct {
	Kind     string    `json:"kind"`
	Model    string    `json:"model,omitempty"`
	Name     string    `json:"name"`
	Versions []Version `json:"versions"` // the most common first
}

// Drifts reports whether not all are of one version.
func (g *Group) Drifts() bool { return len(g.Versions) > 1 }

// Version is one version in a group.
type Version struct {
	Version string   `json:"version"`
	Parts   int      `json:"parts"`
	Hosts   []string `json:"hosts"` // by name
}

// Across groups the firmware of hosts by kind, model and name of the part; those of
// more than one version come first. The firmware of a board that names no model is
// taken to be of the host's.
func Across(hosts []core.FirmwareSnapshot) []Group {
	type key struct{ kind, model, name string }

	groups, order := map[key]*Group{}, []key{}

	for h := range hosts {
		host := &hosts[h]

		for i := range host.Items {
			item := &host.Items[i]

			k := key{item.Part.Kind, item.Part.Model, item.Name}
			if k.kind == "board" && host.Model != "" {
				k.model = host.Model
			}

			g := groups[k]
			if g == nil {
				g = &Group{Kind: k.kind, Model: k.model, Name: k.name}
				groups[k], order = g, append(order, k)
			}

			g.add(item.Version, host.HostName)
		}
	}

	list := make([]Group, 0, len(order))

	for _, k := range order {
		g := groups[k]
		slices.SortStableFunc(g.Versions, func(a, b Version) int {
			return cmp.Or(cmp.Compare(len(b.Hosts), len(a.Hosts)), cmp.Compare(b.Parts, a.Parts), strings.Compare(a.Version, b.Version))
		})

		list = append(list, *g)
	}

	slices.SortStableFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(drifting(&b), drifting(&a)), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Model, b.Model), strings.Compare(a.Name, b.Name))
	})

	return list
}

func drifting(g *Group) int {
	if g.Drifts() {
		return 1
	}

	return 0
}

func (g *Group) add(version, host string) {
	i := slices.IndexFunc(g.Versions, func(v Version) bool { return v.Version == version })
	if i < 0 {
		i = len(g.Versions)
		g.Versions = append(g.Versions, Version{Version: version})
	}

	v := &g.Versions[i]
	v.Parts++

	if !slices.Contains(v.Hosts, host) {
		v.Hosts = append(v.Hosts, host)
	}
}
