package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func small() *program {
	return &program{content: []byte("#!/bin/sh\necho vetting\n"), version: "1.2.3~rc1", arch: "amd64", made: time.Unix(1700000000, 0).UTC()}
}

func packed(t *testing.T, p *program) (path string, content []byte) {
	t.Helper()

	pages, err := pagesOf("../..")
	if err != nil {
		t.Fatal(err)
	}

	if content, err = debianPackage(p, pages); err != nil {
		t.Fatal(err)
	}

	path = filepath.Join(t.TempDir(), "vetting.deb")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}

	return path, content
}

func dpkg(t *testing.T, args ...string) string {
	t.Helper()

	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skip(args[0] + " is not installed")
	}

	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}

	return string(out)
}

func TestThePackageIsOneOfDebians(t *testing.T) {
	t.Parallel()

	path, _ := packed(t, small())

	if got := dpkg(t, "dpkg-deb", "--show", "--showformat=${Package} ${Version} ${Architecture}", path); got != "vetting 1.2.3~rc1 amd64" {
		t.Error(got)
	}

	list := dpkg(t, "dpkg-deb", "--contents", path)
	for _, want := range []string{
		"-rwxr-xr-x root/root", "./usr/bin/vetting", "./usr/lib/systemd/system/vetting.service", "./usr/lib/sysusers.d/vetting.conf",
		"./usr/share/doc/vetting/README.md", "./usr/share/doc/vetting/configuration.md", "./usr/share/doc/vetting/copyright",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s in\n%s", want, list)
		}
	}

	if strings.Contains(list, "./etc/") || strings.Contains(list, "./var/") {
		t.Errorf("the package owns what is the operator's:\n%s", list)
	}
}

// shellIn puts a shell with its libraries into a root folder, for the package's scripts.
func shellIn(t *testing.T, root string) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root, to change the root folder")
	}

	files := []string{"/bin/sh"}

	for word := range strings.FieldsSeq(dpkg(t, "ldd", "/bin/sh")) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}

	for _, name := range files {
		content, err := os.ReadFile(name)
		at := filepath.Join(root, name)

		if err != nil || os.MkdirAll(filepath.Dir(at), 0o700) != nil || os.WriteFile(at, content, 0o700) != nil {
			t.Fatalf("%s not copied (%v)", name, err)
		}
	}
}

// A root folder in which nothing is but a shell takes the package, a newer one in its
// place, and lets it go again; what the appliance wrote stays. The scripts make their
// account and start the service in TestTheThreeCommands of cmd/vetting.
func TestAFreshRootTakesThePackage(t *testing.T) {
	t.Parallel()

	old := small()
	newer := small()
	newer.version, newer.content = "1.2.3", []byte("#!/bin/sh\necho newer\n")

	first, _ := packed(t, old)
	second, _ := packed(t, newer)
	root := t.TempDir()
	shellIn(t, root)

	for name, text := range map[string]string{"var/lib/dpkg/status": "", "var/lib/dpkg/info/format": "1\n", "var/lib/vetting/store/HEAD": "kept"} {
		at := filepath.Join(root, name)
		if os.MkdirAll(filepath.Dir(at), 0o700) != nil || os.WriteFile(at, []byte(text), 0o600) != nil {
			t.Fatal("not written")
		}
	}

	dpkg(t, "dpkg", "--root="+root, "--force-depends", "--no-triggers", "--unpack", first)
	dpkg(t, "dpkg", "--root="+root, "--force-depends", "--no-triggers", "--unpack", second)

	if text, err := os.ReadFile(filepath.Join(root, "usr/bin/vetting")); err != nil || !bytes.Equal(text, newer.content) {
		t.Errorf("program: %q %v", text, err)
	}

	if text, err := os.ReadFile(filepath.Join(root, "var/lib/vetting/store/HEAD")); err != nil || string(text) != "kept" {
		t.Errorf("data: %q %v", text, err)
	}

	if got := dpkg(t, "dpkg-query", "--root="+root, "-W", "-f", "${Version}", "vetting"); got != "1.2.3" {
		t.Errorf("version: %s", got)
	}

	dpkg(t, "dpkg", "--root="+root, "--force-depends", "--no-triggers", "--force-remove-reinstreq", "--remove", "vetting")

	if _, err := os.Stat(filepath.Join(root, "usr/bin/vetting")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}

	if text, err := os.ReadFile(filepath.Join(root, "var/lib/vetting/store/HEAD")); err != nil || string(text) != "kept" {
		t.Errorf("data after the removal: %q %v", text, err)
	}
}

func TestTheScriptsAreShell(t *testing.T) {
	t.Parallel()

	for name, script := range map[string]string{"postinst": postinst, "prerm": prerm, "postrm": postrm} {
		check := exec.CommandContext(t.Context(), "sh", "-n")
		check.Stdin = strings.NewReader(script)

		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

func TestTheSameProgramGivesTheSameBytes(t *testing.T) {
	t.Parallel()

	_, one := packed(t, small())
	_, two := packed(t, small())

	if !bytes.Equal(one, two) {
		t.Error("two packages of one program differ")
	}

	first, err := ociArchive(small())
	second, err2 := ociArchive(small())

	if err != nil || err2 != nil || !bytes.Equal(first, second) {
		t.Errorf("two images of one program differ (%v, %v)", err, err2)
	}
}

// Every digest of the image names what it says, down to the program.
func TestTheImageIsWhole(t *testing.T) {
	t.Parallel()

	image, err := ociArchive(small())
	if err != nil {
		t.Fatal(err)
	}

	all := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(image))

	for {
		head, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			t.Fatal(err)
		}

		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}

		all[strings.TrimPrefix(head.Name, "./")] = content
	}

	for name, content := range all {
		if want, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && want != "" && want != sum(content) {
			t.Errorf("%s has the digest %s", name, sum(content))
		}
	}

	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(all["index.json"], &index); err != nil || len(index.Manifests) != 1 {
		t.Fatalf("index: %v", err)
	}

	var manifest struct {
		Config struct{ Digest string }
		Layers []struct {
			Digest string
			Size   int
		}
	}

	blob := func(digest string) []byte { return all["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] }

	if err := json.Unmarshal(blob(index.Manifests[0].Digest), &manifest); err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("manifest: %v", err)
	}

	if layer := blob(manifest.Layers[0].Digest); len(layer) != manifest.Layers[0].Size || blob(manifest.Config.Digest) == nil {
		t.Error("the layer or the configuration is missing")
	}
}

func TestVersionsAreInOrder(t *testing.T) {
	t.Parallel()

	for module, want := range map[string]string{
		"v1.2.3": "1.2.3", "v1.2.3-rc.1": "1.2.3~rc.1", "(devel)": "0.0.0~devel", "": "0.0.0~devel",
		"v0.0.0-20261129155354-a296b14492c9+dirty": "0.0.0~20261129155354~a296b14492c9+dirty",
	} {
		if got := debianVersion(module); got != want {
			t.Errorf("%s: %s", module, got)
		}
	}
}
