package view

import (
	"vetting/core"
	"vetting/ui/text"
)

// Selected is the page that does something with several hosts at once.
type Selected struct {
	Frame    Frame
	Rows     []HostRow
	Profiles []core.Profile
	Profile  string               // the one that was chosen
	Done     map[core.MAC]Started // what came of starting runs; nil: nothing was started
	Batch    string               // name under which they are started, or were
}

// Started is what came of starting a run on one of several hosts.
type Started struct {
	Run     core.RunID
	Refused string // why there is none
}

// hinders says why a run cannot be started on a host now; empty: it can.
func (h *HostRow) hinders() string {
	switch {
	case h.Host.Quarantine != "":
		return "quarantined"
	case h.Host.CurrentRun != "":
		return "a run is under way already"
	default:
		return ""
	}
}

// ready counts the hosts on which a run can be started.
func (s *Selected) ready() (n int) {
	for i := range s.Rows {
		if s.Rows[i].hinders() == "" {
			n++
		}
	}

	return n
}

func (s *Selected) startWord() string {
	return "Start vetting on " + text.Count(s.ready(), "host", "hosts")
}

func (s *Selected) chosen(p *core.Profile, i int) bool {
	return p.Name == s.Profile || s.Profile == "" && i == 0
}

// begun counts the runs that were started.
func (s *Selected) begun() (n int) {
	for _, done := range s.Done {
		if done.Run != "" {
			n++
		}
	}

	return n
}
