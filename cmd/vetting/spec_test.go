package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect" //nolint:depguard // the page lists the keys of the struct that a spec is read into
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/spec"
)

func TestARefusedSpecNamesLineAndColumn(t *testing.T) {
	for name, test := range map[string]struct {
		text         string
		line, column int
		want         []string
	}{
		"a misspelt key is told the right one": {
			"memory:\n  dimms:\n    each:\n      sise: 16 GiB\n", 4, 7, []string{"sise", `did you mean "size"?`, "4 |"},
		},
		"a misspelt key in a list": {
			"disks:\n  - count: 2\n  - modle: ST4000\n", 3, 5, []string{"modle", `did you mean "model"?`},
		},
		"a misspelt key below a name that people choose": {
			"memory: {dimms: {slots: {DIMM_A1: {siez: 1 GiB}}}}\n", 1, 36, []string{`did you mean "size"?`},
		},
		"a key in the wrong place": {
			"dimms: {count: 4}\n", 1, 1, []string{"its place is memory.dimms"},
		},
		"a key nobody knows": {
			"cpus:\n  horsepower: 3\n", 2, 3, []string{"horsepower", "count, model, cores, threads"},
		},
		"a word where a number belongs": {
			"cpus:\n  count: two\n", 2, 10, []string{`"two"`, "a whole number"},
		},
		"a group where a text belongs": {
			"system: {serial: {a: b}}\n", 1, 19, []string{"here are: is, severity"},
		},
		"a list in a list where a text belongs": {
			"system: {serial: [[a]]}\n", 1, 0, []string{"text"},
		},
		"a misspelt key of a field that is a group": {
			"bios:\n  version:\n    is: 1.2\n    severty: info\n", 4, 5, []string{`did you mean "severity"?`},
		},
		"a severity that there is not": {
			"bios:\n  version: {is: 1.2, severity: fatal}\n", 2, 32, []string{"fatal", "critical, warning, info"},
		},
		"a regular expression that cannot be read": {
			"disks:\n  - model: ST4000\n  - model: /(ST/\n", 3, 12, []string{"regular expression", "[3:12]"},
		},
		"a range that is upside down": {
			"cpus:\n  cores: 16..8\n", 2, 10, []string{"16..8", "upside down"},
		},
		"an alternative that is no number": {
			"cpus:\n  cores: [8, many]\n", 2, 0, []string{`"many"`, "a whole number"},
		},
		"a list where a group belongs": {
			"memory: [1, 2]\n", 1, 0, []string{"memory"},
		},
		"a size that is none": {
			"disks:\n  - count: 1\n    size: 4 apples\n", 3, 11, []string{"4 apples", "GiB"},
		},
		"a repeated key": {
			"cpus: {count: 2}\ncpus: {count: 4}\n", 2, 1, []string{"cpus"},
		},
		"broken YAML": {
			"memory:\n  dimms: [\n", 2, 0, []string{"2 |"},
		},
		"no keys at all": {"hello\n", 1, 1, nil},
		"two documents":  {"cpus: {count: 2}\n---\ncpus: {count: 4}\n", 2, 1, []string{"second document"}},
		"a value that makes no sense": {
			"bios:\n  mode: uefi\ncpus:\n  count: -1\n", 4, 10, []string{"cpus.count", "[4:10]"},
		},
		"all values that make no sense": {
			"cpus:\n  count: -1\n  cores: -2\n", 2, 10, []string{"cpus.count", "cpus.cores", "[3:10]"},
		},
		"a fault of an entry of a list": {
			"nics:\n  - mac: 52:54:00:00:00:01\n  - mac: nonsense\n", 3, 10, []string{"nics[1]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSpec(test.text)

			var p *core.Problem
			if !errors.As(err, &p) || !errors.Is(err, core.ErrInvalid) || p.Code != "spec/invalid" {
				t.Fatalf("got %v", err)
			}

			line, _ := p.Details["line"].(int)
			column, _ := p.Details["column"].(int)

			if line != test.line || test.column > 0 && column != test.column {
				t.Errorf("at %d:%d, want %d:%d:\n%s", line, column, test.line, test.column, p.Message)
			}

			for _, want := range test.want {
				if !strings.Contains(p.Message, want) {
					t.Errorf("the message lacks %q:\n%s", want, p.Message)
				}
			}

			if strings.Contains(p.Message, "Go struct") || strings.Contains(p.Message, "spec/invalid") {
				t.Errorf("the message is not for people:\n%s", p.Message)
			}
		})
	}
}

func TestASpecThatSaysNothingIsAccepted(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "cpus:\n"} {
		if _, err := parseSpec(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzSpecNeverPanics(f *testing.F) {
	f.Add("memory: {total: 16 GiB, dimms: {count: 2, slots: {DIMM_A1: {size: 8 GiB}}}}\n")
	f.Add("disks:\n  - {count: 2, model: ST4000, size: 4 TB}\nnics: [{mac: '52:54:00:00:00:01'}]\n")
	f.Add("a: &a [*a, *a]\n<<: *a\n")
	f.Add(endlessSpec)
	f.Add(deep())
	f.Add("cpus: {count: -1}\n---\n?\n")
	f.Add("bios: {version: {is: [/^1/, 2.*], severity: info}}\ncpus: {cores: 8..16}\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parseSpec(text)

		var p *core.Problem
		if err != nil && !errors.As(err, &p) {
			t.Errorf("%q: %v is no problem with a code", text, err)
		}
	})
}

// specPage is the reference of the expected spec.
func specPage(t *testing.T) string {
	t.Helper()

	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "spec.md"))
	if err != nil {
		t.Fatal(err)
	}

	return string(text)
}

func TestTheExamplesOfTheSpecPageAreSpecs(t *testing.T) {
	blocks := strings.Split(specPage(t), "```yaml\n")[1:]
	if len(blocks) < 4 {
		t.Fatalf("%d examples", len(blocks))
	}

	for _, block := range blocks {
		text, _, closed := strings.Cut(block, "```\n")

		s, err := parseSpec(text)
		if err != nil || !closed {
			t.Errorf("%s\n%v", text, err)

			continue
		}

		written, err := writeSpec(s)
		if err != nil {
			t.Fatal(err)
		}

		if again, err := parseSpec(written); err != nil || !cmp.Equal(s, again) {
			t.Errorf("written as\n%s\nand read again: %v\n%s", written, err, cmp.Diff(s, again))
		}
	}
}

func TestEveryFieldOfASpecIsOnItsPage(t *testing.T) {
	page := specPage(t)
	checkTables(t, page)

	for _, key := range keys(reflect.TypeFor[spec.Spec](), nil) {
		path := strings.Join(key, ".")
		path = strings.NewReplacer("memory.dimms.each.", "….", "memory.dimms.slots.*.", "….").Replace(path)

		for _, list := range []string{"disks", "nics", "pci"} {
			path = strings.Replace(path, list+".", list+"[].", 1)
		}

		named := strings.Contains(page, "| `"+path+"`") || strings.Contains(page, "| `"+path+".") || strings.Contains(page, "| `"+path+"[")
		if name := key[len(key)-1]; name != "is" && name != "severity" && !named {
			t.Errorf("docs/spec.md lacks %s", path)
		}
	}
}
