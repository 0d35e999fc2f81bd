package form_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/report"
	"vetting/ui/canned"
	"vetting/ui/lookup"
	page "vetting/ui/report"
	"vetting/ui/report/form"
)

// found makes the report of a run of a scene.
func found(t *testing.T, scene canned.Scene, id core.RunID) report.Report {
	t.Helper()

	ledger := coretest.NewLedger()
	if err := canned.Fill(t.Context(), ledger, scene); err != nil {
		t.Fatal(err)
	}

	var out report.Report

	err := ledger.View(t.Context(), func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err == nil {
			out, err = lookup.Report(r, &run, canned.Author())
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return out
}

// reports are those of every kind.
func reports(t *testing.T) map[string]report.Report {
	t.Helper()

	full := canned.Run[:25]

	return map[string]report.Report{
		"pass": found(t, canned.Full, full+"5"), "warned": found(t, canned.Full, full+"3"), "fail": found(t, canned.Full, full+"4"),
		"held": found(t, canned.Full, full+"2"), "cancelled": found(t, canned.Full, full+"9"), "preliminary": found(t, canned.Full, canned.Run),
		"error": found(t, canned.Failed, full+"2"), "hostile": found(t, canned.Hostile, canned.Run),
	}
}

func written(t *testing.T, r *report.Report, write func(io.Writer, *report.Report) error) []byte {
	t.Helper()

	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}

	return b.Bytes()
}

// The schemas are those of opencomputeproject/ocp-diag-core at 8fae3f5, under the
// licence beside them.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()

	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()

	root := ""

	err := fs.WalkDir(os.DirFS("testdata/ocp"), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".json" {
			return err
		}

		text, err := os.ReadFile("testdata/ocp/" + name)
		if err != nil {
			return err
		}

		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}

		object, _ := doc.(map[string]any)
		id, _ := object["$id"].(string)

		if name == "root.json" {
			root = id
		}

		return compiler.AddResource(id, doc)
	})
	if err != nil {
		t.Fatal(err)
	}

	compiled, err := compiler.Compile(root)
	if err != nil {
		t.Fatal(err)
	}

	return compiled
}

// Every line is one of the specification's, the numbers have no gap, and the run ends
// in one of the four ways that it knows.
func TestOCPLinesAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()

	rules := schema(t)

	for name, r := range reports(t) {
		lines := slices.Collect(strings.Lines(string(written(t, &r, form.OCP))))

		for i, line := range lines {
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
			if err != nil {
				t.Fatal(err)
			}

			if err := rules.Validate(value); err != nil {
				t.Errorf("%s, line %d: %v\n%s", name, i, err, line)
			}

			var head struct{ SequenceNumber int }

			if err := json.Unmarshal([]byte(line), &head); err != nil || head.SequenceNumber != i {
				t.Errorf("%s, line %d: number %d, %v", name, i, head.SequenceNumber, err)
			}
		}

		want := map[string]string{
			"pass": "COMPLETE PASS", "warned": "COMPLETE PASS", "fail": "COMPLETE FAIL", "held": "COMPLETE FAIL", "hostile": "COMPLETE FAIL",
			"cancelled": "SKIP NOT_APPLICABLE", "preliminary": "ERROR NOT_APPLICABLE", "error": "ERROR NOT_APPLICABLE",
		}[name]

		var last struct {
			TestRunArtifact struct {
				TestRunEnd struct{ Status, Result string }
			}
		}

		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
			t.Fatal(err)
		}

		if end := last.TestRunArtifact.TestRunEnd; end.Status+" "+end.Result != want {
			t.Errorf("%s ends in %+v, want %s", name, end, want)
		}
	}
}

// A line that is not the specification's would be seen.
func TestTheSchemaSeesWhatIsWrong(t *testing.T) {
	t.Parallel()

	value, err := jsonschema.UnmarshalJSON(strings.NewReader(
		`{"sequenceNumber":1,"timestamp":"2026-11-23T12:00:00Z","testRunArtifact":{"testRunEnd":{"status":"DONE","result":"PASS"}}}`))
	if err != nil {
		t.Fatal(err)
	}

	if schema(t).Validate(value) == nil {
		t.Error("a status that there is not is taken")
	}
}

func TestLimitsBecomeValidatorsOnlyWhereTheyAreNumbers(t *testing.T) {
	t.Parallel()

	for limit, want := range map[string]string{
		"lt 85":                                  `[{"type":"LESS_THAN","value":85}]`,
		"gte 0":                                  `[{"type":"GREATER_THAN_OR_EQUAL","value":0}]`,
		"gte 90 % of 1200 (median of 7 hosts)":   `[{"type":"GREATER_THAN_OR_EQUAL","value":1080}]`,
		"within_pct 5 of 100":                    `[{"name":"low","type":"GREATER_THAN_OR_EQUAL","value":95},{"name":"high","type":"LESS_THAN_OR_EQUAL","value":105}]`,
		"within_pct 5 of -100 (fallback)":        `[{"name":"low","type":"GREATER_THAN_OR_EQUAL","value":-105},{"name":"high","type":"LESS_THAN_OR_EQUAL","value":-95}]`,
		"lte 90 % of cpu/package0/limit_celsius": `null`,
		"gte 90 % of the baseline, which is not known yet": `null`,
		"at most 5000 sample keys":                         `null`,
		"lt":                                               `null`,
		"":                                                 `null`,
	} {
		got, err := json.Marshal(form.Validators(limit))
		if err != nil || string(got) != want {
			t.Errorf("%q: %s (%v), want %s", limit, got, err, want)
		}
	}
}

// cases are the test cases of a JUnit file by their outcome.
func cases(t *testing.T, text []byte) map[string]int {
	t.Helper()

	var all struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}

	if err := xml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}

	count := map[string]int{"tests": -all.Tests, "failure": -all.Failures, "error": -all.Errors, "skipped": -all.Skipped}

	for _, s := range all.Suites {
		for _, c := range s.Cases {
			count["tests"]++

			for outcome, is := range map[string]bool{"failure": c.Failure != nil, "error": c.Error != nil, "skipped": c.Skipped != nil} {
				if is {
					count[outcome]++

					if c.Name == "verdict" {
						count["verdict "+outcome]++
					}
				}
			}
		}
	}

	return count
}

// A pipeline looks at failures and errors alone: a report that does not pass has one.
func TestJUnitPassesOnlyWithTheReport(t *testing.T) {
	t.Parallel()

	for name, r := range reports(t) {
		count := cases(t, written(t, &r, form.JUnit))

		for _, attr := range []string{"tests", "failure", "error", "skipped"} {
			if count[attr] != 0 {
				t.Errorf("%s: the attribute of %s is wrong by %d", name, attr, count[attr])
			}
		}

		want := map[string]string{
			"fail": "verdict failure", "held": "verdict failure", "hostile": "verdict failure", "cancelled": "verdict error", "preliminary": "verdict error",
			"error": "verdict error",
		}[name]
		if bad := count["verdict failure"] + count["verdict error"] + count["verdict skipped"]; want == "" && bad > 0 || want != "" && count[want] != 1 {
			t.Errorf("%s: %v, want %q", name, count, want)
		}
	}
}

func TestCSVIsOneTableWithEveryPart(t *testing.T) {
	t.Parallel()

	for name, r := range reports(t) {
		rows, err := csv.NewReader(bytes.NewReader(written(t, &r, form.CSV))).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		count := map[string]int{}
		for _, row := range rows {
			count[row[4]]++
		}

		for record, want := range map[string]int{
			"verdict": 1, "not tested": len(r.NotTested), "finding": len(r.Findings), "stage": len(r.Stages), "part": len(r.Components),
			"firmware": len(r.Firmware), "spec": len(r.SpecDiffs), "limit": len(r.Evaluations), "software": len(r.Software), "written": 1, "record": 1,
		} {
			if count[record] != want {
				t.Errorf("%s: %d rows of %q, want %d", name, count[record], record, want)
			}
		}
	}
}

// hostile is what a machine may say of itself, in every place where it is asked.
func hostile(t *testing.T) report.Report {
	t.Helper()

	r := found(t, canned.Hostile, canned.Run)
	evil := "=cmd|'/C calc'!A0<script>alert(1)</script>]]>&#x1b;\x1b[31m\x07\u202e\u200b\u009b\r\n\x00\xff\"'`${7*7}"
	part := core.Part{Kind: "disk", Slot: evil, Model: "+" + evil, Serial: "@" + evil}

	r.Host.Serial, r.Host.Name, r.Host.Product, r.Run.Operator = evil, "-"+evil, evil, evil
	r.Findings = append(r.Findings, core.Finding{Code: "disk/x", Severity: core.Critical, Title: evil, Stage: core.SMART, Part: part, Evidence: evil, Next: evil})
	r.Components = append(r.Components, report.Component{Part: part, Vendor: evil, Firmware: evil, Detail: evil})
	r.NotTested = append(r.NotTested, report.Gap{What: evil, Why: evil})
	r.Evaluations = append(r.Evaluations, report.Evaluation{Stage: core.SMART, Rule: evil, Key: evil, Limit: evil, Verdict: core.Fail, Severity: core.Critical})
	r.Firmware = append(r.Firmware, report.Firmware{Part: part, Name: evil, Version: evil, Date: evil})
	r.Software = append(r.Software, report.Digest{Name: evil, Version: evil, SHA256: evil})

	return r
}

// What a machine says of itself stays text in every form of the report.
func TestWhatAHostSaysStaysTextInEveryForm(t *testing.T) {
	t.Parallel()

	r := hostile(t)

	for name, c := range map[string]struct {
		write func(io.Writer, *report.Report) error
		check func(t *testing.T, text []byte)
	}{
		"html": {
			func(w io.Writer, r *report.Report) error {
				return page.WriteHTML(t.Context(), w, *r, page.With{}, canned.Keys{}.Key())
			},
			func(t *testing.T, text []byte) {
				t.Helper()
				if bytes.Contains(text, []byte("<script>")) || bytes.Contains(text, []byte("</script>]]")) {
					t.Error("markup")
				}
			},
		},
		"json": {
			func(w io.Writer, r *report.Report) error { return page.WriteJSON(w, *r, canned.Keys{}.Key()) },
			func(t *testing.T, text []byte) {
				t.Helper()
				if bytes.ContainsAny(text, "<>&") {
					t.Error("markup")
				}
			},
		},
		"csv": {form.CSV, noFormula},
		"ocp": {form.OCP, func(t *testing.T, text []byte) {
			t.Helper()

			for line := range bytes.Lines(text) {
				if !json.Valid(line) || bytes.ContainsAny(line, "<>&") {
					t.Errorf("not a line of JSON without markup: %s", line)
				}
			}
		}},
		"junit": {form.JUnit, func(t *testing.T, text []byte) {
			t.Helper()

			cases(t, text)

			if bytes.Contains(text, []byte("<script")) {
				t.Error("markup")
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			text := written(t, &r, c.write)
			c.check(t, text)

			if bytes.ContainsAny(text, "\x1b\x07\x00\u202e\u200b\u009b") || bytes.Contains(text, []byte{0xff}) {
				t.Error("characters that steer a terminal or the direction of reading")
			}

			if !bytes.Contains(text, []byte("alert(1)")) {
				t.Error("what the host said is not there at all: nothing is tried")
			}
		})
	}
}

// noFormula wants no cell that a spreadsheet would compute.
func noFormula(t *testing.T, text []byte) {
	t.Helper()

	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}

	quoted := 0

	for _, row := range rows {
		for _, cell := range row {
			if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r") {
				t.Errorf("a spreadsheet computes %q", cell)
			}

			if strings.HasPrefix(cell, "'=") || strings.HasPrefix(cell, "'+") || strings.HasPrefix(cell, "'@") || strings.HasPrefix(cell, "'-") {
				quoted++
			}
		}
	}

	if quoted < 10 {
		t.Errorf("only %d cells were tried", quoted)
	}
}
