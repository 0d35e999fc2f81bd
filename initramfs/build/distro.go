package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vetting/initramfs/build/deb"
	"vetting/initramfs/build/debian"
	"vetting/initramfs/build/depmod"
	"vetting/initramfs/cpio"
	"vetting/initramfs/manifest"
)

const (
	kernelBlob  = "kernel"
	modulesBlob = "modules.cpio"
)

// bootProgram is a boot program as we name it.
type bootProgram struct {
	name, role string
}

// programs are the boot programs we take, untouched: path in the package → program.
// Those of the shim's chain are signed, by Microsoft and by Debian; the iPXE programs
// and systemd's stub are not.
func programs() map[string]bootProgram {
	const (
		ipxe    = "usr/lib/ipxe/"
		systemd = "usr/lib/systemd/boot/efi/"
	)

	return map[string]bootProgram{
		ipxe + "undionly.kpxe":  {"undionly.kpxe", manifest.RoleLoader}, // BIOS, through the ROM's own driver
		ipxe + "ipxe.pxe":       {"ipxe.pxe", manifest.RoleLoader},      // BIOS, with drivers of its own
		ipxe + "snponly.efi":    {"snponly.efi", manifest.RoleLoader},   // UEFI, through the firmware's driver
		ipxe + "ipxe-amd64.efi": {"ipxe.efi", manifest.RoleLoader},      // UEFI, with drivers of its own
		// UEFI on arm64: it can tell the person there that the live image is for x86-64.
		ipxe + "ipxe-arm64.efi": {"ipxe-arm64.efi", manifest.RoleLoader},

		"usr/lib/shim/shimx64.efi.signed": {manifest.Shim, manifest.RoleLoader},
		// The shim asks for its second stage by this name. This build of it has the
		// network in it and looks for its configuration at /grub/grub.cfg.
		"usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed": {manifest.GRUB, manifest.RoleLoader},

		systemd + "systemd-bootx64.efi.signed": {manifest.SignedMenu, manifest.RolePiece},
		systemd + "linuxx64.efi.stub":          {manifest.Stub, manifest.RolePiece},

		"usr/lib/ISOLINUX/isohdpfx.bin":             {manifest.Sector, manifest.RolePiece},
		"usr/lib/ISOLINUX/isolinux.bin":             {manifest.ISOLINUX, manifest.RolePiece},
		"usr/lib/syslinux/modules/bios/ldlinux.c32": {manifest.Module, manifest.RolePiece},
	}
}

// contents is what was taken out of the packages.
type contents struct {
	kernel   []byte
	version  string
	modules  map[string][]byte // kernel/….ko.xz → content
	tables   map[string][]byte // modules.order, modules.builtin…
	programs map[string][]byte // path in the package → content
}

// distro makes the part of the image that comes from Debian.
func (b *builder) distro(packages []debian.Fetched, source string, old image) (part, error) {
	inputs := []string{source}
	for _, p := range packages {
		inputs = append(inputs, p.SHA256)
	}

	p := part{name: "debian", key: key(inputs...), texts: map[string]string{}}
	if done, ok := b.reuse(old, p.name, p.key, manifest.RoleKernel, manifest.RoleModules, manifest.RoleLoader, manifest.RolePiece); ok {
		return done, nil
	}

	got := contents{
		version: kernelVersion(packages),
		modules: map[string][]byte{}, tables: map[string][]byte{}, programs: map[string][]byte{},
	}

	for _, from := range packages {
		b.say("unpacking %s %s", from.Package, from.Version)

		origin, text, err := got.unpack(from)
		if err != nil {
			return part{}, err
		}

		p.packages = append(p.packages, origin)
		p.texts[origin.Name] = text
	}

	modules, err := b.modules(packages[0].SHA256, got)
	if err != nil {
		return part{}, err
	}

	p.blobs = []blob{
		{name: kernelBlob, role: manifest.RoleKernel, data: got.kernel},
		{name: modulesBlob, role: manifest.RoleModules, data: modules},
	}
	for _, name := range slices.Sorted(maps.Keys(got.programs)) {
		as := programs()[name]
		p.blobs = append(p.blobs, blob{name: as.name, role: as.role, data: got.programs[name]})
	}

	return p, got.complete()
}

func (c *contents) complete() error {
	if c.kernel == nil {
		return errors.New("the kernel package has no boot/vmlinuz")
	}

	for name := range programs() {
		if c.programs[name] == nil {
			return fmt.Errorf("no package has the boot program %s", name)
		}
	}

	return nil
}

// unpack takes what we need out of one package.
func (c *contents) unpack(from debian.Fetched) (origin manifest.Package, licence string, err error) {
	data, err := os.ReadFile(from.File)
	if err != nil {
		return origin, "", fmt.Errorf("reading package: %w", err)
	}

	pkg, err := deb.Open(data)
	if err != nil {
		return origin, "", fmt.Errorf("%s: %w", from.File, err)
	}

	control, err := pkg.Control()
	if err != nil {
		return origin, "", fmt.Errorf("%s: %w", from.File, err)
	}

	origin = manifest.Package{
		Name: from.Package, Version: from.Version, SHA256: from.SHA256, Kind: manifest.KindDeb, Source: sourceOf(control),
	}

	err = pkg.Files(c.wanted, func(name string, content []byte) error {
		blob := c.take(name, content)

		switch {
		case path.Base(name) == "copyright":
			licence = string(content)
		case blob != "" && !slices.Contains(origin.Blobs, blob):
			origin.Blobs = append(origin.Blobs, blob)
		}

		return nil
	})
	if err != nil {
		return origin, "", fmt.Errorf("%s: %w", from.File, err)
	}

	if from.Role == roleGRUBLicence {
		origin.Blobs = []string{manifest.GRUB}
	}

	if licence == "" {
		return origin, "", fmt.Errorf("%s: it has no copyright file", from.File)
	}

	if licence, err = withCommon(licence); err != nil {
		return origin, "", fmt.Errorf("%s: %w", from.File, err)
	}

	return origin, licence, nil
}

func (c *contents) moduleFolder() string { return "lib/modules/" + c.version + "/" }

func (c *contents) wanted(name string) bool {
	_, isProgram := programs()[name]

	return name == "boot/vmlinuz-"+c.version ||
		strings.HasPrefix(strings.TrimPrefix(name, "usr/"), c.moduleFolder()) ||
		isProgram ||
		strings.HasPrefix(name, "usr/share/doc/") && path.Base(name) == "copyright"
}

// take keeps a file and says which blob it goes into.
func (c *contents) take(name string, content []byte) (blob string) {
	module, isModule := strings.CutPrefix(strings.TrimPrefix(name, "usr/"), c.moduleFolder())

	switch {
	case strings.HasPrefix(name, "boot/"):
		c.kernel = content

		return kernelBlob
	case isModule && strings.HasSuffix(module, ".ko.xz"):
		c.modules[module] = content

		return modulesBlob
	case isModule:
		c.tables[module] = content

		return modulesBlob
	}

	if as, isProgram := programs()[name]; isProgram {
		c.programs[name] = content

		return as.name
	}

	return ""
}

// sourceOf says in words where the corresponding source of a package is.
func sourceOf(control map[string]string) string {
	name, version, _ := strings.Cut(control["Source"], " ")
	if name == "" {
		name = control["Package"]
	}

	version = strings.Trim(version, "()")
	if version == "" {
		version = control["Version"]
	}

	text := fmt.Sprintf("Debian %s source package %s %s", suite, name, version)
	if built := control["Built-Using"]; built != "" {
		text += ", built from " + strings.NewReplacer("(= ", "", ")", "").Replace(built)
	}

	return text
}

// modules chooses modules and packs them, untouched, with tables made for them.
func (b *builder) modules(packageSum string, got contents) ([]byte, error) {
	set, err := b.modinfo(packageSum, got.modules)
	if err != nil {
		return nil, err
	}

	if dead := rules().Dead(set); len(dead) > 0 {
		return nil, fmt.Errorf("choosing modules: no module matches %s; change initramfs/build/rule.go", strings.Join(dead, ", "))
	}

	chosen, err := set.Close(rules().Choose(set))
	if err != nil {
		return nil, fmt.Errorf("choosing modules: %w", err)
	}

	tables, err := set.Tables(depmod.Order(chosen, string(got.tables["modules.order"])))
	if err != nil {
		return nil, fmt.Errorf("writing module tables: %w", err)
	}

	tables["modules.builtin"] = got.tables["modules.builtin"]

	entries := make([]cpio.Entry, 0, len(chosen)+len(tables))
	for name, data := range tables {
		entries = append(entries, file(got.moduleFolder()+name, 0o644, data))
	}

	for _, name := range chosen {
		entries = append(entries, file(got.moduleFolder()+name, 0o644, got.modules[name]))
	}

	b.say("chose %d of %d modules", len(chosen), len(set))

	return cpio.Pack(withParents(entries)), nil
}

// modinfo reads what every module says about itself, or takes it from the cache:
// unpacking them all takes 20 s.
func (b *builder) modinfo(packageSum string, modules map[string][]byte) (depmod.Set, error) {
	cached := filepath.Join(b.cache, "modinfo-"+packageSum+".json")
	set := depmod.Set{}

	if data, err := os.ReadFile(cached); err == nil && !b.force { //nolint:gosec // a file of our cache
		if err := json.Unmarshal(data, &set); err == nil && len(set) == len(modules) {
			return set, nil
		}

		set = depmod.Set{}
	}

	b.say("reading %d modules", len(modules))

	for name, content := range modules {
		info, err := depmod.Read(name, content)
		if err != nil {
			return nil, err
		}

		set[name] = info
	}

	data, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("caching module information: %w", err)
	}

	if err := os.WriteFile(cached, data, 0o600); err != nil {
		return nil, fmt.Errorf("caching module information: %w", err)
	}

	return set, nil
}
