package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSecretOfHoldsOutlivesARestart(t *testing.T) {
	dir := t.TempDir()

	first, err := lastingSecret(dir, holdSecret)
	if err != nil || len(first) != 32 || bytes.Count(first, first[:1]) == len(first) {
		t.Fatalf("%x, %v", first, err)
	}

	if again, err := lastingSecret(dir, holdSecret); err != nil || !bytes.Equal(again, first) {
		t.Errorf("%x after %x, %v", again, first, err)
	}

	if other, err := lastingSecret(dir, tokenSecret); err != nil || bytes.Equal(other, first) {
		t.Errorf("the secret of tokens is %x, %v", other, err)
	}

	info, err := os.Stat(filepath.Join(dir, holdSecret))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}

	if err := os.WriteFile(filepath.Join(dir, holdSecret), first[:31], 0o600); err != nil {
		t.Fatal(err)
	}

	if cut, err := lastingSecret(dir, holdSecret); err == nil || !strings.Contains(err.Error(), "31 bytes") {
		t.Errorf("a secret that was cut off: %x, %v", cut, err)
	}
}

func TestTheProxyCommandIsSafeFromTheShell(t *testing.T) {
	if got := quote(`/opt/it's 100%/vetting`); got != `'/opt/it'\''s 100%%/vetting'` {
		t.Error(got)
	}
}
