package depmod

import (
	"path"
	"slices"
	"strings"
)

// Rules say which modules a system needs. Each is a path.Match pattern over the
// file's path below kernel/, without the endings .ko and .xz; it also holds for
// everything below a folder that it matches.
type Rules struct {
	Keep []string
	Drop []string // wins over Keep
}

// Choose returns the files of the set that the rules keep, sorted. The needs of
// those are not added; see Close.
func (r Rules) Choose(s Set) []string {
	var chosen []string

	for file := range s {
		name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(file, "kernel/"), ".xz"), ".ko")
		if matches(r.Keep, name) && !matches(r.Drop, name) {
			chosen = append(chosen, file)
		}
	}

	slices.Sort(chosen)

	return chosen
}

// Dead returns the patterns that match no module, so that a rule for a driver
// that was renamed is noticed.
func (r Rules) Dead(s Set) (dead []string) {
	for _, pattern := range slices.Concat(r.Keep, r.Drop) {
		if len((Rules{Keep: []string{pattern}}).Choose(s)) == 0 {
			dead = append(dead, pattern)
		}
	}

	return dead
}

func matches(patterns []string, name string) bool {
	for dir := name; dir != "."; dir = path.Dir(dir) {
		for _, pattern := range patterns {
			if ok, err := path.Match(pattern, dir); err == nil && ok {
				return true
			}
		}
	}

	return false
}
