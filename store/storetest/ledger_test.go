package storetest_test

import (
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/store/storetest"
)

func TestFake(t *testing.T) {
	t.Parallel()
	storetest.Ledger(t, func(*testing.T) core.Ledger { return coretest.NewLedger() })
}
