package initramfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs"
	"vetting/initramfs/manifest"
)

// folder is a whole image of a few bytes; change may spoil it.
func folder(t *testing.T, change func(*manifest.Description, fstest.MapFS)) fstest.MapFS {
	t.Helper()

	inside, err := manifest.Manifest{Version: manifest.Version, Kernel: "6.12.1-amd64"}.Encode()
	if err != nil {
		t.Fatal(err)
	}

	texts, err := manifest.EncodeTexts(map[string]string{"ipxe": "GPL"})
	if err != nil {
		t.Fatal(err)
	}

	d := manifest.Description{
		Version: manifest.Version, ID: manifest.ID(inside), Kernel: "6.12.1-amd64",
		Sources: []manifest.Package{{Name: "ipxe", Version: "1", Kind: manifest.KindDeb, Source: "Debian"}},
	}
	root := fstest.MapFS{}

	for _, b := range []struct{ name, role, content string }{
		{"kernel", manifest.RoleKernel, "bzImage"},
		{"base.cpio.zst", manifest.RoleBase, "base"},
		{"modules.cpio", manifest.RoleModules, "mods"},
		{"snponly.efi", manifest.RoleLoader, "MZ"},
		{"linuxx64.efi.stub", manifest.RolePiece, "MZ stub"},
		{"systemd-bootx64.efi", manifest.RolePiece, "MZ menu"},
		{"manifest.json", manifest.RoleManifest, string(inside)},
		{"licences.json.gz", manifest.RoleLicences, string(texts)},
		{"vetting-agent-linux-amd64.gz", manifest.RoleHostAgent, "ELF"},
	} {
		root["blobs/"+b.name] = &fstest.MapFile{Data: []byte(b.content)}
		d.Blobs = append(d.Blobs, manifest.Blob{
			Name: b.name, Role: b.role, Size: int64(len(b.content)), SHA256: manifest.Sum([]byte(b.content)),
		})
	}

	if change != nil {
		change(&d, root)
	}

	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}

	root["blobs/"+manifest.DescriptionName] = &fstest.MapFile{Data: data}

	return root
}

func TestOpenFindsAllParts(t *testing.T) {
	image, err := initramfs.OpenIn(folder(t, nil))
	if err != nil {
		t.Fatal(err)
	}

	if err := image.Verify(); err != nil {
		t.Error(err)
	}

	if string(image.Kernel) != "bzImage" || string(image.Base) != "base" || string(image.Modules) != "mods" || string(image.HostAgent) != "ELF" || image.Agent != nil {
		t.Errorf("the parts are %q, %q, %q, %q and %q", image.Kernel, image.Base, image.Modules, image.HostAgent, image.Agent)
	}

	if diff := cmp.Diff(map[string][]byte{"snponly.efi": []byte("MZ")}, image.Loaders); diff != "" {
		t.Error(diff)
	}

	if diff := cmp.Diff(map[string][]byte{initramfs.Stub: []byte("MZ stub"), initramfs.SignedMenu: []byte("MZ menu")}, image.Pieces); diff != "" {
		t.Error(diff)
	}

	if got := string(image.Join([]byte("seed"))); got != "basemodsseed" {
		t.Errorf("joined segments are %q", got)
	}

	licences, err := image.Licences()
	if err != nil {
		t.Fatal(err)
	}

	if len(licences) != 1 || licences[0].Name != "ipxe" || licences[0].Text != "GPL" {
		t.Errorf("got the licences %+v", licences)
	}
}

func TestDevelopmentSegmentBringsItsOwnID(t *testing.T) {
	other := strings.Repeat("b", 64)

	image, err := initramfs.OpenIn(folder(t, func(d *manifest.Description, root fstest.MapFS) {
		d.ID = other
		root["blobs/agent.cpio"] = &fstest.MapFile{Data: []byte("init")}
		d.Blobs = append(d.Blobs, manifest.Blob{Name: "agent.cpio", Role: manifest.RoleAgent, Size: 4, SHA256: manifest.Sum([]byte("init"))})
	}))
	if err != nil {
		t.Fatal(err)
	}

	if err := image.Verify(); err != nil || image.ID != other || string(image.Agent) != "init" || string(image.Join()) != "basemodsinit" {
		t.Errorf("got the agent %q, id %s, joined %q, error %v", image.Agent, image.ID, image.Join(), err)
	}
}

func TestNotBuiltIsSaidPlainly(t *testing.T) {
	_, err := initramfs.OpenIn(fstest.MapFS{"blobs/README": {}})
	if !errors.Is(err, initramfs.ErrNotBuilt) || !strings.Contains(err.Error(), "make image build") {
		t.Errorf("got the error %v, want ErrNotBuilt with what to do", err)
	}
}

func TestDamagedImageIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*manifest.Description, fstest.MapFS)
		want   string // of Open, or of Verify when Open lets it pass
	}{
		"a missing blob":         {func(_ *manifest.Description, root fstest.MapFS) { delete(root, "blobs/kernel") }, "kernel"},
		"a blob cut off":         {func(_ *manifest.Description, root fstest.MapFS) { root["blobs/kernel"].Data = []byte("bz") }, "2 bytes instead of 7"},
		"no kernel at all":       {func(d *manifest.Description, _ fstest.MapFS) { d.Blobs = d.Blobs[1:] }, "kernel or a segment is missing"},
		"a flipped bit":          {func(_ *manifest.Description, root fstest.MapFS) { root["blobs/kernel"].Data = []byte("bzimage") }, "install the program again"},
		"another image's id":     {func(d *manifest.Description, _ fstest.MapFS) { d.ID = strings.Repeat("c", 64) }, "the manifest has the id"},
		"another kernel's name":  {func(d *manifest.Description, _ fstest.MapFS) { d.Kernel = "5.10" }, "for kernel 6.12.1-amd64"},
		"a description of later": {func(d *manifest.Description, _ fstest.MapFS) { d.Version = 9 }, "version 9"},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := initramfs.OpenIn(folder(t, c.change))
			if err == nil {
				err = image.Verify()
			}

			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}

			if errors.Is(err, initramfs.ErrNotBuilt) {
				t.Error("a damaged image is taken for one that was never built")
			}
		})
	}
}

// A new toolchain could lay embedded files out in another way; then this fails.
func TestViewIsTheFileItself(t *testing.T) {
	want, err := initramfs.Read("README")
	if err != nil {
		t.Fatal(err)
	}

	got, err := initramfs.View("README")
	if err != nil {
		t.Fatal(err)
	}

	if !bytes.Equal(got, want) || len(want) == 0 {
		t.Errorf("got %q, want %q", got, want)
	}

	again, err := initramfs.View("README")
	if err != nil {
		t.Fatal(err)
	}

	if &got[0] != &again[0] {
		t.Error("the view is a copy")
	}

	if _, err := initramfs.View("absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got the error %v, want that it does not exist", err)
	}
}
