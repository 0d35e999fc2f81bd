// Package catalogue lists the sample keys the product knows, with unit and
// meaning. A key reads kind/part/quantity_unit, as in
// cpu/package0/temperature_celsius: the kind and the quantity come from here, the
// part is whatever the machine calls it. Rules and samples with other keys are
// refused, so that a misspelt threshold cannot pass unnoticed.
package catalogue

import (
	"fmt"
	"path"
	"strings"

	"vetting/core"
)

// Entry is a family of keys that differ only in the part.
type Entry struct {
	Kind     string // "disk"
	Quantity string // "temperature_celsius"
	Unit     string // "celsius"; empty for a plain number
	Counter  bool   // only grows while the machine is on
	Meaning  string
}

// Key returns the key of a part.
func (e Entry) Key(part string) string { return e.Kind + "/" + part + "/" + e.Quantity }

// maxKey bounds a key, and so what a machine under test can make us remember.
const maxKey = 128

// Lookup finds the entry of a key.
func Lookup(key string) (Entry, bool) {
	kind, part, quantity, ok := split(key)
	if !ok || !plainPart(part) {
		return Entry{}, false
	}

	var room [maxKey]byte

	name := append(append(append(room[:0], kind...), '/'), quantity...)
	e, found := byName()[string(name)]

	return e, found
}

// Check refuses a key that is not in the catalogue, and a unit that is not the
// key's own. An empty unit is taken as the key's own.
func Check(key, unit string) error {
	e, ok := Lookup(key)
	if !ok {
		return core.NewProblem(core.ErrInvalid, "sample/unknown-key", fmt.Sprintf(
			"The sample key %.140q is not in the catalogue; write it kind/part/quantity_unit, as in disk/sda/temperature_celsius.", key))
	}

	if unit != "" && unit != e.Unit {
		return core.NewProblem(core.ErrInvalid, "sample/wrong-unit", fmt.Sprintf(
			"The sample key %q is measured in %q, not in %.40q.", key, e.Unit, unit))
	}

	return nil
}

// CheckGlob refuses a pattern of a rule that no key can ever match.
func CheckGlob(glob string) error {
	kind, part, quantity, ok := split(glob)
	if ok {
		_, err := path.Match(glob, "")
		ok = err == nil && part != ""
	}

	if ok {
		for _, e := range All() {
			if match(kind, e.Kind) && match(quantity, e.Quantity) {
				return nil
			}
		}
	}

	return core.NewProblem(core.ErrInvalid, "threshold/unknown-key", fmt.Sprintf(
		"No sample key in the catalogue matches %.140q; write it like disk/*/temperature_celsius.", glob))
}

func match(glob, s string) bool {
	ok, err := path.Match(glob, s)

	return ok && err == nil
}

func split(key string) (kind, part, quantity string, ok bool) {
	if len(key) > maxKey {
		return "", "", "", false
	}

	kind, rest, found := strings.Cut(key, "/")
	part, quantity, also := strings.Cut(rest, "/")

	if !found || !also || strings.Contains(quantity, "/") {
		return "", "", "", false
	}

	return kind, part, quantity, true
}

// plainPart keeps globs, spaces and control characters out of keys.
func plainPart(part string) bool {
	for _, c := range []byte(part) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("._:+-", c) < 0 {
			return false
		}
	}

	return part != ""
}
