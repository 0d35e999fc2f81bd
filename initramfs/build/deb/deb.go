// Package deb reads Debian binary packages (deb(5)) without dpkg: an ar archive
// that holds a version, a control archive and a data archive.
package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
)

const (
	arMagic  = "!<arch>\n"
	arHeader = 60
	// maxControl bounds the control file; the kernel's has 2 kB.
	maxControl = 1 << 20
	// maxFile bounds one unpacked file; the largest wanted is the kernel.
	maxFile = 256 << 20
)

// Package is an opened package. Its bytes must not change while it is in use.
type Package struct {
	data []byte
}

// Open checks that data is a binary package of format 2.
func Open(data []byte) (Package, error) {
	p := Package{data: data}

	version, _, err := p.member("debian-binary")
	if err != nil {
		return Package{}, fmt.Errorf("opening package: %w", err)
	}

	if !bytes.HasPrefix(version, []byte("2.")) {
		return Package{}, fmt.Errorf("opening package: format %q is unknown, want 2.x", bytes.TrimSpace(version))
	}

	return p, nil
}

// member finds the first ar member whose name begins with prefix.
func (p Package) member(prefix string) (content []byte, name string, err error) {
	if !bytes.HasPrefix(p.data, []byte(arMagic)) {
		return nil, "", errors.New("this is not an ar archive")
	}

	for rest := p.data[len(arMagic):]; len(rest) > 0; {
		if len(rest) < arHeader || string(rest[58:60]) != "`\n" {
			return nil, "", fmt.Errorf("ar header at byte %d is damaged", len(p.data)-len(rest))
		}

		name := strings.TrimRight(strings.TrimRight(string(rest[:16]), " "), "/")

		size, err := strconv.ParseUint(strings.TrimRight(string(rest[48:58]), " "), 10, 34)
		if err != nil {
			return nil, "", fmt.Errorf("ar member %q has the size %q", name, rest[48:58])
		}

		rest = rest[arHeader:]
		if size > uint64(len(rest)) {
			return nil, "", fmt.Errorf("ar member %q is cut off: %d of %d bytes", name, len(rest), size)
		}

		if strings.HasPrefix(name, prefix) {
			return rest[:size], name, nil
		}

		rest = rest[min(size+size&1, uint64(len(rest))):]
	}

	return nil, "", fmt.Errorf("the package has no %s", prefix)
}

// Control returns the fields of the control file; continuation lines are kept
// with their line breaks.
func (p Package) Control() (map[string]string, error) {
	var text []byte

	err := p.walk("control.tar", func(h *tar.Header, r io.Reader) (err error) {
		if path.Clean(h.Name) == "control" {
			text, err = readAll(r, h, maxControl)
		}

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading control file: %w", err)
	}

	if text == nil {
		return nil, errors.New("reading control file: there is none")
	}

	return ParseControl(string(text)), nil
}

// ParseControl reads one paragraph of "Field: value" lines. Lines that are
// neither a field nor a continuation are ignored.
func ParseControl(text string) map[string]string {
	fields := map[string]string{}
	last := ""

	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if last != "" {
				fields[last] += "\n" + strings.TrimSpace(line)
			}

			continue
		}

		if name, value, ok := strings.Cut(line, ":"); ok {
			last = name
			fields[name] = strings.TrimSpace(value)
		}
	}

	return fields
}

// Files calls keep with the clean relative path of every regular file of the
// package, and visit with the content of those it wants. It ends at the first error.
func (p Package) Files(keep func(name string) bool, visit func(name string, content []byte) error) error {
	err := p.walk("data.tar", func(h *tar.Header, r io.Reader) error {
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag != tar.TypeReg || !keep(name) {
			return nil
		}

		content, err := readAll(r, h, maxFile)
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}

		return visit(name, content)
	})
	if err != nil {
		return fmt.Errorf("reading package data: %w", err)
	}

	return nil
}

func readAll(r io.Reader, h *tar.Header, limit int64) ([]byte, error) {
	if h.Size > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d allowed", h.Size, limit)
	}

	content, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, err
	}

	return content, nil
}

// walk goes through the tar archive in the member whose name begins with prefix.
func (p Package) walk(prefix string, visit func(*tar.Header, io.Reader) error) error {
	packed, name, err := p.member(prefix)
	if err != nil {
		return err
	}

	plain, err := decompress(bytes.NewReader(packed), path.Ext(name))
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}

	for archive := tar.NewReader(plain); ; {
		h, err := archive.Next()

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("walking %s: %w", name, err)
		}

		if err := visit(h, archive); err != nil {
			return err
		}
	}
}

func decompress(r io.Reader, ext string) (io.Reader, error) {
	switch ext {
	case ".xz":
		return xz.NewReader(r, xz.DefaultDictMax)
	case ".gz":
		return gzip.NewReader(r)
	case ".zst":
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxFile))
	case ".tar":
		return r, nil
	default:
		return nil, fmt.Errorf("compression %q is unknown", ext)
	}
}
