package overlay

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"vetting/initramfs/cpio"
)

// Root is the folder of the live system below which overlays are.
const Root = "overlay"

// StageDir is where an overlay has its custom stages.
const StageDir = "stages"

// ManifestName is the list of files that Seal adds.
const ManifestName = "manifest.json"

// What an overlay may be at most. It lives in the memory of the machine under test.
const (
	MaxBytes   = 1 << 30 // unpacked
	MaxEntries = 20_000
	MaxName    = 32
	maxPath    = 1024
	maxScripts = 32
)

// ValidName reports whether an overlay or a script may be called so.
func ValidName(name string) bool {
	letters := strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""

	return name != "" && len(name) <= MaxName && letters && name[0] != '-'
}

// refused says which entry cannot be taken, and why.
func refused(name, format string, args ...any) error {
	return fmt.Errorf("%.200q: %s", name, fmt.Sprintf(format, args...))
}

// tidy brings the entries of an archive to what Seal writes: names below the folder of
// the overlay, plain permissions, parents before children, sorted. name may be empty:
// the archive tells. The error names the first entry that may not be in an overlay.
func tidy(name string, entries []cpio.Entry) (string, []cpio.Entry, error) {
	if len(entries) > MaxEntries {
		return "", nil, fmt.Errorf("%d entries are too many; %d at most", len(entries), MaxEntries)
	}

	files := map[string]cpio.Entry{}

	var total int64

	for _, e := range entries {
		inside, err := place(&name, e)
		if err != nil {
			return "", nil, err
		}

		if inside == "" {
			continue // a folder above
		}

		if _, twice := files[inside]; twice {
			return "", nil, refused(e.Name, "it is there twice")
		}

		clean, err := plain(inside, e)
		if err != nil {
			return "", nil, err
		}

		if total += int64(len(e.Data)); total > MaxBytes {
			return "", nil, fmt.Errorf("its files have more than %d MiB together; a machine keeps them in its memory", MaxBytes>>20)
		}

		files[inside] = clean
	}

	if name == "" || len(files) == 0 {
		return "", nil, fmt.Errorf("it has no files below %s/NAME/", Root)
	}

	tidied, err := withFolders(files)

	return name, tidied, err
}

// place returns where an entry is below the folder of the overlay; empty for the
// folders above. It learns the overlay's name from the first entry where it has none.
func place(name *string, e cpio.Entry) (inside string, err error) {
	full := strings.TrimPrefix(e.Name, "./")

	switch {
	case !utf8.ValidString(e.Name) || strings.ContainsFunc(e.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", refused(e.Name, "its name has letters that cannot be printed")
	case len(full) > maxPath:
		return "", refused(e.Name, "its name is longer than %d bytes", maxPath)
	case full == "." || full == Root:
		return "", folderOnly(e)
	case strings.HasPrefix(full, "/") || path.Clean(full) != full || strings.HasPrefix(full, ".."):
		return "", refused(e.Name, "only plain names below %s/NAME/ may be in an overlay", Root)
	}

	rest, ok := strings.CutPrefix(full, Root+"/")
	if !ok {
		return "", refused(e.Name, "only files below %s/NAME/ may be in an overlay; nothing of the image can be replaced", Root)
	}

	first, inside, deeper := strings.Cut(rest, "/")

	if *name == "" && ValidName(first) {
		*name = first
	}

	switch {
	case first != *name && *name == "":
		return "", refused(e.Name, "an overlay's name is 1 to %d lower-case letters, digits and hyphens", MaxName)
	case first != *name:
		return "", refused(e.Name, "it is outside of %s/%s/", Root, *name)
	case !deeper:
		return "", folderOnly(e)
	case inside == ManifestName:
		return "", refused(e.Name, "this file is written by vetting; leave it out")
	}

	return inside, nil
}

func folderOnly(e cpio.Entry) error {
	if e.Mode&cpio.TypeMask != cpio.Dir {
		return refused(e.Name, "it must be a folder")
	}

	return nil
}

// plain refuses what is neither file, folder nor harmless symlink, and levels
// permissions.
func plain(inside string, e cpio.Entry) (cpio.Entry, error) {
	const special, execute = 0o7000, 0o111

	if e.Mode&special != 0 {
		return e, refused(e.Name, "set-uid, set-gid and sticky bits are not allowed")
	}

	switch e.Mode & cpio.TypeMask {
	case cpio.Regular:
		mode := uint32(0o644)
		if e.Mode&execute != 0 {
			mode = 0o755
		}

		return cpio.Entry{Name: inside, Mode: cpio.Regular | mode, Data: e.Data}, nil
	case cpio.Dir:
		return cpio.Entry{Name: inside, Mode: cpio.Dir | 0o755}, nil
	case cpio.Symlink:
		if why := leads(inside, string(e.Data)); why != "" {
			return e, refused(e.Name, "%s", why)
		}

		return cpio.Entry{Name: inside, Mode: cpio.Symlink | 0o777, Data: e.Data}, nil
	default:
		return e, refused(e.Name, "device nodes, pipes and sockets are not allowed")
	}
}

// leads says what is wrong with a symlink; nothing when it stays in the overlay
// whatever its way leads through: it goes up first, and no further than the top, then
// down.
func leads(inside, target string) (why string) {
	if target == "" || strings.HasPrefix(target, "/") || len(target) > maxPath || !utf8.ValidString(target) || strings.ContainsFunc(target, func(r rune) bool { return r < ' ' }) {
		return "a symlink must have a relative target"
	}

	depth, down := strings.Count(inside, "/"), false

	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "..":
			if depth--; down || depth < 0 {
				return "its target " + target + " is outside of the overlay"
			}
		case part != "" && part != ".":
			down = true
		}
	}

	return ""
}

// withFolders adds the folders that are missing, and sorts so that each comes before
// what is in it.
func withFolders(files map[string]cpio.Entry) ([]cpio.Entry, error) {
	all := map[string]cpio.Entry{}

	for name, e := range files {
		all[name] = e

		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if parent, there := files[dir]; there && parent.Mode&cpio.TypeMask != cpio.Dir {
				return nil, refused(name, "%s is no folder", dir)
			}

			all[dir] = cpio.Entry{Name: dir, Mode: cpio.Dir | 0o755}
		}
	}

	sorted := make([]cpio.Entry, 0, len(all))
	for _, e := range all {
		sorted = append(sorted, e)
	}

	slices.SortFunc(sorted, func(a, b cpio.Entry) int { return strings.Compare(a.Name, b.Name) })

	return sorted, nil
}
