package initd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
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

// Manifest is what the agent reads of the builder's manifest.
type Manifest struct {
	Version int    `json:"version"`
	Kernel  string `json:"kernel"`
	Files   []struct {
		Path string `json:"path"`
		Size int64  `json:"size"`
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
