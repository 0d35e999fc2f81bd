package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The map of rooms in the README has every room that the boundary test knows, and no
// other; its links lead somewhere.
func TestReadmeMapsTheRooms(t *testing.T) {
	t.Parallel()

	raw, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}

	_, section, _ := strings.Cut(string(raw), "## The map of rooms")
	section, _, _ = strings.Cut(section, "\n## ")

	var have []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllStringSubmatch(section, -1) {
		have = append(have, row[1])
	}

	want := map[string]bool{}
	for room := range rooms {
		if room != "." { // the pages beside the rooms
			want[strings.Split(room, "/")[0]] = true
		}
	}

	slices.Sort(have)

	if all := slices.Sorted(maps.Keys(want)); !slices.Equal(have, all) {
		t.Errorf("the README maps %v, the rooms are %v", have, all)
	}

	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(raw), -1) {
		if _, err := os.Stat(filepath.Join("..", "..", link[1])); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}
}
