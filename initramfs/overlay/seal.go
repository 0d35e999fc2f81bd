package overlay

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"vetting/core"
	"vetting/initramfs/cpio"
)

// Header reads the header of a custom stage: a YAML text. File is filled in by Seal.
// needs are files of the overlay that it cannot do without.
type Header func(text []byte) (script core.Script, needs []string, err error)

// Sealed is an overlay as it is kept and served.
type Sealed struct {
	core.Overlay

	Archive []byte
}

// Listed is a file of the manifest. A symlink has a target and neither size nor sum.
type Listed struct {
	Path   string `json:"path"` // below the folder of the overlay
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	Target string `json:"target,omitempty"`
}

// Manifest is the list of an overlay's files.
type Manifest struct {
	Version int      `json:"version"`
	Name    string   `json:"name"`
	Files   []Listed `json:"files"`
}

// Unpack reads a newc archive, plain or packed with gzip, xz or zstd. It is bounded.
func Unpack(raw []byte) ([]cpio.Entry, error) {
	entries, err := unpack(raw)

	// A packed segment may be filled up to a multiple of 4 bytes with zeros.
	for range 3 {
		if err == nil || len(raw) == 0 || raw[len(raw)-1] != 0 {
			break
		}

		raw = raw[:len(raw)-1]
		entries, err = unpack(raw)
	}

	return entries, err
}

func unpack(raw []byte) ([]cpio.Entry, error) {
	const slack = MaxEntries * (2*maxPath + 256) // headers and names

	plain, err := inflate(raw)
	if err != nil {
		return nil, err
	}

	text, err := io.ReadAll(io.LimitReader(plain, MaxBytes+slack))

	switch {
	case err != nil:
		return nil, fmt.Errorf("unpacking: %w", err)
	case len(text) == MaxBytes+slack:
		return nil, fmt.Errorf("unpacked it has more than %d MiB", MaxBytes>>20)
	}

	return cpio.UnpackWhole(text)
}

func inflate(raw []byte) (io.Reader, error) {
	const window = 256 << 20

	switch {
	case bytes.HasPrefix(raw, []byte("\x1f\x8b")):
		return gzip.NewReader(bytes.NewReader(raw))
	case bytes.HasPrefix(raw, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(bytes.NewReader(raw), xz.DefaultDictMax)
	case bytes.HasPrefix(raw, []byte("\x28\xb5\x2f\xfd")):
		decoder, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}

		return decoder.IOReadCloser(), nil
	case bytes.HasPrefix(raw, []byte("070701")):
		return bytes.NewReader(raw), nil
	default:
		return nil, errors.New("it is no newc cpio archive, plain or packed with gzip, xz or zstd")
	}
}

// Seal checks entries and makes an overlay of them. An empty name is learned from the
// entries, which stand below overlay/NAME. The error is for people and names the entry
// that cannot be taken.
func Seal(name string, entries []cpio.Entry, header Header) (Sealed, error) {
	name, tidied, err := tidy(name, entries)
	if err != nil {
		return Sealed{}, err
	}

	o := Sealed{Overlay: core.Overlay{Name: name}}

	if o.Scripts, err = scripts(tidied, header); err != nil {
		return o, err
	}

	list := Manifest{Version: 1, Name: name}

	for _, e := range tidied {
		switch e.Mode & cpio.TypeMask {
		case cpio.Regular:
			list.Files = append(list.Files, Listed{Path: e.Name, Size: int64(len(e.Data)), SHA256: Sum(e.Data)})
			o.Unpacked += int64(len(e.Data))
			o.Files++
		case cpio.Symlink:
			list.Files = append(list.Files, Listed{Path: e.Name, Target: string(e.Data)})
		}
	}

	text, err := json.Marshal(list)
	if err != nil {
		return o, fmt.Errorf("writing the list of files: %w", err)
	}

	o.Manifest = Sum(text)

	// The list comes last: a machine that runs out of memory while it unpacks has none.
	folder := []cpio.Entry{{Name: Root, Mode: cpio.Dir | 0o755}, {Name: Root + "/" + name, Mode: cpio.Dir | 0o755}}
	for _, e := range append(tidied, cpio.Entry{Name: ManifestName, Mode: cpio.Regular | 0o644, Data: text}) {
		e.Name = Root + "/" + name + "/" + e.Name
		folder = append(folder, e)
	}

	packed, err := deflate(cpio.Pack(folder))
	if err != nil {
		return o, err
	}

	o.Archive = cpio.Pad(packed)
	o.SHA256, o.Bytes = Sum(o.Archive), int64(len(o.Archive))

	return o, nil
}

// deflate packs with zstd, which every kernel of ours unpacks (CONFIG_RD_ZSTD, as the
// base segment). The window stays below what the kernel allows (128 MiB).
func deflate(data []byte) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	defer func() { _ = encoder.Close() }() // everything is in EncodeAll's answer

	return encoder.EncodeAll(data, nil), nil
}

// Sum returns the SHA-256 of a file, lower-case hex.
func Sum(data []byte) string {
	digest := sha256.Sum256(data)

	return hex.EncodeToString(digest[:])
}

// scripts finds the custom stages and reads their headers.
func scripts(entries []cpio.Entry, header Header) (all []core.Script, err error) {
	texts := map[string][]byte{}

	for _, e := range entries {
		if path.Dir(e.Name) == StageDir && path.Ext(e.Name) == ".yaml" && e.IsRegular() {
			texts[strings.TrimSuffix(e.Name, ".yaml")] = e.Data
		}
	}

	seen := map[string]bool{}

	for _, e := range entries {
		if path.Dir(e.Name) != StageDir || path.Ext(e.Name) == ".yaml" {
			continue
		}

		script, err := scriptOf(e, texts[e.Name], entries, header)
		if err != nil {
			return nil, err
		}

		delete(texts, e.Name)

		if seen[script.Name] {
			return nil, refused(e.Name, "two custom stages are called %s", script.Name)
		}

		seen[script.Name] = true
		all = append(all, script)
	}

	for name := range texts {
		return nil, refused(name+".yaml", "there is no custom stage to this header")
	}

	if len(all) > maxScripts {
		return nil, fmt.Errorf("%d custom stages are too many; %d at most", len(all), maxScripts)
	}

	return all, nil
}

// scriptOf reads the header of a custom stage: text where it stands beside it.
func scriptOf(e cpio.Entry, text []byte, entries []cpio.Entry, header Header) (script core.Script, err error) {
	if !e.IsRegular() || e.Mode&0o111 == 0 {
		return script, refused(e.Name, "what is in %s/ must be an executable file, or FILE.yaml with its header", StageDir)
	}

	if text == nil {
		text = comment(e.Data)
	}

	if text == nil {
		return script, refused(e.Name, "it has no header: comment lines that begin with \"# vetting:\", or the file %s.yaml beside it", e.Name)
	}

	script, needs, err := header(text)
	if err != nil {
		return script, refused(e.Name, "its header: %s", err)
	}

	for _, need := range needs {
		if !slices.ContainsFunc(entries, func(e cpio.Entry) bool { return e.Name == path.Clean(need) }) {
			return script, refused(e.Name, "it needs %s, which the overlay does not have", need)
		}
	}

	script.File = e.Name

	return script, nil
}

// comment returns the YAML text in the comment lines at the top of a script, from
// "# vetting:" to the first line that is no comment; nil when there is none.
func comment(script []byte) []byte {
	const most = 16 << 10

	var text []byte

	for line := range bytes.Lines(script[:min(len(script), most)]) {
		body, is := bytes.CutPrefix(line, []byte("#"))

		switch {
		case !is && text != nil:
			return text
		case text != nil || is && string(bytes.TrimSpace(body)) == "vetting:":
			text = append(text, bytes.TrimPrefix(body, []byte(" "))...)
		}
	}

	return text
}
