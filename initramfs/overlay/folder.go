package overlay

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"vetting/initramfs/cpio"
)

// Folder reads a folder of this machine as the content of the overlay of that name.
func Folder(name, dir string) (entries []cpio.Entry, err error) {
	var total int64

	err = filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		inside, err := filepath.Rel(dir, file)
		if err != nil || inside == "." {
			return err
		}

		if len(entries) > MaxEntries {
			return fmt.Errorf("%s has more than %d entries", dir, MaxEntries)
		}

		e, err := Read(file)
		if err != nil {
			return err
		}

		if total += int64(len(e.Data)); total > MaxBytes {
			return fmt.Errorf("the files of %s have more than %d MiB together", dir, MaxBytes>>20)
		}

		e.Name = path.Join(Root, name, filepath.ToSlash(inside))
		entries = append(entries, e)

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the folder: %w", err)
	}

	return entries, nil
}

// Read reads one file, folder or symlink of this machine, as it is. What is none of
// them comes without content, to be refused by its type.
func Read(file string) (e cpio.Entry, err error) {
	info, err := os.Lstat(file)
	if err != nil {
		return e, err
	}

	e = cpio.Entry{Name: file, Mode: uint32(info.Mode().Perm())}

	if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		e.Mode |= 0o4000
	}

	switch {
	case info.IsDir():
		e.Mode |= cpio.Dir
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(file)
		e.Mode, e.Data = cpio.Symlink|0o777, []byte(target)

		return e, err
	case info.Mode().IsRegular():
		e.Mode |= cpio.Regular

		if info.Size() > MaxBytes {
			return e, fmt.Errorf("%s has more than %d MiB", file, MaxBytes>>20)
		}

		e.Data, err = os.ReadFile(file)
	default:
		e.Mode |= cpio.Char
	}

	return e, err
}
