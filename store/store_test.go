package store_test

import (
	"context"
	"testing"

	"vetting/core"
	"vetting/store"
	"vetting/store/storetest"
)

func open(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()

	s, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}

	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})

	return s
}

// small is a store whose ballast does not cost the test machine 128 MiB.
func small(dir string) store.Config {
	return store.Config{Dir: dir, Small: true, Ballast: -1}
}

func TestLedgerOnDisk(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) core.Ledger {
		t.Helper()

		s := open(t, small(t.TempDir()))

		t.Cleanup(func() {
			if _, err := s.Verify(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})

		return s
	})
}

func TestLedgerInMemory(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(t *testing.T) core.Ledger {
		t.Helper()

		s, err := store.OpenMemory(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}

		t.Cleanup(func() { _ = s.Close() })

		return s
	})
}
