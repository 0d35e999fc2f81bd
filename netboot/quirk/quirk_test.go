package quirk_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vetting/netboot/quirk"
)

var update = flag.Bool("update", false, "write the table of netboot/README.md anew")

const readme = "../README.md"

// Every quirk has a test that is named after it, and no test is named after none.
func TestEveryQuirkHasItsTest(t *testing.T) {
	tests := map[string][]string{}
	pattern := regexp.MustCompile(`(?m)^func (TestQuirk(Q\d+)[A-Z]\w*)\(t \*testing\.T\)`)

	for _, root := range []string{"..", "../../core/bootdoctor", "../../cmd/vetting"} {
		err := fs.WalkDir(os.DirFS(root), ".", func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}

			text, err := os.ReadFile(root + "/" + path)
			for _, found := range pattern.FindAllStringSubmatch(string(text), -1) {
				tests[found[2]] = append(tests[found[2]], found[1])
			}

			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	seen := map[string]bool{}

	for _, q := range quirk.All() {
		if len(tests[q.ID]) == 0 {
			t.Errorf("%s (%s: %s) has no test", q.ID, q.Who, q.Symptom)
		}

		if seen[q.ID] || q.Who == "" || q.Symptom == "" || q.Ours == "" || q.Source == "" {
			t.Errorf("%+v stands twice or lacks something", q)
		}

		seen[q.ID] = true
	}

	for id, names := range tests {
		if !seen[id] {
			t.Errorf("%s is about a quirk that nobody knows: %v", id, names)
		}
	}
}

// The table that people read is this one.
func TestTheReadmeHasTheTable(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}

	const head = "| Quirk | Machine, firmware | Symptom | What we do | Source |\n|---|---|---|---|---|\n"

	before, rest, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatal("there is no table of quirks")
	}

	lines := strings.SplitAfter(rest, "\n")
	end := slices.IndexFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "|") })

	if end < 0 {
		end = len(lines)
	}

	var want strings.Builder

	for _, q := range quirk.All() {
		fmt.Fprintf(&want, "| %s | %s | %s | %s | %s |\n", q.ID, q.Who, q.Symptom, q.Ours, q.Source)
	}

	if strings.Join(lines[:end], "") == want.String() {
		return
	}

	if !*update {
		t.Fatal("the table of quirks is not the one of this package; go test ./netboot/quirk -update writes it anew")
	}

	if err := os.WriteFile(readme, []byte(before+head+want.String()+strings.Join(lines[end:], "")), 0o644); err != nil {
		t.Fatal(err)
	}
}
