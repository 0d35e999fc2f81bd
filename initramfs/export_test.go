package initramfs

import (
	"io/fs"
	"path"
)

// OpenIn opens an image from another folder than the embedded one.
func OpenIn(root fs.FS) (*Image, error) {
	return open(root, func(name string) ([]byte, error) { return fs.ReadFile(root, name) })
}

// View returns an embedded file without copying, and Read with.
func View(name string) ([]byte, error) { return view(&blobs, path.Join("blobs", name)) }

// Read returns a copy of an embedded file.
func Read(name string) ([]byte, error) { return blobs.ReadFile(path.Join("blobs", name)) }

// WholePages is wholePages.
func WholePages(data []byte) []byte { return wholePages(data) }
