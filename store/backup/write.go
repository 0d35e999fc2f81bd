package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"vetting/store"
)

// Format is the version of what this program writes, and the newest it reads.
const Format = 1

// Names in the archive.
const (
	manifestName = "backup.json"
	ledgerPrefix = "ledger/"
	filePrefix   = "files/"
	endName      = "end.json"
)

// partSize is how much of the ledger is one file of the archive: a tar says how large
// a file is before its content comes.
const partSize = 1 << 20

// Manifest says what a backup is of.
type Manifest struct {
	Format    int       `json:"format"`
	Made      time.Time `json:"made"`
	Program   string    `json:"program"`   // version that wrote it
	Appliance string    `json:"appliance"` // the appliance's id
	Schema    uint16    `json:"schema"`    // of the ledger
	Keys      bool      `json:"keys"`      // key pairs and secrets are in it
}

// Summary is a backup that was read to its end, or written.
type Summary struct {
	Manifest

	Ledger store.Reach `json:"ledger"`
	Files  int         `json:"files"`
	Bytes  int64       `json:"bytes"` // of the ledger and the files, uncompressed
}

// end stands at the end of an archive.
type end struct {
	Ledger store.Reach `json:"ledger"`
	Files  int         `json:"files"`
	Bytes  int64       `json:"bytes"`
	SHA256 string      `json:"sha256"`
}

// Source is what is backed up.
type Source struct {
	Manifest Manifest
	Ledger   *store.Store
	Dir      string   // the data directory
	Folders  []string // of Dir, with all files in them
	Files    []string // of Dir
}

// Write writes a backup. Updates of the ledger go on meanwhile.
func Write(ctx context.Context, w io.Writer, s Source) (Summary, error) {
	// Batches of samples are packed and artifacts compressed already.
	pack, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return Summary{}, err
	}

	out := &writer{tar: tar.NewWriter(pack), made: s.Manifest.Made, digest: sha256.New()}
	s.Manifest.Format, s.Manifest.Schema = Format, s.Ledger.Schema()

	summary, err := out.all(ctx, s)
	if err != nil {
		return summary, fmt.Errorf("writing the backup: %w", err)
	}

	if err := errors.Join(out.tar.Close(), pack.Close()); err != nil {
		return summary, fmt.Errorf("writing the backup: %w", err)
	}

	return summary, nil
}

// writer is an archive that is being written.
type writer struct {
	tar    *tar.Writer
	made   time.Time
	digest hash.Hash
	files  int
	bytes  int64
}

func (w *writer) all(ctx context.Context, s Source) (Summary, error) {
	if err := w.putJSON(manifestName, s.Manifest); err != nil {
		return Summary{}, err
	}

	parts := &splitter{put: w.put}

	reach, err := s.Ledger.Copy(ctx, parts)
	if err == nil {
		err = parts.flush()
	}

	if err != nil {
		return Summary{}, err
	}

	for _, folder := range s.Folders {
		if err := w.folder(ctx, s.Dir, folder); err != nil {
			return Summary{}, err
		}
	}

	for _, name := range s.Files {
		if err := w.file(s.Dir, name); err != nil {
			return Summary{}, err
		}
	}

	last := end{Ledger: reach, Files: w.files, Bytes: w.bytes, SHA256: hex.EncodeToString(w.digest.Sum(nil))}

	return Summary{Manifest: s.Manifest, Ledger: reach, Files: last.Files, Bytes: last.Bytes}, w.putJSON(endName, last)
}

func (w *writer) putJSON(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}

	return w.put(name, text)
}

func (w *writer) put(name string, content []byte) error {
	return w.putFrom(name, int64(len(content)), bytes.NewReader(content))
}

func (w *writer) putFrom(name string, size int64, content io.Reader) error {
	head := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: w.made, Format: tar.FormatPAX}
	if err := w.tar.WriteHeader(head); err != nil {
		return err
	}

	announce(w.digest, name, size)

	n, err := io.Copy(io.MultiWriter(w.tar, w.digest), io.LimitReader(content, size))
	if err == nil && n < size {
		err = fmt.Errorf("%s became shorter while it was read", name)
	}

	w.bytes += n

	return err
}

// announce adds name and size of a file to a digest of everything, before its content.
func announce(digest hash.Hash, name string, size int64) {
	_, _ = digest.Write([]byte(name))
	_, _ = digest.Write(binary.BigEndian.AppendUint64([]byte{0}, uint64(size)))
}

// folder adds all files below a folder of dir. What is being written has a folder of
// its own, "incoming", and is nobody's yet.
func (w *writer) folder(ctx context.Context, dir, folder string) error {
	err := fs.WalkDir(os.DirFS(dir), folder, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it has expired meanwhile, or there never was one
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "incoming":
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return w.file(dir, name)
		}
	})

	return err
}

func (w *writer) file(dir, name string) (err error) {
	in, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has expired meanwhile
	}

	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, in.Close()) }()

	at, err := in.Stat()
	if err != nil {
		return err
	}

	w.files++

	// A log may grow meanwhile; what comes later is not in the snapshot either.
	return w.putFrom(path.Join(filePrefix, name), at.Size(), in)
}

// splitter hands a stream on in parts.
type splitter struct {
	put   func(name string, content []byte) error
	part  []byte
	count int
}

// Write takes everything.
func (s *splitter) Write(p []byte) (int, error) {
	s.part = append(s.part, p...)
	if len(s.part) < partSize {
		return len(p), nil
	}

	return len(p), s.flush()
}

func (s *splitter) flush() error {
	if len(s.part) == 0 {
		return nil
	}

	s.count++
	err := s.put(fmt.Sprintf("%s%08d", ledgerPrefix, s.count), s.part)
	s.part = s.part[:0]

	return err
}
