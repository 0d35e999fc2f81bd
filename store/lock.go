package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockDir makes this process the only one that uses dir. The lock is the
// kernel's (flock), so it ends with the process however that ends; the process
// id in the file only serves the message.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)

	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock %s: %w", path, err)
	}

	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(lockedProblem(dir, ownerOf(path)), f.Close())
	}

	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}

	// Best effort: on a full disk the lock holds without the number.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}

	return f, nil
}

// unlock lets the directory go at once, also when a child of this process still
// has the file open.
func unlock(lock *os.File) error {
	if err := errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close()); err != nil {
		return fmt.Errorf("unlocking %s: %w", lock.Name(), err)
	}

	return nil
}

// ownerOf returns " 123" for the message, or nothing.
func ownerOf(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}

	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return ""
	}

	return " (" + strconv.Itoa(pid) + ")"
}

// syncDir makes the names in the directory of path durable.
func syncDir(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("opening directory of %s: %w", path, err)
	}

	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("syncing directory of %s: %w", path, err)
	}

	return nil
}
