package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vetting/store"
)

// fault is something in the data directory that is not as it must be, and how that is
// mended.
type fault struct {
	what string
	mend func(root *os.Root) error
}

// keeping looks at what lies in the data directory: everything must be its owner's, and
// what opens something nobody else's to read.
func (c *checkup) keeping(dir string, fix bool) {
	const check = "files"

	faults, err := faultsIn(dir)
	if err != nil {
		c.judge(check, "", err)

		return
	}

	if len(faults) == 0 {
		c.add(check, "ok", "each belongs to the owner of the data directory, and keys to nobody else")

		return
	}

	words := make([]string, 0, len(faults))
	for _, f := range faults {
		words = append(words, f.what)
	}

	if fix {
		err = mendAll(dir, faults)
	}

	const most = 5

	said := strings.Join(words[:min(len(words), most)], "; ")
	if len(words) > most {
		said += fmt.Sprintf("; and %d more", len(words)-most)
	}

	switch {
	case !fix:
		c.add(check, "fail", said+". As root, vetting doctor --fix mends it")
	case err != nil:
		c.judge(check, "", fmt.Errorf("%s; not mended: %w", said, err))
	default:
		c.add(check, "ok", "mended: "+said)
	}
}

// mendAll mends faults as root, whom the owner of the directory must not be able to
// lead out of it.
func mendAll(dir string, faults []fault) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("opening the data directory: %w", err)
	}

	for _, f := range faults {
		err = errors.Join(err, f.mend(root))
	}

	return errors.Join(err, root.Close())
}

// faultsIn lists what is wrong with the files of a data directory. One that is not
// there has no faults: serve makes it.
func faultsIn(dir string) (faults []fault, err error) {
	owner, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, fmt.Errorf("looking at the data directory: %w", err)
	}

	want, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, nil
	}

	if mode := owner.Mode().Perm(); mode&0o077 != 0 {
		faults = append(faults, fault{fmt.Sprintf("%s may be entered by others (%o)", dir, mode), func(root *os.Root) error { return root.Chmod(".", 0o700) }})
	}

	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || path == dir {
			return nil // gone meanwhile
		}

		if err != nil {
			return err
		}

		at, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}

		name, _ := filepath.Rel(dir, path)

		if have, ok := at.Sys().(*syscall.Stat_t); ok && have.Uid != want.Uid && (d.IsDir() || have.Nlink == 1) {
			faults = append(faults, fault{fmt.Sprintf("%s belongs to user %d and not to %d", name, have.Uid, want.Uid), func(root *os.Root) error {
				return root.Lchown(name, int(want.Uid), int(want.Gid))
			}})
		}

		if slices.Contains(keyFiles(), name) && at.Mode().IsRegular() && at.Mode().Perm()&0o077 != 0 {
			faults = append(faults, fault{fmt.Sprintf("%s may be read by others (%o)", name, at.Mode().Perm()), func(root *os.Root) error { return root.Chmod(name, 0o600) }})
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking at the data directory: %w", err)
	}

	return faults, nil
}

// room looks at the free space under the data directory.
func (c *checkup) room(dir string) {
	for {
		space, shed, err := store.SpaceAt(dir)
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			dir = parent // serve makes what is missing

			continue
		}

		free := fmt.Sprintf("%.1f GiB of %.1f GiB are free", float64(space.Free)/(1<<30), float64(space.Total)/(1<<30))

		switch {
		case err != nil:
			c.judge("space", "", err)
		case shed == store.ShedAll:
			c.add("space", "fail", free+": too little for the ledger; free some")
		case shed > store.ShedNothing:
			c.add("space", "warn", free+": not everything is kept ("+shed.String()+"); free some")
		default:
			c.add("space", "ok", free)
		}

		return
	}
}

// clock looks whether the time can be right: this program was not made in the future.
func (c *checkup) clock(now time.Time) {
	program, err := os.Executable()
	if err != nil {
		return
	}

	at, err := os.Stat(program)

	switch said := now.UTC().Format(time.RFC3339); {
	case err != nil:
		return
	case now.Before(at.ModTime().Add(-24 * time.Hour)):
		c.add("clock", "warn", said+", which is before this program was put here; set it, or have it set (timedatectl set-ntp true)")
	case !kept():
		c.add("clock", "warn", said+"; no time service keeps it (timedatectl set-ntp true), so that it drifts")
	default:
		c.add("clock", "ok", said+", kept by a time service")
	}
}

// kept reports whether the kernel's clock is synchronised (adjtimex(2)); true where it
// cannot be asked.
func kept() bool {
	var now unix.Timex

	state, err := unix.Adjtimex(&now)

	return err != nil || state != unix.TIME_ERROR
}
