package spec

import (
	"fmt"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

// diskSlack is how much smaller, in permille, a disk may be than the size on its
// label: makers round 3.84 TB in both directions.
const diskSlack = 5

func (r *Result) disks(want []Disk, got *core.Inventory) {
	var slots []slot

	for i := range want {
		w := &want[i]
		slots = append(slots, expand(fmt.Sprintf("disks[%d]", i), &w.Count, len(got.Disks), slot{
			want: diskWords(w), part: core.Part{Kind: "disk", Model: w.Model.String(), Serial: w.Serial.String()},
			compare: func(i int) []field { return diskFields(w, &got.Disks[i]) },
		})...)
	}

	k := kind{missing: problem.SpecDiskMissing, extra: problem.SpecDiskExtra, path: "disks", asked: len(want) > 0}
	for i := range got.Disks {
		k.parts = append(k.parts, diskPart(&got.Disks[i]))
	}

	r.pair(k, slots)
}

func diskFields(w *Disk, d *core.Disk) []field {
	return []field{
		text("serial", problem.SpecDisk, w.Serial, d.Serial, core.Critical),
		text("wwn", problem.SpecDisk, w.WWN, d.WWN, core.Critical),
		text("model", problem.SpecDisk, w.Model, d.Model, core.Critical),
		text("transport", problem.SpecDisk, w.Transport, d.Transport, core.Critical),
		sizeAtLeast("size", problem.SpecDiskSize, w.Size, d.SizeBytes, diskSlack, core.Critical),
		text("firmware", problem.SpecFirmware, w.Firmware, d.Firmware, core.Warning),
		flag("rotational", problem.SpecDisk, w.Rotational, d.Rotational, core.Critical),
	}
}

// Expected lists the disks that an entry names by serial, with what else it says of
// them in so many words.
func (d *Disk) Expected() (disks []core.ExpectedDisk) {
	for _, serial := range d.Serial.Any {
		if !literal(serial) {
			continue
		}

		disk := core.ExpectedDisk{Serial: serial, WWN: d.WWN.only(), Model: d.Model.only()}
		if all, err := d.Size.spans(readSize); err == nil && len(all) == 1 && all[0].bare {
			disk.SizeBytes = all[0].low
		}

		disks = append(disks, disk)
	}

	return disks
}

func diskPart(d *core.Disk) core.Part {
	return core.Part{Kind: "disk", Slot: d.Name, Model: d.Model, Serial: d.Serial}
}

func diskWords(w *Disk) string {
	words := []string{"a disk"}
	if w.Size.asked() {
		words = append(words, "of "+w.Size.say(sizeWords))
	}

	for _, s := range []string{w.Transport.String(), w.Model.String()} {
		if s != "" {
			words = append(words, s)
		}
	}

	if w.Serial.asked() {
		words = append(words, "serial "+w.Serial.String())
	}

	return strings.Join(words, " ")
}

// diskGeneral looks for two disks with one serial, and for USB storage that
// nobody asked for.
func (r *Result) diskGeneral(want *Spec, got *core.Inventory) {
	seen := map[string]string{}

	for i := range got.Disks {
		d := &got.Disks[i]

		other, twice := seen[d.Model+d.Serial]
		if d.Serial != "" && twice {
			r.find(problem.SpecDuplicateSerial, core.Warning, diskPart(d), fmt.Sprintf("%s and %s both say serial %s", other, d.Name, d.Serial))
		}

		seen[d.Model+d.Serial] = d.Name

		if d.Transport == "usb" && !wantsUSB(want.Disks) {
			r.find(problem.SpecUSBStorage, core.Warning, diskPart(d), fmt.Sprintf("%s (%s) is attached by USB", d.Name, d.Model))
		}
	}
}

func wantsUSB(want []Disk) bool {
	for i := range want {
		if want[i].Transport.like("usb") {
			return true
		}
	}

	return false
}
