package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/report/bundle"
)

const evil = "../../etc/passwd\x00<script>\x1b[31m=1+1\u202e"

func sample() *bundle.Bundle {
	part := core.Part{Kind: "disk", Slot: "sdc", Model: evil, Serial: "WD-1"}

	return &bundle.Bundle{
		Report: report.Report{
			Schema: report.Schema, Verdict: report.Verdict{Words: "FAIL", Kind: core.Fail}, Host: report.Host{Name: evil, MAC: "52:54:00:00:00:11"},
			Run: report.Run{ID: "01JD4X00000000000000000011", EndedAt: time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC)},
			Findings: []core.Finding{
				{Code: "smart/pending", Severity: core.Critical, Title: "A disk has sectors that it cannot read", Part: part, Evidence: evil, Next: "Replace the disk"},
				{Code: "x/y", Severity: core.Info, Title: "no matter"},
			},
			Components: []report.Component{{Part: part, Firmware: "82.00"}},
			NotTested:  []report.Gap{{What: "GPU", Why: "none"}},
		},
		Page: []byte("<page>"), JSON: []byte("{}"), Table: []byte("a,b\n"),
		Artifacts: []core.Artifact{
			{ID: "2", Stage: core.SMART, Name: evil, SHA256: "two"},
			{ID: "1", Stage: core.SMART, Name: "smart-sdc.bin", SHA256: "one"},
			{ID: "3", Stage: core.Burn, Name: "gone.bin", SHA256: "gone"},
		},
		Open: func(sum string) (io.ReadCloser, error) {
			if sum == "gone" {
				return nil, errors.New("there is no such artifact; it may have expired")
			}

			return io.NopCloser(strings.NewReader("content " + sum)), nil
		},
		Lines: func(after uint64) ([]core.LogLine, error) {
			if after == 3 {
				return nil, nil
			}

			return []core.LogLine{{Seq: after + 1, Level: "info", Stage: core.SMART, Text: "line\nof " + evil}}, nil
		},
	}
}

func packed(t *testing.T) []byte {
	t.Helper()

	var b bytes.Buffer
	if err := bundle.Write(&b, sample()); err != nil {
		t.Fatal(err)
	}

	return b.Bytes()
}

func TestABundleHasAllThatAVendorAsksFor(t *testing.T) {
	t.Parallel()

	text := packed(t)

	if !bytes.Equal(text, packed(t)) {
		t.Error("the same run makes other bytes")
	}

	archive, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}

	files, sums := map[string]string{}, ""

	for _, f := range archive.File {
		if strings.ContainsAny(f.Name, "<>\\ \x00\x1b") || strings.Contains(f.Name, "..") && strings.Contains(f.Name, "/..") || strings.HasPrefix(f.Name, "/") {
			t.Errorf("an entry is called %q", f.Name)
		}

		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}

		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}

		files[f.Name] = string(content)

		if f.Name != "SHA256SUMS" {
			sum := sha256.Sum256(content)
			sums += hex.EncodeToString(sum[:]) + "  " + f.Name + "\n"
		}
	}

	if files["SHA256SUMS"] != sums {
		t.Errorf("the sums are\n%s, want\n%s", files["SHA256SUMS"], sums)
	}

	if files["files/003-SMART-smart-sdc.bin"] != "content one" || files["report.html"] != "<page>" || strings.Count(files["log.txt"], "\n") != 3 {
		t.Errorf("%q", files)
	}

	for _, want := range []string{"serial   WD-1", "next     Replace the disk", "slot     sdc", "GPU: none", "gone.bin of Burn: there is no such artifact", "verdict  FAIL"} {
		if !strings.Contains(files["README.txt"], want) {
			t.Errorf("the page of text lacks %q:\n%s", want, files["README.txt"])
		}
	}

	if strings.ContainsAny(files["README.txt"]+files["log.txt"], "\x1b\x00\u202e") || strings.Contains(files["README.txt"], "no matter") {
		t.Errorf("%q", files["README.txt"])
	}
}

func TestABundleThatCannotBeWrittenSaysSo(t *testing.T) {
	t.Parallel()

	b := sample()
	b.Lines = func(uint64) ([]core.LogLine, error) { return nil, errors.New("the disk broke") }

	if err := bundle.Write(io.Discard, b); err == nil || !strings.Contains(err.Error(), "the disk broke") {
		t.Error(err)
	}
}
