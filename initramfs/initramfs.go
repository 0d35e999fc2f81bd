package initramfs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"vetting/initramfs/manifest"
)

// ErrNotBuilt means that the binary was compiled where no image had been built.
var ErrNotBuilt = errors.New("this binary carries no boot image; build it with: make image build")

// Names of what is in Image.Loaders and Image.Pieces, unmodified from Debian's packages.
const (
	Shim       = manifest.Shim
	GRUB       = manifest.GRUB
	SignedMenu = manifest.SignedMenu
	Stub       = manifest.Stub
	Sector     = manifest.Sector
	ISOLINUX   = manifest.ISOLINUX
	Module     = manifest.Module
)

// Package is a piece of software inside the image, with its origin.
type Package = manifest.Package

// Image is the boot image. All its bytes are read-only memory of the program
// file, shared by everybody and paged in when first touched: writing to them
// kills the process.
type Image struct {
	// ID is the SHA-256 of the manifest inside the image, in hex; the agent
	// that booted from it says the same.
	ID            string
	KernelVersion string // uname -r
	// The kernel, and the segments in the order in which they are loaded. Each
	// segment is a multiple of 4 bytes, so they can also be joined.
	Kernel, Base, Modules []byte
	// Agent is a development segment to be loaded after Modules; it overrides
	// /init. It is nil in a finished image.
	Agent []byte
	// HostAgent is the agent as a program for installed hosts (linux/amd64, static):
	// what is /init in the image. It is packed with gzip, whose small window lets it be
	// unpacked for many at once while it is served.
	HostAgent []byte
	// Loaders are the boot programs by the names under which they are served:
	// undionly.kpxe and ipxe.pxe for BIOS, snponly.efi and ipxe.efi for UEFI, ipxe-arm64.efi for UEFI on arm64, and
	// shimx64.efi with grubx64.efi for UEFI with Secure Boot.
	Loaders map[string][]byte
	// Pieces are what boot media and other boot programs are made of: Stub, SignedMenu,
	// Sector, ISOLINUX and Module.
	Pieces   map[string][]byte
	Packages []Package

	manifest []byte
	licences []byte
	blobs    map[string]checked
	embedded bool // the bytes are the program file's
}

type checked struct {
	data   []byte
	sha256 string
}

//go:embed all:blobs
var blobs embed.FS

// Open returns the image this binary carries, or ErrNotBuilt. It checks names and
// sizes but does not read the content, so it takes no time; see Verify.
func Open() (*Image, error) {
	image, err := open(blobs, func(name string) ([]byte, error) { return view(&blobs, name) })
	if err == nil {
		image.embedded = true
	}

	return image, err
}

// open reads an image from a folder "blobs"; content returns a whole file.
func open(root fs.FS, content func(name string) ([]byte, error)) (*Image, error) {
	data, err := fs.ReadFile(root, path.Join("blobs", manifest.DescriptionName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}

	if err != nil {
		return nil, fmt.Errorf("opening boot image: %w", err)
	}

	d, err := manifest.DecodeDescription(data)
	if err != nil {
		return nil, fmt.Errorf("opening boot image: %w", err)
	}

	image := &Image{
		ID: d.ID, KernelVersion: d.Kernel, Packages: d.Sources,
		Loaders: map[string][]byte{}, Pieces: map[string][]byte{}, blobs: map[string]checked{},
	}

	for _, b := range d.Blobs {
		data, err := content(path.Join("blobs", b.Name))
		if err != nil {
			return nil, fmt.Errorf("opening boot image: %w", err)
		}

		if int64(len(data)) != b.Size {
			return nil, fmt.Errorf("opening boot image: %s has %d bytes instead of %d; build it again with: make image build", b.Name, len(data), b.Size)
		}

		image.blobs[b.Name] = checked{data: data, sha256: b.SHA256}
		image.assign(b, data)
	}

	if image.Kernel == nil || image.Base == nil || image.Modules == nil {
		return nil, errors.New("opening boot image: the kernel or a segment is missing; build it again with: make image build")
	}

	return image, nil
}

func (i *Image) assign(b manifest.Blob, data []byte) {
	switch b.Role {
	case manifest.RoleKernel:
		i.Kernel = data
	case manifest.RoleBase:
		i.Base = data
	case manifest.RoleModules:
		i.Modules = data
	case manifest.RoleAgent:
		i.Agent = data
	case manifest.RoleHostAgent:
		i.HostAgent = data
	case manifest.RoleLoader:
		i.Loaders[b.Name] = data
	case manifest.RolePiece:
		i.Pieces[b.Name] = data
	case manifest.RoleManifest:
		i.manifest = data
	case manifest.RoleLicences:
		i.licences = data
	}
}

// Verify reads the whole image and compares it with the hashes it was built with.
// It takes a fraction of a second and tells a damaged program file.
func (i *Image) Verify() error {
	for name, blob := range i.blobs {
		if sum := manifest.Sum(blob.data); sum != blob.sha256 {
			return fmt.Errorf("verifying boot image: %s has the SHA-256 %s instead of %s; install the program again", name, sum, blob.sha256)
		}
	}

	m, err := manifest.Decode(i.manifest)
	if err != nil {
		return fmt.Errorf("verifying boot image: %w", err)
	}

	if m.Kernel != i.KernelVersion {
		return fmt.Errorf("verifying boot image: the manifest is for kernel %s, the image has %s", m.Kernel, i.KernelVersion)
	}

	// With a development segment the id is that of the manifest it brings along.
	if i.Agent == nil && manifest.ID(i.manifest) != i.ID {
		return fmt.Errorf("verifying boot image: the manifest has the id %s, the image says %s", manifest.ID(i.manifest), i.ID)
	}

	return nil
}

// Licence is the licence of one package of the image.
type Licence struct {
	Package

	Text string // as the package ships it
}

// Licences returns every package of the image with the text of its licence.
func (i *Image) Licences() ([]Licence, error) {
	texts, err := manifest.DecodeTexts(i.licences)
	if err != nil {
		return nil, fmt.Errorf("listing licences: %w", err)
	}

	all := make([]Licence, 0, len(i.Packages))
	for _, p := range i.Packages {
		all = append(all, Licence{Package: p, Text: texts[p.Name]})
	}

	return all, nil
}

// Join returns the segments one after the other, as a machine that can load only
// one file needs them, with further ones (a seed) at the end. It copies.
func (i *Image) Join(further ...[]byte) []byte {
	return bytes.Join(append([][]byte{i.Base, i.Modules, i.Agent}, further...), nil)
}
