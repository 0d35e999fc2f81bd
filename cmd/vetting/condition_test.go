package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vetting/core"
	"vetting/store"
)

// A disk without room is on every page of the console, with what to do.
func TestTheConsoleSaysThatTheDiskIsFull(t *testing.T) {
	const room = 256 << 20

	cfg := store.Config{Dir: t.TempDir(), Ballast: -1, Log: slog.New(slog.DiscardHandler)}

	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}

	space, _, err := s.Space()
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}

	// Others may use the disk meanwhile: the margins are wide.
	cfg.Reserve = space.Free - room
	if s, err = store.Open(t.Context(), cfg); err != nil {
		t.Skip("others fill the disk: ", err)
	}

	t.Cleanup(func() { _ = s.Close() })

	file, err := os.Create(filepath.Join(t.TempDir(), "fill"))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = file.Close() })

	if err := unix.Fallocate(int(file.Fd()), 0, 0, 2*room); err != nil {
		t.Skip("the disk cannot be filled: ", err)
	}

	a := &appliance{store: s}

	all := a.conditions()
	if len(all) != 1 || all[0].Severity != core.Critical || !strings.Contains(all[0].Text, "MiB left") || !strings.Contains(all[0].Text, "Free some space; the agents keep their data") {
		t.Errorf("%v", all)
	}
}

// A sentence of a log becomes one for people, with the next step.
func TestAConditionSaysWhatToDo(t *testing.T) {
	for code, want := range map[string]string{
		"netboot/no-cable":   "No cable in eth1. Plug the cable in,",
		"netboot/no-card":    "No cable in eth1. Plug it in again, or choose",
		"netboot/rogue-dhcp": "No cable in eth1. Turn that one off",
		"other/none":         "No cable in eth1.",
	} {
		if got := advice(core.NewProblem(core.ErrConflict, code, "no cable in eth1")); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", code, got)
		}
	}
}
