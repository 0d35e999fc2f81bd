// Package trial says what a run of a profile would do on a host. It starts nothing. The
// pages that show a plan, the API and the command line all tell what it finds.
package trial

import (
	"cmp"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/diskguard"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/ui/lookup"
	"vetting/ui/pace"
)

// Trial is what a profile would do on a host.
type Trial struct {
	Profile core.Profile // with the overrides of class, host and run
	Host    core.Host
	Class   *core.Class // nil: it has none
	Run     core.Run    // as it would be, with all of its stages before it
	Plan    pace.Plan
	On      pace.Machine

	Armed     []string // serial numbers of disks that are to be overwritten
	Inventory core.Inventory
	Found     map[string]lookup.DiskFind // on the disks by the last run, by serial number

	// Fault is what is wrong with the overrides together: a run would be refused for it.
	Fault error

	skip map[core.StageName]string
}

// Planned is a run of a profile that has not begun.
func Planned(p *core.Profile) *core.Run {
	run := &core.Run{Profile: *p}
	for _, name := range p.Stages {
		run.Stages = append(run.Stages, core.Stage{Name: name, Phase: core.Pending})
	}

	return run
}

// New lays what is said of a host, its class and this run over a profile, as the engine
// does when the run is started. class may be nil.
func New(p *core.Profile, host *core.Host, class *core.Class, wish *core.StartRun) *Trial {
	t := &Trial{Host: *host, Class: class, Armed: wish.Armed}

	var of core.Override
	if class != nil {
		of = class.Overrides
	}

	frozen, err := profile.Freeze(*p,
		profile.Override{From: core.FromClass, Override: of},
		profile.Override{From: core.FromHost, Override: host.Overrides},
		profile.Override{From: core.FromRun, Override: wish.Overrides})
	t.Profile, t.skip, t.Fault = frozen.Profile, frozen.Skip, err
	t.Profile.Scale = cmp.Or(wish.Scale, p.Scale)
	t.Run = *Planned(&t.Profile)
	t.Run.ID = cmp.Or(host.CurrentRun, host.LastRun)

	return t
}

// Skips says why a stage would be left out; empty: it would not.
func (t *Trial) Skips(stage core.StageName) string { return t.skip[stage] }

// Steps is the run with the stages that would be carried out.
func (t *Trial) Steps() *core.Run {
	run := t.Run
	run.Stages = slices.DeleteFunc(slices.Clone(run.Stages), func(st core.Stage) bool { return t.Skips(st.Name) != "" })

	return &run
}

// Writes reports whether disks would be overwritten.
func (t *Trial) Writes() bool {
	return len(t.Armed) > 0 && profile.Destructive(&t.Profile) && slices.Contains(t.Profile.Stages, core.Storage) && t.Skips(core.Storage) == ""
}

// Fate is what becomes of a disk.
type Fate string

// The fates of disks.
const (
	Overwritten Fate = "overwritten"
	Refused     Fate = "refused" // it is armed, and is known not to be written
	ReadOnly    Fate = "read-only"
)

// Disk is a disk in the plan.
type Disk struct {
	Disk    core.Disk
	Content string // what the last run found on it; empty: it did not look
	Fate    Fate
	Against []diskguard.Reason // what stands against writing to it, as far as it is known before the run
}

// Disks lists the disks of the machine as the last run found them, and what is armed and
// was not seen: those that would be overwritten first, then those that are refused.
func (t *Trial) Disks() (list []Disk) {
	seen := map[string]bool{}

	for i := range t.Inventory.Disks {
		d := &t.Inventory.Disks[i]
		seen[d.Serial] = true
		list = append(list, t.disk(d))
	}

	for _, serial := range t.Armed {
		if !seen[serial] {
			list = append(list, t.unseen(serial))
		}
	}

	order := []Fate{Overwritten, Refused, ReadOnly}

	slices.SortStableFunc(list, func(a, b Disk) int {
		return cmp.Compare(slices.Index(order, a.Fate), slices.Index(order, b.Fate))
	})

	return list
}

func (t *Trial) disk(d *core.Disk) Disk {
	row := Disk{Disk: *d, Content: t.Found[d.Serial].Text, Fate: ReadOnly}

	if d.Serial == "" || !slices.Contains(t.Armed, d.Serial) || !t.Writes() {
		return row
	}

	row.Fate, row.Against = Overwritten, diskguard.Foresee(d, t.Inventory.Disks)

	if found := t.Found[d.Serial]; found.Foreign {
		row.Against = append(row.Against, diskguard.Reason{Code: problem.StorageForeignData, Evidence: found.Text})
	}

	if len(row.Against) > 0 {
		row.Fate = Refused
	}

	return row
}

// unseen is a disk that is armed and was not in the machine. It is written where the spec
// tells who it is.
func (t *Trial) unseen(serial string) Disk {
	row := Disk{Disk: core.Disk{Serial: serial}, Content: "was not in the machine when it was last looked at", Fate: ReadOnly}

	switch {
	case !t.Writes():
	case strings.Contains(t.spec(), serial):
		row.Fate = Overwritten
	default:
		row.Fate = Refused
		row.Against = []diskguard.Reason{{Code: problem.StorageNeverSeen, Evidence: "no spec tells its WWN or size, and no run has seen them"}}
	}

	return row
}

func (t *Trial) spec() string {
	if t.Host.SpecYAML == "" && t.Class != nil {
		return t.Class.SpecYAML
	}

	return t.Host.SpecYAML
}

// SpecOf says whose spec the machine is compared with; empty: there is none.
func (t *Trial) SpecOf() core.Layer {
	switch {
	case t.Host.SpecYAML != "":
		return core.FromHost
	case t.spec() != "":
		return core.FromClass
	default:
		return ""
	}
}
