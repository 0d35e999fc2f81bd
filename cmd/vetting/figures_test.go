package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect" //nolint:depguard // every figure that the console has a place for is looked at
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/ui/metric"
)

// scripted answers every order with what it was given.
type scripted core.PowerAnswer

func (s scripted) Do(context.Context, core.PowerOrder) core.PowerAnswer { return core.PowerAnswer(s) }

func (s scripted) Serial(context.Context, core.PowerOrder, bool) (io.ReadWriteCloser, core.PowerAttempt) {
	return nil, s.Attempts[0]
}

// noted takes down steps.
type noted struct{ steps []core.BootStep }

func (n *noted) Witness(step core.BootStep) { n.steps = append(n.steps, step) }

// What rooms tell each other is counted on its way, and arrives.
func TestFiguresCountWhatPassesBy(t *testing.T) {
	var (
		f  figures
		to noted
	)

	w := witness{&to, &f}
	for _, s := range []core.BootStep{
		{Kind: "tftp", Bytes: 1000, Share: 100},
		{Kind: "tftp-probe"},
		{Kind: "tftp-failed"},
		{Kind: "tftp-failed"},
		{Kind: "tftp-missing"},
		{Kind: "offer"},
		{Kind: "kernel"},
		{Kind: "kernel", Bytes: 300, Share: 50},
		{Kind: "kernel", Bytes: 600, Share: 100},
		{Kind: "initrd", Bytes: 7, Share: 100},
		{Kind: "loader", Bytes: 24, Share: 100},
	} {
		w.Witness(s)
	}

	m := meter{scripted{Attempts: []core.PowerAttempt{{Way: core.PowerRedfish, Code: "power/refused"}, {Way: core.PowerIPMI}}}, &f}
	if m.Do(t.Context(), core.PowerOrder{}); !m.Do(t.Context(), core.PowerOrder{}).Worked() || len(to.steps) != 11 {
		t.Errorf("what is counted does not arrive: %d steps", len(to.steps))
	}

	if _, tried := m.Serial(t.Context(), core.PowerOrder{}, false); tried.Code != "power/refused" {
		t.Errorf("a serial console: %+v", tried)
	}

	for name, c := range map[string]struct{ got, want []metric.Count }{
		"transfers": {f.transfers(), []metric.Count{{Of: []string{"failed"}, N: 2}, {Of: []string{"missing"}, N: 1}, {Of: []string{"ok"}, N: 1}, {Of: []string{"probe"}, N: 1}}},
		"bytes":     {f.sent(), []metric.Count{{Of: []string{"initrd"}, N: 7}, {Of: []string{"kernel"}, N: 600}, {Of: []string{"loader"}, N: 1024}}},
		"calls":     {f.calls(), []metric.Count{{Of: []string{"ipmi", "ok"}, N: 2}, {Of: []string{"redfish", "power/refused"}, N: 3}}},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The sizes of folders are read anew after a minute, not at each scrape.
func TestTheDiskIsMeasuredOnceAMinute(t *testing.T) {
	var f figures

	dir, now := t.TempDir(), time.Now()

	put := func(name string, n int) {
		t.Helper()

		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	const page = 64 << 10 // whole blocks on every file system

	put("store/000001.vlog", 3*page)
	put("artifacts/ab/cd", 2*page)

	for _, c := range []struct {
		after time.Duration
		logs  float64
	}{{0, 0}, {diskEvery - 1, 0}, {diskEvery, page}} {
		got := f.store(dir, now.Add(c.after))
		want := []metric.Count{{Of: []string{"ledger"}, N: 3 * page}, {Of: []string{"logs"}, N: c.logs}, {Of: []string{"artifacts"}, N: 2 * page}}

		if diff := cmp.Diff(want, got[:min(3, len(got))]); diff != "" || len(got) != 4 || got[3].Of[0] != "free" || got[3].N <= 0 {
			t.Errorf("after %s: %v %s", c.after, got, diff)
		}

		put("logs/R1", page)
	}
}

// What a file takes is counted, not how long it is: the ledger's are made long at once.
func TestHolesTakeNoRoom(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "000001.vlog")

	if err := os.WriteFile(path, make([]byte, 64<<10), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := os.Truncate(path, 2<<30); err != nil {
		t.Fatal(err)
	}

	if n := bytesIn(dir); n < 64<<10 || n > 1<<20 {
		t.Errorf("a file of 2 GiB with 64 KiB in it takes %.0f bytes", n)
	}
}

// No figure that the console has a place for is forgotten.
func TestEveryFigureIsKept(t *testing.T) {
	counts := reflect.ValueOf((&appliance{}).counts())
	for i := range counts.NumField() {
		if counts.Field(i).IsNil() {
			t.Errorf("nobody keeps %s", counts.Type().Field(i).Name)
		}
	}
}
