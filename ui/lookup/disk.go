package lookup

import (
	"errors"

	"vetting/core"
)

// DisksOf returns the inventory that a run took, and what it found on the disks, by their
// serial numbers: what stopped it from overwriting them, or that it did.
func DisksOf(r core.Reader, id core.RunID) (inventory core.Inventory, data map[string]string, err error) {
	data = map[string]string{}

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
			data[serial] = st.SubSteps[i].Summary
		}
	}

	for i := range st.Findings { // what stands in the way says more
		if f := &st.Findings[i]; f.Part.Serial != "" && f.Code == "storage/foreign-data" {
			data[f.Part.Serial] = f.Evidence
		}
	}

	return inventory, data, nil
}
