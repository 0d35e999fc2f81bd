//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/cmd/client"
	"vetting/core/coretest"
	"vetting/core/route"
)

// smallDisk is a disk of its own, of so many bytes.
func smallDisk(t *testing.T, size int64) (dir string) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("only root may mount a disk")
	}

	image := filepath.Join(t.TempDir(), "disk.img")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}

	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("no mkfs.ext4 here: %s", out)
	}

	dir = t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("no loop devices here: %s", out)
	}

	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.Background(), "umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %s", out)
		}
	})

	return dir
}

// takeAll takes all that is free on a disk, also what is reserved for root if asked
// to, and returns the file that has it.
func takeAll(t *testing.T, dir string, reserved bool) (hog string) {
	t.Helper()

	file, err := os.CreateTemp(dir, "hog")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	at := int64(0)

	for size := int64(64 << 20); size >= 64<<10; {
		var space unix.Statfs_t
		if err := unix.Statfs(dir, &space); err != nil {
			t.Fatal(err)
		}

		if left := int64(space.Bavail) * space.Bsize; !reserved && left < size {
			size /= 2

			continue
		}

		switch err := unix.Fallocate(int(file.Fd()), 0, at, size); {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		default:
			t.Fatal(err)
		}
	}

	return file.Name()
}

// The disk of an appliance is full when it is started, and again: it comes up each
// time, shows what it has and refuses what is new in words. When not even the ballast
// makes room for the ledger, the console alone comes up and says so. With room, all
// goes on.
func TestAnApplianceOnAFullDiskSaysSoAndGoesOn(t *testing.T) {
	disk := smallDisk(t, 2<<30)
	dir := filepath.Join(disk, "data")

	var token string

	up(t, dir, func(base string) {
		text, err := os.ReadFile(filepath.Join(dir, tokenFile))
		if err != nil {
			t.Fatal(err)
		}

		token = string(text)
		if fault := register(t, base, dir, token, 1); fault != nil {
			t.Fatal(fault)
		}
	})

	hogs := []string{takeAll(t, disk, false)}

	for range 2 {
		up(t, dir, func(base string) {
			fault := register(t, base, dir, token, 2)
			if fault == nil || fault.Status != http.StatusInsufficientStorage || fault.Code != "store/full" || len(fault.Message) < 20 {
				t.Errorf("a new host on a full disk: %v", fault)
			}

			if status, text := fetch(t, base+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "store") {
				t.Errorf("/readyz: %d %s", status, text)
			}

			wantHosts(t, base, dir, token, 1)
		})
	}

	hogs = append(hogs, takeAll(t, disk, true))

	for range 2 {
		up(t, dir, func(base string) {
			if state, told := asked(t, base); state != "store/full" || !strings.Contains(told, "Free some space") {
				t.Errorf("without any room: %s: %s", state, told)
			}
		})
	}

	for _, hog := range hogs {
		if err := os.Remove(hog); err != nil {
			t.Fatal(err)
		}
	}

	up(t, dir, func(base string) {
		if fault := register(t, base, dir, token, 2); fault != nil {
			t.Errorf("with room again: %v", fault)
		}

		wantHosts(t, base, dir, token, 2)
	})
}

// up starts an appliance, looks at it and kills it.
func up(t *testing.T, dir string, look func(base string)) {
	t.Helper()

	var said safeWords

	console := freeAddress(t)
	child := &exec.Cmd{Path: "/proc/self/exe", Args: []string{onDamageName, dir, console, "let-in"}, Stdout: &said, Stderr: &said}

	if err := child.Start(); err != nil {
		t.Fatal(err)
	}

	ended := make(chan struct{})

	go func() {
		_ = child.Wait()
		close(ended)
	}()

	defer func() {
		_ = child.Process.Kill()
		<-ended
	}()

	for every := time.Tick(20 * time.Millisecond); ; {
		if _, err := os.Stat(filepath.Join(dir, tokenFile)); err == nil && answers(t, console) {
			break
		}

		select {
		case <-every:
		case <-ended:
			t.Fatalf("the appliance ended by itself, %s:\n%s", child.ProcessState, said.String())
		}
	}

	look("https://" + console)
}

func people(t *testing.T, base, dir, token string) *client.Client {
	t.Helper()

	api, err := client.New(base, token, filepath.Join(dir, consoleKey+".crt"))
	if err != nil {
		t.Fatal(err)
	}

	return api
}

func register(t *testing.T, base, dir, token string, n int) *client.Fault {
	t.Helper()

	host := route.HostCreate{MAC: string(coretest.MAC(n)), Name: "host"}
	err := people(t, base, dir, token).Call(t.Context(), client.Request{Route: "hosts.create", Body: host}, nil)

	if fault, ok := errors.AsType[*client.Fault](err); ok {
		return fault
	}

	if err != nil {
		t.Fatal(err)
	}

	return nil
}

func wantHosts(t *testing.T, base, dir, token string, n int) {
	t.Helper()

	var text []byte
	if err := people(t, base, dir, token).Call(t.Context(), client.Request{Route: "hosts.list"}, &text); err != nil {
		t.Fatal(err)
	}

	var all route.HostList
	if err := json.Unmarshal(text, &all); err != nil || len(all.Hosts) != n {
		t.Errorf("%d hosts, want %d: %v", len(all.Hosts), n, err)
	}
}
