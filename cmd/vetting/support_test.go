package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestASupportBundleHasNoSecrets(t *testing.T) {
	t.Parallel()

	dir := t.TempDir()
	file := filepath.Join(dir, "vetting.yaml")
	config := "data_dir: " + dir + "/data\nhost_api: {enrol_key: sesame-sesame-sesame}\nnotifiers:\n  phone: {type: ntfy, url: \"https://ntfy.example/sesame\", topic: x, token: sesame-token}\n" +
		"  mail: {type: smtp, server: \"mail.example:587\", user: u, password: sesame-word, from: a@example.org, to: [b@example.org]}\n"

	if os.WriteFile(file, []byte(config), 0o600) != nil || os.MkdirAll(dir+"/data", 0o700) != nil ||
		os.WriteFile(filepath.Join(dir, "data", tokenSecret), []byte("sesame-in-a-file"), 0o600) != nil {
		t.Fatal("not written")
	}

	bundle := filepath.Join(dir, "bundle.tar.gz")
	said := &bytes.Buffer{}

	root := newRoot(said, io.Discard)
	root.SetArgs([]string{"support", bundle, "--config", file})

	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}

	all := readBundle(t, bundle)
	for name, want := range map[string]string{
		"version.txt": "vetting ", "doctor.json": `"check": "data directory"`, "settings.txt": "host_api.enrol_key: \"[hidden]\"", "data.txt": tokenSecret, "machine.txt": "MemTotal",
		"journal.txt": "",
	} {
		text, ok := all[name]
		if !ok || !strings.Contains(text, want) {
			t.Errorf("%s has no %q: %.300s", name, want, text)
		}

		if strings.Contains(text, "sesame") {
			t.Errorf("%s has a secret", name)
		}
	}
}

func readBundle(t *testing.T, path string) map[string]string {
	t.Helper()

	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	unpack, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}

	all, archive := map[string]string{}, tar.NewReader(unpack)

	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}

		if err != nil {
			t.Fatal(err)
		}

		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}

		all[strings.TrimPrefix(head.Name, "vetting-support/")] = string(text)
	}
}

func TestSecretsInALogAreHidden(t *testing.T) {
	t.Parallel()

	for line, want := range map[string]string{
		"set the admin password here (once, 30 min): https://a:8443/setup?token=aB-_9": "set the admin password here (once, 30 min): https://a:8443/setup?token=[hidden]",
		"Authorization: Bearer vet_abc":            "Authorization: [hidden]",
		`{"token":"vet_abc-d"}`:                    `{"token":"[hidden]"}`,
		"posting to https://user:pass@example/x":   "posting to https://user:[hidden]@example/x",
		"password=hunter2 host=rack1":              "password=[hidden] host=rack1",
		"created vet_AbC-d_9 for rack1":            "created vet_[hidden] for rack1",
		"lease 10.77.0.10 to 52:54:00:12:34:56 ok": "lease 10.77.0.10 to 52:54:00:12:34:56 ok",
	} {
		if got := withoutSecrets(line); got != want {
			t.Errorf("%s\nbecame %s\nnot    %s", line, got, want)
		}
	}
}
