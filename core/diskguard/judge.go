package diskguard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// Reason is one thing that stands against writing. Code is an entry of core/problem,
// which says what to do.
type Reason struct {
	Code     string
	Evidence string
}

// Decision is what the guard says. Only a Decision that MayOpen or MayWrite returned
// without reasons allows anything: the zero value does not.
type Decision struct {
	Reasons []Reason

	asked bool
	name  string
}

// Allowed reports whether nothing stands against it.
func (d Decision) Allowed() bool { return d.asked && len(d.Reasons) == 0 }

// Allows reports whether nothing stands against it, for the disk of this name.
func (d Decision) Allows(name string) bool { return d.Allowed() && d.name == name && name != "" }

// Has reports whether a reason of this code is among them.
func (d Decision) Has(code string) bool {
	return slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Code == code })
}

// String lists the reasons in one line, for a log.
func (d Decision) String() string {
	if d.Allowed() {
		return "allowed"
	}

	words := make([]string, len(d.Reasons))
	for i, r := range d.Reasons {
		words[i] = r.Code + " (" + r.Evidence + ")"
	}

	return strings.Join(words, "; ")
}

// MayOpen decides whether the disk may be opened for writing.
func MayOpen(f *Facts) Decision {
	j := &judge{Facts: f}
	j.everything()

	return j.decision()
}

// MayWrite decides whether the descriptor, which is open, may be written to. It asks
// again all that MayOpen asks: the facts may be others by now.
func MayWrite(f *Facts) Decision {
	j := &judge{Facts: f}
	j.everything()
	j.opened()

	return j.decision()
}

// MayGoOn decides whether a disk that MayWrite allowed may be written further. By then
// its content is that of the test, and is not asked about.
func MayGoOn(f *Facts) Decision {
	j := &judge{Facts: f}
	j.run()
	j.identity()
	j.kind()
	j.twins()
	j.use()
	j.opened()

	return j.decision()
}

type judge struct {
	*Facts

	reasons []Reason
}

func (j *judge) decision() Decision {
	return Decision{Reasons: j.reasons, asked: true, name: j.Disk.Name}
}

func (j *judge) say(against bool, code, format string, args ...any) {
	if against {
		j.reasons = append(j.reasons, Reason{Code: code, Evidence: fmt.Sprintf(format, args...)})
	}
}

func (j *judge) everything() {
	j.run()
	j.identity()
	j.kind()
	j.twins()
	j.use()
	j.content()
}

// run asks whether this run writes at all, now.
func (j *judge) run() {
	j.say(!j.Live, problem.StorageNotLive, "the system does not run in memory alone")
	j.say(!j.Destructive, problem.StorageNotDestructive, "the profile does not say destructive")
	j.say(!j.Now.Before(j.Lease), problem.StorageNoLease, "the lease ended %s, it is %s", clock(j.Lease), clock(j.Now))
}

// identity asks whether the disk is the one that was armed: by serial number and by
// WWN, and by whatever else was known of it.
func (j *judge) identity() {
	d := &j.Disk

	j.say(d.Serial == "", problem.StorageNoSerial, "%s tells no serial number", d.Name)

	for _, p := range j.Protected {
		p = plainID(p)
		j.say(p != "" && (p == plainID(d.Serial) || p == plainID(d.WWN)), problem.StorageProtected, "%s is on the list of what is never written", p)
	}

	var known []core.ExpectedDisk

	for _, e := range j.Expected {
		if d.Serial != "" && e.Serial == d.Serial {
			known = append(known, e)
		}
	}

	switch {
	case len(known) == 0:
		j.say(true, problem.StorageNotExpected, "serial %q is not among the %d disks that this host is known to have", d.Serial, len(j.Expected))

		return
	case len(known) > 1:
		j.say(true, problem.StorageSameSerial, "the appliance knows %d disks with serial %q", len(known), d.Serial)

		return
	}

	e := known[0]

	j.say(!e.Armed, problem.StorageNotArmed, "serial %q is not armed for this run", d.Serial)
	j.say(!strings.EqualFold(e.WWN, d.WWN), problem.StorageOtherDisk, "its WWN is %s, known is %s", orNone(d.WWN), orNone(e.WWN))
	j.say(e.Model != "" && e.Model != d.Model, problem.StorageOtherDisk, "its model is %s, known is %s", orNone(d.Model), orNone(e.Model))
	j.say(e.SizeBytes != 0 && !sameSize(e, d), problem.StorageOtherDisk, "it has %d bytes, known are %d", d.SizeBytes, e.SizeBytes)
	j.say(e.WWN == "" && e.SizeBytes == 0, problem.StorageNeverSeen, "of serial %q neither a WWN nor a size is known", d.Serial)
}

// plainID is a serial number or WWN as it is compared with the list of what is never
// written: without spaces, case and the words that tools put before a WWN.
func plainID(id string) string {
	id = strings.ToLower(strings.Join(strings.Fields(id), ""))
	for _, prefix := range []string{"wwn-", "0x", "naa.", "eui."} {
		id = strings.TrimPrefix(id, prefix)
	}

	return id
}

// sameSize compares exactly, unless the WWN fits: then the size may be the one on the
// label, as people write it into a spec, which is a little off.
func sameSize(e core.ExpectedDisk, d *Disk) bool {
	if e.WWN == "" {
		return e.SizeBytes == d.SizeBytes
	}

	return max(e.SizeBytes, d.SizeBytes)-min(e.SizeBytes, d.SizeBytes) <= d.SizeBytes/50
}

// local are the transports of disks that belong to the machine.
func local(transport string) bool {
	return slices.Contains([]string{"sata", "sas", "nvme", "scsi", "virtio"}, transport)
}

// kind asks whether it is a fixed disk of this machine that can be written.
func (j *judge) kind() {
	j.fixed()
	j.writable()

	for _, label := range j.Probe.Labels {
		j.say(strings.HasPrefix(strings.ToUpper(label), KitLabel), problem.StorageKit, "it has the label %q", label)
	}
}

// fixed asks whether it belongs to the machine.
func (j *judge) fixed() {
	d := &j.Disk

	j.say(d.Removable, problem.StorageRemovable, "%s has a removable medium", d.Name)
	j.say(!local(d.Transport), problem.StorageRemovable, "%s is attached by %s", d.Name, orNone(d.Transport))
}

// writable asks whether it is a whole disk of this machine that takes writes.
func (j *judge) writable() {
	d := &j.Disk

	j.say(d.Network != "", problem.StorageNetworked, "%s is reached by %s", d.Name, d.Network)
	j.say(d.Zoned, problem.StorageZoned, "the zones of %s are the host's to manage", d.Name)
	j.say(d.Volume, problem.StorageVolume, "%s is made by a controller", d.Name)
	j.say(d.ReadOnly, problem.StorageReadOnly, "%s is read-only", d.Name)
	j.say(d.Reserved != "", problem.StorageReserved, "%s", d.Reserved)
	j.say(d.SizeBytes == 0, problem.StorageUnknown, "%s has no size", d.Name)
	j.say(d.Block < 512 || d.Block&(d.Block-1) != 0, problem.StorageSectorSize, "%s has blocks of %d bytes", d.Name, d.Block)
	j.say(d.Name == "" || d.Number == "", problem.StorageUnknown, "it has no name or no number")

	for _, what := range d.Unknown {
		j.say(true, problem.StorageUnknown, "%s", what)
	}
}

// twins asks whether another disk could be meant.
func (j *judge) twins() {
	d := &j.Disk

	j.say(len(d.Paths) > 0, problem.StorageTwin, "%s is there as %s, too", d.Name, strings.Join(d.Paths, ", "))

	for i := range j.Others {
		o := &j.Others[i]

		j.say(d.Serial != "" && strings.EqualFold(o.Serial, d.Serial), problem.StorageSameSerial, "%s and %s both have serial %q", d.Name, o.Name, d.Serial)
		j.say(d.WWN != "" && strings.EqualFold(o.WWN, d.WWN), problem.StorageTwin, "%s and %s both have WWN %s", d.Name, o.Name, d.WWN)
		j.say(d.Number != "" && o.Number == d.Number, problem.StorageTwin, "%s and %s are both number %s", d.Name, o.Name, d.Number)
	}
}

// use asks whether somebody has it in use.
func (j *judge) use() {
	d := &j.Disk

	j.say(len(d.Holders) > 0, problem.StorageInUse, "%s is a part of %s", d.Name, strings.Join(d.Holders, ", "))
	j.say(len(d.Mounts) > 0, problem.StorageInUse, "%s is mounted at %s", d.Name, strings.Join(d.Mounts, ", "))
	j.say(len(d.Swap) > 0, problem.StorageInUse, "%s is swapped to as %s", d.Name, strings.Join(d.Swap, ", "))
}

// content asks whether it holds somebody's data, and whether that may go.
func (j *judge) content() {
	p := &j.Probe

	fresh := p.Done && p.Samples > 0 && !p.At.IsZero() && !p.At.After(j.Now) && j.Now.Sub(p.At) <= ProbeLife
	j.say(!fresh, problem.StorageNotProbed, "it was not looked at, or too long ago, for what it holds")

	if j.Override.Given && j.Now.Before(j.Override.Until) {
		return
	}

	j.say(len(p.Signatures) > 0, problem.StorageForeignData, "it holds %s", strings.Join(p.Signatures, ", "))
	j.say(p.BlankOnly && p.Foreign > 0, problem.StorageForeignData, "%d of %d samples are not blank", p.Foreign, p.Samples)
	j.say(j.Override.Given && (len(p.Signatures) > 0 || p.BlankOnly && p.Foreign > 0), problem.StorageOverrideOver, "the override counted until %s", clock(j.Override.Until))
}

// opened compares the descriptor with what was seen by name.
func (j *judge) opened() {
	o, d := j.Opened, &j.Disk
	if o == nil {
		j.say(true, problem.StorageNotExclusive, "it is not open")

		return
	}

	j.say(!o.Exclusive, problem.StorageNotExclusive, "somebody else has %s open", d.Name)
	j.say(o.ReadOnly, problem.StorageReadOnly, "the open %s is read-only", d.Name)
	j.say(o.Number != d.Number, problem.StorageChanged, "the number was %s and is %s", d.Number, o.Number)
	j.say(o.Serial != d.Serial, problem.StorageChanged, "the serial was %q and is %q", d.Serial, o.Serial)
	j.say(!strings.EqualFold(o.WWN, d.WWN), problem.StorageChanged, "the WWN was %s and is %s", orNone(d.WWN), orNone(o.WWN))
	j.say(o.SizeBytes != d.SizeBytes, problem.StorageChanged, "it had %d bytes and has %d", d.SizeBytes, o.SizeBytes)
	j.say(o.Block != d.Block, problem.StorageChanged, "its blocks had %d bytes and have %d", d.Block, o.Block)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}

	return s
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}

	return t.UTC().Format(time.TimeOnly)
}
