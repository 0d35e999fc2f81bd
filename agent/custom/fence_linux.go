package custom

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// yard is where the view of the file system is put together; it is gone with the
// namespace.
const yard = "/run/vetting/fence"

const (
	scratch    = "size=64m,mode=1777"
	small      = "size=1m,mode=755"
	fileLimit  = 64 << 20 // bytes of one file
	niceness   = 10
	oomScore   = "800"
	codeFenced = 125 // the fence could not be built, as env(1) and others say it
)

// Fence is the life of the process that puts a script behind the fence and becomes it;
// args are what follows Word. It returns an exit code only where that fails.
func Fence(args []string) int {
	runtime.LockOSThread() // privileges belong to threads, and this one becomes the script

	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "a custom stage is started by the agent, with its file")

		return codeFenced
	}

	if err := fenceOff(yard); err != nil {
		fmt.Fprintln(os.Stderr, "the fence of a custom stage cannot be built:", err)

		return codeFenced
	}

	err := os.Chdir(path.Dir(path.Dir(args[0])))
	if err == nil {
		err = unix.Exec(args[0], args, os.Environ())
	}

	fmt.Fprintln(os.Stderr, "starting the custom stage:", err)

	return codeFenced
}

// fenceOff changes what this thread sees and may do. The namespaces are the parent's to
// make.
func fenceOff(yard string) error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0); err != nil {
		return err
	}

	nodes, err := harmless("/dev")
	if err != nil {
		return err
	}

	if err := view(yard); err != nil {
		return err
	}

	if err := plant(path.Join(yard, "dev"), nodes); err != nil {
		return err
	}

	for _, dir := range []string{"dev", "sys", ""} {
		if err := mount("", path.Join(yard, dir), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID, ""); err != nil {
			return err
		}
	}

	if err := errors.Join(unix.Chroot(yard), os.Chdir("/")); err != nil {
		return fmt.Errorf("entering %s: %w", yard, err)
	}

	return giveUp()
}

// view puts the file system together: the image itself, to be read, and new folders in
// place of those that hold devices, tokens and the state of the agent.
func view(yard string) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}

	if err := os.MkdirAll(yard, 0o700); err != nil {
		return err
	}

	if err := mount("/", yard, "", unix.MS_BIND, ""); err != nil {
		return err
	}

	fresh := []struct{ dir, kind, options string }{
		{"dev", "tmpfs", small}, {"run", "tmpfs", small}, {"vetting", "tmpfs", small}, {"tmp", "tmpfs", scratch}, {"proc", "proc", ""},
	}

	for _, f := range fresh {
		at := path.Join(yard, f.dir)

		if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
			continue // nothing to hide
		}

		flags := uintptr(unix.MS_NOSUID)
		if f.kind == "proc" {
			flags |= unix.MS_RDONLY
		}

		if err := mount(f.kind, at, f.kind, flags, f.options); err != nil {
			return err
		}
	}

	// Without what is mounted below it: EFI variables, debugfs and tracefs can be written to.
	return mount("/sys", path.Join(yard, "sys"), "", unix.MS_BIND, "")
}

func mount(what, where, kind string, flags uintptr, options string) error {
	if err := unix.Mount(what, where, kind, flags, options); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", or(what, "anew"), where, err)
	}

	return nil
}

// node is a device that a script may have.
type node struct {
	name string // below /dev
	mode uint32
	rdev int
}

// patterns are the names of devices that tests need and that lead to no disk and to no
// memory of others.
func patterns() []string {
	return []string{
		"null", "zero", "full", "random", "urandom", "tty", "kmsg", "hwrng", "rtc*", "ipmi*", "i2c-*", "nvidia*", "nvidia-caps/*", "kfd", "dri/*", "accel/*", "input/*",
	}
}

// harmless finds those devices.
func harmless(dev string) (nodes []node, err error) {
	for _, pattern := range patterns() {
		names, err := filepath.Glob(path.Join(dev, pattern))
		if err != nil {
			return nil, err
		}

		for _, name := range names {
			var st unix.Stat_t
			if err := unix.Lstat(name, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
				continue // gone, a folder or a link
			}

			nodes = append(nodes, node{strings.TrimPrefix(name, dev+"/"), st.Mode, int(st.Rdev)})
		}
	}

	return nodes, nil
}

func plant(dev string, nodes []node) error {
	for _, n := range nodes {
		at := path.Join(dev, n.name)
		if err := os.MkdirAll(path.Dir(at), 0o755); err != nil { //nolint:gosec // as /dev is
			return err
		}

		if err := unix.Mknod(at, n.mode, n.rdev); err != nil {
			return fmt.Errorf("making %s: %w", at, err)
		}
	}

	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(target, path.Join(dev, name)); err != nil {
			return err
		}
	}

	return nil
}

// keep are the privileges that a test of hardware may need and that do not lead out: it
// may read any file, change its own priority and read the kernel's log and counters.
func keep() []int {
	return []int{
		unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH, unix.CAP_FOWNER, unix.CAP_KILL, unix.CAP_SETUID, unix.CAP_SETGID,
		unix.CAP_IPC_LOCK, unix.CAP_SYS_NICE, unix.CAP_SYSLOG, unix.CAP_PERFMON,
	}
}

// giveUp drops all other privileges for good.
func giveUp() error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if slices.Contains(keep(), c) {
			continue
		}

		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) { // a kernel that does not know it
			return fmt.Errorf("giving up privilege %d: %w", c, err)
		}
	}

	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up privileges: %w", err)
	}

	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("giving up priority: %w", err)
	}

	for limit, most := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: fileLimit} {
		if err := unix.Setrlimit(limit, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bounding the files of a script: %w", err)
		}
	}

	return nil
}
