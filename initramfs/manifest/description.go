package manifest

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// What a blob is for.
const (
	RoleKernel    = "kernel"
	RoleBase      = "base"       // zstd-compressed newc archive, padded to 4 bytes
	RoleModules   = "modules"    // plain newc archive of .ko.xz files and their tables
	RoleAgent     = "agent"      // development: newc archive that overrides /init
	RoleHostAgent = "host-agent" // the program that is /init in base, for installed hosts; gzip
	RoleLoader    = "loader"     // a boot program, served under its file name
	RolePiece     = "piece"      // what a boot medium or a boot program is made of; not served
	RoleManifest  = "manifest"   // the manifest of base, as it lies inside
	RoleLicences  = "licences"   // texts of licences, see DecodeTexts
)

// Names of boot programs, where a role alone does not tell them apart.
const (
	Shim       = "shimx64.efi"         // loader; signed by Microsoft, holds Debian's key, starts GRUB
	GRUB       = "grubx64.efi"         // loader; GRUB for the network, signed by Debian; starts kernels signed by Debian
	SignedMenu = "systemd-bootx64.efi" // piece; systemd-boot, signed by Debian: what the shim of a boot medium may start
	Stub       = "linuxx64.efi.stub"   // piece; systemd's stub: with sections appended, a unified kernel image
	Sector     = "isohdpfx.bin"        // piece; BIOS: the code of a stick's first sector, which starts ISOLINUX
	ISOLINUX   = "isolinux.bin"        // piece; BIOS: the loader of boot media
	Module     = "ldlinux.c32"         // piece; BIOS: the rest of ISOLINUX
)

// Where software comes from.
const (
	KindDeb = "deb" // a Debian package, unmodified
	KindGo  = "go"  // a Go module, or the Go distribution itself
)

// Appliance stands among the blobs of a package for the program that carries the
// image.
const Appliance = "vetting"

// Budget is what the kernel and the segments that every machine loads (base and
// modules) may weigh together, in bytes.
const Budget = 45_000_000

// DescriptionName is the name of the description among the blobs.
const DescriptionName = "image.json"

// Description is the file next to the blobs that says what they are.
type Description struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`     // of the image that boots, see ID
	Kernel  string    `json:"kernel"` // uname -r
	Go      string    `json:"go"`     // toolchain that built base
	Blobs   []Blob    `json:"blobs"`
	Sources []Package `json:"packages"`
	// Inputs holds, per part of the build, a hash over all that went in: the
	// builder skips a part whose hash has not changed.
	Inputs map[string]string `json:"inputs"`
}

// Blob is one file of the image as the appliance embeds and serves it.
type Blob struct {
	Name   string `json:"name"` // a plain file name
	Role   string `json:"role"`
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Package is a piece of software inside the image with its origin and licence.
type Package struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	SHA256  string   `json:"sha256,omitempty"` // of the .deb; Go modules have none
	Kind    string   `json:"kind"`             // KindDeb or KindGo
	Source  string   `json:"source"`           // where the corresponding source is
	Blobs   []string `json:"blobs"`            // the blobs that carry it, or Appliance
}

// Encode returns the description as it is written next to the blobs.
func (d Description) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding image description: %w", err)
	}

	return append(data, '\n'), nil
}

// DecodeDescription reads a description and refuses what it cannot vouch for:
// unknown versions, names that are paths, a role given twice where only one can be.
func DecodeDescription(data []byte) (d Description, err error) {
	if err := decode(data, &d); err != nil {
		return Description{}, fmt.Errorf("reading image description: %w", err)
	}

	if d.Version != Version {
		return Description{}, fmt.Errorf("reading image description: version %d is unknown, want %d", d.Version, Version)
	}

	if !isSHA256(d.ID) {
		return Description{}, fmt.Errorf("reading image description: the image id %q is not a SHA-256", d.ID)
	}

	names, roles := map[string]bool{}, map[string]bool{}

	for _, b := range d.Blobs {
		if err := b.check(); err != nil {
			return Description{}, fmt.Errorf("reading image description: %w", err)
		}

		if names[b.Name] || roles[b.Role] && b.Role != RoleLoader && b.Role != RolePiece {
			return Description{}, fmt.Errorf("reading image description: %s (%s) is listed twice", b.Name, b.Role)
		}

		names[b.Name], roles[b.Role] = true, true
	}

	return d, nil
}

func (b Blob) check() error {
	switch {
	case !fs.ValidPath(b.Name) || b.Name == "." || b.Name == DescriptionName || hasSlash(b.Name):
		return fmt.Errorf("%q cannot be the name of a blob", b.Name)
	case b.Size < 0:
		return fmt.Errorf("blob %s has the size %d", b.Name, b.Size)
	case !isSHA256(b.SHA256):
		return fmt.Errorf("blob %s has the SHA-256 %q", b.Name, b.SHA256)
	}

	switch b.Role {
	case RoleKernel, RoleBase, RoleModules, RoleAgent, RoleHostAgent, RoleLoader, RolePiece, RoleManifest, RoleLicences:
		return nil
	default:
		return fmt.Errorf("blob %s has the unknown role %q", b.Name, b.Role)
	}
}

func hasSlash(name string) bool {
	for _, c := range name {
		if c == '/' || c == '\\' {
			return true
		}
	}

	return false
}

// Blob returns the blob with that role (the first, of loaders and pieces).
func (d Description) Blob(role string) (Blob, bool) {
	for _, b := range d.Blobs {
		if b.Role == role {
			return b, true
		}
	}

	return Blob{}, false
}
