package label_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/report/label"
)

const link = "https://vetting.example:8443/runs/01JD4X00000000000000000011"

func sample() report.Report {
	return report.Report{
		Host:    report.Host{Name: "rack3-u17", MAC: "52:54:00:00:00:11", Serial: "7CX8K13", AssetTag: "A-100"},
		Run:     report.Run{ID: "01JD4X00000000000000000011", Profile: "quick"},
		Verdict: report.Verdict{Kind: core.Pass, Words: "PASS"}, NotTested: []report.Gap{{}, {}},
	}
}

func drawn(t *testing.T, r report.Report, size label.Size) string {
	t.Helper()

	svg, err := label.SVG(&r, link, size)
	if err != nil {
		t.Fatal(err)
	}

	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return svg
		} else if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
	}
}

func TestALabelSaysWhatMatters(t *testing.T) {
	t.Parallel()

	for _, size := range label.Sizes() {
		svg := drawn(t, sample(), size)

		for _, want := range []string{">rack3-u17", ">PASS<", ">2 things NOT tested<", ">S/N 7CX8K13<"} {
			if !strings.Contains(svg, want) {
				t.Errorf("%s lacks %q", size.Name, want)
			}
		}

		if n := strings.Count(svg, "<path"); n != 2 {
			t.Errorf("%s has %d codes", size.Name, n)
		}

		if found, err := label.Find(size.Name); err != nil || found != size {
			t.Errorf("%+v, %v", found, err)
		}
	}

	r := sample()
	r.Preliminary, r.Verdict.Words = true, "PASS"

	if svg := drawn(t, r, label.Sizes()[0]); strings.Contains(svg, ">PASS<") || !strings.Contains(svg, "NOT FINISHED") {
		t.Error("a run that is not decided reads as passed")
	}

	if _, err := label.Find("1x1"); err == nil {
		t.Error("a size that there is not is found")
	}
}

// Bars that a scanner cannot read are worse than none.
func TestBarsAreDrawnOnlyWhereTheyCanBeRead(t *testing.T) {
	t.Parallel()

	for serial, bars := range map[string]bool{
		"7CX8K13": true, "CN-0ABC12": true, "": false, strings.Repeat("AB1-", 10): false, "S\u00e9rie": false, "12345678901234567890": true,
		strings.Repeat("x", 500): false,
	} {
		r := sample()
		r.Host.Serial = serial

		svg := drawn(t, r, label.Sizes()[0])
		if has := strings.Count(svg, "<path") == 2; has != bars {
			t.Errorf("%q: bars %t, want %t", serial, has, bars)
		}

		for _, m := range regexp.MustCompile(`scale\(([0-9.]+) [0-9.]+\)`).FindAllStringSubmatch(svg, -1) {
			if module, err := strconv.ParseFloat(m[1], 64); err != nil || module < label.Narrowest {
				t.Errorf("%q: a bar of %s mm (%v)", serial, m[1], err)
			}
		}
	}
}

func TestWhatAHostSaysStaysTextOnALabel(t *testing.T) {
	t.Parallel()

	r := sample()
	evil := `"/><script>alert(1)</script>` + "\x1b[31m\u202e\x00"
	r.Host.Name, r.Host.Serial, r.Host.AssetTag, r.Run.Profile, r.Verdict.Words = evil, evil, evil, evil, evil

	svg := drawn(t, r, label.Sizes()[3])
	if strings.Contains(svg, "<script") || strings.ContainsAny(svg, "\x1b\x00\u202e") {
		t.Error("markup, or what steers a terminal")
	}

	var b bytes.Buffer
	if err := label.Page(&b, []string{svg, svg}, label.Sizes()[0], true); err != nil || strings.Count(b.String(), "<svg") != 2 {
		t.Errorf("%v: %s", err, b.String())
	}
}
