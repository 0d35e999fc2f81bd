package overlay_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vetting/initramfs/cpio"
	"vetting/initramfs/overlay"
)

// fakeDriver is what a driver's package has, by name; modules are made apart.
func fakeDriver() map[string]string {
	return map[string]string{
		"nvidia-smi": "smi", "libnvidia-ml.so.580.65.06": "ml", "libcuda.so.580.65.06": "cuda", "firmware/gsp_ga10x.bin": "gsp", "32/libcuda.so.580.65.06": "old",
	}
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()

	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runfile is a package as NVIDIA's: a script, and an archive behind its lines.
func runfile(t *testing.T, files map[string]string) string {
	t.Helper()

	var archive bytes.Buffer

	zipped := gzip.NewWriter(&archive)
	tarred := tar.NewWriter(zipped)

	for name, text := range files {
		if err := tarred.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}

		fmt.Fprint(tarred, text)
	}

	if err := tarred.Close(); err != nil {
		t.Fatal(err)
	}

	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}

	name := filepath.Join(t.TempDir(), "driver.run")
	if err := os.WriteFile(name, append([]byte("#! /bin/sh\nskip=4\nexit 1\n"), archive.Bytes()...), 0o600); err != nil {
		t.Fatal(err)
	}

	return name
}

const (
	ours  = "6.12.117+deb13-amd64"
	magic = "\x00vermagic=" + ours + " SMP preempt mod_unload modversions \x00"
)

func TestAnOverlayOfNvidiasTools(t *testing.T) {
	dir, modules := t.TempDir(), t.TempDir()

	if err := overlay.Runfile(runfile(t, fakeDriver()), dir); err != nil {
		t.Fatal(err)
	}

	from := overlay.Driver{Dirs: []string{dir, modules}, Kernel: ours}

	if _, _, err := overlay.Nvidia("nvidia", from); err == nil || !strings.Contains(err.Error(), "nvidia.ko") {
		t.Errorf("without modules: %v", err)
	}

	put(t, modules, map[string]string{"kernel-open/nvidia.ko": strings.ReplaceAll(magic, "6.12.117", "6.1.0"), "kernel-open/nvidia-uvm.ko": magic})

	if _, _, err := overlay.Nvidia("nvidia", from); err == nil || !strings.Contains(err.Error(), "is made for the kernel 6.1.0+deb13-amd64") {
		t.Errorf("with a module of another kernel: %v", err)
	}

	put(t, modules, map[string]string{"kernel-open/nvidia.ko": magic})

	entries, missing, err := overlay.Nvidia("nvidia", from)
	if err != nil {
		t.Fatal(err)
	}

	if text := strings.Join(missing, "\n"); !strings.Contains(text, "dcgmi: without it compute is NOT tested") || strings.Contains(text, "libcuda") {
		t.Errorf("not found: %s", text)
	}

	o, err := overlay.Seal("nvidia", entries, named)
	if err != nil {
		t.Fatal(err)
	}

	packed, err := overlay.Unpack(o.Archive)
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{
		"overlay/nvidia/bin/nvidia-smi", "overlay/nvidia/modules/nvidia.ko", "overlay/nvidia/modules/nvidia-uvm.ko", "overlay/nvidia/lib/libnvidia-ml.so.580.65.06",
		"overlay/nvidia/lib/firmware/nvidia/580.65.06/gsp_ga10x.bin",
	} {
		if !slices.ContainsFunc(packed, func(e cpio.Entry) bool {
			return e.Name == want && (!strings.Contains(want, "/bin/") || e.Mode&0o111 != 0)
		}) {
			t.Errorf("%s is not in it", want)
		}
	}
}

// A program of this machine brings the libraries that it is linked to, and its loader.
func TestWhatAProgramIsLinkedTo(t *testing.T) {
	shell, err := os.ReadFile("/bin/bash")
	if err != nil {
		t.Skip("no bash here")
	}

	dir := t.TempDir()
	put(t, dir, fakeDriver())
	put(t, dir, map[string]string{"nvidia-smi": string(shell), "nvidia.ko": magic})

	entries, missing, err := overlay.Nvidia("nvidia", overlay.Driver{Dirs: []string{dir}, System: overlay.SystemLibraries(), Kernel: ours})
	if err != nil {
		t.Fatal(err)
	}

	if !slices.ContainsFunc(entries, func(e cpio.Entry) bool { return strings.Contains(e.Name, "/lib/libc.so.6") }) {
		t.Skipf("this machine's libraries are elsewhere: %q", missing)
	}

	if !slices.ContainsFunc(entries, func(e cpio.Entry) bool { return strings.Contains(e.Name, "/lib/ld-linux") }) {
		t.Error("the loader is missing")
	}

	if _, err := overlay.Seal("nvidia", entries, named); err != nil {
		t.Error(err)
	}
}

func TestPackagesThatAreNone(t *testing.T) {
	script := filepath.Join(t.TempDir(), "x.run")

	for name, text := range map[string]string{"another script": "#!/bin/sh\nexit 0\n", "a cut one": "#!/bin/sh\nskip=100\n", "another archive": "#!/bin/sh\nskip=3\nBZh9"} {
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		if err := overlay.Runfile(script, t.TempDir()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}

	if err := overlay.Runfile(runfile(t, map[string]string{"../escaped": "x"}), t.TempDir()); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("a name that leads out: %v", err)
	}
}
