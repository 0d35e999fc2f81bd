package diskguard

import "vetting/core"

// Foresee says what stands against writing to a disk that is armed, as far as an
// inventory tells it before the run: all are the disks of the machine. It allows nothing:
// the agent asks everything once more, at the machine.
func Foresee(d *core.Disk, all []core.Disk) []Reason {
	f := &Facts{Disk: Disk{
		Name: d.Name, Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, Transport: d.Transport, Removable: d.Removable, Paths: d.OtherPaths,
	}}

	// Other disks stand in Expected, and not in Others: two with one serial number are told
	// apart by neither.
	for i := range all {
		if o := &all[i]; o.Serial != "" {
			f.Expected = append(f.Expected, core.ExpectedDisk{Serial: o.Serial, WWN: o.WWN, Model: o.Model, SizeBytes: o.SizeBytes, Armed: o.Serial == d.Serial})
		}
	}

	j := &judge{Facts: f}
	j.identity()
	j.fixed()
	j.twins()

	return j.reasons
}
