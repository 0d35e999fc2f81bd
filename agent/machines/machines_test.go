package machines_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"vetting/agent/collect"
	"vetting/agent/machines"
)

// TestOrigin: each machine says where it comes from, by one of three words and
// something after it.
func TestOrigin(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		kind, about, _ := strings.Cut(r.Origin, ": ")
		if !slices.Contains([]string{"recorded", "published", "made"}, kind) || len(about) < 40 {
			t.Errorf("origin %q", r.Origin)
		}
	})
}

// TestFolder: a recording is read and written again as it was, so that a person's
// edit is the only difference a change shows.
func TestFolder(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		var once, twice bytes.Buffer
		if err := r.Root.WriteText(&once); err != nil {
			t.Fatal(err)
		}

		again, err := collect.ParseTree(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatal(err)
		}

		if err := again.WriteText(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("the tree is not the same when written and read: %v", err)
		}
	})
}
