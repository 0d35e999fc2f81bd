package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/overlay"
	"vetting/core"
)

// grave is how long a program that was killed may take to be gone: one that waits inside
// the kernel for a GPU dies no sooner, or never.
const grave = 30 * time.Second

// Tools runs vendors' programs that overlays bring.
type Tools struct {
	Root fs.FS // of the running machine
	Log  *slog.Logger
}

// Find returns the program of that name in the first overlay that has it; empty: none.
func (t Tools) Find(overlays []core.Overlay, program string) string {
	return overlay.Find(t.Root, overlays, program)
}

// Run runs a program to its end and returns what it wrote, at most MaxOutput bytes, also
// where it ends with an error: then the error has its status and last words. It is killed
// with all that it has started when ctx ends or it writes too much.
func (t Tools) Run(ctx context.Context, overlays []core.Overlay, file string, args ...string) ([]byte, error) {
	out, errs := &bounded{most: MaxOutput}, &bounded{most: 4 << 10, keep: true}

	cmd, err := t.start(overlays, out, errs, file, args)
	if err != nil {
		return nil, err
	}

	out.full = func() { kill(cmd) }
	waited := make(chan error, 1)

	go func() { waited <- cmd.Wait() }()

	select {
	case err = <-waited:
	case <-ctx.Done():
		kill(cmd)

		select {
		case <-waited:
			err = ctx.Err()
		case <-time.After(grave):
			return nil, fmt.Errorf("running %s: it cannot be killed: it waits inside the kernel for a device", path.Base(file))
		}
	}

	if err == nil && out.over {
		err = fmt.Errorf("it wrote more than %d bytes", MaxOutput)
	}

	if err != nil {
		err = fmt.Errorf("running %s: %w; it wrote: %s", path.Base(file), err, last(errs.text.String(), out.text.String()))
	}

	return out.text.Bytes(), err
}

// Serve starts a program that is to run until stop is called.
func (t Tools) Serve(overlays []core.Overlay, file string, args ...string) (stop func(), err error) {
	errs := &bounded{most: 4 << 10, keep: true}

	cmd, err := t.start(overlays, errs, errs, file, args)
	if err != nil {
		return nil, err
	}

	waited := make(chan struct{})

	go func() {
		_ = cmd.Wait() // it is killed, or says by its absence that it has ended

		close(waited)
	}()

	return func() {
		kill(cmd)

		select {
		case <-waited:
		case <-time.After(grave):
			t.Log.Error("a program cannot be killed", slog.String("program", file))
		}
	}, nil
}

func (t Tools) start(overlays []core.Overlay, out, errs *bounded, file string, args []string) (*exec.Cmd, error) {
	cmd := exec.Command(file, args...) //nolint:noctx // killed by its group, and waited for no longer than makes sense
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = overlay.Environ(t.Root, overlays), "/", out, errs, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}

	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path.Base(file), err)
	}

	// The kernel kills it, and not the agent, when memory runs out.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte("500"), 0) // it may be gone already

	return cmd, nil
}

func kill(cmd *exec.Cmd) {
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) // the group; gone already is as good
}

// last shortens what a program wrote to its end.
func last(texts ...string) string {
	const enough = 400

	text := strings.Join(strings.Fields(strings.ToValidUTF8(strings.Join(texts, " "), "")), " ")

	return strings.ToValidUTF8(text[max(0, len(text)-enough):], "")
}

// bounded keeps what is written to it, up to so many bytes. It is used by one goroutine.
type bounded struct {
	most int
	keep bool   // the last of it, whatever comes
	full func() // called once there is too much

	text bytes.Buffer
	over bool
}

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.most - b.text.Len()

	if len(p) > room && b.keep {
		tail := append(slices.Clone(b.text.Bytes()), p...)
		b.text.Reset()
		b.text.Write(tail[len(tail)-b.most:])

		return len(p), nil
	}

	if b.text.Write(p[:min(len(p), room)]); len(p) > room && !b.over {
		b.over = true

		if b.full != nil {
			b.full()
		}
	}

	return len(p), nil
}

// shelf is the folder of the firmware of all overlays.
const shelf = "/run/vetting/firmware"

// Prepare loads the modules that overlays bring (/overlay/NAME/modules/*.ko, also packed
// with xz), lets the kernel find their firmware (/overlay/NAME/lib/firmware) and makes the
// device nodes that NVIDIA's modules do not make by themselves. The error names the
// modules that the kernel did not take.
func (t Tools) Prepare(overlays []core.Overlay) error {
	var files []string

	for i := range overlays {
		for _, pattern := range []string{"*.ko", "*.ko.xz"} {
			found, err := fs.Glob(t.Root, path.Join(overlay.Root, overlays[i].Name, "modules", pattern))
			if err == nil {
				files = append(files, found...)
			}
		}
	}

	t.firmware(overlays)

	if len(files) == 0 {
		return nil
	}

	return errors.Join(insert(files, load), nodes(t.Root, "/dev"))
}

// firmware lets the kernel find the firmware of all overlays. What it does not find, the
// module that wants it says.
func (t Tools) firmware(overlays []core.Overlay) {
	found, hidden, err := Shelve(t.Root, overlays, shelf)

	if found {
		err = errors.Join(err, os.WriteFile("/sys/module/firmware_class/parameters/path", []byte(shelf), 0))
	}

	if err != nil {
		t.Log.Warn("not all firmware of the overlays can be found by the kernel", slog.String("error", err.Error()))
	}

	for _, file := range hidden {
		t.Log.Warn("another overlay before this one has firmware of the same name, which is taken", slog.String("file", file))
	}
}

// insert gives modules to the kernel, again and again while some are taken: one may need
// another.
func insert(files []string, load func(file string) error) error {
	for {
		var (
			left   []string
			faults []error
		)

		for _, file := range files {
			if err := load("/" + file); err != nil && !errors.Is(err, unix.EEXIST) {
				left, faults = append(left, file), append(faults, fmt.Errorf("loading %s: %w", file, err))
			}
		}

		if len(left) == 0 || len(left) == len(files) {
			return errors.Join(faults...)
		}

		files = left
	}
}

func load(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}

	defer file.Close()

	flags := 0
	if strings.HasSuffix(name, ".xz") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}

	return unix.FinitModule(int(file.Fd()), "", flags) //nolint:gosec // a descriptor is small
}

// nodes makes the device nodes of NVIDIA's modules, whose major numbers and minor numbers
// are in /proc (README of the driver, chapter "Access to /dev/nvidia*").
func nodes(root fs.FS, dev string) error {
	majors := map[string]int{}

	for line := range strings.Lines(text(root, "proc/devices")) {
		if number, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				majors[name] = n
			}
		}
	}

	front, ok := majors["nvidia"]
	if !ok {
		front, ok = majors["nvidia-frontend"]
	}

	if !ok {
		return nil
	}

	const control = 255

	wanted := map[string][2]int{"nvidiactl": {front, control}}

	infos, err := fs.Glob(root, "proc/driver/nvidia/gpus/*/information")
	if err != nil {
		return fmt.Errorf("looking for GPUs: %w", err)
	}

	for _, info := range infos {
		for line := range strings.Lines(text(root, info)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "Device Minor" {
				if minor := whole(value); minor != Unknown && minor < control {
					wanted[fmt.Sprintf("nvidia%d", minor)] = [2]int{front, minor}
				}
			}
		}
	}

	if memory, ok := majors["nvidia-uvm"]; ok {
		wanted["nvidia-uvm"], wanted["nvidia-uvm-tools"] = [2]int{memory, 0}, [2]int{memory, 1}
	}

	var faults []error

	for name, number := range wanted {
		err := unix.Mknod(path.Join(dev, name), unix.S_IFCHR|0o666, int(unix.Mkdev(uint32(number[0]), uint32(number[1])))) //nolint:gosec // device numbers
		if err != nil && !errors.Is(err, unix.EEXIST) {
			faults = append(faults, fmt.Errorf("making /dev/%s: %w", name, err))
		}
	}

	return errors.Join(faults...)
}
