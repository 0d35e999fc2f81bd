package kit

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Where the parts of the stick are.
const (
	BootDir = "/run/vetting/kit/boot"
	DataDir = "/run/vetting/kit/data"
)

// Modules are those that the stick's file systems need. Nobody but the kernel could
// load them when they are asked for, and it has nobody to do so.
func Modules() []string { return []string{"vfat", "nls_cp437", "nls_ascii", "ext4"} }

// Mount makes the stick's files reachable: those that boot for reading alone, and the
// data partition for writing. It is the one place where a file system of a disk is
// mounted, and only that whose id the boot loader named. The journal makes good what a
// stick that was pulled has left; what it cannot, the kernel refuses to write to.
func Mount(s Stick) error {
	const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME

	for _, m := range []struct {
		name, target, kind string
		flags              uintptr
		options            string
	}{
		{s.Boot, BootDir, "vfat", quiet | unix.MS_RDONLY, ""},
		{s.Data, DataDir, "ext4", quiet | unix.MS_NOEXEC, "errors=remount-ro"},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil { //nolint:gosec // of this system in memory
			return fmt.Errorf("making %s: %w", m.target, err)
		}

		if err := unix.Mount(path.Join("/dev", m.name), m.target, m.kind, m.flags, m.options); err != nil && err != unix.EBUSY { //nolint:errorlint // an errno
			return fmt.Errorf("mounting the stick's %s: %w", m.name, err)
		}
	}

	return nil
}

// Free says how much room the data partition has, in bytes.
func Free() (free, all int64) {
	var st unix.Statfs_t
	if err := unix.Statfs(DataDir, &st); err != nil {
		return 0, 0
	}

	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize //nolint:gosec // of a stick
}

// Unmount lets go of the data partition, and has it written out where that fails.
func Unmount() {
	if err := unix.Unmount(DataDir, 0); err != nil {
		unix.Sync()
	}
}
