package seal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"vetting/core"
	"vetting/core/report"
)

// MaxFile is the largest file that is looked at, in bytes.
const MaxFile = 64 << 20

// Why a file is not vouched for, each a sentence for people.
var (
	ErrNoReport = errors.New("this is no report, or a damaged one: it cannot be read as the JSON of a report or as a page that carries it")
	ErrUnsigned = errors.New("the report is not signed: nothing tells where it comes from, or whether it was changed")
	ErrChanged  = errors.New("the report was changed after it was signed: what it says does not fit its signature")
	ErrPage     = errors.New("the page was changed after it was signed: what it shows need not be what the appliance wrote")
	ErrWritten  = errors.New("the file was changed: what it says fits the signature, but it is not written as the appliance wrote it; ask for the original")
)

// Checked is a report that is as it was signed.
type Checked struct {
	Report report.Report
	Batch  *report.Batch     // in place of it, where the file is of many hosts
	Public ed25519.PublicKey // it was signed with; whether to trust it is for whoever asks
	Page   bool              // the file is a page, and the page is as it was signed too
}

// Fingerprint is that of the key, for people to compare.
func (c *Checked) Fingerprint() string { return core.KeyFingerprint(c.Public) }

// Verify holds a file against the signature within it. Every byte counts.
func Verify(text []byte) (Checked, error) {
	inner, page := text, bytes.Contains(text, []byte(SlotOpens))
	if !page {
		return verify(inner, file, "")
	}

	if bytes.Count(text, []byte(SlotOpens)) != 1 {
		return Checked{}, ErrPage
	}

	at := bytes.Index(text, []byte(SlotOpens)) + len(SlotOpens)

	size := bytes.Index(text[at:], []byte(SlotCloses))
	if size < 0 {
		return Checked{}, ErrPage
	}

	checked, err := verify(text[at:at+size], block, around(text[:at], text[at+size:]))
	checked.Page = true

	return checked, err
}

// verify checks the JSON in text, which must be written by as. digest is that of the
// page around it; empty: there is none.
func verify(text []byte, as func([]byte) []byte, digest string) (Checked, error) {
	parsed, err := parse(text)

	data, ok := parsed.(object)
	name, _ := data.get("schema").(string) //nolint:errcheck // absent is empty
	batch := strings.HasPrefix(name, "vetting.batch/")

	if err != nil || !ok || !batch && !strings.HasPrefix(name, "vetting.report/") {
		return Checked{}, ErrNoReport
	}

	signature, ok := data.get(mark).(object)
	if !ok {
		return Checked{}, ErrUnsigned
	}

	public, err := check(data, signature)
	if err != nil {
		return Checked{}, err
	}

	if told, _ := signature.get("page_sha256").(string); told != digest { //nolint:errcheck // absent is empty
		return Checked{}, ErrPage
	}

	if !bytes.Equal(as(write(nil, data)), text) {
		return Checked{}, ErrWritten
	}

	checked := Checked{Public: public}
	if err := checked.read(text, batch); err != nil {
		return Checked{}, ErrNoReport
	}

	return checked, nil
}

// read decodes what was signed.
func (c *Checked) read(text []byte, batch bool) error {
	if batch {
		c.Batch = &report.Batch{}

		return json.Unmarshal(text, c.Batch)
	}

	return json.Unmarshal(text, &c.Report)
}

// check returns the key that data was signed with.
func check(data, signature object) (ed25519.PublicKey, error) {
	word := func(name string) string {
		text, _ := signature.get(name).(string) //nolint:errcheck // then it is empty, and fits nothing

		return text
	}

	strict := base64.StdEncoding.Strict()
	public, badKey := strict.DecodeString(word("key"))
	sum, badSum := strict.DecodeString(word(value))

	if badKey != nil || badSum != nil || len(public) != ed25519.PublicKeySize || word("algorithm") != Algorithm {
		return nil, ErrChanged
	}

	if !ed25519.Verify(public, write(nil, data.with(mark, signature.without(value))), sum) {
		return nil, ErrChanged
	}

	if core.KeyFingerprint(public) != word("fingerprint") {
		return nil, ErrChanged
	}

	return public, nil
}
