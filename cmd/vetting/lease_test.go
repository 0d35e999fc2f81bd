package main

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/netboot/dhcp"
	"vetting/store"
)

// inLedger opens the ledger of a data directory, gives its leases to do, and
// closes it.
func inLedger(t *testing.T, dir string, do func(l leases)) {
	t.Helper()

	ledger, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}

	do(leases{ledger})

	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the DHCP server asks to be kept is there after a restart, the newest of
// each machine.
func TestLeasesAreKeptInTheLedger(t *testing.T) {
	dir, now := filepath.Join(t.TempDir(), "store"), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lease := func(mac core.MAC, addr string, granted time.Time) core.Lease {
		return core.Lease{MAC: mac, Addr: netip.MustParseAddr(addr), Granted: granted, Expires: granted.Add(12 * time.Hour)}
	}
	want := []core.Lease{lease("52:54:00:00:00:01", "10.77.0.20", now.Add(time.Hour)), lease("52:54:00:00:00:02", "10.77.0.30", now)}

	inLedger(t, dir, func(l leases) {
		if all, err := l.Leases(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("at first there are %v (%v)", all, err)
		}

		first := []core.Lease{lease("52:54:00:00:00:01", "10.77.0.10", now), want[1]}
		if err := l.SaveLeases(t.Context(), first); err != nil {
			t.Fatal(err)
		}

		if err := l.SaveLeases(t.Context(), want[:1]); err != nil {
			t.Fatal(err)
		}
	})

	inLedger(t, dir, func(l leases) {
		all, err := l.Leases(t.Context())
		slices.SortFunc(all, func(a, b core.Lease) int { return strings.Compare(string(a.MAC), string(b.MAC)) })

		if err != nil || len(all) != 2 || !all[0].Granted.Equal(want[0].Granted) || all[0].Addr != want[0].Addr || all[1].Addr != want[1].Addr {
			t.Errorf("kept %+v (%v), want %+v", all, err, want)
		}
	})
}

var _ dhcp.Leases = leases{}

// A write that ends before it is on the disk is an error, so that no machine is
// told of a lease that may be forgotten.
func TestALeaseThatCannotBeWrittenIsAnError(t *testing.T) {
	inLedger(t, filepath.Join(t.TempDir(), "store"), func(l leases) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		if err := l.SaveLeases(ctx, []core.Lease{{MAC: "52:54:00:00:00:01", Addr: netip.MustParseAddr("10.77.0.20")}}); err == nil {
			t.Error("saved though told to end")
		}
	})
}
