package seal_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/report/seal"
)

func key(n byte) seal.Key { return seal.NewKey(bytes.Repeat([]byte{n}, ed25519.SeedSize)) }

func sample() report.Report {
	small, odd := 1e-7, 333333333.33333329

	return report.Report{
		Schema: report.Schema, GeneratedAt: time.Date(2026, 11, 23, 12, 41, 7, 0, time.UTC), Summary: "2 < 3 & \"quotes\" \u2028 é 😀 \x01",
		Run:         report.Run{ID: "01JD4X00000000000000000011", Scale: 1},
		Host:        report.Host{MAC: "52:54:00:00:00:11", Name: "</script><script>alert(1)</script>", Serial: "=1+1"},
		Evaluations: []report.Evaluation{{Rule: "a", Value: &small}, {Rule: "b", Value: &odd}, {Rule: "c"}},
	}
}

func page(r report.Report) ([]byte, error) {
	return []byte("<!DOCTYPE html><html><body><h1>" + r.Signature.Fingerprint + "</h1>" + seal.SlotOpens + seal.SlotCloses + "</body></html>\n"), nil
}

// files are a report as JSON and as a page.
func files(t *testing.T, r report.Report, k seal.Key) map[string][]byte {
	t.Helper()

	text, err := seal.JSON(r, k)
	if err != nil {
		t.Fatal(err)
	}

	drawn, err := seal.Page(r, k, page)
	if err != nil {
		t.Fatal(err)
	}

	return map[string][]byte{"json": text, "html": drawn}
}

func TestASignedReportIsGoodAndTellsItsKey(t *testing.T) {
	t.Parallel()

	for kind, text := range files(t, sample(), key(1)) {
		checked, err := seal.Verify(text)
		if err != nil {
			t.Fatalf("%s: %v\n%s", kind, err, text)
		}

		if checked.Report.Run.ID != sample().Run.ID || checked.Report.Host.Name != sample().Host.Name || checked.Page != (kind == "html") {
			t.Errorf("%s: %+v", kind, checked)
		}

		if checked.Fingerprint() != core.KeyFingerprint(key(1).Public()) {
			t.Errorf("%s: signed by %s", kind, checked.Fingerprint())
		}

		if bytes.Contains(text, []byte("<script>alert")) {
			t.Errorf("%s holds markup that the host said", kind)
		}
	}
}

// Every byte counts: wherever one is changed, left out or put in, the file is refused,
// with a sentence.
func TestEveryChangedByteIsTold(t *testing.T) {
	t.Parallel()

	for kind, text := range files(t, sample(), key(1)) {
		for at := range text {
			refused(t, kind, at, with(text, at, text[at]^[]byte{0x01, 0x20, 0x80}[at%3]))

			if at%2 == 0 {
				refused(t, kind, at, append(bytes.Clone(text[:at]), text[at+1:]...))
			} else {
				refused(t, kind, at, append(append(bytes.Clone(text[:at]), ' '), text[at:]...))
			}
		}

		refused(t, kind, len(text), append(bytes.Clone(text), '\n'))
	}
}

func with(text []byte, at int, b byte) []byte {
	text = bytes.Clone(text)
	text[at] = b

	return text
}

func refused(t *testing.T, kind string, at int, text []byte) {
	t.Helper()

	_, err := seal.Verify(text)
	if err == nil {
		t.Errorf("%s: a change at byte %d is not noticed: %.80q", kind, at, text[max(0, at-40):])

		return
	}

	for _, said := range []error{seal.ErrNoReport, seal.ErrUnsigned, seal.ErrChanged, seal.ErrPage, seal.ErrWritten} {
		if errors.Is(err, said) {
			return
		}
	}

	t.Errorf("%s, byte %d: %v is no sentence", kind, at, err)
}

func TestWhatCannotBeVouchedFor(t *testing.T) {
	t.Parallel()

	good, other := files(t, sample(), key(1)), files(t, sample(), key(2))

	swapped := bytes.Replace(good["json"], []byte("01JD4X00000000000000000011"), []byte("01JD4X00000000000000000012"), 1)
	unsigned, _ := seal.JSON(sample(), seal.Key{})

	var compact bytes.Buffer

	_ = json.Compact(&compact, good["json"])

	// the other page with this one's data: each is good alone
	block := func(text []byte) []byte {
		_, after, _ := bytes.Cut(text, []byte(seal.SlotOpens))
		data, _, _ := bytes.Cut(after, []byte(seal.SlotCloses))

		return data
	}
	mixed := bytes.Replace(good["html"], block(good["html"]), block(other["html"]), 1)

	for name, c := range map[string]struct {
		text []byte
		want error
	}{
		"nothing":                     {nil, seal.ErrNoReport},
		"something else":              {[]byte(`{"schema":"other"}`), seal.ErrNoReport},
		"a list":                      {[]byte(`[]`), seal.ErrNoReport},
		"a page without a report":     {[]byte(`<html></html>`), seal.ErrNoReport},
		"a report without signature":  {unsigned, seal.ErrUnsigned},
		"another run's id":            {swapped, seal.ErrChanged},
		"another page around it":      {mixed, seal.ErrPage},
		"the data of a page as JSON":  {block(good["html"]), seal.ErrPage},
		"written anew":                {compact.Bytes(), seal.ErrWritten},
		"a name twice":                {bytes.Replace(good["json"], []byte(`"schema"`), []byte(`"schema":"vetting.report/1","schema"`), 1), seal.ErrNoReport},
		"nested without end":          {[]byte(strings.Repeat("[", 100000)), seal.ErrNoReport},
		"another algorithm":           {bytes.Replace(good["json"], []byte(seal.Algorithm), []byte("None"), 1), seal.ErrChanged},
		"a page with a second report": {append(bytes.Clone(good["html"]), good["html"]...), seal.ErrPage},
	} {
		if _, err := seal.Verify(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAPageWithoutAPlaceForTheDataIsNotSigned(t *testing.T) {
	t.Parallel()

	for _, text := range []string{"<html></html>", strings.Repeat(seal.SlotOpens+seal.SlotCloses, 2)} {
		if _, err := seal.Page(sample(), key(1), func(report.Report) ([]byte, error) { return []byte(text), nil }); err == nil {
			t.Errorf("%q is signed", text)
		}
	}
}

// A table of many hosts is signed as a report is.
func TestABatchIsSignedToo(t *testing.T) {
	t.Parallel()

	batch := report.NewBatch(report.BatchOf{Day: "2026-11-23"}, report.Appliance{}, time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	r := sample()
	r.Verdict.Kind = core.Fail
	batch.Add(&r)

	text, err := seal.BatchJSON(batch, key(1))
	if err != nil {
		t.Fatal(err)
	}

	drawn, err := seal.BatchPage(batch, key(1), func(b report.Batch) ([]byte, error) { return page(report.Report{Signature: b.Signature}) })
	if err != nil {
		t.Fatal(err)
	}

	for _, file := range [][]byte{text, drawn} {
		checked, err := seal.Verify(file)
		if err != nil || checked.Batch == nil || checked.Batch.Totals.Fail != 1 || checked.Batch.Rows[0].Run != r.Run.ID {
			t.Errorf("%+v, %v", checked, err)
		}

		for at := 0; at < len(file); at += 7 {
			refused(t, "batch", at, with(file, at, file[at]^1))
		}
	}
}

// The examples of RFC 8785: section 3.2.3, appendix B, and of names in their order.
func TestCanonicalJSON(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`:                                                                                         "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		" [ ] ":        `[]`,
		`{}`:           `{}`,
		`"\b\f\u000b"`: `"\b\f\u000b"`,
	} {
		got, err := seal.Canonical([]byte(text))
		if err != nil || string(got) != want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", text, got, err, want)
		}
	}

	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0", 0x0000000000000001: "5e-324", 0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308", 0x4340000000000000: "9007199254740992", 0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22", 0x44b52d02c7e14af6: "1e+23", 0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef50: "1e+21", 0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7", 0x3eb0c6f7a0b5ed8d: "0.000001", 0xbecbf647612f3696: "-0.0000033333333333333333",
	} {
		n := math.Float64frombits(bits)

		got, err := seal.Canonical([]byte(strconv.FormatFloat(n, 'e', 25, 64)))
		if err != nil || string(got) != want {
			t.Errorf("%x: got %s (%v), want %s", bits, got, err, want)
		}
	}

	for _, bad := range []string{"", "1e999", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, "[1,2", "1 2", "\"\xff\"", `{"a"}`, "[,]"} {
		if got, err := seal.Canonical([]byte(bad)); err == nil {
			t.Errorf("%q is taken for %s", bad, got)
		}
	}
}

// The text that is signed is RFC 8785's, so that other programs can check it too.
func TestTheSignatureCanBeCheckedByOthers(t *testing.T) {
	t.Parallel()

	var whole map[string]any

	if err := json.Unmarshal(files(t, sample(), key(1))["json"], &whole); err != nil {
		t.Fatal(err)
	}

	signature, _ := whole["signature"].(map[string]any)
	public, _ := signature["key"].(string)
	value, _ := signature["value"].(string)

	delete(signature, "value")

	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}

	canonical, err := seal.Canonical(text)
	if err != nil {
		t.Fatal(err)
	}

	raw, _ := base64.StdEncoding.DecodeString(public)
	sum, _ := base64.StdEncoding.DecodeString(value)

	if !ed25519.Verify(raw, canonical, sum) {
		t.Error("it does not fit")
	}
}

func FuzzVerify(f *testing.F) {
	text, err := seal.JSON(sample(), key(1))
	if err != nil {
		f.Fatal(err)
	}

	drawn, err := seal.Page(sample(), key(1), page)
	if err != nil {
		f.Fatal(err)
	}

	f.Add(text)
	f.Add(drawn)
	f.Add([]byte(`{"schema":"vetting.report/1","signature":{}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		if _, err := seal.Verify(file); err == nil && !bytes.Equal(file, text) && !bytes.Equal(file, drawn) {
			t.Errorf("%q passes", file)
		}

		if once, err := seal.Canonical(file); err == nil {
			if again, err := seal.Canonical(once); err != nil || !bytes.Equal(once, again) {
				t.Errorf("%q is canonical as %q, which is as %q (%v)", file, once, again, err)
			}
		}
	})
}

// A file that was signed before reports said how long raw data is kept stays good: what
// came later must not be asked of it.
func TestAFileOfBeforeStaysGood(t *testing.T) {
	t.Parallel()

	text, err := os.ReadFile(filepath.Join("testdata", "without-retention.json"))
	if err != nil {
		t.Fatal(err)
	}

	checked, err := seal.Verify(text)
	if err != nil || checked.Report.Retention != nil || checked.Report.Run.ID == "" {
		t.Errorf("%v, retention %v of run %q", err, checked.Report.Retention, checked.Report.Run.ID)
	}
}
