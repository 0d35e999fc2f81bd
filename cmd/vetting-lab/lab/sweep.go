//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Names carry the pid of the lab they belong to.
const (
	namespacePrefix = "vt"
	namespaceDir    = "/run/netns"
	scratchPrefix   = "vetting-lab-"
)

func netnsFd(name string) (netns.NsHandle, error) {
	handle, err := netns.GetFromName(name)
	if err != nil {
		return 0, fmt.Errorf("opening network namespace %s: %w", name, err)
	}

	return handle, nil
}

// sweep removes the namespaces and scratch directories of labs that died
// without doing so. Guests and appliances die with their lab (parent-death signal).
func sweep() error {
	var faults []error

	for _, path := range glob(filepath.Join(namespaceDir, namespacePrefix+"*-*")) {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, namespacePrefix), "-")

		if abandoned(path, pid, 16) {
			// EINVAL: `ip netns add` of somebody else has mounted over the directory since, and
			// the namespace lies below that. It is in nobody's way.
			if err := netns.DeleteNamed(name); !errors.Is(err, unix.EINVAL) {
				faults = append(faults, err)
			}
		}
	}

	for _, path := range glob(filepath.Join(os.TempDir(), scratchPrefix+"*-*")) {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), scratchPrefix), "-")

		if abandoned(path, pid, 10) {
			faults = append(faults, os.RemoveAll(path))
		}
	}

	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("sweeping up after a dead lab: %w", err)
	}

	return nil
}

// glob matches a pattern that is known to be well formed.
func glob(pattern string) []string {
	paths, _ := filepath.Glob(pattern) //nolint:errcheck // fails on a malformed pattern only

	return paths
}

// abandoned reports whether the process that made path is gone: nobody has its
// pid, or somebody does who was born after the file.
func abandoned(path, pid string, base int) bool {
	number, err := strconv.ParseInt(pid, base, 32)
	if err != nil {
		return false
	}

	info, err := os.Stat(path)
	if err != nil {
		return false
	}

	born, err := birth(int(number))

	return errors.Is(err, os.ErrNotExist) || err == nil && born.After(info.ModTime().Add(time.Second))
}

// birth is when the process pid started: field 22 of proc(5) stat, in clock
// ticks (always 100 a second on x86) since boot.
func birth(pid int) (time.Time, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return time.Time{}, err
	}

	// The command in parentheses may hold spaces: count from behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return time.Time{}, fmt.Errorf("reading /proc/%d/stat: too short", pid)
	}

	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading /proc/%d/stat: %w", pid, err)
	}

	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, fmt.Errorf("reading the time since boot: %w", err)
	}

	age := time.Duration(up.Nano()) - time.Duration(ticks)*(time.Second/100)

	return time.Now().Add(-age), nil
}
