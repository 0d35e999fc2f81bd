// Package static holds the files of the console that never change while it runs.
// Each is served under a name with the hash of its content, for ever cacheable.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed base.css
var baseCSS []byte

//go:embed console.css
var consoleCSS []byte

//go:embed app.js
var appJS []byte

//go:embed favicon.svg
var favicon []byte

// The terminal, which only its own page loads: xterm.js and what ties it to a host.
var (
	//go:embed xterm/xterm.js
	xtermJS []byte
	//go:embed xterm/addon-fit.js
	xtermFit []byte
	//go:embed xterm/xterm.css
	xtermCSS []byte
	//go:embed xterm/LICENSE
	xtermLicence string
	//go:embed terminal.js
	terminalJS []byte
)

//go:embed scan.js
var scanJS []byte

// File is one file.
type File struct {
	Path string // "/static/console.1a2b3c4d.css"
	Type string // media type
	Body []byte
	Gzip []byte
}

// Set is the files by what they are for.
type Set struct {
	CSS, JS, Icon File

	Xterm, XtermCSS, Terminal File // of the page with the terminal

	Scan File // of the page that reads codes
}

// Licences are the notices of what others have written here, by name and version.
func Licences() map[string]string { return map[string]string{"xterm.js 6.0.0": xtermLicence} }

// Load returns the files.
func Load() (Set, error) {
	var (
		s   Set
		err error
	)

	if s.CSS, err = file("console.css", "text/css; charset=utf-8", bytes.Join([][]byte{baseCSS, consoleCSS}, nil)); err != nil {
		return Set{}, err
	}

	if s.JS, err = file("app.js", "text/javascript; charset=utf-8", appJS); err != nil {
		return Set{}, err
	}

	if s.Icon, err = file("favicon.svg", "image/svg+xml", favicon); err != nil {
		return Set{}, err
	}

	if s.Xterm, err = file("xterm.js", "text/javascript; charset=utf-8", bytes.Join([][]byte{xtermJS, xtermFit}, []byte("\n"))); err != nil {
		return Set{}, err
	}

	if s.XtermCSS, err = file("xterm.css", "text/css; charset=utf-8", xtermCSS); err != nil {
		return Set{}, err
	}

	if s.Terminal, err = file("terminal.js", "text/javascript; charset=utf-8", terminalJS); err != nil {
		return Set{}, err
	}

	s.Scan, err = file("scan.js", "text/javascript; charset=utf-8", scanJS)

	return s, err
}

// All returns the files in any order.
func (s Set) All() []File {
	return []File{s.CSS, s.JS, s.Icon, s.Xterm, s.XtermCSS, s.Terminal, s.Scan}
}

// Base is the style that the console shares with the report.
func Base() string { return string(baseCSS) }

// Hash is the source expression of CSP for an inline style.
func Hash(style string) string {
	sum := sha256.Sum256([]byte(style))

	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func file(name, media string, body []byte) (File, error) {
	sum := sha256.Sum256(body)
	stem, ext, _ := strings.Cut(name, ".")

	var packed bytes.Buffer

	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return File{}, fmt.Errorf("packing %s: %w", name, err)
	}

	if _, err := w.Write(body); err != nil {
		return File{}, fmt.Errorf("packing %s: %w", name, err)
	}

	if err := w.Close(); err != nil {
		return File{}, fmt.Errorf("packing %s: %w", name, err)
	}

	return File{
		Path: "/static/" + stem + "." + hex.EncodeToString(sum[:4]) + "." + ext,
		Type: media, Body: body, Gzip: packed.Bytes(),
	}, nil
}
