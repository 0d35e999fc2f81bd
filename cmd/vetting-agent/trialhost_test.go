//go:build (e2e || bench) && linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// virtualHost is a machine of the emulator whose first process is this test program.
type virtualHost struct {
	t     *testing.T
	dir   string
	lines *bufio.Scanner
	cmd   *exec.Cmd
	took  time.Time
}

// bootHost starts a virtual host with the kernel and the modules of the boot image, this
// program, the smartctl of this machine, and what else the emulator is told.
func bootHost(t *testing.T, word, test, dir string, devices ...string) *virtualHost {
	t.Helper()

	const blobs = "../../initramfs/blobs/"

	if _, err := os.Stat(blobs + "kernel"); err != nil {
		t.Fatalf("run make image first: %v", err)
	}

	initrd := initrdOf(t, dir, blobs+"modules.cpio")
	args := append([]string{
		"-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35,graphics=off", "-accel", "tcg,thread=multi", "-cpu", "max",
		// An empty socket, for the reason that the lab has one: the memory barriers that the NVMe
		// driver needs. Two processors of this emulator trip over code that the kernel rewrites.
		"-smp", "1,sockets=2,cores=1,threads=1,maxcpus=2", "-m", "1024", "-no-reboot", "-kernel", blobs + "kernel", "-initrd", initrd,
		"-append", "console=ttyS0 quiet loglevel=3 panic=-1 " + guestWord + "=" + word + " -- -test.run=^" + test + "$ -test.timeout=10m",
		"-serial", "file:" + filepath.Join(dir, "console"), "-chardev", "stdio,id=told,signal=off", "-serial", "chardev:told",
		"-chardev", "socket,id=monitor,server=on,wait=off,path=" + filepath.Join(dir, "qmp"), "-mon", "chardev=monitor,mode=control",
	}, devices...)

	h := &virtualHost{t: t, dir: dir, took: time.Now()}
	h.cmd = exec.CommandContext(t.Context(), "qemu-system-x86_64", args...)
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}

	var errs bytes.Buffer

	h.cmd.Stderr = &errs

	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}

	h.lines = bufio.NewScanner(out)
	h.lines.Buffer(nil, 16<<20)

	t.Cleanup(func() {
		_ = h.cmd.Process.Kill() // it is over, or is no more wanted
		_ = h.cmd.Wait()

		if t.Failed() {
			console, _ := os.ReadFile(filepath.Join(dir, "console")) //nolint:errcheck // words are all there is
			t.Logf("%s%s", console[max(0, len(console)-8000):], &errs)
		}
	})

	return h
}

// initrdOf is an archive of the modules, then this program, linked so that it needs no
// library, and smartctl with those that it needs, as an overlay.
func initrdOf(t *testing.T, dir, modules string) (path string) {
	t.Helper()

	root := filepath.Join(dir, "root")
	for _, name := range []string{"proc", "sys", "dev", "tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}

	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-ldflags", "-s -w", "-tags", "e2e bench", "-o", filepath.Join(root, "init"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")

	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the virtual host's program: %v\n%s", err, out)
	}

	tool, err := exec.LookPath("smartctl")
	if err != nil {
		t.Fatal("smartctl is not installed (package smartmontools)")
	}

	needs, err := exec.CommandContext(t.Context(), "ldd", tool).Output()
	if err != nil {
		t.Fatal(err)
	}

	for _, from := range append(regexp.MustCompile(`/\S+`).FindAllString(string(needs), -1), tool) {
		to := filepath.Join(root, "overlay/toolpack/lib64", filepath.Base(from))
		if from == tool {
			to = filepath.Join(root, "overlay/toolpack/usr/sbin/smartctl")
		}

		content, err := os.ReadFile(from)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, 0o755)); err != nil { //nolint:gosec // programs
			t.Fatal(err)
		}
	}

	// The kernel takes archives one behind the other.
	path = filepath.Join(dir, "initrd")
	pack := exec.CommandContext(t.Context(), "sh", "-c", `cp "$1" "$2" && cd "$3" && find . | busybox cpio -o -H newc >>"$2"`, "sh", modules, path, root)

	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("packing: %v\n%s", err, out)
	}

	return path
}

// await returns what the virtual host says next, which is of a step.
func (h *virtualHost) await(step string) said {
	h.t.Helper()

	var next said

	if !h.lines.Scan() {
		h.t.Fatalf("waiting for %q: the virtual host has ended: %v", step, h.lines.Err())
	}

	if err := json.Unmarshal(bytes.TrimSpace(h.lines.Bytes()), &next); err != nil {
		h.t.Fatalf("waiting for %q: %v: %q", step, err, h.lines.Text())
	}

	if next.Step != step {
		h.t.Fatalf("waiting for %q: %+v", step, next)
	}

	h.t.Logf("%5.1f s: %s", time.Since(h.took).Seconds(), step)

	return next
}

// tell has the emulator carry out commands of its monitor, one after another.
func (h *virtualHost) tell(commands ...map[string]any) {
	h.t.Helper()

	if err := monitor(h.t.Context(), filepath.Join(h.dir, "qmp"), commands); err != nil {
		h.t.Fatal(err)
	}
}

// monitor speaks QMP: a greeting, then for each command events and an answer.
func monitor(ctx context.Context, path string, commands []map[string]any) error {
	const patience = time.Minute

	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the answers are in

	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}

	in, out := json.NewDecoder(conn), json.NewEncoder(conn)

	for _, command := range append([]map[string]any{{"execute": "qmp_capabilities"}}, commands...) {
		event, waits := command["await"].(string)
		delete(command, "await")

		if err := out.Encode(command); err != nil {
			return err
		}

		for answered := false; !answered || waits; {
			var answer struct {
				Return json.RawMessage `json:"return"`
				Event  string          `json:"event"`
				Error  *struct {
					Words string `json:"desc"`
				} `json:"error"`
			}

			if err := in.Decode(&answer); err != nil {
				return err
			}

			if answer.Error != nil {
				return errors.New(answer.Error.Words)
			}

			answered = answered || answer.Return != nil
			waits = waits && answer.Event != event
		}
	}

	return nil
}

// plugIn is the command that attaches a SCSI disk, unplug the one that takes it away and
// waits until the host has let go of it.
func plugIn(id, node, serial string, wwn uint64) map[string]any {
	return map[string]any{"execute": "device_add", "arguments": map[string]any{
		"driver": "scsi-hd", "id": id, "bus": "scsi.0", "drive": node, "serial": serial, "wwn": wwn, "device_id": serial,
	}}
}

func unplug(id string) map[string]any {
	return map[string]any{"execute": "device_del", "arguments": map[string]any{"id": id}, "await": "DEVICE_DELETED"}
}

// image makes the file of a disk, empty.
func image(t *testing.T, dir, serial string) string {
	t.Helper()

	const bytes = 32 << 20

	path := filepath.Join(dir, serial+".img")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, bytes)); err != nil {
		t.Fatal(err)
	}

	return path
}

// node is the emulator's word for the image of a disk. fault is an error that it injects.
func node(t *testing.T, dir, serial, fault string) []string {
	t.Helper()

	file := "driver=file,filename=" + image(t, dir, serial)
	if fault == "" {
		return []string{"-blockdev", fmt.Sprintf("driver=raw,node-name=%s,file.%s", serial, strings.ReplaceAll(file, ",", ",file."))}
	}

	return []string{"-blockdev", fmt.Sprintf("driver=blkdebug,node-name=%s,image.%s,%s", serial, strings.ReplaceAll(file, ",", ",image."), fault)}
}
