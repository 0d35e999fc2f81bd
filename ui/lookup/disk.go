package lookup

import (
	"errors"

	"vetting/core"
	"vetting/core/problem"
)

// DiskFind is what a run found on a disk.
type DiskFind struct {
	Text    string
	Foreign bool // data that nobody gave away
}

// DisksOf returns the inventory that a run took, and what it found on the disks, by their
// serial numbers: what stopped it from overwriting them, or that it did.
func DisksOf(r core.Reader, id core.RunID) (inventory core.Inventory, data map[string]DiskFind, err error) {
	data = map[string]DiskFind{}

	if inventory, err = Inventory(r, id); err != nil || id == "" {
		return inventory, data, err
	}

	run, err := Run(r, id)
	if errors.Is(err, core.ErrNotFound) {
		return inventory, data, nil
	}

	at := run.StageAt(core.Storage)
	if err != nil || at < 0 {
		return inventory, data, err
	}

	st := &run.Stages[at]

	for i := range st.SubSteps {
		if serial := st.SubSteps[i].Part.Serial; serial != "" && st.SubSteps[i].Summary != "" {
			data[serial] = DiskFind{Text: st.SubSteps[i].Summary}
		}
	}

	for i := range st.Findings { // what stands in the way says more
		if f := &st.Findings[i]; f.Part.Serial != "" && f.Code == problem.StorageForeignData {
			data[f.Part.Serial] = DiskFind{Text: f.Evidence, Foreign: true}
		}
	}

	return inventory, data, nil
}
