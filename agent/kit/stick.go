package kit

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Argument of the kernel that says that the machine was booted from the field kit, and
// from which one: the id of its data partition's file system follows.
const argument = "vetting.kit="

// Asked returns the id of the stick that the machine was booted from, by the arguments
// of its kernel; ok is false where it was booted otherwise.
func Asked(cmdline string) (id string, ok bool) {
	for word := range strings.FieldsSeq(cmdline) {
		if id, ok := strings.CutPrefix(word, argument); ok {
			return id, true
		}
	}

	return "", false
}

// Stick is the stick that the machine was booted from, by the kernel's names of its
// parts.
type Stick struct {
	Disk, Boot, Data string // "sda", "sda1", "sda2"
}

const (
	look     = 500 * time.Millisecond
	patience = 60 * time.Second // USB takes its time, more so behind hubs
)

// errNoStick says that no partition there is has the id that was looked for.
var errNoStick = errors.New("the stick that this machine was booted from is not there; it must stay plugged in")

// errTwins says that several disks have the id: they were written from one image, and
// nobody can tell which of them the machine was booted from. None of them is touched.
var errTwins = errors.New("several disks hold the same kit, and only one of them may be plugged in")

// Find waits until the stick with the id is there. Partitions are only read.
func Find(ctx context.Context, root fs.FS, id string) (Stick, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != 16 {
		return Stick{}, fmt.Errorf("looking for the stick: %.64q is no id", id)
	}

	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	every := time.NewTicker(look)
	defer every.Stop()

	for {
		switch found := find(root, raw); len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return Stick{}, fmt.Errorf("%w: %s and %s", errTwins, found[0].Disk, found[1].Disk)
		}

		select {
		case <-ctx.Done():
			return Stick{}, errNoStick
		case <-every.C:
		}
	}
}

// find looks at each partition once.
func find(root fs.FS, id []byte) (found []Stick) {
	parts, err := fs.Glob(root, "sys/block/*/*/partition")
	if err != nil {
		return nil
	}

	for _, name := range parts {
		part := path.Base(path.Dir(name))
		disk := path.Base(path.Dir(path.Dir(name)))

		if !holds(root, "dev/"+part, id) {
			continue
		}

		for _, other := range parts {
			number, err := fs.ReadFile(root, other)
			if err == nil && path.Dir(path.Dir(other)) == path.Dir(path.Dir(name)) && strings.TrimSpace(string(number)) == "1" {
				found = append(found, Stick{Disk: disk, Boot: path.Base(path.Dir(other)), Data: part})
			}
		}
	}

	return found
}

// holds reports whether a partition has an ext4 file system with the id.
func holds(root fs.FS, name string, id []byte) bool {
	file, err := root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close() //nolint:errcheck // opened for reading

	at, ok := file.(io.ReaderAt)
	if !ok {
		return false
	}

	super := make([]byte, 256)
	if _, err := at.ReadAt(super, 1024); err != nil {
		return false
	}

	return binary.LittleEndian.Uint16(super[0x38:]) == 0xef53 && string(super[0x68:0x78]) == string(id)
}
