package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"vetting/initramfs/manifest"
)

// goModules lists the Go modules that packages are compiled from, with the texts
// of their licences, and the Go distribution, whose library is linked in.
func goModules(ctx context.Context, blobs []string, tags []string, packages ...string) ([]manifest.Package, map[string]string, error) {
	args := append([]string{"list", "-deps", "-json=Module", "-tags=" + strings.Join(tags, ",")}, packages...)

	var complaint bytes.Buffer

	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // package names of the builder
	cmd.Stderr = &complaint

	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("listing Go modules: %w\n%s", err, bytes.TrimSpace(complaint.Bytes()))
	}

	all := map[string]manifest.Package{}
	texts := map[string]string{}

	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var entry struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}

		err := dec.Decode(&entry)
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return nil, nil, fmt.Errorf("listing Go modules: %w", err)
		}

		m := entry.Module
		if m == nil || m.Main || all[m.Path].Name != "" {
			continue
		}

		all[m.Path] = manifest.Package{
			Name: m.Path, Version: m.Version, Kind: manifest.KindGo, Source: "Go module " + m.Path + "@" + m.Version, Blobs: blobs,
		}

		if texts[m.Path], err = licenceText(m.Dir); err != nil {
			return nil, nil, err
		}
	}

	all["go"] = manifest.Package{
		Name: "go", Version: runtime.Version(), Kind: manifest.KindGo, Source: "Go distribution " + runtime.Version(), Blobs: blobs,
	}

	if texts["go"], err = goLicence(ctx); err != nil {
		return nil, nil, err
	}

	return slices.SortedFunc(maps.Values(all), byName), texts, nil
}

func byName(a, b manifest.Package) int { return strings.Compare(a.Name, b.Name) }

// merge joins lists of packages; of one that is in several, the last counts.
func merge(lists ...[]manifest.Package) []manifest.Package {
	all := map[string]manifest.Package{}

	for _, list := range lists {
		for _, p := range list {
			all[p.Name] = p
		}
	}

	return slices.SortedFunc(maps.Values(all), byName)
}

// join joins lists of packages of different blobs: of one that is in several, all
// blobs count. The module's version is the same everywhere, since there is one
// go.mod.
func join(lists ...[]manifest.Package) []manifest.Package {
	all := map[string]manifest.Package{}

	for _, list := range lists {
		for _, p := range list {
			p.Blobs = slices.Concat(all[p.Name].Blobs, p.Blobs)
			all[p.Name] = p
		}
	}

	return slices.SortedFunc(maps.Values(all), byName)
}

func goLicence(ctx context.Context) (string, error) {
	root, err := goRoot(ctx)
	if err != nil {
		return "", err
	}

	return licenceText(root)
}

// goRoot is the folder of the Go distribution that the go command belongs to.
func goRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the Go distribution: %w", err)
	}

	return strings.TrimSpace(string(out)), nil
}

// licenceText joins the licence files at the top of a module.
func licenceText(dir string) (string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("collecting licences: %w", err)
	}

	var text strings.Builder

	for _, f := range files {
		upper := strings.ToUpper(f.Name())
		if f.IsDir() || !slices.ContainsFunc([]string{"LICEN", "COPYING", "NOTICE", "COPYRIGHT", "PATENTS"},
			func(prefix string) bool { return strings.HasPrefix(upper, prefix) }) {
			continue
		}

		data, err := os.ReadFile(filepath.Join(dir, f.Name())) //nolint:gosec // a file of a module
		if err != nil {
			return "", fmt.Errorf("collecting licences: %w", err)
		}

		text.Write(bytes.TrimSpace(data))
		text.WriteString("\n\n")
	}

	return text.String(), nil
}
