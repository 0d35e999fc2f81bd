package lookup

import (
	"strings"
	"sync"

	"vetting/core"
	"vetting/ui/pace"
)

// mostShelved bounds a Shelf; it is emptied beyond.
const mostShelved = 4096

// Shelf keeps what pages of many hosts read again and again and what does not change
// any more: runs that are over, and the machine that a run found. The zero value is
// empty. Safe for concurrent use.
type Shelf struct {
	mu       sync.Mutex // guards both
	over     map[core.RunID]*core.Run
	machines map[core.RunID]pace.Machine
}

// Run reads a run. Who gets it must not change it.
func (s *Shelf) Run(r core.Reader, id core.RunID) (*core.Run, error) {
	s.mu.Lock()
	kept := s.over[id]
	s.mu.Unlock()

	if kept != nil {
		return kept, nil
	}

	run, err := Run(r, id)
	if err != nil {
		return nil, err
	}

	if run.State.Over() {
		s.mu.Lock()
		defer s.mu.Unlock()

		if s.over == nil || len(s.over) >= mostShelved {
			s.over = map[core.RunID]*core.Run{}
		}

		s.over[id] = &run
	}

	return &run, nil
}

// Model reads maker and product of the machine that a run found; empty until its
// inventory is there.
func (s *Shelf) Model(r core.Reader, id core.RunID) (string, error) {
	on, err := s.machine(r, id)

	return on.Model, err
}

// Machine reads what of the machine of a run decides how long its stages take; the zero
// value until its inventory is there.
func (s *Shelf) Machine(r core.Reader, run *core.Run) (pace.Machine, error) {
	return s.machine(r, run.ID)
}

func (s *Shelf) machine(r core.Reader, id core.RunID) (pace.Machine, error) {
	s.mu.Lock()
	on := s.machines[id]
	s.mu.Unlock()

	if on.Model != "" {
		return on, nil
	}

	inventory, err := Inventory(r, id)
	if err != nil {
		return on, err
	}

	on = pace.Read(strings.TrimSpace(inventory.System.Manufacturer+" "+inventory.System.Product), &inventory)

	if on.Model != "" {
		s.mu.Lock()
		defer s.mu.Unlock()

		if s.machines == nil || len(s.machines) >= mostShelved {
			s.machines = map[core.RunID]pace.Machine{}
		}

		s.machines[id] = on
	}

	return on, nil
}
