package partner_test

import (
	"os"
	"path/filepath"
	"testing"

	"vetting/agent/partner"
)

// TestReadLink reads a card as the kernel shows it; what it does not tell is nothing.
func TestReadLink(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/speed": "10000\n", "a/statistics/rx_bytes": "7\n", "a/statistics/tx_bytes": "9\n", "b/speed": "-1\n", "b/statistics/rx_bytes": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	for name, want := range map[string]partner.Link{"a": {Mbps: 10000, Rx: 7, Tx: 9}, "b": {}, "c": {}} {
		if got := partner.ReadLink(dir, name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
