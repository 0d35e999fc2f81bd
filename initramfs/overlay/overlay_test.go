package overlay_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"vetting/core"
	"vetting/initramfs/cpio"
	"vetting/initramfs/overlay"
)

func named(text []byte) (core.Script, []string, error) {
	s := strings.TrimSpace(string(text))
	if strings.Contains(s, "bad") {
		return core.Script{}, nil, errors.New("it is bad")
	}

	var needs []string
	if strings.Contains(s, "needs") {
		needs = []string{"bin/tool"}
	}

	return core.Script{Name: "check"}, needs, nil
}

func file(name, data string) cpio.Entry {
	return cpio.Entry{Name: name, Mode: cpio.Regular | 0o644, Data: []byte(data)}
}

func program(name, data string) cpio.Entry {
	return cpio.Entry{Name: name, Mode: cpio.Regular | 0o700, Data: []byte(data)}
}

func link(name, target string) cpio.Entry {
	return cpio.Entry{Name: name, Mode: cpio.Symlink | 0o777, Data: []byte(target)}
}

const headed = "#!/bin/sh\n# vetting:\n#   name: check\n\necho hello\n"

// What could take the place of a file of the image, reach out of its folder or gain
// privileges is refused, by its name.
func TestWhatMayNotBeInAnOverlay(t *testing.T) {
	node := cpio.Entry{Name: "overlay/acme/sda", Mode: 0o060000 | 0o600, Major: 8}
	setuid := cpio.Entry{Name: "overlay/acme/bin/su", Mode: cpio.Regular | 0o4755}
	pipe := cpio.Entry{Name: "overlay/acme/pipe", Mode: 0o010000 | 0o600}

	tests := map[string]struct {
		entries []cpio.Entry
		says    string
	}{
		"the first process":                  {[]cpio.Entry{program("init", "x")}, `"init"`},
		"an absolute name":                   {[]cpio.Entry{program("/overlay/acme/x", "x")}, `"/overlay/acme/x"`},
		"the seed with its token":            {[]cpio.Entry{file("vetting/seed.json", "{}")}, `"vetting/seed.json"`},
		"the manifest of the image":          {[]cpio.Entry{file("etc/vetting/manifest.json", "{}")}, "nothing of the image"},
		"a way up":                           {[]cpio.Entry{file("overlay/acme/../../init", "x")}, "init"},
		"a way up at the start":              {[]cpio.Entry{file("../init", "x")}, "init"},
		"a name that is not clean":           {[]cpio.Entry{file("overlay//acme/x", "x")}, "plain names"},
		"a folder for all":                   {[]cpio.Entry{file("overlay", "x")}, "folder"},
		"a link for a folder for all":        {[]cpio.Entry{link("overlay/acme", "/")}, "folder"},
		"a name in no known letters":         {[]cpio.Entry{file("overlay/acme/caf\xe9", "x")}, "letters"},
		"a link to no known letters":         {[]cpio.Entry{link("overlay/acme/x", "caf\xe9")}, "relative"},
		"another overlay's folder":           {[]cpio.Entry{file("overlay/acme/x", "x"), file("overlay/other/x", "x")}, `"overlay/other/x"`},
		"a name with capitals":               {[]cpio.Entry{file("overlay/Acme/x", "x")}, "lower-case"},
		"a device":                           {[]cpio.Entry{node}, "device nodes"},
		"a pipe":                             {[]cpio.Entry{pipe}, "pipes"},
		"a set-uid program":                  {[]cpio.Entry{setuid}, "set-uid"},
		"a link to the root":                 {[]cpio.Entry{link("overlay/acme/x", "/init")}, "relative"},
		"a link out of the overlay":          {[]cpio.Entry{link("overlay/acme/lib/x", "../../../init")}, "outside"},
		"a link that goes down and up":       {[]cpio.Entry{link("overlay/acme/lib/x", "y/../../z")}, "outside"},
		"a file below a link":                {[]cpio.Entry{link("overlay/acme/x", "y"), file("overlay/acme/x/z", "z")}, "no folder"},
		"a file below a file":                {[]cpio.Entry{file("overlay/acme/x", "y"), file("overlay/acme/x/z", "z")}, "no folder"},
		"a file twice":                       {[]cpio.Entry{file("overlay/acme/x", "y"), file("overlay/acme/x", "z")}, "twice"},
		"a file twice, written otherwise":    {[]cpio.Entry{file("overlay/acme/x", "y"), file("./overlay/acme/x", "z")}, "twice"},
		"our own list":                       {[]cpio.Entry{file("overlay/acme/manifest.json", "{}")}, "written by vetting"},
		"a name with a line break":           {[]cpio.Entry{file("overlay/acme/x\ny", "z")}, "cannot be printed"},
		"nothing":                            {nil, "no files"},
		"a custom stage that is no program":  {[]cpio.Entry{file("overlay/acme/stages/check", headed)}, "executable"},
		"a custom stage without a header":    {[]cpio.Entry{program("overlay/acme/stages/check", "#!/bin/sh\necho\n")}, "no header"},
		"a custom stage with a bad header":   {[]cpio.Entry{program("overlay/acme/stages/check", "# vetting:\n#   bad: 1\n")}, "it is bad"},
		"a header without a custom stage":    {[]cpio.Entry{file("overlay/acme/stages/check.yaml", "vetting:")}, "no custom stage"},
		"two custom stages of one name":      {[]cpio.Entry{program("overlay/acme/stages/a", headed), program("overlay/acme/stages/b", headed)}, "two custom stages"},
		"a custom stage that is a link":      {[]cpio.Entry{link("overlay/acme/stages/check", "../x")}, "executable"},
		"a custom stage that lacks its tool": {[]cpio.Entry{program("overlay/acme/stages/check", "# vetting:\n#   needs: x\n")}, "bin/tool"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := overlay.Seal("", tt.entries, named); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want something with %q", err, tt.says)
			}
		})
	}
}

// sealed is an overlay as it should be.
func sealed(t *testing.T) overlay.Sealed {
	t.Helper()

	o, err := overlay.Seal("", []cpio.Entry{
		{Name: ".", Mode: cpio.Dir | 0o755},
		{Name: "./overlay", Mode: cpio.Dir | 0o700},
		{Name: "overlay/acme", Mode: cpio.Dir | 0o700},
		program("overlay/acme/stages/check", headed), program("overlay/acme/bin/tool", "tool"), link("overlay/acme/lib/libx.so", "../lib/libx.so.1"),
		file("overlay/acme/lib/libx.so.1", "library"),
	}, named)
	if err != nil {
		t.Fatal(err)
	}

	return o
}

func TestAnOverlayIsWrittenAnew(t *testing.T) {
	o := sealed(t)

	if o.Name != "acme" || o.Files != 3 || o.Unpacked != int64(len(headed)+len("tool")+len("library")) || len(o.Archive)%4 != 0 || o.SHA256 != overlay.Sum(o.Archive) {
		t.Errorf("%+v", o.Overlay)
	}

	if len(o.Scripts) != 1 || o.Scripts[0].File != "stages/check" {
		t.Errorf("%+v", o.Scripts)
	}

	entries, err := overlay.Unpack(o.Archive)
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, e := range entries {
		names = append(names, e.Name)

		if !strings.HasPrefix(e.Name, "overlay") || e.Mode&0o7000 != 0 {
			t.Errorf("%s %o", e.Name, e.Mode)
		}
	}

	want := []string{
		"overlay", "overlay/acme", "overlay/acme/bin", "overlay/acme/bin/tool", "overlay/acme/lib", "overlay/acme/lib/libx.so",
		"overlay/acme/lib/libx.so.1", "overlay/acme/stages", "overlay/acme/stages/check", "overlay/acme/manifest.json",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}

	if list := entries[len(entries)-1].Data; overlay.Sum(list) != o.Manifest {
		t.Errorf("the list: %s", list)
	}

	if again := sealed(t); again.SHA256 != o.SHA256 {
		t.Error("the same files make another archive")
	}
}

func TestHowAnArchiveMayBePacked(t *testing.T) {
	plain := cpio.Pack([]cpio.Entry{program("overlay/acme/x", "x")})

	var zipped bytes.Buffer

	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(plain); err != nil || w.Close() != nil {
		t.Fatal(err)
	}

	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}

	for name, raw := range map[string][]byte{"not": plain, "gzip": zipped.Bytes(), "zstd": encoder.EncodeAll(plain, nil), "padded": append(slices.Clone(plain), 0, 0, 0, 0)} {
		if entries, err := overlay.Unpack(raw); err != nil || len(entries) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}

	hard := slices.Clone(plain)
	copy(hard[6+8*4:], "00000002") // links

	for name, raw := range map[string][]byte{
		"tar": []byte("overlay/acme"), "two archives": append(slices.Clone(plain), plain...), "cut": plain[:60], "nothing": nil, "hard links": hard,
	} {
		if entries, err := overlay.Unpack(raw); err == nil {
			t.Errorf("%s: %v", name, entries)
		}
	}
}

// FuzzSeal: whatever is handed in, what comes out stays in its folder.
func FuzzSeal(f *testing.F) {
	f.Add(cpio.Pack([]cpio.Entry{program("overlay/acme/x", "x"), link("overlay/acme/y", "x")}))
	f.Add(cpio.Pack([]cpio.Entry{program("overlay/acme/stages/check", headed)}))

	f.Fuzz(func(t *testing.T, raw []byte) {
		entries, err := overlay.Unpack(raw)
		if err != nil {
			return
		}

		o, err := overlay.Seal("", entries, named)
		if err != nil {
			return
		}

		if entries, err = overlay.Unpack(o.Archive); err != nil {
			t.Fatal(err)
		}

		for _, e := range entries {
			if inside := "overlay/" + o.Name; e.Name != "overlay" && e.Name != inside && !strings.HasPrefix(e.Name, inside+"/") || strings.Contains(e.Name, "..") && filepath.Clean(e.Name) != e.Name {
				t.Errorf("%q", e.Name)
			}
		}
	})
}

func TestTheShelf(t *testing.T) {
	shelf, o := &overlay.Shelf{Dir: filepath.Join(t.TempDir(), "overlays")}, sealed(t)

	if _, err := shelf.Get("acme"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("an empty shelf: %v", err)
	}

	if err := shelf.Put(o); err != nil {
		t.Fatal(err)
	}

	got, err := shelf.Get("acme")
	if err != nil || got.SHA256 != o.SHA256 || len(got.Scripts) != 1 {
		t.Errorf("%+v, %v", got, err)
	}

	for _, name := range []string{"../acme", "", "other", "acme.json"} {
		if _, err := shelf.Get(name); !errors.Is(err, core.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}

	file, size, err := shelf.Open(o.SHA256)
	if err != nil || size != o.Bytes {
		t.Fatalf("%d, %v", size, err)
	}

	file.Close()

	if err := os.WriteFile(filepath.Join(shelf.Dir, o.SHA256+".cpio"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}

	if _, _, err := shelf.Open(o.SHA256); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("an archive that was altered: %v", err)
	}

	if err := shelf.Remove("acme"); err != nil {
		t.Fatal(err)
	}

	if left, err := os.ReadDir(shelf.Dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}

	if err := shelf.Remove("acme"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
}

// A run may have what an overlay was before; that stays until no run can have it any more.
func TestWhatAnOverlayWasBefore(t *testing.T) {
	shelf, o := &overlay.Shelf{Dir: t.TempDir()}, sealed(t)
	if err := shelf.Put(o); err != nil {
		t.Fatal(err)
	}

	old := filepath.Join(shelf.Dir, strings.Repeat("0", 64)+".cpio")
	if err := os.WriteFile(old, []byte("what acme was"), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := shelf.Remove("acme"); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(old); err != nil {
		t.Errorf("it went with the new one: %v", err)
	}

	long := time.Now().Add(-40 * 24 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}

	if err := shelf.Put(o); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it stays for good: %v", err)
	}

	if _, err := os.Stat(filepath.Join(shelf.Dir, o.SHA256+".cpio")); err != nil {
		t.Error(err)
	}
}

func TestAFolderBecomesAnOverlay(t *testing.T) {
	dir := t.TempDir()

	err := errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.WriteFile(filepath.Join(dir, "bin/tool"), []byte("x"), 0o755), //nolint:gosec // a program
		os.Symlink("tool", filepath.Join(dir, "bin/alias")))
	if err != nil {
		t.Fatal(err)
	}

	entries, err := overlay.Folder("acme", dir)
	if err != nil {
		t.Fatal(err)
	}

	if o, err := overlay.Seal("acme", entries, named); err != nil || o.Files != 1 {
		t.Errorf("%+v, %v", o.Overlay, err)
	}

	if err := os.Chmod(filepath.Join(dir, "bin/tool"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}

	if entries, err = overlay.Folder("acme", dir); err != nil {
		t.Fatal(err)
	}

	if _, err := overlay.Seal("acme", entries, named); err == nil || !strings.Contains(err.Error(), "set-uid") {
		t.Errorf("a set-uid program: %v", err)
	}
}
