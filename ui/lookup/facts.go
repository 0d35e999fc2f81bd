package lookup

import (
	"cmp"

	"vetting/core"
	"vetting/core/report"
)

// Facts is what a machine is made of, in figures; zero ones are not known.
type Facts struct {
	Cores   int    // of all processors
	RAM     uint64 // bytes
	Disks   int
	Storage uint64 // bytes of all disks
	Serial  string // of the system
}

// Facts reads what the machine of a run is made of; the zero value until its inventory is
// there. What a run found does not change any more.
func (s *Shelf) Facts(r core.Reader, id core.RunID) (Facts, error) {
	if id == "" {
		return Facts{}, nil
	}

	s.mu.Lock()
	kept, known := s.facts[id]
	s.mu.Unlock()

	if known {
		return kept, nil
	}

	inventory, err := Inventory(r, id)
	if err != nil {
		return Facts{}, err
	}

	facts := Facts{
		RAM: cmp.Or(inventory.Memory.TotalBytes, inventory.Memory.UsableBytes), Disks: len(inventory.Disks), Serial: inventory.System.Serial,
	}

	for i := range inventory.CPUs {
		facts.Cores += inventory.CPUs[i].Cores
	}

	for i := range inventory.Disks {
		facts.Storage += inventory.Disks[i].SizeBytes
	}

	if facts != (Facts{}) {
		s.mu.Lock()
		defer s.mu.Unlock()

		keep(&s.facts, id, facts)
	}

	return facts, nil
}

// Untested names what a run that is over did not test, as its report does.
func (s *Shelf) Untested(r core.Reader, run *core.Run) ([]string, error) {
	s.mu.Lock()
	kept, known := s.untested[run.ID]
	s.mu.Unlock()

	if known {
		return kept, nil
	}

	inventory, err := Inventory(r, run.ID)
	if err != nil {
		return nil, err
	}

	var names []string
	for _, gap := range report.Untested(run, &inventory) {
		names = append(names, gap.What)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	keep(&s.untested, run.ID, names)

	return names, nil
}
