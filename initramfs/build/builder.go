package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/initramfs/build/debian"
	"vetting/initramfs/manifest"
)

const (
	lockFile = "initramfs/build/lock.json"
	suite    = "trixie"

	// GRUB's signed package tells the licence of the signatures alone; that of GRUB
	// is in the package of what was signed.
	roleGRUBLicence = "grub-licence"
)

// wants are the packages the image is made of.
func wants() []debian.Want {
	return []debian.Want{
		{Role: "kernel", Name: "linux-image-amd64", Follows: "linux-image-"},
		{Role: "ipxe", Name: "ipxe"},
		{Role: "shim", Name: "shim-signed"},
		{Role: "grub", Name: "grub-efi-amd64-signed"},
		{Role: roleGRUBLicence, Name: "grub-efi-amd64-bin"},
		{Role: "systemd-boot", Name: "systemd-boot-efi-amd64-signed"},
		{Role: "systemd-stub", Name: "systemd-boot-efi"},
		{Role: "isolinux", Name: "isolinux"},
		{Role: "syslinux", Name: "syslinux-common"},
	}
}

// builder makes the image in parts. A part whose inputs have not changed since
// the last build is taken from the finished image.
type builder struct {
	out, cache       string
	agent, appliance string // packages of programs
	mirror           string
	mode             debian.Mode
	force            bool
	quiet            bool
	started          time.Time
}

// blob is a finished file of the image.
type blob struct {
	name, role string
	data       []byte
}

// part is a share of the image that is made and skipped as a whole.
type part struct {
	name, key string
	blobs     []blob
	packages  []manifest.Package
	texts     map[string]string // package → licence text
}

func (p part) data(role string) []byte {
	for _, b := range p.blobs {
		if b.role == role {
			return b.data
		}
	}

	return nil
}

func (b *builder) say(format string, args ...any) {
	if !b.quiet {
		fmt.Fprintf(os.Stderr, "image: %s\n", fmt.Sprintf(format, args...))
	}
}

// build makes the whole image into the out folder.
func (b *builder) build(ctx context.Context) error {
	packages, err := b.fetch(ctx)
	if err != nil {
		return err
	}

	source, err := sourceKey()
	if err != nil {
		return err
	}

	var (
		old    = b.previous()
		distro part
		shell  busybox
		agent  program
		own    part // what the appliance's own program is made of
	)

	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() (err error) {
		distro, err = b.distro(packages, source, old)

		return err
	})
	tasks.Go(func() (err error) {
		if agent, err = b.compileAgent(ctx); err == nil {
			shell, err = b.busybox(ctx)
		}

		return err
	})

	tasks.Go(func() (err error) {
		own.packages, own.texts, err = goModules(ctx, []string{manifest.Appliance}, nil, b.appliance)

		return err
	})

	if err := tasks.Wait(); err != nil {
		return err
	}

	base, id, err := b.base(distro, shell, agent, source, old)
	if err != nil {
		return err
	}

	return b.finish(id, agent.goVersion, kernelVersion(packages), distro, base, own, old)
}

func (b *builder) fetch(ctx context.Context) ([]debian.Fetched, error) {
	lock := debian.Lock{Suite: suite}

	data, err := os.ReadFile(lockFile)

	switch {
	case err == nil:
		if lock, err = debian.DecodeLock(data); err != nil {
			return nil, err
		}
	case b.mode != debian.Renew || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading lock file: %w", err)
	}

	fetcher := debian.Fetcher{
		Cache: b.cache, Lock: lock, Wants: wants(), Mode: b.mode, Mirror: b.mirror,
		Etc: os.DirFS("/etc/apt"), Keyring: debian.FindKeyring(), Say: b.say,
	}

	packages, err := fetcher.Fetch(ctx)
	if err != nil || b.mode != debian.Renew {
		return packages, err
	}

	renewed := debian.Lock{Suite: lock.Suite}
	for _, p := range packages {
		renewed.Packages = append(renewed.Packages, p.Locked)
	}

	for _, line := range lock.Diff(renewed.Packages) {
		b.say("lock: %s", line)
	}

	if data, err = renewed.Encode(); err != nil {
		return nil, err
	}

	return packages, os.WriteFile(lockFile, data, 0o644) //nolint:gosec // a file of the repository
}

// kernelVersion is what uname -r will say, which the package carries in its name.
func kernelVersion(packages []debian.Fetched) string {
	return strings.TrimPrefix(packages[0].Package, wants()[0].Follows)
}

// sourceKey is a hash over the source of the builder itself.
func sourceKey() (string, error) {
	var all strings.Builder

	for _, root := range []string{"initramfs/build", "initramfs/manifest"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
				return err
			}

			data, err := os.ReadFile(name) //nolint:gosec // a file of the repository
			fmt.Fprintf(&all, "%s %s\n", name, manifest.Sum(data))

			return err
		})
		if err != nil {
			return "", fmt.Errorf("hashing the builder: %w", err)
		}
	}

	return manifest.Sum([]byte(all.String())), nil
}

// key folds the inputs of a part into one hash.
func key(inputs ...string) string { return manifest.Sum([]byte(strings.Join(inputs, "\n"))) }

// image is a finished image as it was found in the out folder.
type image struct {
	manifest.Description

	texts map[string]string
}

// previous reads the finished image; it is empty when there is none or it cannot
// be trusted, and everything is then made anew.
func (b *builder) previous() (old image) {
	if b.force {
		return image{}
	}

	data, err := os.ReadFile(filepath.Join(b.out, manifest.DescriptionName))
	if err != nil {
		return image{}
	}

	if old.Description, err = manifest.DecodeDescription(data); err != nil {
		b.say("the image in %s is not readable, building anew: %v", b.out, err)

		return image{}
	}

	licences, ok := old.Blob(manifest.RoleLicences)
	if !ok {
		return image{}
	}

	data, err = b.load(licences)
	if err != nil {
		return image{}
	}

	if old.texts, err = manifest.DecodeTexts(data); err != nil {
		return image{}
	}

	return old
}

// load reads a blob of the finished image and checks it.
func (b *builder) load(of manifest.Blob) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(b.out, of.Name))
	if err != nil {
		return nil, fmt.Errorf("loading blob: %w", err)
	}

	if int64(len(data)) != of.Size || manifest.Sum(data) != of.SHA256 {
		return nil, fmt.Errorf("loading blob: %s is not what %s says", of.Name, manifest.DescriptionName)
	}

	return data, nil
}

// reuse returns a part of the finished image if it was made from the same inputs
// and is whole.
func (b *builder) reuse(old image, name, key string, roles ...string) (part, bool) {
	if old.Inputs[name] != key {
		return part{}, false
	}

	p := part{name: name, key: key, texts: map[string]string{}}
	own := map[string]bool{}

	for _, of := range old.Blobs {
		if !slices.Contains(roles, of.Role) {
			continue
		}

		data, err := b.load(of)
		if err != nil {
			return part{}, false
		}

		own[of.Name] = true
		p.blobs = append(p.blobs, blob{name: of.Name, role: of.Role, data: data})
	}

	for _, role := range roles {
		if p.data(role) == nil {
			return part{}, false
		}
	}

	for _, origin := range old.Sources {
		// What else carries it is told by who makes that.
		origin.Blobs = slices.DeleteFunc(slices.Clone(origin.Blobs), func(name string) bool { return !own[name] })

		if len(origin.Blobs) > 0 {
			p.packages = append(p.packages, origin)
			p.texts[origin.Name] = old.texts[origin.Name]
		}
	}

	return p, true
}

// finish writes the image, takes away what is no longer part of it, and prints
// the sizes.
func (b *builder) finish(id, goVersion, kernel string, distro, base, own part, old image) error {
	texts := maps.Clone(distro.texts)
	maps.Copy(texts, base.texts)
	maps.Copy(texts, own.texts)

	packed, err := manifest.EncodeTexts(texts)
	if err != nil {
		return err
	}

	d := manifest.Description{
		Version: manifest.Version, ID: id, Kernel: kernel, Go: goVersion,
		Sources: slices.Concat(distro.packages, join(base.packages, own.packages)),
		Inputs:  map[string]string{distro.name: distro.key, base.name: base.key},
	}

	all := slices.Concat(distro.blobs, base.blobs, []blob{{name: "licences.json.gz", role: manifest.RoleLicences, data: packed}})
	if err := b.write(&d, old.Description, all); err != nil {
		return err
	}

	if old.ID == id && maps.Equal(old.Inputs, d.Inputs) {
		b.say("nothing has changed")
	}

	return b.report(d)
}

// sweep takes away what the image before listed and this one does not: an agent that
// overrode the base is out of date, and whatever lies among the blobs is embedded.
func (b *builder) sweep(old, now manifest.Description) error {
	for _, was := range old.Blobs {
		if slices.ContainsFunc(now.Blobs, func(is manifest.Blob) bool { return is.Name == was.Name }) {
			continue
		}

		if err := os.Remove(filepath.Join(b.out, was.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %s of the image before: %w", was.Name, err)
		}
	}

	return nil
}

// write puts the blobs and, last, the description into the out folder, in place of
// those of the image before.
func (b *builder) write(d *manifest.Description, before manifest.Description, all []blob) error {
	for _, file := range all {
		d.Blobs = append(d.Blobs, manifest.Blob{
			Name: file.name, Role: file.role, Size: int64(len(file.data)), SHA256: manifest.Sum(file.data),
		})

		if err := b.replace(file.name, file.data); err != nil {
			return err
		}
	}

	data, err := d.Encode()
	if err != nil {
		return err
	}

	if err := b.replace(manifest.DescriptionName, data); err != nil {
		return err
	}

	return b.sweep(before, *d)
}

// replace writes a file whole or not at all, and leaves one alone that has the
// same content already, so that the go command need not embed it again.
func (b *builder) replace(name string, data []byte) error {
	file := filepath.Join(b.out, name)
	if was, err := os.ReadFile(file); err == nil && string(was) == string(data) { //nolint:gosec // a file of the image
		return nil
	}

	tmp := filepath.Join(b.cache, "new-"+name)
	if err := os.WriteFile(tmp, data, 0o644); err != nil { //nolint:gosec // a public file
		return fmt.Errorf("writing %s: %w", name, err)
	}

	if err := os.Rename(tmp, file); err == nil {
		return nil
	}

	// The cache is on another file system: write in place.
	defer os.Remove(tmp)

	if err := os.WriteFile(file, data, 0o644); err != nil { //nolint:gosec // a public file
		return fmt.Errorf("writing %s: %w", name, err)
	}

	return nil
}

// report prints what the image weighs against its budget.
func (b *builder) report(d manifest.Description) error {
	boot := int64(0)

	b.say("image %s, kernel %s, built in %.1f s", d.ID[:12], d.Kernel, time.Since(b.started).Seconds())

	for _, file := range d.Blobs {
		b.say("  %-25s %11d bytes  %s", file.Name, file.Size, file.SHA256[:12])

		switch file.Role {
		case manifest.RoleKernel, manifest.RoleBase, manifest.RoleModules:
			boot += file.Size
		}
	}

	b.say("  kernel + base + modules = %d bytes, %.1f %% of the %d allowed", boot, 100*float64(boot)/manifest.Budget, manifest.Budget)

	if boot > manifest.Budget {
		return fmt.Errorf("the image has %d bytes, %d more than allowed", boot, boot-manifest.Budget)
	}

	return nil
}
