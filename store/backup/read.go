package backup

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"vetting/core"
	"vetting/store"
)

// Codes of what can be wrong with a backup.
const (
	codeDamaged = "backup/damaged"
	codeNewer   = "backup/newer-format"
	codeInUse   = "backup/data-in-the-way"
	codeBusy    = "backup/restoring"
)

// maxDescription bounds what is read of the two JSON files.
const maxDescription = 64 << 10

func damaged(format string, args ...any) *core.Problem {
	return core.NewProblem(store.ErrDamaged, codeDamaged, fmt.Sprintf(format, args...))
}

// Verify reads a backup to its end and proves it: every byte, and every record of the
// ledger. Damage comes back as a *core.Problem.
func Verify(ctx context.Context, r io.Reader) (Summary, error) {
	return read(ctx, r, func(m Manifest, ledger io.Reader) (store.Reach, error) {
		return store.Inspect(ctx, m.Schema, bufio.NewReader(ledger))
	}, func(_ string, content io.Reader) error {
		_, err := io.Copy(io.Discard, content)

		return err
	})
}

// Restore makes a data directory of a backup, whole or not at all: dir may have other
// files, but nothing of an appliance. The ledger is proved before it gets its place.
// into is the folder of the ledger in dir. While another process restores into dir it is
// refused, and leaves that one's work alone.
func Restore(ctx context.Context, r io.Reader, dir, into string) (summary Summary, err error) {
	release, err := alone(dir)
	if err != nil {
		return summary, err
	}

	defer func() { err = errors.Join(err, release()) }()

	half := filepath.Join(dir, "restoring")

	if err := errors.Join(os.RemoveAll(half), os.MkdirAll(half, 0o700)); err != nil {
		return Summary{}, fmt.Errorf("making %s: %w", half, err)
	}

	summary, err = read(ctx, r, func(m Manifest, ledger io.Reader) (store.Reach, error) {
		return store.Restore(ctx, filepath.Join(half, into), m.Schema, bufio.NewReader(ledger))
	}, func(name string, content io.Reader) error { return write(filepath.Join(half, name), content) })

	if err == nil {
		err = settle(half, dir, into)
	}

	return summary, errors.Join(err, os.RemoveAll(half))
}

// alone makes this the only restore into dir, which is made where it is not there. The
// lock is the kernel's, on the folder itself: it leaves no file, and ends with the process.
func alone(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}

	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}

	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)

	switch {
	case err == nil:
		return folder.Close, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = core.NewProblem(core.ErrConflict, codeBusy, fmt.Sprintf(
			"Another process is restoring a backup into %s. Wait for its end, and look at what it has made before you restore again.", dir))
	default:
		err = fmt.Errorf("locking %s: %w", dir, err)
	}

	return nil, errors.Join(err, folder.Close())
}

// settle gives what was restored its place. The ledger comes last: without it there is
// no appliance.
func settle(half, dir, ledger string) error {
	entries, err := os.ReadDir(half)
	if err != nil {
		return fmt.Errorf("listing what was restored: %w", err)
	}

	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		switch ledger {
		case a.Name():
			return 1
		case b.Name():
			return -1
		default:
			return strings.Compare(a.Name(), b.Name())
		}
	})

	for _, e := range entries {
		if _, err := os.Lstat(filepath.Join(dir, e.Name())); !errors.Is(err, fs.ErrNotExist) {
			return core.NewProblem(core.ErrConflict, codeInUse, fmt.Sprintf(
				"There is %s already, and a backup is never restored over data. Stop the appliance, move its data directory away, and restore again.",
				filepath.Join(dir, e.Name())))
		}
	}

	for _, e := range entries {
		if err := os.Rename(filepath.Join(half, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("putting what was restored in its place: %w", err)
		}
	}

	return syncFolder(dir)
}

// write writes a file and syncs it.
func write(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}

	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}

	_, err = io.Copy(file, content)

	return errors.Join(err, file.Sync(), file.Close(), syncFolder(filepath.Dir(path)))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}

	return errors.Join(dir.Sync(), dir.Close())
}

// reader is an archive that is being read. It hands the ledger's parts out as one
// stream.
type reader struct {
	tar    *tar.Reader
	below  io.Reader // what the archive is read from
	digest hash.Hash
	now    *tar.Header // whose content is being read; nil: at the end
	files  int
	bytes  int64
}

// read reads an archive to its end.
func read(ctx context.Context, r io.Reader, ledger func(Manifest, io.Reader) (store.Reach, error), file func(string, io.Reader) error) (s Summary, err error) {
	unpack, err := gzip.NewReader(r)
	if err != nil {
		return s, damaged("This is no backup: it does not begin as one does.")
	}

	in := &reader{tar: tar.NewReader(unpack), below: unpack, digest: sha256.New()}

	if err := in.description(manifestName, &s.Manifest); err != nil {
		return s, err
	}

	if s.Format != Format {
		return s, core.NewProblem(core.ErrInvalid, codeNewer, fmt.Sprintf(
			"The backup has format %d, and this program reads format %d. Use the program that wrote it (%s) or a newer one.", s.Format, Format, s.Program))
	}

	if err := in.next(); err != nil {
		return s, err
	}

	reach, err := ledger(s.Manifest, parts{in})

	p, known := errors.AsType[*core.Problem](err)

	switch {
	case err == nil:
	case errors.Is(err, store.ErrDamaged) && (!known || p.Code != codeDamaged):
		return s, damaged("The ledger in the backup is damaged, or ends before its end: %s", store.Damage(err))
	default:
		return s, err
	}

	if err := in.restOfFiles(ctx, file); err != nil {
		return s, err
	}

	return in.conclude(s, reach)
}

// next goes to the next file.
func (r *reader) next() (err error) {
	r.now, err = r.tar.Next()
	if err != nil || r.now.Typeflag != tar.TypeReg {
		return damaged("The backup is damaged or ends before its end (%v).", err)
	}

	if r.now.Name != endName {
		announce(r.digest, r.now.Name, r.now.Size)
		r.bytes += r.now.Size
	}

	return nil
}

// Read reads on in the content of a file and of nothing else.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.tar.Read(p)
	_, _ = r.digest.Write(p[:n])

	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged("The backup is damaged (%v).", err)
	}

	return n, err
}

// description reads the next file as JSON.
func (r *reader) description(name string, into any) error {
	if err := r.next(); err != nil {
		return err
	}

	text, err := io.ReadAll(io.LimitReader(r, maxDescription))
	if err != nil {
		return err
	}

	if r.now.Name != name || json.Unmarshal(text, into) != nil {
		return damaged("This is no backup: it does not begin as one does.")
	}

	return nil
}

// restOfFiles reads up to the end's description.
func (r *reader) restOfFiles(ctx context.Context, file func(string, io.Reader) error) error {
	for r.now.Name != endName {
		name, ok := strings.CutPrefix(r.now.Name, filePrefix)
		if !ok || !filepath.IsLocal(name) {
			return damaged("The backup has a file %q, which nothing writes.", r.now.Name)
		}

		if err := ctx.Err(); err != nil {
			return err
		}

		r.files++

		if err := file(filepath.FromSlash(name), r); err != nil {
			return fmt.Errorf("reading %s of the backup: %w", name, err)
		}

		if err := r.next(); err != nil {
			return err
		}
	}

	return nil
}

// conclude reads the end's description and compares.
func (r *reader) conclude(s Summary, reach store.Reach) (Summary, error) {
	sum := hex.EncodeToString(r.digest.Sum(nil))

	var last end

	text, err := io.ReadAll(io.LimitReader(r.tar, maxDescription))
	if err != nil || json.Unmarshal(text, &last) != nil {
		return s, damaged("The end of the backup is damaged.")
	}

	// Behind it nothing follows, and the checksum of the compression holds.
	_, more := r.tar.Next()
	if _, err := io.Copy(io.Discard, r.below); err != nil || !errors.Is(more, io.EOF) {
		return s, damaged("The end of the backup is damaged.")
	}

	if last != (end{Ledger: reach, Files: r.files, Bytes: r.bytes, SHA256: sum}) {
		return s, damaged("The backup is damaged: its content is not what was written.")
	}

	s.Ledger, s.Files, s.Bytes = reach, r.files, r.bytes

	return s, nil
}

// parts is the ledger's parts as one stream. Where it ends, the reader is at the file
// behind them.
type parts struct{ *reader }

// Read reads on, across the parts.
func (p parts) Read(b []byte) (int, error) {
	for strings.HasPrefix(p.now.Name, ledgerPrefix) {
		n, err := p.reader.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}

		if n > 0 {
			return n, nil // the end of a part is not the end
		}

		if errors.Is(err, io.EOF) {
			if err := p.next(); err != nil {
				return 0, err
			}
		}
	}

	return 0, io.EOF
}
