package storage_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"vetting/agent/storage"
)

func TestWhatCountsAsSomebodysData(t *testing.T) {
	ours := func(f *fake) { storage.Fill(f.data, "F1", 99, 0, 1) }

	for name, c := range map[string]struct {
		change    func(f *fake)
		signature string // one that is among those found; empty: none is
		foreign   bool   // samples that are not blank
	}{
		"blank":           {func(*fake) {}, "", false},
		"an earlier test": {ours, "", false},
		"swap space":      {func(f *fake) { copy(f.data[4086:], "SWAPSPACE2"); f.data[1024], f.data[1028] = 1, 8 }, "swap", true},
		"swap space on what an earlier test left": {func(f *fake) {
			ours(f)
			clear(f.data[:4096])
			copy(f.data[4086:], "SWAPSPACE2")
			f.data[1024], f.data[1028] = 1, 8
		}, "swap", true},
		"noise":                      {func(f *fake) { copy(f.data, strings.Repeat("somebody's letters ", 100000)) }, "", true},
		"a block that is unreadable": {func(f *fake) { f.readFails = func(offset int64) bool { return offset == 0 } }, "cannot be read", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(size)
			c.change(f)

			found, err := storage.Wiped(t.Context(), storage.View(f, f.size), f.size, 512)
			if err != nil {
				t.Fatal(err)
			}

			has := slices.ContainsFunc(found.Signatures, func(s string) bool { return c.signature != "" && strings.Contains(s, c.signature) })
			if has != (c.signature != "") || c.signature == "" && len(found.Signatures) > 0 || (found.NonBlank > 0) != c.foreign || found.Samples == 0 {
				t.Errorf("%s: %+v", name, found)
			}
		})
	}
}
