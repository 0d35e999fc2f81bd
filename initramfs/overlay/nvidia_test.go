package overlay_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
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

// fakeDCGM is what the packages of DCGM have, by the name under which dpkg -x unpacks them
// (scripts/verify_package_contents of DCGM 4.6.0 and 3.3.9). A name with an arrow is a symlink.
func fakeDCGM(version string) map[string]string {
	if version == "3" {
		const suite = "dcgm/usr/share/nvidia-validation-suite/"

		return map[string]string{
			"dcgm/usr/bin/dcgmi": "x", "dcgm/usr/bin/nv-hostengine": "x", "dcgm/usr/lib64/libdcgm.so.3.3.9": "x", "dcgm/usr/lib64/libdcgmmodulediag.so.3.3.9": "x",
			suite + "nvvs": "x", suite + "diag-skus.yaml": "x", suite + "plugins/cudaless/libpluginCommon.so.3": "x",
			suite + "plugins/cuda11/libMemory.so.3": "eleven", suite + "plugins/cuda12/libMemory.so.3": "twelve", suite + "plugins/cuda12/BwChecker_12": "x",
			suite + "plugins/cuda12/libMemory.so -> libMemory.so.3": "",
		}
	}

	const suite = "/usr/libexec/datacenter-gpu-manager-4/"

	return map[string]string{
		"core/usr/bin/dcgmi": "x", "core/usr/bin/nv-hostengine": "x", "core/usr/lib/x86_64-linux-gnu/libdcgm.so.4.6.0": "x",
		"core/usr/lib/x86_64-linux-gnu/libdcgmmodulediag.so.4.6.0": "x", "core" + suite + "nvvs": "x", "core" + suite + "DcgmProfTesterKernels.ptx": "x",
		"core" + suite + "plugins/cudaless/libpluginCommon.so.4.6.0":                              "x",
		"core" + suite + "plugins/cudaless/libpluginCommon.so.4 -> libpluginCommon.so.4.6.0":      "",
		"config/usr/share/datacenter-gpu-manager-4/diag-skus.yaml":                                "x",
		"cuda12" + suite + "plugins/cuda12/libMemory.so.4.6.0":                                    "twelve",
		"cuda12" + suite + "plugins/cuda12/libMemory.so.4 -> libMemory.so.4.6.0":                  "",
		"cuda12" + suite + "plugins/cuda12/libcurand.so.10.3.10.19":                               "x",
		"cuda12" + suite + "plugins/cuda12/updated/libcurand.so.10 -> ../libcurand.so.10.3.10.19": "",
		"cuda12" + suite + "plugins/cuda12/BwChecker_12 -> /ABSOLUTE/cuda12/BwChecker":            "",
		"cuda12/BwChecker": "checker",
		"cuda13" + suite + "plugins/cuda13/libMemory.so.4.6.0":                                     "thirteen",
		"core/usr/share/doc/datacenter-gpu-manager-4-core/examples/plugins/libMemory.so.4.6.0.txt": "of another",
	}
}

// unpacked writes such a tree and returns its folder.
func unpacked(t *testing.T, files map[string]string) string {
	t.Helper()

	dir := t.TempDir()

	for name, text := range files {
		link, target, is := strings.Cut(name, " -> ")
		if !is {
			put(t, dir, map[string]string{name: text})

			continue
		}

		at := filepath.Join(dir, link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.Symlink(strings.Replace(target, "/ABSOLUTE", dir, 1), at)); err != nil {
			t.Fatal(err)
		}
	}

	return dir
}

// The diagnostic is a program of its own, with plugins of the same names for each version of
// CUDA. Without it dcgmi answers that it cannot find it, and nothing is tested.
func TestTheDiagnosticOfDCGM(t *testing.T) {
	const (
		four  = "overlay/nvidia/libexec/datacenter-gpu-manager-4/"
		three = "overlay/nvidia/libexec/nvidia-validation-suite/"
	)

	for name, test := range map[string]struct {
		version, cuda string
		want          map[string]string // symlinks by "-> target", programs by "x "
		not           []string
	}{
		"version 4": {"4", "", map[string]string{
			"overlay/nvidia/bin/dcgmi": "x x", "overlay/nvidia/lib/libdcgmmodulediag.so.4.6.0": "x", four + "nvvs": "x x", four + "DcgmProfTesterKernels.ptx": "x",
			four + "plugins/cudaless/libpluginCommon.so.4.6.0": "x x", four + "plugins/cudaless/libpluginCommon.so.4": "-> libpluginCommon.so.4.6.0",
			"overlay/nvidia/share/datacenter-gpu-manager-4/diag-skus.yaml": "x", four + "plugins/cuda12/libMemory.so.4.6.0": "x twelve",
			four + "plugins/cuda12/libMemory.so.4": "-> libMemory.so.4.6.0", four + "plugins/cuda13/libMemory.so.4.6.0": "x thirteen",
			four + "plugins/cuda12/updated/libcurand.so.10": "-> ../libcurand.so.10.3.10.19", four + "plugins/cuda12/BwChecker_12": "checker",
		}, []string{"overlay/nvidia/lib/libMemory.so.4.6.0", four + "plugins/libMemory.so.4.6.0.txt"}},
		"version 4 for one CUDA": {
			"4", "12",
			map[string]string{four + "plugins/cuda12/libMemory.so.4.6.0": "x twelve", four + "plugins/cudaless/libpluginCommon.so.4.6.0": "x x"},
			[]string{four + "plugins/cuda13/libMemory.so.4.6.0"},
		},
		"version 3": {"3", "", map[string]string{
			three + "nvvs": "x x", three + "diag-skus.yaml": "x", three + "plugins/cuda11/libMemory.so.3": "x eleven", three + "plugins/cuda12/libMemory.so.3": "x twelve",
			three + "plugins/cuda12/libMemory.so": "-> libMemory.so.3", three + "plugins/cudaless/libpluginCommon.so.3": "x x",
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			driver := t.TempDir()
			put(t, driver, fakeDriver())
			put(t, driver, map[string]string{"nvidia.ko": magic, "nvidia-uvm.ko": magic})

			entries, missing, err := overlay.Nvidia("nvidia", overlay.Driver{Dirs: []string{driver, unpacked(t, fakeDCGM(test.version))}, Kernel: ours, CUDA: test.cuda})
			if err != nil || strings.Contains(strings.Join(missing, "\n"), "nvvs") {
				t.Fatalf("%q, %v", missing, err)
			}

			o, err := overlay.Seal("nvidia", entries, named)
			if err != nil {
				t.Fatal(err)
			}

			packed, err := overlay.Unpack(o.Archive)
			if err != nil {
				t.Fatal(err)
			}

			got := map[string]string{}

			for _, e := range packed {
				switch {
				case e.Mode&cpio.TypeMask == cpio.Symlink:
					got[e.Name] = "-> " + string(e.Data)
				case e.IsRegular() && e.Mode&0o111 != 0:
					got[e.Name] = "x " + string(e.Data)
				case e.IsRegular():
					got[e.Name] = string(e.Data)
				}
			}

			for at, want := range test.want {
				if got[at] != want {
					t.Errorf("%s is %q, want %q", at, got[at], want)
				}
			}

			for _, at := range test.not {
				if _, there := got[at]; there {
					t.Errorf("%s is in it", at)
				}
			}
		})
	}
}

// What of the diagnostic is missing is said before it is missed on a machine.
func TestADiagnosticThatIsNotWhole(t *testing.T) {
	for name, test := range map[string]struct{ without, want string }{
		"no program": {"nvvs", "nvvs: without it DCGM has no diagnostic, and compute is NOT tested"},
		"no plugins": {"plugins/cuda1", "plugins/cuda*: without them nvvs has no test of GPUs, and compute is NOT tested"},
	} {
		tree := fakeDCGM("4")
		for file := range tree {
			if strings.HasSuffix(file, test.without) || strings.Contains(file, "/"+test.without) && strings.Contains(test.without, "/") {
				delete(tree, file)
			}
		}

		driver := t.TempDir()
		put(t, driver, fakeDriver())
		put(t, driver, map[string]string{"nvidia.ko": magic, "nvidia-uvm.ko": magic})

		_, missing, err := overlay.Nvidia("nvidia", overlay.Driver{Dirs: []string{driver, unpacked(t, tree)}, Kernel: ours})
		if text := strings.Join(missing, "\n"); err != nil || !strings.Contains(text, test.want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// Plugins bring the libraries that they are linked to, also where packages have only a symlink
// of that name; those beside them stay there.
func TestWhatAPluginIsLinkedTo(t *testing.T) {
	shell, err := os.ReadFile("/bin/bash")
	if err != nil {
		t.Skip("no bash here")
	}

	program, err := elf.NewFile(bytes.NewReader(shell))
	if err != nil {
		t.Fatal(err)
	}

	needs, err := program.ImportedLibraries()
	if err != nil || len(needs) < 2 {
		t.Skipf("bash is linked to %q: %v", needs, err)
	}

	const plugins = "cuda12/usr/libexec/datacenter-gpu-manager-4/plugins/cuda12/"

	tree := fakeDCGM("4")
	tree[plugins+"libMemory.so.4.6.0"] = string(shell)
	tree[plugins+needs[0]] = "beside the plugin"

	for _, need := range needs[1:] {
		tree["core/usr/lib/x86_64-linux-gnu/"+need+".1.2"], tree["core/usr/lib/x86_64-linux-gnu/"+need+" -> "+need+".1.2"] = "library", ""
	}

	driver := t.TempDir()
	put(t, driver, fakeDriver())
	put(t, driver, map[string]string{"nvidia.ko": magic, "nvidia-uvm.ko": magic})

	entries, missing, err := overlay.Nvidia("nvidia", overlay.Driver{Dirs: []string{driver, unpacked(t, tree)}, Kernel: ours})
	if err != nil || slices.ContainsFunc(missing, func(m string) bool { return strings.HasPrefix(m, needs[0]) || strings.HasPrefix(m, needs[1]) }) {
		t.Fatalf("%q, %v", missing, err)
	}

	has := func(name, link string) bool {
		return slices.ContainsFunc(entries, func(e cpio.Entry) bool { return e.Name == name && (link == "" || string(e.Data) == link) })
	}

	for _, need := range needs[1:] {
		if !has("overlay/nvidia/lib/"+need+".1.2", "") || !has("overlay/nvidia/lib/"+need, need+".1.2") {
			t.Errorf("%s is not among the libraries", need)
		}
	}

	if has("overlay/nvidia/lib/"+needs[0], "") || !has("overlay/nvidia/libexec/datacenter-gpu-manager-4/plugins/cuda12/"+needs[0], "") {
		t.Errorf("%s does not stay beside the plugin", needs[0])
	}

	if _, err := overlay.Seal("nvidia", entries, named); err != nil {
		t.Error(err)
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
