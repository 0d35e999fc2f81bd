package ras

import "time"

// The rate at which corrected errors of a link are a storm: each minute more than
// so many, so many minutes in a row.
const (
	stormErrors  = 10
	stormMinutes = 5
)

// storms watches PCIe links for storms of corrected errors, which a long stage's mean
// would hide. It is used under the collector's lock.
type storms struct {
	at   time.Time
	last map[string]uint64 // by counter
	row  map[string]int    // minutes in a row
	seen map[string]bool   // since it was asked last
}

// take looks at the counters once a minute.
func (s *storms) take(now time.Time, read func() []Counter) {
	if now.Sub(s.at) < time.Minute {
		return
	}

	late := now.Sub(s.at) > 2*time.Minute // nobody looked meanwhile
	last := s.last
	s.at, s.last = now, map[string]uint64{}

	for _, c := range read() {
		if c.Kind != PCIeCorrected {
			continue
		}

		s.last[c.Name] = c.Value

		before, known := last[c.Name]
		if !known || late || c.Value <= before || c.Value-before <= stormErrors {
			delete(s.row, c.Name)

			continue
		}

		if s.row == nil {
			s.row, s.seen = map[string]int{}, map[string]bool{}
		}

		s.row[c.Name]++
		if s.row[c.Name] >= stormMinutes {
			s.seen[c.Name] = true
		}
	}
}

// tell returns the counters that stormed since it was asked last.
func (s *storms) tell() map[string]bool {
	seen := s.seen
	s.seen = map[string]bool{}

	return seen
}
