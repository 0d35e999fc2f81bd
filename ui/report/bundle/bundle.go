// Package bundle packs what goes to a vendor with a part that is sent back: the
// report, the files that the run left (SMART pages among them), the log, and a page
// of text with the parts and their serials. Nothing but what anybody who may read the
// run can see is in it. The same run, as it was written, makes the same bytes.
package bundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/text"
)

// Bounds of a bundle: of one file in it, and of the lines of its log.
const (
	MaxFile  = 64 << 20
	MaxLines = 200_000
)

// Bundle is what is packed.
type Bundle struct {
	Report    report.Report
	Page      []byte // the report as HTML and as JSON, signed
	JSON      []byte
	Table     []byte // the report as CSV
	Artifacts []core.Artifact
	// Open opens the content of an artifact by its SHA-256.
	Open func(sha256 string) (io.ReadCloser, error)
	// Lines are lines of the log after the one with the number; none: that was all.
	Lines func(after uint64) ([]core.LogLine, error)
}

// packer writes entries, all of the same time.
type packer struct {
	zip  *zip.Writer
	at   time.Time
	sums []string
	said []string // what could not be packed
}

// Write writes b as a ZIP archive.
func Write(w io.Writer, b *Bundle) error {
	r := &b.Report
	p := &packer{zip: zip.NewWriter(w), at: cmp.Or(r.Run.EndedAt, r.Run.StartedAt, r.Run.CreatedAt, r.GeneratedAt)}

	for _, e := range []struct {
		name    string
		content []byte
	}{{"report.html", b.Page}, {"report.json", b.JSON}, {"report.csv", b.Table}} {
		if err := p.put(e.name, e.content); err != nil {
			return err
		}
	}

	if err := p.files(b); err != nil {
		return err
	}

	log, err := logOf(b)
	if err != nil {
		return err
	}

	if err := p.put("log.txt", log); err != nil {
		return err
	}

	if err := p.put("README.txt", readme(r, p.said)); err != nil {
		return err
	}

	if err := p.put("SHA256SUMS", []byte(strings.Join(p.sums, ""))); err != nil {
		return err
	}

	return p.zip.Close()
}

func (p *packer) put(name string, content []byte) error {
	out, err := p.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: p.at.UTC().Truncate(2 * time.Second)})
	if err == nil {
		_, err = out.Write(content)
	}

	if err != nil {
		return fmt.Errorf("packing %s: %w", name, err)
	}

	sum := sha256.Sum256(content)
	p.sums = append(p.sums, hex.EncodeToString(sum[:])+"  "+name+"\n")

	return nil
}

// files packs what the run left, in the order of stage and name. A file that is gone,
// damaged or too large is told and left out.
func (p *packer) files(b *Bundle) error {
	list := slices.Clone(b.Artifacts)
	slices.SortFunc(list, func(x, y core.Artifact) int {
		return cmp.Or(cmp.Compare(x.Stage, y.Stage), cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID))
	})

	for i := range list {
		a := &list[i]

		content, err := read(b, a)
		if err != nil {
			p.said = append(p.said, fmt.Sprintf("%s of %s: %s", text.Line(a.Name), text.Line(a.Stage), text.Line(err.Error())))

			continue
		}

		if err := p.put(fmt.Sprintf("files/%03d-%s-%s", i+1, plain(string(a.Stage)), plain(a.Name)), content); err != nil {
			return err
		}
	}

	return nil
}

func read(b *Bundle, a *core.Artifact) (content []byte, err error) {
	file, err := b.Open(a.SHA256)
	if err != nil {
		return nil, err
	}

	defer func() { _ = file.Close() }()

	content, err = io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(content) > MaxFile {
		err = fmt.Errorf("it is larger than %d MiB", MaxFile>>20)
	}

	return content, err
}

// plain makes a file name of what a machine said: letters, digits, point, dash and
// underscore, and no point at its beginning.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}

		return '_'
	}, text.Clean(name))

	return strings.TrimLeft(name[:min(80, len(name))], ".")
}

func logOf(b *Bundle) ([]byte, error) {
	var out bytes.Buffer

	for after, n := uint64(0), 0; ; {
		lines, err := b.Lines(after)
		if err != nil {
			return nil, fmt.Errorf("packing the log: %w", err)
		}

		for i := range lines {
			l := &lines[i]
			after = l.Seq

			if n++; n > MaxLines {
				fmt.Fprintf(&out, "cut after %d lines\n", MaxLines)

				return out.Bytes(), nil
			}

			fmt.Fprintf(&out, "%s %-5s %-14s %s\n", l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), text.Line(l.Level), text.Line(l.Stage), text.Line(text.Block(l.Text)))
		}

		if len(lines) == 0 {
			return out.Bytes(), nil
		}
	}
}

// readme tells in plain words what is sent back and why.
func readme(r *report.Report, said []string) []byte {
	var out bytes.Buffer

	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }

	say("Vetting of %s", text.Line(strings.TrimSpace(r.Host.Manufacturer+" "+r.Host.Product+" "+r.Host.Serial)))
	say("")
	say("verdict  %s", text.Line(r.Verdict.Words))
	say("         %s", text.Line(r.Summary))
	say("host     %s %s", text.Line(r.Host.Name), text.Line(r.Host.MAC))
	say("run      %s, profile %s, %s to %s", text.Line(r.Run.ID), text.Line(r.Run.Profile), text.UTC(r.Run.StartedAt), text.UTC(r.Run.EndedAt))

	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Severity == core.Info {
			continue
		}

		say("\n%s: %s [%s]", strings.ToUpper(text.Line(f.Severity)), text.Line(f.Title), text.Line(f.Code))

		waived := ""
		if f.Waiver != nil {
			waived = f.Waiver.Words()
		}

		for _, row := range [][2]string{
			{"part", f.Part.Kind}, {"slot", f.Part.Slot}, {"model", f.Part.Model}, {"serial", f.Part.Serial}, {"evidence", f.Evidence}, {"next", f.Next}, {"waived", waived},
		} {
			if value := text.Line(text.Block(row[1])); value != "" {
				say("  %-9s%s", row[0], value)
			}
		}
	}

	say("\nParts")

	for i := range r.Components {
		c := &r.Components[i]
		say("  %-8s %-12s %-28s serial %-24s firmware %s", text.Line(c.Kind), text.Line(c.Slot), text.Line(c.Model), text.Line(c.Serial), text.Line(c.Firmware))
	}

	if len(r.NotTested) > 0 {
		say("\nNOT tested")
	}

	for _, g := range r.NotTested {
		say("  %s: %s", text.Line(g.What), text.Line(g.Why))
	}

	if len(said) > 0 {
		say("\nNot in this archive\n  %s", strings.Join(said, "\n  "))
	}

	say("\nreport.html and report.json are signed: vetting report verify FILE. SHA256SUMS names every other file.")

	return out.Bytes()
}
