package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	dir := t.TempDir()
	config, state := filepath.Join(dir, "c.json"), filepath.Join(dir, "state")
	text := `{"appliance":"https://127.0.0.1:1","spki_sha256":"` + strings.Repeat("0", 64) + `"}`

	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()

	tests := []struct {
		name      string
		args      []string
		code      int
		out, errs string
	}{
		{"the fingerprint is made", []string{"-config", config, "-state", state, "-fingerprint"}, 0, "SHA256:", ""},
		{"the fingerprint stays", []string{"-config", config, "-state", state, "-fingerprint"}, 0, "SHA256:", ""},
		{"a service that is stopped", []string{"-config", config, "-state", state}, 0, "", ""},
		{"no configuration", []string{"-config", config + "x", "-state", state}, 1, "", "reading the configuration"},
		{"no state", []string{"-config", config, "-state", config + "/x"}, 1, "", "the host's key"},
		{"too many words", []string{"now"}, 2, "", ""},
		{"a flag nobody knows", []string{"-x"}, 2, "", "Usage"},
	}

	said := map[string]bool{}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out, errs bytes.Buffer

			code := host(over, test.args, &out, &errs)
			if code != test.code || !strings.HasPrefix(out.String(), test.out) || !strings.Contains(errs.String(), test.errs) {
				t.Errorf("code %d, out %q, errors %q", code, &out, &errs)
			}

			if test.out != "" {
				said[out.String()] = true
			}
		})
	}

	if len(said) != 1 {
		t.Errorf("fingerprints %v, want one", said)
	}
}
