package gpu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"vetting/agent/overlay"
	"vetting/core"
)

// Shelve makes one folder of links to the firmware of all overlays
// (/overlay/NAME/lib/firmware): the kernel looks into a single folder besides those of the
// image (firmware_class.path, Documentation/driver-api/firmware/fw_search_path.rst). Of a
// name that several have, that of the first overlay counts, and the others are returned. found
// says whether one of them brings firmware at all; without, no folder is made.
func Shelve(root fs.FS, overlays []core.Overlay, into string) (found bool, hidden []string, err error) {
	for i := range overlays {
		dir := path.Join(overlay.Root, overlays[i].Name, "lib/firmware")

		if info, err := fs.Stat(root, dir); err != nil || !info.IsDir() {
			continue
		}

		found = true

		err := fs.WalkDir(root, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}

			taken, err := shelve(d.IsDir(), "/"+name, filepath.Join(into, filepath.FromSlash(name[len(dir):])))
			if taken {
				hidden = append(hidden, "/"+name)
			}

			if taken && d.IsDir() {
				return fs.SkipDir
			}

			return err
		})
		if err != nil {
			return found, hidden, fmt.Errorf("gathering the firmware of %s: %w", overlays[i].Name, err)
		}
	}

	return found, hidden, nil
}

// shelve makes a folder, or a link to a file, unless another overlay has taken its place. A
// link that leads to a folder is no folder: nothing is made behind it.
func shelve(folder bool, file, place string) (taken bool, err error) {
	info, err := os.Lstat(place)

	switch {
	case errors.Is(err, fs.ErrNotExist) && folder:
		return false, os.MkdirAll(place, 0o755) //nolint:gosec // firmware is no secret
	case errors.Is(err, fs.ErrNotExist):
		return false, os.Symlink(file, place)
	case err != nil:
		return false, err
	case folder:
		return !info.IsDir(), nil
	}

	if info.Mode()&fs.ModeSymlink == 0 {
		return true, nil
	}

	target, err := os.Readlink(place)

	return target != file, err // the same: it was prepared before
}
