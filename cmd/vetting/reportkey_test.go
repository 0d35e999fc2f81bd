package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
	sealing "vetting/ui/report/seal"
)

// ring opens the keyring in dir and signs a report with it.
func ring(t *testing.T, dir string, ledger core.Ledger, clock *coretest.Clock) (k *keyring, signedBy string) {
	t.Helper()

	k, err := openKeyring(t.Context(), dir, ledger, clock.Now)
	if err != nil {
		t.Fatal(err)
	}

	text, err := sealing.JSON(report.Report{Schema: report.Schema}, k.Key())
	if err != nil {
		t.Fatal(err)
	}

	checked, err := sealing.Verify(text)
	if err != nil {
		t.Fatal(err)
	}

	return k, checked.Fingerprint()
}

func TestKeysOfReportsAreKeptForEver(t *testing.T) {
	dir, ledger, clock := t.TempDir(), coretest.NewLedger(), coretest.NewClock()
	k, first := ring(t, dir, ledger, clock)

	if _, again := ring(t, dir, ledger, clock); again != first {
		t.Errorf("signed by %s after a restart, before by %s", again, first)
	}

	clock.Advance(1e12)

	made, err := k.Rotate(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}

	_, second := ring(t, dir, ledger, clock)
	if second == first || second != made.Fingerprint || made.By != "anna" {
		t.Errorf("signed by %s; %+v was made after %s", second, made, first)
	}

	if err := os.Remove(filepath.Join(dir, reportSecret)); err != nil {
		t.Fatal(err)
	}

	k, third := ring(t, dir, ledger, clock)

	keys, err := k.Keys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("%+v, %v", keys, err)
	}

	for i, want := range []string{third, second, first} {
		if keys[i].Fingerprint != want || keys[i].Until.IsZero() != (i == 0) {
			t.Errorf("key %d is %+v, want %s", i, keys[i], want)
		}
	}

	if n := len(ledger.Dump(core.TableAudit)); n != 3 {
		t.Errorf("%d entries in the audit trail", n)
	}

	info, err := os.Stat(filepath.Join(dir, reportSecret))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
}

// full is a ledger on a full disk.
type full struct{ core.Ledger }

func (full) Update(_ context.Context, _ func(core.Txn) error) (uint64, error) {
	return 0, core.ErrFull
}

func TestAKeyThatCannotBeWrittenDownDoesNotSign(t *testing.T) {
	dir, ledger, clock := t.TempDir(), coretest.NewLedger(), coretest.NewClock()
	k, first := ring(t, dir, ledger, clock)

	k.ledger = full{ledger}

	if _, err := k.Rotate(t.Context(), "anna"); !errors.Is(err, core.ErrFull) {
		t.Errorf("the key is taken for written: %v", err)
	}

	if _, still := ring(t, dir, ledger, clock); still != first || core.KeyFingerprint(k.Key().Public()) != first {
		t.Errorf("signed by %s, want %s", still, first)
	}

	if err := os.WriteFile(filepath.Join(dir, reportSecret), make([]byte, 31), 0o600); err != nil {
		t.Fatal(err)
	}

	if _, err := openKeyring(t.Context(), dir, ledger, clock.Now); err == nil {
		t.Error("a key that was cut off is taken")
	}
}
