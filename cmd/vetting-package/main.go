// Command vetting-package makes what people install of the built program: a Debian
// package, and a container image as an OCI archive. It needs no tools of others, and
// the same program gives the same bytes.
package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	program := flag.String("program", "build/vetting", "the static program to package")
	docs := flag.String("docs", ".", "the folder with README.md, CHANGELOG.md and docs")
	out := flag.String("out", "build", "the folder for what is made")
	flag.Parse()

	if err := run(*program, *docs, *out); err != nil {
		fmt.Fprintln(os.Stderr, "vetting-package:", err)
		os.Exit(1)
	}
}

func run(path, docs, out string) error {
	p, err := look(path)
	if err != nil {
		return err
	}

	pages, err := pagesOf(docs)
	if err != nil {
		return err
	}

	manual, err := manualOf(path, p)
	if err != nil {
		return err
	}

	pages = append(pages, manual...)

	for name, make := range map[string]func() ([]byte, error){
		"vetting_" + p.version + "_" + p.arch + ".deb":     func() ([]byte, error) { return debianPackage(p, pages) },
		"vetting_" + p.version + "_" + p.arch + ".oci.tar": func() ([]byte, error) { return ociArchive(p) },
	} {
		content, err := make()
		if err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}

		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil { //nolint:gosec // for everybody
			return err
		}

		fmt.Printf("%s: %.1f MiB\n", filepath.Join(out, name), float64(len(content))/(1<<20))
	}

	return nil
}

// program is what is packaged.
type program struct {
	content []byte
	version string // as Debian writes versions
	arch    string // as Debian and OCI name it: "amd64", "arm64"
	made    time.Time
}

// look reads the program and what it says of itself.
func look(path string) (*program, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the program (make build makes it): %w", err)
	}

	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("reading what %s is made of: %w", path, err)
	}

	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}

	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return nil, errors.New(path + " is not static; build it with: make build")
		}
	}

	p := &program{content: content, version: debianVersion(info.Main.Version), made: time.Unix(0, 0).UTC()}

	for _, s := range info.Settings {
		switch s.Key {
		case "GOARCH":
			p.arch = s.Value
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				p.made = at.UTC()
			}
		}
	}

	if p.arch != "amd64" && p.arch != "arm64" {
		return nil, fmt.Errorf("%s is for %s, which no package is made for", path, p.arch)
	}

	return p, nil
}

// debianVersion writes the version of a Go module as Debian orders versions: one that
// leads up to another comes before it.
func debianVersion(module string) string {
	v := strings.TrimPrefix(module, "v")
	if !regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]*$`).MatchString(v) {
		return "0.0.0~devel"
	}

	return strings.ReplaceAll(v, "-", "~")
}
