// Package machines is the collection of recorded machines that tests run over:
// every probe over every machine. It is for tests alone; no room may link it.
//
// A machine is a folder under testdata, named vendor-model-bios, as
// vetting-agent collect writes it; adding one adds no code. Its file origin says
// in its first word where it comes from: "recorded" from hardware or a virtual
// machine, "published" by others as data that may be used, or "made" by editing
// or after published layouts, and from which.
package machines

import (
	"embed"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
)

//go:embed all:testdata
var files embed.FS

const (
	folder = "testdata"
	golden = "golden" // folder in a machine's own
)

// Open returns the machine of the name, a copy of the test's own. The test ends
// when there is none.
func Open(tb testing.TB, name string) *collect.Recording {
	tb.Helper()

	r, err := collect.Open(files, path.Join(folder, name))
	if err != nil {
		tb.Fatal(err)
	}

	return r
}

// Names lists all machines, sorted.
func Names(tb testing.TB) (names []string) {
	tb.Helper()

	list, err := files.ReadDir(folder)
	if err != nil {
		tb.Fatal(err)
	}

	for _, entry := range list {
		names = append(names, entry.Name())
	}

	return names
}

// Each runs a test over every machine.
func Each(t *testing.T, run func(t *testing.T, r *collect.Recording)) {
	t.Helper()

	for _, name := range Names(t) {
		t.Run(name, func(t *testing.T) { run(t, Open(t, name)) })
	}
}

// Golden compares what a probe made of a machine, as JSON, with the file of the
// probe's name in the machine's folder; update writes the file instead.
func Golden(tb testing.TB, r *collect.Recording, probe string, value any, update bool) {
	tb.Helper()

	got, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		tb.Fatal(err)
	}

	got = append(got, '\n')
	name := path.Join(folder, r.Name, golden, probe+".json")

	if update {
		write(tb, name, got)

		return
	}

	want, err := files.ReadFile(name)
	if err != nil {
		tb.Fatalf("%v; write it with -update and read it", err)
	}

	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		tb.Errorf("%s of %s is not as it was (-update writes it):\n%s", probe, r.Name, diff)
	}
}

// write puts a file into this package's folder, from wherever in the module the test
// runs: a test runs in the folder of its package.
func write(tb testing.TB, name string, content []byte) {
	tb.Helper()

	here, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}

	for ; here != "/"; here = filepath.Dir(here) {
		if _, err := os.Stat(filepath.Join(here, "go.mod")); err == nil {
			break
		}
	}

	name = filepath.Join(here, "agent", "machines", name)

	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		tb.Fatal(err)
	}

	if err := os.WriteFile(name, content, 0o600); err != nil {
		tb.Fatal(err)
	}
}
