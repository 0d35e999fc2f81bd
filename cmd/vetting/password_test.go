package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
)

// An appliance that runs makes administrators and sets passwords when somebody at its
// terminal says so, and writes both down.
func TestPasswordsOfARunningAppliance(t *testing.T) {
	t.Parallel()

	dir := shortFolder(t)
	a := deskAppliance(t, dir, nil)

	begun := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- serveControl(ctx, dir, smith{a.ui, a}, a.log) }()

	t.Cleanup(func() {
		stop()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	for wait := range time.Tick(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, controlSocket)); err == nil {
			break
		}

		if wait.Sub(begun) > time.Minute {
			t.Fatal("nobody takes orders")
		}
	}

	const first, second = "a sentence that nobody guesses", "quite another sentence"

	for _, c := range []struct {
		ask  controlRequest
		said string // begins the answer, or stands in the refusal
		ok   bool
	}{
		{controlRequest{Admin: "eve", Password: first}, "administrator eve is made", true},
		{controlRequest{Admin: "eve", Password: first}, "There is a user eve already", false},
		{controlRequest{Admin: "mallory", Password: "abc"}, "assword", false},
		{controlRequest{Reset: "eve", Password: second}, "the password of eve is set", true},
		{controlRequest{Reset: "nobody", Password: second}, "There is no user", false},
	} {
		said, err := askControl(t.Context(), dir, c.ask)
		if err != nil {
			said = err.Error()
		}

		if (err == nil) != c.ok || !strings.Contains(said, c.said) {
			t.Errorf("%+v: %q", c.ask, said)
		}
	}

	var deeds []string

	if err := a.store.View(t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableAudit, core.Query{}, func(_ string, decode func(any) error) error {
			var entry core.Audit
			err := decode(&entry)
			deeds = append(deeds, entry.Who+": "+entry.Text)

			return err
		})
	}); err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{"terminal: made the user eve with the role admin", "terminal: set the password of eve"} {
		if !slices.Contains(deeds, want) {
			t.Errorf("%q is not in the trail: %q", want, deeds)
		}
	}
}

// shortFolder leaves room for a socket's name in its path, which t.TempDir may not.
func shortFolder(t *testing.T) string {
	t.Helper()

	dir, err := os.MkdirTemp("", "v") //nolint:usetesting // its paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what is left is in the temporary folder

	return dir
}
