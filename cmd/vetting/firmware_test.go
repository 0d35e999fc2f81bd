package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect" //nolint:depguard // the page lists the keys of the struct that a baseline is read into
	"strings"
	"testing"

	"vetting/core"
	"vetting/firmware/baseline"
	"vetting/firmware/catalogue"
)

// TestABaselineIsReadStrictly, and says where it is wrong.
func TestABaselineIsReadStrictly(t *testing.T) {
	for name, test := range map[string]struct {
		text         string
		line, column int
		want         []string
	}{
		"a misspelt key":            {"rules:\n  - id: a\n    prat: disk\n", 3, 5, []string{"prat", `did you mean "part"?`}},
		"a misspelt key at the top": {"rule:\n  - id: a\n", 1, 1, []string{`did you mean "rules"?`}},
		"a repeated key":            {"rules:\n  - id: a\n    id: b\n", 3, 5, []string{"id"}},
		"an unknown part":           {"rules:\n  - id: a\n    part: disc\n    min: 1\n", 3, 11, []string{"rules[0].part", "board, bmc, cpu, disk"}},
		"no kind of rule":           {"rules:\n  - {id: a, part: disk}\n", 2, 0, []string{"it has 0 of exact, min, deny and cohort"}},
		"two faults":                {"rules:\n  - {id: a, part: disk, min: 1, severity: fatal}\n  - {id: a, part: disk, min: 1}\n", 2, 0, []string{"fatal", "used twice", "[3:10]"}},
		"a list for a minimum":      {"rules:\n  - {id: a, part: disk, min: [1, 2]}\n", 0, 0, []string{"one version is wanted"}},
		"a word for a number":       {"rules:\n  - {id: a, part: disk, cohort: many}\n", 2, 0, []string{"many"}},
		"two documents":             {"rules: []\n---\nrules: []\n", 2, 1, []string{"second document"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseBaseline(test.text)

			var p *core.Problem
			if !errors.As(err, &p) || !errors.Is(err, core.ErrInvalid) || p.Code != "firmware/bad-baseline" {
				t.Fatalf("got %v", err)
			}

			line, _ := p.Details["line"].(int)
			column, _ := p.Details["column"].(int)

			if test.line > 0 && line != test.line || test.column > 0 && column != test.column {
				t.Errorf("at %d:%d, want %d:%d:\n%s", line, column, test.line, test.column, p.Message)
			}

			for _, want := range test.want {
				if !strings.Contains(p.Message, want) {
					t.Errorf("the message lacks %q:\n%s", want, p.Message)
				}
			}
		})
	}
}

// TestVersionsAreReadByTheLetter: a version that looks like a number is none.
func TestVersionsAreReadByTheLetter(t *testing.T) {
	b, err := parseBaseline(`
rules:
  - {id: a, part: board, min: 2.10} # not 2.1
  - {id: b, part: cpu, min: 0x2007006}
  - {id: c, part: disk, exact: [0309, 1e3, 2021-07-09, "1.20"]}
  - {id: d, part: disk, deny: 007}
`)
	if err != nil {
		t.Fatal(err)
	}

	got := []string{string(b.Rules[0].Min), string(b.Rules[1].Min), strings.Join(b.Rules[2].Exact, " "), strings.Join(b.Rules[3].Deny, " ")}
	if want := "2.10|0x2007006|0309 1e3 2021-07-09 1.20|007"; strings.Join(got, "|") != want {
		t.Errorf("read %q, want %s", got, want)
	}
}

// TestTheCatalogue: each rule says what is wrong, what to do and who says so, finds the
// firmware it is about, and lets the repaired one pass.
func TestTheCatalogue(t *testing.T) {
	known, err := parseBaseline(catalogue.Text())
	if err != nil {
		t.Fatal(err)
	}

	for i := range known.Rules {
		if r := &known.Rules[i]; r.Why == "" || r.Next == "" || r.Source == "" || len(r.Deny) == 0 || len(r.Model) == 0 {
			t.Errorf("%s is not complete: %+v", r.ID, r)
		}
	}

	told := map[string]bool{}

	for _, c := range []struct{ model, bad, good, rule string }{
		{"HP VO0480JFDGT", "HPD7", "HPD8", "hpe-sas-ssd-32768-hours"},
		{"HPE VK007680JWSSU", "HPD3", "HPD10", "hpe-sas-ssd-32768-hours"},
		{"HPE EK0800JVYPN", "HPD6", "HPD7", "hpe-sas-ssd-40000-hours"},
		{"INTEL SSDSC2KB019T8", "XCV10100", "XCV10110", "intel-s4510-s4610-1700-idle-hours"},
		{"M4-CT256M4SSD2", "0009", "0309", "crucial-m4-5184-hours"},
		{"Samsung SSD 980 PRO 2TB", "3B2QGXA7", "5B2QGXA7", "samsung-980-pro-read-only"},
		{"Samsung SSD 990 PRO 2TB", "0B2QJXD7", "1B2QJXD7", "samsung-990-pro-health"},
		{"ST3500320AS", "SD15", "SD1A", "seagate-7200.11-boot-of-death"},
	} {
		found := func(version string) []core.Finding {
			return baseline.Judge(&baseline.Baseline{}, known, &core.FirmwareCase{Items: []core.FirmwareItem{
				{Part: core.Part{Kind: "disk", Model: c.model, Serial: "S1"}, Name: "disk", Version: version},
			}}).Findings
		}

		if bad := found(c.bad); len(bad) != 1 || bad[0].Code != "firmware/denied" || !strings.Contains(bad[0].Evidence, "rule "+c.rule) {
			t.Errorf("%s %s: %+v", c.model, c.bad, bad)
		}

		if good := found(c.good); len(good) != 0 {
			t.Errorf("%s %s: %+v", c.model, c.good, good)
		}

		told[c.rule] = true
	}

	if len(told) != len(known.Rules) {
		t.Errorf("%d rules are tried, there are %d", len(told), len(known.Rules))
	}

	// The same drive of another size is not affected: Microsoft KB 4499612.
	other := &core.FirmwareCase{Items: []core.FirmwareItem{{Part: core.Part{Kind: "disk", Model: "INTEL SSDSC2KB960G8"}, Name: "disk", Version: "XCV10100"}}}
	if got := baseline.Judge(&baseline.Baseline{}, known, other).Findings; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func FuzzBaselineNeverPanics(f *testing.F) {
	f.Add(catalogue.Text())
	f.Add("rules:\n  - {id: a, part: board, min: 2.10, required: true}\n  - {id: b, part: disk, deny: ['HPD[0-7]', 1], class: 'r*'}\nwithout: [x]\n")
	f.Add("rules: &a [*a]\nwithout: *a\n")
	f.Add(endlessBaseline)
	f.Add(deep())
	f.Add("rules:\n- id: a\n  part: nic\n  cohort: 3\n  exact: {a: b}\n---\n?\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := parseBaseline(text)

		var p *core.Problem
		if err != nil && !errors.As(err, &p) {
			t.Errorf("%q: %v is no problem with a code", text, err)
		}

		if err == nil {
			baseline.Judge(b, b, &core.FirmwareCase{Class: "a", Items: []core.FirmwareItem{
				{Part: core.Part{Kind: "disk", Model: text}, Name: "disk", Version: text}, {Part: core.Part{Kind: "nic"}, Name: "NIC", Version: "1.2"},
			}})
		}
	})
}

// TestTheExamplesOfTheFirmwarePageAreBaselines, and the page has every key.
func TestTheExamplesOfTheFirmwarePageAreBaselines(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "firmware.md"))
	if err != nil {
		t.Fatal(err)
	}

	page := string(text)
	checkTables(t, page)

	blocks := strings.Split(page, "```yaml\n")[1:]
	for _, block := range blocks {
		example, _, closed := strings.Cut(block, "```\n")
		if b, err := parseBaseline(example); err != nil || !closed || len(b.Rules) == 0 {
			t.Errorf("%s\n%v", example, err)
		}
	}

	for _, key := range keys(reflect.TypeFor[baseline.Rule](), nil) {
		if !strings.Contains(page, "| `"+key[0]+"` |") {
			t.Errorf("docs/firmware.md lacks %s", key[0])
		}
	}

	for _, kind := range baseline.Kinds() {
		if !strings.Contains(page, "`"+kind+"`") {
			t.Errorf("docs/firmware.md lacks the kind %s", kind)
		}
	}
}
