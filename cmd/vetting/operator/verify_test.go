package operator_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
	"vetting/ui/report/seal"
)

func TestVerifyTellsWhatWasChanged(t *testing.T) {
	t.Parallel()

	key := seal.NewKey(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	other := seal.NewKey(bytes.Repeat([]byte{2}, ed25519.SeedSize))

	good, err := seal.JSON(report.Report{
		Schema: report.Schema, Summary: "all \x1b[31m passed", Run: report.Run{ID: "01JD4X00000000000000000011"}, Verdict: report.Verdict{Kind: core.Pass},
	}, key)
	if err != nil {
		t.Fatal(err)
	}

	list, err := json.Marshal(route.ReportKeyList{Keys: []core.ReportKey{{Public: other.Public()}, {Public: key.Public()}}})
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}

		return path
	}
	right := file("good.json", good)
	changed := file("changed.json", bytes.Replace(good, []byte("all"), []byte("ALL"), 1))
	keys, strangers := file("keys.json", list), file("strangers", []byte(base64.StdEncoding.EncodeToString(other.Public())+"\n"))

	for name, c := range map[string]struct {
		args []string
		want string // of the output; with !, of the error
	}{
		"as it was signed":           {[]string{right}, "key        " + core.KeyFingerprint(key.Public())},
		"nobody is named":            {[]string{right}, "compare it with"},
		"the verdict":                {[]string{right}, "verdict    PASS: all passed"},
		"by a fingerprint":           {[]string{right, "--key", core.KeyFingerprint(key.Public())}, "as it was signed"},
		"by an id":                   {[]string{right, "--key", core.KeyID(key.Public())}, "as it was signed"},
		"by an appliance's list":     {[]string{right, "--key", keys}, "as it was signed"},
		"of the run":                 {[]string{right, "--run", "01JD4X00000000000000000011"}, "as it was signed"},
		"another run":                {[]string{right, "--run", "01JD4X00000000000000000012"}, "!it is the report of run 01JD4X00000000000000000011, not of"},
		"another key":                {[]string{right, "--key", strangers}, "!none of those that you trust"},
		"a key that is none":         {[]string{right, "--key", "abc"}, "!no fingerprint and no key"},
		"an empty list of keys":      {[]string{right, "--key", file("none", []byte(`{"keys":[]}`))}, "!there is no key in it"},
		"changed":                    {[]string{changed}, "!was changed after it was signed"},
		"changed and the key named":  {[]string{changed, "--key", keys}, "!was changed after it was signed"},
		"a file that is not there":   {[]string{filepath.Join(dir, "nothing")}, "!no such file"},
		"a file that is no report":   {[]string{keys}, "!this is no report"},
		"the key of nobody is empty": {[]string{right, "--key", ""}, "!there is no key in it"},
	} {
		out, err := say(t, nil, append([]string{"report", "verify"}, c.args...)...)

		want, bad := strings.CutPrefix(c.want, "!")
		if bad != (err != nil) {
			t.Errorf("%s: %q, %v", name, out, err)

			continue
		}

		if bad {
			out = err.Error()
		}

		if !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
			t.Errorf("%s: %q, want %q", name, out, want)
		}
	}
}
