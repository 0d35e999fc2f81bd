package collect

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"github.com/klauspost/compress/zstd"
)

const (
	filePerm   = 0o644
	folderPerm = 0o755
)

// WriteArchive writes the files as one folder of a .tar.zst. Without times and
// owners, the same files give the same archive.
func (f Files) WriteArchive(w io.Writer, folder string) error {
	packed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return fmt.Errorf("writing recording: %w", err)
	}

	if err := errors.Join(f.writeTar(packed, folder), packed.Close()); err != nil {
		return fmt.Errorf("writing recording: %w", err)
	}

	return nil
}

func (f Files) writeTar(w io.Writer, folder string) error {
	out := tar.NewWriter(w)

	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: folderPerm}); err != nil {
		return err
	}

	for _, name := range slices.Sorted(maps.Keys(f)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(folder, name), Mode: filePerm, Size: int64(len(f[name]))}
		if err := out.WriteHeader(header); err != nil {
			return err
		}

		if _, err := out.Write(f[name]); err != nil {
			return err
		}
	}

	return out.Close()
}
