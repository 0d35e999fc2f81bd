package view

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/lookup"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// Part is the page of one part, known by its serial number.
type Part struct {
	Frame  Frame
	Serial string
	Seen   []lookup.Sighting // the newest first
	Whole  bool              // nothing older was left out
}

// pathPart is where the history of a part stands.
func pathPart(serial string) templ.SafeURL {
	return templ.URL("/parts?serial=" + url.QueryEscape(serial))
}

// sum says in a sentence where the part has been.
func (p *Part) sum() string {
	hosts := map[core.MAC]bool{}
	for i := range p.Seen {
		hosts[p.Seen[i].Host] = true
	}

	return "Seen by " + text.Count(len(p.Seen), "run", "runs") + " in " + text.Count(len(hosts), "host", "hosts") + "."
}

// moved says what is different from the sighting before it; empty: nothing.
func (p *Part) moved(i int) string {
	if i+1 >= len(p.Seen) {
		return ""
	}

	now, before := &p.Seen[i], &p.Seen[i+1]

	switch {
	case now.Host != before.Host:
		return "came here from " + text.Line(before.HostName) + ", " + slotOf(before)
	case now.Part.Slot != before.Part.Slot:
		return "moved here from " + slotOf(before)
	default:
		return ""
	}
}

func slotOf(s *lookup.Sighting) string {
	if s.Part.Slot == "" {
		return "no slot told"
	}

	return text.Line(s.Part.Slot)
}

// updated says that the firmware is another than before.
func (p *Part) updated(i int) bool {
	return i+1 < len(p.Seen) && p.Seen[i].Part.Firmware != p.Seen[i+1].Part.Firmware
}

// elsewhere are the findings about the part in other hosts than the one it is in now.
func (p *Part) elsewhere() (lines []string) {
	for i := range p.Seen {
		s := &p.Seen[i]
		if s.Host == p.Seen[0].Host {
			continue
		}

		for _, f := range s.Findings {
			if f.Severity == core.Critical {
				lines = append(lines, fmt.Sprintf("It failed in %s on %s: %s.", text.Line(s.HostName), s.At.UTC().Format("2 Jan 2006"), strings.TrimSuffix(text.Line(f.Title), ".")))
			}
		}
	}

	return lines
}

// counters are the names of all that were read of the part.
func (p *Part) counters() []string {
	names := map[string]bool{}

	for i := range p.Seen {
		for name := range p.Seen[i].Counters {
			names[name] = true
		}
	}

	return slices.Sorted(maps.Keys(names))
}

func counterWord(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(name, "_count"), "_", " ")
}

// countedAs is what was read of one; a dash where it was not.
func countedAs(s *lookup.Sighting, name string) string {
	value, found := s.Counters[name]
	if !found {
		return "–"
	}

	return strconv.FormatFloat(value, 'f', -1, 64)
}

// sightingMark is the verdict of the run, or that there is none yet.
func sightingMark(s *lookup.Sighting) mark.Mark {
	if s.Verdict == "" {
		return mark.Mark{Class: "run", Icon: "play", Word: string(s.State)}
	}

	return mark.Verdict(s.Verdict)
}

// withSerials are the parts that are known again elsewhere.
func withSerials(parts []report.Component) (list []report.Component) {
	for i := range parts {
		if parts[i].Serial != "" {
			list = append(list, parts[i])
		}
	}

	return list
}
