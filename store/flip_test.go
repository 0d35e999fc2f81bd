package store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vetting/core"
	"vetting/store"
)

const flipsVar = "VETTING_STORE_FLIPS" // flips for each kind of file; 4 without it

// TestFlippedByteIsNeverSilent changes one byte at a time in every kind of file
// of a ledger, both closed and as a kill leaves it. The ledger must then either
// refuse to open, or fail to verify, or still hold exactly what it held.
func TestFlippedByteIsNeverSilent(t *testing.T) {
	t.Parallel()

	flips := 4
	if text := os.Getenv(flipsVar); text != "" {
		var err error
		if flips, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}

	killed, closed := t.TempDir(), t.TempDir()
	fillBoth(t, killed, closed)

	want := map[string]string{killed: dumpCopy(t, killed), closed: dumpCopy(t, closed)}

	for i, c := range []struct{ name, from, glob string }{
		{"a table", closed, "ledger/*.sst"},
		{"the manifest", closed, "ledger/MANIFEST"},
		{"the key registry", closed, "ledger/KEYREGISTRY"},
		{"the high-water mark", closed, "HEAD"},
		{"the value log", closed, "ledger/*.vlog"},
		{"the log, after a kill", killed, "ledger/*.mem"},
		{"a table, after a kill", killed, "ledger/*.sst"},
		{"the manifest, after a kill", killed, "ledger/MANIFEST"},
		{"the high-water mark, after a kill", killed, "HEAD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()

			places := placesIn(t, c.from, c.glob, flips, rand.New(rand.NewPCG(20261123, uint64(i))))
			count := map[string]int{}

			for _, p := range places {
				count[flip(t, c.from, p, want[c.from])]++
			}

			t.Logf("%d flips: %v", len(places), count)

			if count["silent"] > 0 || len(places) == 0 {
				t.Errorf("%d of %d flips were silent", count["silent"], len(places))
			}
		})
	}
}

// fillBoth writes the same into two directories. Of the first it takes the image
// of a kill: a copy made while the store is open.
func fillBoth(t *testing.T, killed, closed string) {
	t.Helper()

	for round := range 2 {
		s, err := store.Open(t.Context(), small(closed))
		if err != nil {
			t.Fatal(err)
		}

		writeMany(t, s, uint64(round)*1000, 300)

		if round == 1 {
			copyTree(t, closed, killed)
		}

		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

type place struct {
	file string
	at   int64
	with byte
}

// placesIn picks bytes of the files, in the part that was ever written.
func placesIn(t *testing.T, dir, glob string, count int, rng *rand.Rand) (places []place) {
	t.Helper()

	paths, err := filepath.Glob(filepath.Join(dir, glob))
	if err != nil {
		t.Fatal(err)
	}

	paths = slices.DeleteFunc(paths, func(path string) bool {
		content, err := os.ReadFile(path)

		return err != nil || len(bytes.TrimRight(content, "\x00")) == 0
	})

	for len(paths) > 0 && len(places) < count {
		path := paths[rng.IntN(len(paths))]

		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}

		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}

		used := len(bytes.TrimRight(content, "\x00"))
		places = append(places, place{file: name, at: rng.Int64N(int64(used)), with: 1 << rng.IntN(8)})
	}

	return places
}

// flip says what came of one changed byte: "loud", "harmless" or "silent".
func flip(t *testing.T, from string, p place, want string) string {
	t.Helper()

	dir := t.TempDir()
	copyTree(t, from, dir)

	path := filepath.Join(dir, p.file)

	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := f.WriteAt([]byte{content[p.at] ^ p.with}, p.at); err != nil {
		t.Fatal(err)
	}

	f.Close()

	s, err := store.Open(t.Context(), small(dir))
	if err != nil {
		var problem *core.Problem
		if !errors.As(err, &problem) || problem.Message == "" {
			t.Errorf("%+v: no problem but %v", p, err)
		}

		return "loud"
	}

	defer s.Close()

	_, err = s.Verify(t.Context())

	switch {
	case err != nil:
		return "loud"
	case dump(t, s) == want:
		return "harmless"
	default:
		t.Errorf("%+v is silent", p)

		return "silent"
	}
}

// dumpCopy is dump of a directory, which it leaves as it is.
func dumpCopy(t *testing.T, from string) string {
	t.Helper()

	dir := t.TempDir()
	copyTree(t, from, dir)

	return dump(t, open(t, small(dir)))
}

// dump is a digest of everything in a ledger.
func dump(t *testing.T, s *store.Store) string {
	t.Helper()

	sum := sha256.New()

	err := s.View(t.Context(), func(r core.Reader) error {
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}

		for _, e := range events {
			fmt.Fprintf(sum, "%d %s %s %s\n", e.Seq, e.Kind, e.Run, e.Data)
		}

		return r.Scan(core.TableSetting, core.Query{}, func(key string, decode func(any) error) error {
			var raw json.RawMessage
			err := decode(&raw)
			fmt.Fprintf(sum, "%s %s\n", key, raw)

			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}

	return fmt.Sprintf("%x", sum.Sum(nil))
}

// copyTree copies files without the zeros at their ends, which in the logs of
// Badger are megabytes of holes.
func copyTree(t *testing.T, from, to string) {
	t.Helper()

	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		name := strings.TrimPrefix(path, from)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}

		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}

		target := filepath.Join(to, name)

		return errors.Join(
			os.WriteFile(target, bytes.TrimRight(content, "\x00"), 0o600),
			os.Truncate(target, int64(len(content))))
	})
	if err != nil {
		t.Fatal(err)
	}
}
