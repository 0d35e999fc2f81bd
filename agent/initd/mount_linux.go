package initd

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mount is a file system of the kernel's and where it belongs.
type mount struct {
	kind, target string
	mode         os.FileMode
	flags        uintptr
	options      string
}

// firstMounts are needed before anything else works.
func firstMounts() []mount {
	const quiet = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV

	return []mount{
		{"devtmpfs", "/dev", 0o755, unix.MS_NOSUID, "mode=0755"},
		{"proc", "/proc", 0o555, quiet, ""},
		{"sysfs", "/sys", 0o555, quiet, ""},
		{"tmpfs", "/run", 0o755, unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", "/tmp", 0o1777, unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"devpts", "/dev/pts", 0o755, unix.MS_NOSUID | unix.MS_NOEXEC, "mode=0620,ptmxmode=0666"},
		{"tmpfs", "/dev/shm", 0o1777, unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
}

// lateMounts need modules: efivarfs is one, and shows nothing before.
func lateMounts() []mount {
	const quiet = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV

	return []mount{
		{"securityfs", "/sys/kernel/security", 0, quiet, ""},
		{"debugfs", "/sys/kernel/debug", 0, quiet, ""},
		{"tracefs", "/sys/kernel/tracing", 0, quiet, ""},
		{"pstore", "/sys/fs/pstore", 0, quiet, ""},
		{"efivarfs", "/sys/firmware/efi/efivars", 0, quiet | unix.MS_RDONLY, ""},
	}
}

// MountLate mounts what modules bring. What the machine does not have (no EFI, a
// kernel in lockdown) is left out without an error.
func MountLate() error {
	var faults []error

	for _, m := range lateMounts() {
		if _, err := os.Stat(m.target); err != nil {
			continue
		}

		err := m.do()
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) {
			faults = append(faults, err)
		}
	}

	return errors.Join(faults...)
}

// mountAll mounts each, and goes on where one fails: half a system can still say
// what is wrong.
func mountAll(mounts []mount) error {
	var faults []error

	for _, m := range mounts {
		faults = append(faults, os.MkdirAll(m.target, m.mode), m.do())
	}

	return errors.Join(faults...)
}

// do mounts; a target that is mounted already is no error.
func (m mount) do() error {
	err := unix.Mount(m.kind, m.target, m.kind, m.flags, m.options)
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mounting %s on %s: %w", m.kind, m.target, err)
	}

	return nil
}
