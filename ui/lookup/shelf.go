package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"vetting/core"
	"vetting/ui/pace"
	said "vetting/ui/text"
)

// mostShelved bounds a Shelf; it is emptied beyond.
const mostShelved = 4096

// Shelf keeps what pages of many hosts read again and again: runs that are over and the
// machine that a run found, which do not change any more, and hosts and runs that go on
// with the text they were read from, which is read anew and compared. The zero value is empty.
// Safe for concurrent use.
type Shelf struct {
	mu       sync.Mutex // guards all
	hosts    map[core.MAC]copied[core.Host]
	over     map[core.RunID]*core.Run
	live     map[core.RunID]copied[core.Run]
	machines map[core.RunID]pace.Machine
	facts    map[core.RunID]Facts
	untested map[core.RunID][]string
}

// copied is a record and the text that it was read from.
type copied[T any] struct {
	text   json.RawMessage
	record *T
}

// is whether the record was read from that text.
func (c copied[T]) is(text json.RawMessage) bool { return c.record != nil && bytes.Equal(c.text, text) }

// Hosts lists every host by name, as AllHosts does. Who gets them must not change them.
func (s *Shelf) Hosts(r core.Reader) ([]*core.Host, error) {
	var hosts []*core.Host

	err := r.Scan(core.TableHost, core.Query{}, func(key string, decode func(any) error) error {
		var text json.RawMessage
		if err := decode(&text); err != nil {
			return err
		}

		host, err := s.host(core.MAC(key), text)
		hosts = append(hosts, host)

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", core.TableHost, err)
	}

	slices.SortFunc(hosts, byName)

	return hosts, nil
}

func byName(a, b *core.Host) int { return said.Natural(a.Name, b.Name) }

func (s *Shelf) host(mac core.MAC, text json.RawMessage) (*core.Host, error) {
	s.mu.Lock()
	had := s.hosts[mac]
	s.mu.Unlock()

	if had.is(text) {
		return had.record, nil
	}

	host := new(core.Host)
	if err := json.Unmarshal(text, host); err != nil {
		return nil, fmt.Errorf("reading the host %s: %w", mac, err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	keep(&s.hosts, mac, copied[core.Host]{text, host})

	return host, nil
}

// Run reads a run. Who gets it must not change it.
func (s *Shelf) Run(r core.Reader, id core.RunID) (*core.Run, error) {
	s.mu.Lock()
	kept := s.over[id]
	s.mu.Unlock()

	if kept != nil {
		return kept, nil
	}

	var text json.RawMessage

	if err := r.Get(core.TableRun, string(id), &text); errors.Is(err, core.ErrNotFound) {
		return nil, noRun(string(id))
	} else if err != nil {
		return nil, err
	}

	return s.read(id, text)
}

// read reads a run from its text; where that is the one on the shelf, so is the run.
func (s *Shelf) read(id core.RunID, text json.RawMessage) (*core.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if had := s.live[id]; had.is(text) {
		return had.record, nil
	}

	run := new(core.Run)
	if err := json.Unmarshal(text, run); err != nil {
		return nil, fmt.Errorf("reading the run %s: %w", id, err)
	}

	if run.State.Over() {
		delete(s.live, id)
		keep(&s.over, id, run)
	} else {
		keep(&s.live, id, copied[core.Run]{text, run})
	}

	return run, nil
}

// keep puts something on a shelf, which is emptied when it is full.
func keep[K comparable, T any](shelf *map[K]T, id K, what T) {
	if *shelf == nil || len(*shelf) >= mostShelved {
		*shelf = map[K]T{}
	}

	(*shelf)[id] = what
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

		keep(&s.machines, id, on)
	}

	return on, nil
}
