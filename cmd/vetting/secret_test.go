package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestSecretsComeFromWhereTheFileSays(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")

	for name, text := range map[string]string{"key": "of a file\n", "empty": "\n", "large": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("A_SECRET", "of the environment")

	for text, want := range map[string]string{
		`"as it is"`:           "as it is",
		`{file: ` + file + `}`: "of a file",
		`{file: key}`:          "of a file", // LoadCredential=key:…
		`{env: A_SECRET}`:      "of the environment",
		`""`:                   "",
	} {
		var s Secret
		if err := yaml.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s: %v", text, err)
		}

		if got, err := s.Read(); err != nil || got != want || s.Set() != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}

	for text, want := range map[string]string{
		`{file: /nowhere/key}`: "/nowhere/key", `{file: empty}`: "is empty", `{file: large}`: "no secret", `{env: NOT_SET}`: "NOT_SET is not set",
	} {
		var s Secret
		if err := yaml.Unmarshal([]byte(text), &s); err != nil {
			t.Errorf("%s: %v", text, err)
		}

		if got, err := s.Read(); err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}

	t.Setenv("CREDENTIALS_DIRECTORY", "")

	if _, err := (Secret{file: "key"}).Read(); err == nil || !strings.Contains(err.Error(), "CREDENTIALS_DIRECTORY") {
		t.Errorf("without systemd: %v", err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	s := Secret{text: "hush-hush"}

	text, err := yaml.Marshal(struct {
		Key Secret `yaml:"key"`
	}{s})
	if err != nil {
		t.Fatal(err)
	}

	for _, shown := range []string{string(text), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s", s, s, s, s)} {
		if strings.Contains(shown, "hush") {
			t.Error(shown)
		}
	}
}
