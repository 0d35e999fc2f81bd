package blockdev_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/blockdev"
	"vetting/agent/disk"
	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/diskguard"
)

// loop makes a block device out of a file.
func loop(t *testing.T, size int64) (name, image string) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root to make a loop device")
	}

	image = filepath.Join(t.TempDir(), "disk.img")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}

	out, err := exec.CommandContext(t.Context(), "losetup", "--show", "-f", image).CombinedOutput()
	if err != nil {
		t.Skipf("no loop devices here: %s", out)
	}

	node := strings.TrimSpace(string(out))

	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", node).CombinedOutput(); err != nil {
			t.Errorf("losetup -d: %s", out)
		}
	})

	return filepath.Base(node), image
}

func buffer(t *testing.T, size int, fill byte) []byte {
	t.Helper()

	b, err := blockdev.Buffer(size)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { blockdev.Free(b) })
	copy(b, bytes.Repeat([]byte{fill}, size))

	return b
}

// allowed is a decision that lets a disk of this name be opened.
func allowed(name string) diskguard.Decision {
	now := time.Now()

	return diskguard.MayOpen(&diskguard.Facts{
		Now: now, Lease: now.Add(time.Minute), Destructive: true, Live: true, Expected: []core.ExpectedDisk{{Serial: "L1", SizeBytes: 1 << 20, Armed: true}},
		Disk:  diskguard.Disk{Name: name, Number: "7:0", Serial: "L1", SizeBytes: 1 << 20, Block: 512, Transport: "scsi"},
		Probe: diskguard.Probe{Done: true, At: now, Samples: 1},
	})
}

func TestNothingIsOpenedForWritingWithoutADecision(t *testing.T) {
	system := &blockdev.System{Dev: t.TempDir()}
	if err := os.WriteFile(filepath.Join(system.Dev, "sda"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	for what, decision := range map[string]diskguard.Decision{
		"none": {}, "one for another disk": allowed("sdb"), "a refusal": diskguard.MayOpen(&diskguard.Facts{Disk: diskguard.Disk{Name: "sda"}}),
	} {
		if _, err := system.Write("sda", decision); !errors.Is(err, core.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The kernel's side of an open for writing, on a block device made of a file.
func TestTheSystemsOwnDevices(t *testing.T) {
	name, image := loop(t, 1<<20)
	system := &blockdev.System{Machine: probe.Machine{Root: os.DirFS("/"), Bus: disk.System{}}}

	h, err := system.Write(name, allowed(name))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := system.Write(name, allowed(name)); !errors.Is(err, unix.EBUSY) {
		t.Errorf("opened twice: %v", err)
	}

	// A loop device has no identity of its own, and so cannot be confirmed.
	if o, err := h.Look(); err == nil || o.SizeBytes != 1<<20 || o.Block != 512 || o.Number == "" || o.ReadOnly || !o.Exclusive {
		t.Errorf("looked at %+v, %v", o, err)
	}

	data := buffer(t, 4096, 0xa5)
	if n, err := h.WriteAt(data, 8192); n != 4096 || err != nil {
		t.Errorf("wrote %d: %v", n, err)
	}

	if n, err := h.WriteAt(data, 1<<20); n != 0 || err == nil {
		t.Errorf("wrote %d behind the end: %v", n, err)
	}

	if err := h.Flush(); err != nil {
		t.Error(err)
	}

	got := buffer(t, 4096, 0)
	if n, err := h.ReadAt(got, 8192); n != 4096 || err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d: %v", n, err)
	}

	if n, err := h.ReadAt(buffer(t, 8192, 0), 1<<20-4096); n != 4096 || err == nil {
		t.Errorf("read %d over the end: %v", n, err)
	}

	if err := h.Discard(8192, 4096, false); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}

	if err := h.Close(); err != nil {
		t.Error(err)
	}

	if _, err := h.WriteAt(data, 0); err == nil {
		t.Error("a closed device was written")
	}

	if raw, err := os.ReadFile(image); err != nil || !bytes.Equal(raw[:8192], make([]byte, 8192)) {
		t.Errorf("something else was written: %v", err)
	}
}

func TestOnlyNamesOfDevicesAreOpened(t *testing.T) {
	system := &blockdev.System{Dev: t.TempDir()}

	for _, name := range []string{"", "../sda", "a/b", "."} {
		if _, err := system.Write(name, allowed(name)); !errors.Is(err, os.ErrInvalid) && !errors.Is(err, core.ErrRefused) {
			t.Errorf("%q: %v", name, err)
		}
	}

	// A link that somebody put there is not followed.
	if err := os.Symlink(filepath.Join(t.TempDir(), "x"), filepath.Join(system.Dev, "sda")); err != nil {
		t.Fatal(err)
	}

	if _, err := system.Write("sda", allowed("sda")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
}

func TestAReaderGoesBesideOthers(t *testing.T) {
	name, _ := loop(t, 1<<20)

	first, err := blockdev.OpenReader("/dev/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()

	second, err := blockdev.OpenReader("/dev/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()

	if first.InUse || !second.InUse {
		t.Errorf("in use: %v %v", first.InUse, second.InUse)
	}

	if n, err := second.ReadAt(buffer(t, 4096, 1), 0); n != 4096 || err != nil {
		t.Errorf("read %d: %v", n, err)
	}
}

// Buffers are whole pages that can be used to their ends, however large they are, and can
// be given back.
func TestBuffers(t *testing.T) {
	for _, size := range []int{1, 4096, 1 << 20, 2<<20 - 1, 2 << 20, 2<<20 + 1, 3 << 20, 16 << 20} {
		for range 20 {
			b, err := blockdev.Buffer(size)
			if err != nil || len(b) != size || uintptr(unsafe.Pointer(&b[0]))%4096 != 0 || size >= 2<<20 && uintptr(unsafe.Pointer(&b[0]))%(2<<20) != 0 {
				t.Fatalf("%d: %d bytes at %p, %v", size, len(b), b, err)
			}

			b[0], b[size-1], b[size/2] = 1, 2, 3
			blockdev.Free(b)
		}
	}

	for _, size := range []int{0, -1} {
		if _, err := blockdev.Buffer(size); err == nil {
			t.Errorf("a buffer of %d bytes", size)
		}
	}

	blockdev.Free(nil)
}
