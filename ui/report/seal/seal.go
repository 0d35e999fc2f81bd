// Package seal signs reports and checks what was signed. It needs nothing but the
// file: no network, no appliance.
//
// A report is signed as data: Ed25519 (RFC 8032) over its canonical JSON (RFC 8785),
// with the public key within and without the signature itself. The file is that data
// written in one way only, so that not a byte of it can be changed unseen. A page
// carries the data in a block of its own, with the SHA-256 of everything around it.
package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"vetting/core"
	"vetting/core/report"
)

// Algorithm is the only one there is.
const Algorithm = "Ed25519"

// Slot is where a page has the data, once, with nothing between its two halves until
// Page fills it.
const (
	SlotOpens  = `<script type="application/json" id="signed-report">`
	SlotCloses = `</script>`
)

// mark is the member of a report that holds the signature, value that of the mark
// which is not signed.
const (
	mark  = "signature"
	value = "value"
)

// Key is a private key that reports are signed with; the zero value signs nothing.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key of a secret of ed25519.SeedSize bytes.
func NewKey(secret []byte) Key { return Key{ed25519.NewKeyFromSeed(secret)} }

// Public is the half that everybody may have; nil: the key is the zero value.
func (k Key) Public() ed25519.PublicKey {
	if len(k.private) == 0 {
		return nil
	}

	public, _ := k.private.Public().(ed25519.PublicKey) //nolint:errcheck // it is none other

	return public
}

// JSON returns r as the text of a file, signed unless k is the zero value.
func JSON(r report.Report, k Key) ([]byte, error) {
	r.Signature = k.blank()

	return k.text(r)
}

// BatchJSON is JSON for a batch of reports.
func BatchJSON(b report.Batch, k Key) ([]byte, error) {
	b.Signature = k.blank()

	return k.text(b)
}

// text signs a value that has a blank signature and writes it as a file.
func (k Key) text(value any) ([]byte, error) {
	signed, err := k.sign(value)
	if err != nil {
		return nil, err
	}

	return file(write(nil, signed)), nil
}

// Page returns the page that draw makes of r, with the data in its slot, signed
// unless k is the zero value; then draw's page stays as it is.
func Page(r report.Report, k Key, draw func(report.Report) ([]byte, error)) ([]byte, error) {
	r.Signature = k.blank()

	page, err := draw(r)
	if err != nil || r.Signature == nil {
		return page, err
	}

	return k.fill(page, r.Signature, func() any { return r })
}

// BatchPage is Page for a batch of reports.
func BatchPage(b report.Batch, k Key, draw func(report.Batch) ([]byte, error)) ([]byte, error) {
	b.Signature = k.blank()

	page, err := draw(b)
	if err != nil || b.Signature == nil {
		return page, err
	}

	return k.fill(page, b.Signature, func() any { return b })
}

// fill signs a page and the value that it shows, which has the signature, and puts the
// value into the page's slot.
func (k Key) fill(page []byte, signature *report.Signature, value func() any) ([]byte, error) {
	before, after, err := split(page)
	if err != nil {
		return nil, err
	}

	signature.PageSHA256 = around(before, after)

	signed, err := k.sign(value())
	if err != nil {
		return nil, err
	}

	return bytes.Join([][]byte{before, block(write(nil, signed)), after}, nil), nil
}

// blank is a signature that has yet to get its value; nil: nothing is signed.
func (k Key) blank() *report.Signature {
	public := k.Public()
	if public == nil {
		return nil
	}

	return &report.Signature{
		Algorithm: Algorithm, Key: base64.StdEncoding.EncodeToString(public), Fingerprint: core.KeyFingerprint(public),
	}
}

// sign returns a report as data, signed where it has a blank signature.
func (k Key) sign(r any) (object, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a report: %w", err)
	}

	parsed, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("encoding a report: %w", err)
	}

	data, _ := parsed.(object) //nolint:errcheck // a struct is an object

	signature, ok := data.get(mark).(object)
	if !ok {
		return data, nil
	}

	sum := ed25519.Sign(k.private, write(nil, data))

	return data.with(mark, signature.with(value, base64.StdEncoding.EncodeToString(sum))), nil
}

// file is canonical JSON written for people too: indented.
func file(canonical []byte) []byte {
	var indented bytes.Buffer

	_ = json.Indent(&indented, canonical, "", "  ") // it was written here
	indented.WriteByte('\n')

	return block(indented.Bytes())
}

// block is canonical JSON as it may stand in a page: no character in it that a browser
// would take for markup, and none that steers a terminal or the direction of reading.
func block(canonical []byte) []byte {
	out := make([]byte, 0, len(canonical)+len(canonical)/16)

	for _, r := range string(canonical) {
		switch {
		case r == '\n' || !strings.ContainsRune("<>&", r) && !unicode.In(r, unicode.C, unicode.Zl, unicode.Zp):
			out = utf8.AppendRune(out, r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
	}

	return out
}

// split cuts a page at its slot, which must be there once and be empty.
func split(page []byte) (before, after []byte, err error) {
	i := bytes.Index(page, []byte(SlotOpens+SlotCloses))
	if i < 0 || bytes.Count(page, []byte(SlotOpens)) != 1 {
		return nil, nil, fmt.Errorf("signing a page: it has no slot, or more than one")
	}

	at := i + len(SlotOpens)

	return page[:at], page[at:], nil
}

// around is the SHA-256 of a page without what stands in its slot.
func around(before, after []byte) string {
	sum := sha256.New()
	sum.Write(before)
	sum.Write(after)

	return hex.EncodeToString(sum.Sum(nil))
}
