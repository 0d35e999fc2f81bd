// Package label draws asset labels: who the machine is, what the verdict was and what
// it leaves open, a QR code of the page of the run (ISO/IEC 18004) and the serial as
// Code 128 (ISO/IEC 15417). A label is one SVG in millimetres, a sheet a page of them
// that prints itself on labels or on A4. What machines say of themselves is text.
package label

import (
	"errors"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/code128"

	"vetting/core/report"
	"vetting/ui/qr"
	"vetting/ui/static"
	"vetting/ui/text"
)

// Size is a size of labels that printers have.
type Size struct {
	Name          string // as it is asked for
	Width, Height float64
	Media         string // what it is sold as
}

// Sizes lists the sizes, the usual one first.
func Sizes() []Size {
	return []Size{
		{"62x29", 62, 29, "Brother DK-11209"}, {"57x32", 57, 32, "Dymo 11354"}, {"89x36", 89, 36, "Dymo 99012"}, {"100x50", 100, 50, "Zebra and others, 4 by 2 inches"},
	}
}

// Find returns the size called name, the usual one for no name.
func Find(name string) (Size, error) {
	for _, s := range Sizes() {
		if s.Name == name || name == "" {
			return s, nil
		}
	}

	return Size{}, errors.New("there is no such size of labels")
}

// Narrowest is how wide the narrowest bar of Code 128 must be for a hand scanner to
// read what a label printer of 300 dpi prints, in millimetres: two dots.
const Narrowest = 0.169

// Quiet is how many modules must stay white beside Code 128.
const quiet = 10

// margin is what stays white at the edges, in millimetres.
const margin = 2

// SVG draws a label of a report. link is what the QR code leads to.
func SVG(r *report.Report, link string, size Size) (string, error) {
	code, modules, err := qr.Path(link)
	if err != nil {
		return "", err
	}

	var b strings.Builder

	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%gmm" height="%gmm" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		size.Width, size.Height, size.Width, size.Height, html.EscapeString("Label of "+name(r)))
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#fff"/>`, size.Width, size.Height)

	side := min(size.Height-2*margin, size.Width*0.36)
	square(&b, code, modules, margin, (size.Height-side)/2, side)

	left := 2*margin + side + 1
	width := size.Width - left - margin
	step := (size.Height - 2*margin) / 8 // eight lines: five of text, three for the bars

	bold := []bool{true, true, false, false, false}
	for i, line := range lines(r) {
		line, height := fit(line, width, step*0.86)
		fmt.Fprintf(&b, `<text x="%.2f" y="%.2f" font-family="DejaVu Sans, Arial, sans-serif" font-size="%.2f"%s>%s</text>`,
			left, margin+step*(float64(i)+0.8), height, map[bool]string{true: ` font-weight="bold"`}[bold[i]], html.EscapeString(line))
	}

	bars(&b, text.Line(r.Host.Serial), left, margin+step*5.3, width, step*2.7)
	b.WriteString(`</svg>`)

	return b.String(), nil
}

func name(r *report.Report) string {
	if is := text.Line(r.Host.Name); is != "" {
		return is
	}

	return string(r.Host.MAC)
}

// lines are the five lines of a label.
func lines(r *report.Report) []string {
	verdict := text.Line(r.Verdict.Words)
	if r.Preliminary {
		verdict = "NOT FINISHED"
	}

	open := "nothing left out"
	if n := len(r.NotTested); n > 0 {
		open = text.Count(n, "thing", "things") + " NOT tested"
	}

	tag := ""
	if r.Host.AssetTag != "" {
		tag = " · " + text.Line(r.Host.AssetTag)
	}

	day := r.Run.EndedAt
	if day.IsZero() {
		day = r.GeneratedAt
	}

	return []string{
		name(r) + tag, verdict, open, text.Line(r.Run.Profile) + " · " + day.UTC().Format("2006-01-02") + " · " + string(r.Run.ID)[max(0, len(r.Run.ID)-8):],
		"S/N " + text.Line(r.Host.Serial),
	}
}

// fit makes a line smaller, to three fifths at most, and then cuts it to a width. A
// character of a bold sans serif is seven tenths as wide as it is high.
func fit(line string, width, height float64) (string, float64) {
	const wide = 0.7

	runes := []rune(line)
	small := max(height*0.6, min(height, width/(float64(len(runes))*wide+0.01)))

	if most := max(1, int(width/(small*wide))); len(runes) > most {
		return string(runes[:most-1]) + "…", small
	}

	return line, small
}

// square draws a QR code of size modules with its quiet zone into a square, half of the zone
// beyond it: the label's margin is the rest.
func square(b *strings.Builder, code string, size int, x, y, side float64) {
	module := side / float64(size-qr.Quiet)

	fmt.Fprintf(b, `<path fill="#000" shape-rendering="crispEdges" transform="translate(%.4f %.4f) scale(%.5f)" d="%s"/>`,
		x-module*qr.Quiet/2, y-module*qr.Quiet/2, module, code)
}

// bars draws the serial as Code 128 where it can be printed so that it can be read:
// not for what is no ASCII or too long, which the QR code leads to.
func bars(b *strings.Builder, serial string, x, y, width, height float64) {
	if serial == "" || len(serial) > 60 || strings.ContainsFunc(serial, func(r rune) bool { return r < ' ' || r > '~' }) {
		return
	}

	code, err := code128.Encode(serial)
	if err != nil {
		return
	}

	n := code.Bounds().Dx()

	module := min(width/float64(n+quiet), 0.4) // the label's margin is the other quiet zone
	if module < Narrowest {
		return
	}

	fmt.Fprintf(b, `<path fill="#000" shape-rendering="crispEdges" transform="translate(%.4f %.4f) scale(%.5f %.4f)" d="`, x, y, module, height)

	for col := 0; col < n; col++ {
		from := col
		for col < n && dark(code, col, 0) {
			col++
		}

		if col > from {
			fmt.Fprintf(b, "M%d 0h%dv1h-%dz", from, col-from, col-from)
		}
	}

	b.WriteString(`"/>`)
}

func dark(code barcode.Barcode, x, y int) bool {
	at := code.Bounds().Min
	r, _, _, _ := code.At(at.X+x, at.Y+y).RGBA()

	return r == 0
}

// style is the sheet's: each label on a page of its own size, or many on A4.
func style(size Size, sheet bool) string {
	s := `html,body{margin:0;background:#fff;color:#000;font:14px sans-serif}p{margin:8px}svg{display:inline-block;vertical-align:top}@media print{p{display:none}`
	if sheet {
		return s + `@page{size:A4;margin:8mm}svg{outline:.1mm dashed #bbb}}`
	}

	return s + fmt.Sprintf(`@page{size:%gmm %gmm;margin:0}svg{display:block;break-after:page}}`, size.Width, size.Height)
}

// Policy is the content security policy of a page of labels.
func Policy(size Size, sheet bool) string {
	return "default-src 'none'; style-src " + static.Hash(style(size, sheet)) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// Page writes labels as a page to print: a label a page, or on sheets of A4.
func Page(w io.Writer, labels []string, size Size, sheet bool) error {
	_, err := fmt.Fprintf(w, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>Labels</title><style>%s</style></head><body><p>%s of %g by %g mm: print this page at 100 %%, without margins of the printer's.</p>%s</body></html>\n",
		style(size, sheet), text.Count(len(labels), "label", "labels"), size.Width, size.Height, strings.Join(labels, ""))

	return err
}
