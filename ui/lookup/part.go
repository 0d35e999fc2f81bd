package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/catalogue"
	"vetting/core/report"
)

// Bounds of the history of a part: runs that are looked at, and times it was seen that
// are told.
const (
	mostLookedAt  = 500
	mostSightings = 100
)

// LongestSerial bounds what is taken for a serial number, in bytes.
const LongestSerial = 128

// Sighting is a part as one run found it.
type Sighting struct {
	Run      core.RunID
	Host     core.MAC
	HostName string
	At       time.Time
	State    core.State
	Verdict  core.Verdict
	Part     report.Component
	Findings []core.Finding     // about this part
	Counters map[string]float64 // of a disk, by their names in the catalogue
}

// PartHistory reads where a part was seen, the newest run first: in which machines and
// slots, with which firmware, and what was found about it. whole is false where older runs
// were not looked at.
func PartHistory(r core.Reader, serial string) (list []Sighting, whole bool, err error) {
	if serial == "" || len(serial) > LongestSerial {
		return nil, true, nil
	}

	// Most inventories have nothing of it: their text tells, and need not be taken apart.
	quoted, err := json.Marshal(serial)
	if err != nil {
		return nil, false, err
	}

	written, looked := bytes.Trim(quoted, `"`), 0

	err = r.Scan(core.TableInventory, core.Query{Reverse: true, Limit: mostLookedAt}, func(key string, decode func(any) error) error {
		looked++

		var text json.RawMessage
		if err := decode(&text); err != nil || !bytes.Contains(text, written) {
			return err
		}

		var inventory core.Inventory
		if err := json.Unmarshal(text, &inventory); err != nil {
			return fmt.Errorf("reading the inventory of %s: %w", key, err)
		}

		for _, part := range report.ComponentsOf(&inventory, nil) {
			if part.Serial != serial {
				continue
			}

			run, err := Run(r, core.RunID(key))
			if err != nil {
				return err
			}

			part.Slot = bayOf(&inventory, &part)

			if list = append(list, sighting(&run, part)); len(list) == mostSightings {
				return errEnough
			}
		}

		return nil
	})

	whole = looked < mostLookedAt && !errors.Is(err, errEnough)
	if errors.Is(err, errEnough) {
		err = nil
	}

	return list, whole, err
}

func sighting(run *core.Run, part report.Component) Sighting {
	s := Sighting{
		Run: run.ID, Host: run.Host, HostName: run.HostName, At: run.CreatedAt, State: run.State, Verdict: run.Verdict, Part: part,
		Counters: map[string]float64{},
	}

	prefix := "disk/" + strings.ToLower(part.Serial) + "/"

	for i := range run.Stages {
		for _, f := range run.Stages[i].Findings {
			if f.Part.Serial == part.Serial {
				s.Findings = append(s.Findings, f)
			}
		}

		for _, m := range run.Stages[i].Measurements {
			if quantity, found := strings.CutPrefix(strings.ToLower(m.Key), prefix); found && counts(m.Key) {
				s.Counters[quantity] = m.Value
			}
		}
	}

	return s
}

// counts reports whether a key is about a counter or a share of a part's life, and no
// speed or temperature of a moment.
func counts(key string) bool {
	entry, known := catalogue.Lookup(strings.ToLower(key))

	return known && (entry.Unit == "count" || entry.Unit == "hours" || entry.Unit == "percent")
}

// bayOf is where a part sits: a disk's kernel name is another one at each boot, its bay,
// where its enclosure tells it, is not.
func bayOf(inventory *core.Inventory, part *report.Component) string {
	for i := range inventory.Disks {
		if d := &inventory.Disks[i]; part.Kind == "disk" && d.Serial == part.Serial && d.Bay != "" {
			return d.Bay
		}
	}

	return part.Slot
}
