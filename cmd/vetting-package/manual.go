package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"os/exec" //nolint:depguard // a build tool: the program that it packs writes the pages of itself
	"path"
	"path/filepath"
	"runtime"

	"vetting/cmd/vetting/install"
)

// manualOf returns the manual pages that the program writes of itself, as they go into a
// package. One for another kind of machine does not run here: its source does.
func manualOf(at string, p *program) (pages []file, err error) {
	folder, err := os.MkdirTemp("", "vetting-man-")
	if err != nil {
		return nil, err
	}

	defer func() { _ = os.RemoveAll(folder) }()

	program, err := filepath.Abs(at)
	if err != nil {
		return nil, err
	}

	args := []string{program, "man", "--to", folder}
	if p.arch != runtime.GOARCH {
		args = append([]string{"go", "run", "./cmd/vetting"}, args[1:]...)
	}

	write := exec.Command(args[0], args[1:]...)                                             //nolint:gosec,noctx // what is packaged; it ends by itself
	write.Env = append(os.Environ(), "VETTING_SERVER=", "VETTING_CERT=", "VETTING_CONFIG=") // they are the defaults of flags

	if out, err := write.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("writing the manual pages: %w: %s", err, out)
	}

	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}

		text, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			text, err = packedPage(text)
		}

		pages = append(pages, file{path.Join(install.PackageManual, name) + ".gz", 0o644, text})

		return err
	})

	return pages, err
}

// packedPage compresses a page as Debian wants it: the same each time.
func packedPage(text []byte) ([]byte, error) {
	out := &bytes.Buffer{}

	w, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}

	if _, err := w.Write(text); err != nil {
		return nil, err
	}

	err = w.Close()

	return out.Bytes(), err
}
