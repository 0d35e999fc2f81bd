package initd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// ManifestPath is where the image builder leaves the list of what it packed,
// without the leading slash.
const ManifestPath = "etc/vetting/manifest.json"

const maxManifest = 4 << 20

// ErrTruncated means that the kernel could not unpack the whole image: the machine
// has too little memory, or the download was cut.
var ErrTruncated = errors.New("initramfs truncated")

// ErrAltered means that the image is not the one that was asked for: a file of it has
// changed on its way, or another image was loaded.
var ErrAltered = errors.New("the boot image is not what it should be")

// Manifest is what the agent reads of the builder's manifest.
type Manifest struct {
	Version int    `json:"version"`
	Kernel  string `json:"kernel"`
	Files   []struct {
		Path   string `json:"path"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"files"`
}

// CheckImage compares the files under root with the manifest by presence and size:
// the kernel goes on with part of the files when it runs out of memory while it
// unpacks them, and a part of a module is worse than none. It returns the image's
// id, the SHA-256 of the manifest. ErrTruncated when something is missing.
func CheckImage(root fs.FS) (m Manifest, id string, err error) {
	text, err := fs.ReadFile(root, ManifestPath)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, "", fmt.Errorf("%w: it has no manifest, which comes last in the base segment", ErrTruncated)
	case err != nil:
		return m, "", fmt.Errorf("reading the image's manifest: %w", err)
	case len(text) > maxManifest:
		return m, "", fmt.Errorf("reading the image's manifest: %d bytes are too many", len(text))
	}

	if err := json.Unmarshal(text, &m); err != nil {
		return m, "", fmt.Errorf("%w: its manifest is cut off: %w", ErrTruncated, err)
	}

	if m.Version != 1 {
		return m, "", fmt.Errorf("reading the image's manifest: version %d is not known", m.Version)
	}

	missing, first := 0, ""

	for _, file := range m.Files {
		if fault := checkFile(root, file.Path, file.Size); fault != "" {
			if missing++; missing == 1 {
				first = fault
			}
		}
	}

	if missing > 0 {
		return m, "", fmt.Errorf("%w: %d of %d files are missing or cut, first %s", ErrTruncated, missing, len(m.Files), first)
	}

	sum := sha256.Sum256(text)

	return m, hex.EncodeToString(sum[:]), nil
}

// CheckContent compares every file with its SHA-256 in the manifest, which takes a
// moment on a slow machine. ErrAltered when one differs.
func CheckContent(ctx context.Context, root fs.FS, m Manifest) error {
	for _, listed := range m.Files {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		file, err := root.Open(strings.TrimPrefix(listed.Path, "/"))
		if err != nil {
			return fmt.Errorf("reading the image: %w", err)
		}

		sum := sha256.New()
		_, err = io.Copy(sum, file)

		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("reading the image: %w", err)
		}

		if got := hex.EncodeToString(sum.Sum(nil)); got != listed.SHA256 {
			return fmt.Errorf("%w: %s has changed on its way here; boot again, and look for bad memory or a bad network card if it happens again", ErrAltered, listed.Path)
		}
	}

	return nil
}

// SameImage compares the id of the image that runs with the one that the appliance has
// told; told is empty when it has told none.
func SameImage(id, told string) error {
	if told == "" || told == id {
		return nil
	}

	return fmt.Errorf("%w: this is image %.12s, the appliance has offered %.12s; boot again from the appliance", ErrAltered, id, told)
}

// checkFile says what is wrong with a file; nothing when it is whole.
func checkFile(root fs.FS, name string, size int64) (fault string) {
	info, err := fs.Stat(root, strings.TrimPrefix(name, "/"))

	switch {
	case err != nil:
		return name + " is missing"
	case !info.Mode().IsRegular():
		return name + " is not a file"
	case info.Size() != size:
		return fmt.Sprintf("%s has %d of %d bytes", name, info.Size(), size)
	default:
		return ""
	}
}
