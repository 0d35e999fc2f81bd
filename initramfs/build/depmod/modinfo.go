// Package depmod does the work of depmod(8) for a kernel that is not running:
// it reads the .modinfo sections of modules and writes the tables from which the
// agent finds the modules for a device.
package depmod

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/therootcompany/xz"
)

// maxModule bounds an unpacked module; the largest of Debian 13 has 9 MB.
const maxModule = 64 << 20

// Info is what a module says about itself.
type Info struct {
	Name     string   `json:"name"`               // with underscores, as in /proc/modules
	Aliases  []string `json:"aliases,omitempty"`  // patterns of modalias
	Depends  []string `json:"depends,omitempty"`  // names of modules it needs
	SoftDeps []string `json:"softdeps,omitempty"` // "pre: a b post: c"
	Firmware []string `json:"firmware,omitempty"` // files it may ask for
	License  string   `json:"license,omitempty"`
}

// Name is the name under which the kernel knows the module in a file.
func Name(file string) string {
	base := path.Base(file)
	for _, ext := range []string{".xz", ".zst", ".gz", ".ko"} {
		base = strings.TrimSuffix(base, ext)
	}

	return underscores(base)
}

func underscores(name string) string { return strings.ReplaceAll(name, "-", "_") }

// Read reads the module in a .ko or .ko.xz file of that name.
func Read(file string, content []byte) (Info, error) {
	if strings.HasSuffix(file, ".xz") {
		plain, err := unpack(content)
		if err != nil {
			return Info{}, fmt.Errorf("unpacking module %s: %w", file, err)
		}

		content = plain
	}

	section, err := modinfo(content)
	if err != nil {
		return Info{}, fmt.Errorf("reading module %s: %w", file, err)
	}

	return parse(Name(file), section), nil
}

func unpack(content []byte) ([]byte, error) {
	r, err := xz.NewReader(bytes.NewReader(content), xz.DefaultDictMax)
	if err != nil {
		return nil, err
	}

	plain, err := io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, err
	}

	if len(plain) > maxModule {
		return nil, fmt.Errorf("it is larger than %d bytes", maxModule)
	}

	return plain, nil
}

func modinfo(content []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}

	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no .modinfo section")
	}

	if section.Size > uint64(len(content)) {
		return nil, fmt.Errorf("its .modinfo section claims %d bytes", section.Size)
	}

	return section.Data()
}

// parse reads "key=value" strings that are ended by zero bytes
// (include/linux/moduleinfo.h).
func parse(name string, section []byte) Info {
	info := Info{Name: name}

	for field := range bytes.SplitSeq(section, []byte{0}) {
		key, value, ok := strings.Cut(string(field), "=")
		if !ok || value == "" || strings.ContainsAny(value, "\n\r") {
			continue
		}

		switch key {
		case "alias":
			info.Aliases = append(info.Aliases, value)
		case "depends":
			for dep := range strings.SplitSeq(value, ",") {
				info.Depends = append(info.Depends, underscores(dep))
			}
		case "softdep":
			info.SoftDeps = append(info.SoftDeps, value)
		case "firmware":
			info.Firmware = append(info.Firmware, value)
		case "license":
			info.License = value
		}
	}

	return info
}
