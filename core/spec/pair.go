package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vetting/core"
)

// slot is one part that the spec asks for.
type slot struct {
	path string
	want string // in words, for the part that is missing
	part core.Part
	// optional slots are filled only by what fits them, and may stay empty.
	optional bool
	severity core.Severity // of the part that is missing
	// compare lists the fields against the i-th part found.
	compare func(i int) []field
}

// last is 1 for a slot whose turn comes after those that must be filled.
func (s *slot) last() int {
	if s.optional {
		return 1
	}

	return 0
}

// kind is what pairing must know of a kind of part.
type kind struct {
	missing string // problem code
	extra   string // problem code; empty: more than asked for is fine
	parts   []core.Part
	path    string
	asked   bool // the spec says which of these parts there should be
}

// expand makes the slots of an entry of a list: as many as its count asks for at
// least, and after them those that it allows. path names the entry.
func expand(path string, want *Want, parts int, one slot) (slots []slot) {
	low, high := want.bounds()
	low = min(low, maxParts)
	many := max(low, min(high, low+uint64(parts))) //nolint:gosec // never negative

	for n := range many {
		s := one
		s.path, s.optional, s.severity = path, n >= low, want.severe(core.Critical)

		if high > 1 {
			s.path = fmt.Sprintf("%s.%d", path, n+1)
		}

		slots = append(slots, s)
	}

	return slots
}

// match is a slot and a part that could fill it.
type match struct {
	slot, part  int
	fits        int // fields that are as asked for
	differences int
}

// pair gives slots the parts that fit them best: first those that are as asked
// for in every field, the more fields the sooner, then the likest. What is left
// of the slots is missing, what is left of the parts is not in the spec.
func (r *Result) pair(k kind, slots []slot) {
	taken := make([]bool, len(k.parts))
	filled := make([]int, len(slots)) // part + 1; 0: none

	for _, m := range matches(slots, len(k.parts)) {
		if !taken[m.part] && filled[m.slot] == 0 {
			taken[m.part], filled[m.slot] = true, m.part+1
		}
	}

	for i, s := range slots {
		switch part := filled[i] - 1; {
		case part >= 0:
			r.check(s.path, k.parts[part], s.compare(part)...)
		case !s.optional:
			r.Compared++
			r.missing(k.missing, s)
		}
	}

	if k.extra != "" && k.asked {
		r.leftOver(k, taken)
	}
}

// matches lists every slot with every part, the best match first.
func matches(slots []slot, parts int) []match {
	all := make([]match, 0, len(slots)*parts)

	for i, s := range slots {
		for j := range parts {
			m := match{slot: i, part: j}

			for _, f := range s.compare(j) {
				switch {
				case f.want == "":
				case f.ok:
					m.fits++
				default:
					m.differences++
				}
			}

			if !s.optional || m.differences == 0 {
				all = append(all, m)
			}
		}
	}

	slices.SortStableFunc(all, func(a, b match) int {
		if x, y := a.whole(), b.whole(); x != y {
			return cmp.Compare(y, x)
		}

		return cmp.Or(cmp.Compare(slots[a.slot].last(), slots[b.slot].last()), cmp.Compare(b.fits, a.fits), cmp.Compare(a.differences, b.differences))
	})

	return all
}

// whole is 1 for a match in every field, of which there is at least one.
func (m match) whole() int {
	if m.differences == 0 && m.fits > 0 {
		return 1
	}

	return 0
}

func (r *Result) missing(code string, s slot) {
	r.Diffs = append(r.Diffs, core.SpecDiff{
		Path: s.path, Expected: s.want, Actual: "missing", Severity: s.severity, Part: s.part,
	})
	r.find(code, s.severity, s.part, fmt.Sprintf("%s: expected %s, found none", s.path, s.want))
}

func (r *Result) leftOver(k kind, taken []bool) {
	for i, part := range k.parts {
		if taken[i] {
			continue
		}

		actual := describe(part)
		r.Diffs = append(r.Diffs, core.SpecDiff{
			Path: fmt.Sprintf("%s.%s", k.path, part.Slot), Expected: "none", Actual: actual, Severity: core.Warning, Part: part,
		})
		r.find(k.extra, core.Warning, part, fmt.Sprintf("%s: %s is not in the expected spec", k.path, actual))
	}
}

// describe names a part in words.
func describe(p core.Part) string {
	words := []string{p.Kind}
	for _, word := range []string{p.Slot, p.Model} {
		if word != "" {
			words = append(words, word)
		}
	}

	text := strings.Join(words, " ")

	if p.Serial != "" {
		text += " serial " + p.Serial
	}

	return text
}
