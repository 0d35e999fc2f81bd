package store_test

import (
	"testing"

	"vetting/core"
	"vetting/store"
)

func TestGivingSpaceBackHarmsNothing(t *testing.T) {
	t.Parallel()

	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Ballast: -1, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}

	put := func(value string) {
		if _, err := s.Update(t.Context(), func(tx core.Txn) error { return tx.Put(core.TableSetting, "x", value) }); err != nil {
			t.Fatal(err)
		}
	}

	put("before")

	if err := s.Collect(t.Context()); err != nil {
		t.Error(err)
	}

	put("after")

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if err := s.Collect(t.Context()); err == nil {
		t.Error("a closed store gives something back")
	}
}
