package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// standInFor becomes, for good, the user that a data directory belongs to, where
// root has typed a command: what root leaves there the appliance could not open.
func standInFor(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}

	var at syscall.Stat_t

	switch err := syscall.Stat(dir, &at); {
	case errors.Is(err, fs.ErrNotExist):
		return nil // what root makes, the service manager gives to the appliance
	case err != nil:
		return fmt.Errorf("looking at the data directory: %w", err)
	case at.Uid == 0:
		return nil
	}

	user, group := int(at.Uid), int(at.Gid)
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(group, group, group)); err != nil {
		return fmt.Errorf("becoming the owner of %s: %w", dir, err)
	}

	if err := syscall.Setresuid(user, user, user); err != nil {
		return fmt.Errorf("becoming the owner of %s: %w", dir, err)
	}

	return nil
}

// asOwner does something as the user that a data directory belongs to, and is root
// again afterwards, where root it was.
func asOwner(dir string, do func() error) (err error) {
	var at syscall.Stat_t
	if os.Geteuid() != 0 || syscall.Stat(dir, &at) != nil || at.Uid == 0 {
		return do()
	}

	const same = -1

	if err := errors.Join(syscall.Setresgid(same, int(at.Gid), same), syscall.Setresuid(same, int(at.Uid), same)); err != nil {
		return fmt.Errorf("becoming the owner of %s: %w", dir, err)
	}

	defer func() { err = errors.Join(err, syscall.Setresuid(same, 0, same), syscall.Setresgid(same, 0, same)) }()

	return do()
}

// frugal gives up, for good and in all threads, every right but those that serving
// takes (package nic). Who holds no others, as under the unit of systemd, has nothing
// to give up.
func frugal() error {
	const kept = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_ADMIN

	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}

	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("reading our capabilities: %w", err)
	}

	if sets[0].Permitted&^kept == 0 && sets[1].Permitted == 0 {
		return nil
	}

	sets[0].Permitted &= kept
	sets[0].Effective &= kept
	sets[0].Inheritable &= kept
	sets[1] = unix.CapUserData{}

	// Programs that we start can get none back either.
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
	if errno == 0 {
		//nolint:gosec // capset(2) takes addresses, and x/sys has it for one thread only
		_, _, errno = syscall.AllThreadsSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets[0])), 0)
	}

	if errno != 0 && errno != syscall.ENOTSUP { // a build with cgo, as the race detector needs it, cannot
		return fmt.Errorf("giving up rights: %w", errno)
	}

	return nil
}
