package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxLinks bounds the symbolic links on the way to a file, as Linux does.
const maxLinks = 40

// errLoop is ELOOP.
var errLoop = errors.New("too many symbolic links")

// Tree is the recorded part of a file system, as an fs.FS over its root: files,
// folders, symbolic links, which are followed, and files that could not be read,
// with the reason. Tests change it while it is in use. Safe for concurrent use.
type Tree struct {
	mu  sync.RWMutex // guards top and all below
	top *node
}

// node is a file, a folder (kids is not nil), a link, or a file whose reading
// failed.
type node struct {
	kids  map[string]*node
	text  []byte
	link  string
	fault error
}

// NewTree returns an empty tree.
func NewTree() *Tree { return &Tree{top: folder()} }

func folder() *node { return &node{kids: map[string]*node{}} }

// Put writes a file, and the folders above it. Links on the way are followed, so
// that sys/class/net/eth0/carrier is the file the driver shows.
func (t *Tree) Put(name string, text []byte) error { return t.set(name, &node{text: text}) }

// Link makes a symbolic link.
func (t *Tree) Link(name, target string) error { return t.set(name, &node{link: target}) }

// Fail makes a file that cannot be read. A fault that says "permission denied"
// matches fs.ErrPermission.
func (t *Tree) Fail(name, fault string) error {
	err := errors.New(fault)
	if fault == fs.ErrPermission.Error() {
		err = fs.ErrPermission
	}

	return t.set(name, &node{fault: err})
}

// Folder makes a folder, if it is not there.
func (t *Tree) Folder(name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrInvalid}
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	_, err := t.make(name)

	return err
}

// Remove takes a file, a link or a folder with all below it away. One that is not
// there is no error.
func (t *Tree) Remove(name string) {
	if !fs.ValidPath(name) || name == "." {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	if parent, err := t.walk("remove", path.Dir(name), true); err == nil {
		delete(parent.kids, path.Base(name))
	}
}

func (t *Tree) set(name string, n *node) error {
	if !fs.ValidPath(name) || name == "." {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrInvalid}
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	parent, err := t.make(path.Dir(name))
	if err != nil {
		return err
	}

	if old := parent.kids[path.Base(name)]; old != nil && old.link != "" && n.link == "" {
		if target, err := t.walk("create", name, true); err == nil && target.kids == nil {
			*target = *n

			return nil
		}
	}

	parent.kids[path.Base(name)] = n

	return nil
}

// make returns the folder of the name and makes what is missing on the way. t.mu
// is held.
func (t *Tree) make(name string) (*node, error) {
	if n, err := t.walk("create", name, true); err == nil {
		if n.kids == nil {
			return nil, &fs.PathError{Op: "create", Path: name, Err: errors.New("not a folder")}
		}

		return n, nil
	}

	parent, err := t.make(path.Dir(name))
	if err != nil {
		return nil, err
	}

	if parent.kids[path.Base(name)] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: errors.New("not a folder")}
	}

	n := folder()
	parent.kids[path.Base(name)] = n

	return n, nil
}

// walk finds a node. Links on the way are followed, and the last one with follow.
// t.mu is held.
func (t *Tree) walk(op, name string, follow bool) (*node, error) {
	fail := func(err error) (*node, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }

	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}

	steps, way, links := strings.Split(name, "/"), []*node{t.top}, 0

	for i := 0; i < len(steps); i++ {
		here := way[len(way)-1]

		switch steps[i] {
		case "", ".":
			continue
		case "..":
			way = way[:max(len(way)-1, 1)]

			continue
		}

		next := here.kids[steps[i]]

		switch {
		case next == nil:
			return fail(fs.ErrNotExist)
		case next.link != "" && (follow || i < len(steps)-1):
			if links++; links > maxLinks {
				return fail(errLoop)
			}

			if strings.HasPrefix(next.link, "/") {
				way = way[:1]
			}

			steps, i = slices.Concat(strings.Split(next.link, "/"), steps[i+1:]), -1
		default:
			way = append(way, next)
		}
	}

	return way[len(way)-1], nil
}

// Open opens a file or a folder.
func (t *Tree) Open(name string) (fs.File, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()

	n, err := t.walk("open", name, true)
	if err != nil {
		return nil, err
	}

	if n.fault != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: n.fault}
	}

	about := n.info(path.Base(name))
	if n.kids != nil {
		return &openFolder{info: about, entries: n.entries()}, nil
	}

	return &openFile{info: about, Reader: bytes.NewReader(n.text)}, nil
}

// ReadFile returns what a file holds.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()

	n, err := t.walk("open", name, true)

	switch {
	case err != nil:
		return nil, err
	case n.fault != nil:
		return nil, &fs.PathError{Op: "read", Path: name, Err: n.fault}
	case n.kids != nil:
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	default:
		return slices.Clone(n.text), nil
	}
}

// ReadDir lists a folder, sorted.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()

	n, err := t.walk("open", name, true)

	switch {
	case err != nil:
		return nil, err
	case n.kids == nil:
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a folder")}
	default:
		return n.entries(), nil
	}
}

// Stat describes what a name leads to.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { return t.about("stat", name, true) }

// Lstat describes a name, a link as such.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.about("lstat", name, false) }

func (t *Tree) about(op, name string, follow bool) (fs.FileInfo, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()

	n, err := t.walk(op, name, follow)
	if err != nil {
		return nil, err
	}

	return n.info(path.Base(name)), nil
}

// ReadLink returns where a symbolic link points to.
func (t *Tree) ReadLink(name string) (string, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()

	n, err := t.walk("readlink", name, false)
	if err != nil {
		return "", err
	}

	if n.link == "" {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}

	return n.link, nil
}

// entries lists a folder, sorted. The tree's lock is held.
func (n *node) entries() []fs.DirEntry {
	entries := make([]fs.DirEntry, 0, len(n.kids))
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		entries = append(entries, fs.FileInfoToDirEntry(n.kids[name].info(name)))
	}

	return entries
}

func (n *node) info(name string) info {
	mode := fs.FileMode(0o444)

	switch {
	case n.kids != nil:
		mode = fs.ModeDir | 0o555
	case n.link != "":
		mode = fs.ModeSymlink | 0o777
	case n.fault != nil:
		mode = 0o400
	}

	return info{name: name, size: int64(len(n.text)), mode: mode}
}

type info struct {
	name string
	size int64
	mode fs.FileMode
}

func (i info) Name() string      { return i.name }
func (i info) Size() int64       { return i.size }
func (i info) Mode() fs.FileMode { return i.mode }
func (info) ModTime() time.Time  { return time.Time{} }
func (i info) IsDir() bool       { return i.mode.IsDir() }
func (info) Sys() any            { return nil }

type openFile struct {
	*bytes.Reader

	info info
}

// Stat describes the file.
func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing.
func (*openFile) Close() error { return nil }

type openFolder struct {
	info    info
	entries []fs.DirEntry
}

// Stat describes the folder.
func (f *openFolder) Stat() (fs.FileInfo, error) { return f.info, nil }

// Read refuses.
func (f *openFolder) Read([]byte) (int, error) {
	return 0, fmt.Errorf("reading %s: is a folder", f.info.name)
}

// Close does nothing.
func (*openFolder) Close() error { return nil }

// ReadDir lists the next n entries, or all that are left.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	count := len(f.entries)
	if n > 0 {
		if count == 0 {
			return nil, io.EOF
		}

		count = min(count, n)
	}

	list := f.entries[:count]
	f.entries = f.entries[count:]

	return list, nil
}
