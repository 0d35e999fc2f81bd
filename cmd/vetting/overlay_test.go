package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"vetting/core"
)

func TestHeadersOfCustomStages(t *testing.T) {
	const start = "vetting:\n  name: fan-check\n"

	tests := map[string]struct{ text, says string }{
		"no name":                        {"vetting:\n  after: Burn\n", "name"},
		"a name with a path":             {"vetting:\n  name: ../init\n", "name"},
		"a key that is none":             {start + "  timout: 5m\n", "timout"},
		"a stage that is none":           {start + "  after: Burnin\n", "Burnin"},
		"a stage of the appliance":       {start + "  after: SpecValidate\n", "no stage of the agent"},
		"a custom stage that destroys":   {start + "  destructive: true\n", "destructive"},
		"a time without end":             {start + "  timeout: 1000h\n", "timeout"},
		"a header that is something all": {"[1, 2]", ""},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := readHeader([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want something with %q", err, tt.says)
			}
		})
	}

	got, needs, err := readHeader([]byte(start + "  after: Burn\n  timeout: 2m\n  profiles: [deep]\n  needs: [bin/fans]\n"))
	if err != nil || got.Name != "fan-check" || got.After != core.Burn || got.Timeout != 2*time.Minute || len(got.Profiles) != 1 || len(needs) != 1 {
		t.Errorf("%+v, %v, %v", got, needs, err)
	}

	if got, _, err := readHeader([]byte(start)); err != nil || got.Timeout != 5*time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
}

// The example of the documentation is a custom stage.
func TestTheExampleOfACustomStageHasAHeader(t *testing.T) {
	page, err := os.ReadFile("../../docs/overlays.md")
	if err != nil {
		t.Fatal(err)
	}

	_, text, _ := strings.Cut(string(page), "```sh\n#!")
	text, _, _ = strings.Cut("#!"+text, "```")

	dir := t.TempDir()
	if err := os.WriteFile(dir+"/watchdog-check", []byte(text), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}

	var out strings.Builder

	root := newRoot(&out, &out)
	root.SetArgs([]string{"overlay", "build", "script", dir + "/watchdog-check", "--name", "acme", "--out", dir + "/acme.cpio"})

	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}

	for _, args := range [][]string{{"add", dir + "/acme.cpio"}, {"list"}, {"list", "--output", "json"}, {"remove", "acme"}, {"list"}} {
		root := newRoot(&out, &out)
		root.SetArgs(append(append([]string{"overlay"}, args...), "--data-dir", dir+"/data"))

		if err := root.Execute(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out.String())
		}
	}

	if text := out.String(); !strings.Contains(text, "custom stage watchdog-check: stages/watchdog-check after InventoryCheck, at most 30s") || !strings.Contains(text, `"name": "acme"`) {
		t.Errorf("%s", text)
	}
}
