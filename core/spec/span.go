package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// span is what an alternative of a number or a size allows, ends included.
type span struct {
	low, high uint64
	bare      bool // one value, to which the field gives its own meaning
}

// open is the end of a range that has none.
const open = math.MaxUint64

// spanOf reads a value, or a range "8..16", "8.." or "..16".
func spanOf(text string, read func(string) (uint64, error)) (s span, err error) {
	from, to, isRange := strings.Cut(text, "..")
	if !isRange {
		v, err := read(text)

		return span{v, v, true}, err
	}

	s = span{0, open, false}

	if from = strings.TrimSpace(from); from != "" {
		if s.low, err = read(from); err != nil {
			return s, err
		}
	}

	if to = strings.TrimSpace(to); to != "" {
		if s.high, err = read(to); err != nil {
			return s, err
		}
	}

	switch {
	case from == "" && to == "":
		return s, fmt.Errorf("range %.40q has no end; write it like 8..16, 8.. or ..16", text)
	case s.low > s.high:
		return s, fmt.Errorf("range %.40q is upside down", text)
	default:
		return s, nil
	}
}

// readNumber reads a whole number.
func readNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a whole number; write it like 8, or 8..16 for a range", text)
	}

	return n, nil
}

// readSize reads a number of bytes with its unit.
func readSize(text string) (uint64, error) {
	var s Size
	err := s.UnmarshalText([]byte(text))

	return uint64(s), err
}

// spans reads all alternatives of a number or a size.
func (w *Want) spans(read func(string) (uint64, error)) (all []span, err error) {
	for _, text := range w.Any {
		s, err := spanOf(text, read)
		if err != nil {
			return nil, err
		}

		all = append(all, s)
	}

	return all, nil
}

// allows reports whether a number is one of the alternatives; fits judges the bare
// ones.
func (w *Want) allows(got uint64, read func(string) (uint64, error), fits func(want, got uint64) bool) bool {
	all, err := w.spans(read)
	if err != nil {
		return false // Validate refuses it
	}

	for _, s := range all {
		if s.bare && fits(s.low, got) || !s.bare && s.low <= got && got <= s.high {
			return true
		}
	}

	return false
}

// bounds returns the least and the greatest number that a count allows, 1 where it
// says nothing; high may be open.
func (w *Want) bounds() (low, high uint64) {
	all, err := w.spans(readNumber)
	if err != nil || len(all) == 0 {
		return 1, 1
	}

	low = open
	for _, s := range all {
		low, high = min(low, s.low), max(high, s.high)
	}

	return low, high
}

// sizeWords puts a size or a range of sizes into words.
func sizeWords(text string) string {
	s, err := spanOf(text, readSize)

	switch {
	case err != nil:
		return text
	case s.bare:
		return Size(s.low).String()
	case s.high == open:
		return Size(s.low).String() + " or more"
	case s.low == 0:
		return "at most " + Size(s.high).String()
	default:
		return Size(s.low).String() + " to " + Size(s.high).String()
	}
}

// numberWords puts a number or a range of numbers into words.
func numberWords(text string) string {
	s, err := spanOf(text, readNumber)

	switch {
	case err != nil || s.bare:
		return text
	case s.high == open:
		return fmt.Sprintf("%d or more", s.low)
	case s.low == 0:
		return fmt.Sprintf("at most %d", s.high)
	default:
		return fmt.Sprintf("%d to %d", s.low, s.high)
	}
}
