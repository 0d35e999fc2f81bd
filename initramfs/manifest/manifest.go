// Package manifest says what a boot image holds: the builder writes it, the
// appliance reads the Description next to the blobs, and the agent reads the
// Manifest inside the image before it trusts the file system it woke up in.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Path is where the manifest lies inside the image.
const Path = "etc/vetting/manifest.json"

// The segments of an image, in the order in which they are loaded.
const (
	SegmentBase    = "base"
	SegmentModules = "modules"
)

// Version of both formats. Readers refuse what they do not know.
const Version = 1

// maxSize bounds both documents; a real manifest has about 200 kB.
const maxSize = 4 << 20

// File is one regular file of the image.
type File struct {
	Path    string `json:"path"`    // absolute, clean: "/init"
	Size    int64  `json:"size"`    // bytes
	SHA256  string `json:"sha256"`  // lower-case hex
	Segment string `json:"segment"` // SegmentBase or SegmentModules
}

// Manifest lists every regular file of the image except itself. The kernel boots
// on with a partial file system when it runs out of memory while unpacking, so
// the agent compares before it does anything else.
type Manifest struct {
	Version int    `json:"version"`
	Kernel  string `json:"kernel"` // uname -r
	Files   []File `json:"files"`  // sorted by path
}

// Encode returns the bytes that go into the image, one file a line so that two
// manifests can be compared by eye.
func (m Manifest) Encode() ([]byte, error) {
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })

	var out bytes.Buffer

	fmt.Fprintf(&out, "{\"version\":%d,\"kernel\":%q,\"files\":[", m.Version, m.Kernel)

	for i, f := range m.Files {
		line, err := json.Marshal(f)
		if err != nil {
			return nil, fmt.Errorf("encoding manifest entry %s: %w", f.Path, err)
		}

		if i > 0 {
			out.WriteByte(',')
		}

		out.WriteByte('\n')
		out.Write(line)
	}

	out.WriteString("\n]}\n")

	return out.Bytes(), nil
}

// Decode reads a manifest from an image. It refuses unknown versions, paths that
// leave the root, and files listed twice.
func Decode(data []byte) (m Manifest, err error) {
	if err := decode(data, &m); err != nil {
		return Manifest{}, fmt.Errorf("reading manifest: %w", err)
	}

	if m.Version != Version {
		return Manifest{}, fmt.Errorf("reading manifest: version %d is unknown, want %d", m.Version, Version)
	}

	seen := make(map[string]bool, len(m.Files))

	for _, f := range m.Files {
		if err := f.check(); err != nil {
			return Manifest{}, fmt.Errorf("reading manifest: %w", err)
		}

		if seen[f.Path] {
			return Manifest{}, fmt.Errorf("reading manifest: %s is listed twice", f.Path)
		}

		seen[f.Path] = true
	}

	return m, nil
}

func (f File) check() error {
	switch {
	case !strings.HasPrefix(f.Path, "/") || path.Clean(f.Path) != f.Path:
		return fmt.Errorf("%q is not a clean absolute path", f.Path)
	case f.Size < 0:
		return fmt.Errorf("%s has the size %d", f.Path, f.Size)
	case !isSHA256(f.SHA256):
		return fmt.Errorf("%s has the SHA-256 %q", f.Path, f.SHA256)
	case f.Segment != SegmentBase && f.Segment != SegmentModules:
		return fmt.Errorf("%s is in the unknown segment %q", f.Path, f.Segment)
	}

	return nil
}

// ID names an image: the SHA-256 of its encoded manifest in lower-case hex. The
// agent derives the same from the file at Path.
func ID(encoded []byte) string { return Sum(encoded) }

// Sum is the SHA-256 of data in lower-case hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)

	return hex.EncodeToString(sum[:])
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`) //nolint:gochecknoglobals // a compiled constant

func isSHA256(s string) bool { return hexSHA256.MatchString(s) }

func decode(data []byte, into any) error {
	if len(data) > maxSize {
		return fmt.Errorf("%d bytes are more than the %d allowed", len(data), maxSize)
	}

	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()

	if err := dec.Decode(into); err != nil {
		return err
	}

	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows after the end")
	}

	return nil
}
