package stick_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/initramfs/stick"
)

// noise is content that differs from file to file.
func noise(seed uint64, n int) []byte {
	out := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // content of a test

	for i := range out {
		out[i] = byte(r.Uint32())
	}

	return out
}

func content() stick.Content {
	more := noise(9, 70_001)

	return stick.Content{
		Loaders: stick.Loaders{
			Shim: noise(1, 9000), Menu: noise(2, 8000), Sector: noise(3, 432), ISOLINUX: noise(4, 38912), Module: noise(5, 119524),
		},
		Kernel: noise(6, 100_000), Segments: [][]byte{noise(7, 50_000), noise(8, 3)}, Arguments: "console=ttyS0 vetting.kit=x",
		Files: []stick.File{
			stick.At(stick.Appliance, bytes.NewReader(more), int64(len(more))), stick.At("README.TXT", strings.NewReader(""), 0),
			stick.At("some-rather-long-name.with.dots", strings.NewReader("x"), 1),
		},
	}
}

func config(room int64) stick.Config {
	return stick.Config{
		Content: content(), Disk: stick.GUID{1, 2, 3, 4, 5, 6, 7, 8}, Boot: stick.GUID{9, 10, 11, 12}, Data: stick.GUID{13, 14, 15, 16},
		Room: room, Now: time.Unix(1_700_000_000, 0),
	}
}

func made(t *testing.T, c stick.Config) []byte {
	t.Helper()

	d, err := stick.Make(c)
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer

	if n, err := d.WriteTo(&out); err != nil || n != d.Size {
		t.Fatal(n, err)
	}

	return out.Bytes()
}

// TestImageIsOneAndTheSame: written as a stream or by its pieces, into a file that
// held something else, what file systems know of is the same; and twice the same.
func TestImageIsOneAndTheSame(t *testing.T) {
	c := config(16 << 20)
	whole := made(t, c)

	if !bytes.Equal(whole, made(t, c)) {
		t.Error("the same content gives another image")
	}

	d, err := stick.Make(c)
	if err != nil {
		t.Fatal(err)
	}

	pieces := filepath.Join(t.TempDir(), "image")

	file, err := os.Create(pieces)
	if err != nil {
		t.Fatal(err)
	}

	var told int64

	err = errors.Join(file.Truncate(d.Size), d.WriteAt(file, func(done, all int64) error {
		told = all - done

		return nil
	}))
	if err != nil || told != 0 {
		t.Fatal(err, told)
	}

	if err := d.Compare(file, nil); err != nil {
		t.Error(err)
	}

	got, err := os.ReadFile(pieces)
	if err != nil {
		t.Fatal(err)
	}

	if !bytes.Equal(whole, got) {
		t.Error("written by its pieces it is another image")
	}

	if _, err := file.WriteAt([]byte{^whole[1<<20]}, 1<<20); err != nil {
		t.Fatal(err)
	}

	if err := d.Compare(file, nil); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("a byte that is another is not seen: %v", err)
	}
}

// TestFilesAreWhereFirmwareLooks reads the files back as firmware does: through the GPT
// and FAT, and through the CD's directory.
func TestFilesAreWhereFirmwareLooks(t *testing.T) {
	c := config(16 << 20)
	image := made(t, c)

	fat, err := openFAT(image[1<<20:])
	if err != nil {
		t.Fatal(err)
	}

	want := map[string][]byte{
		"EFI/BOOT/BOOTX64.EFI": c.Shim, "EFI/BOOT/grubx64.efi": c.Menu, "boot/kernel.img": c.Kernel,
		"boot/segment0.img": c.Segments[0], "boot/segment1.img": c.Segments[1], "README.TXT": {}, "some-rather-long-name.with.dots": []byte("x"),
		"loader/loader.conf":          []byte("timeout 0\ndefault vetting.conf\neditor no\n"),
		"loader/entries/vetting.conf": []byte("title vetting\nlinux /boot/kernel.img\ninitrd /boot/segment0.img\ninitrd /boot/segment1.img\noptions console=ttyS0 vetting.kit=x\n"),
		stick.Appliance:               noise(9, 70_001),
	}

	for name, data := range want {
		if got, ok := fat[name]; !ok || !bytes.Equal(got, data) {
			t.Errorf("FAT: %s: there %v, %d of %d bytes", name, ok, len(got), len(data))
		}
	}

	if len(fat) != len(want) {
		t.Errorf("FAT: %d files instead of %d", len(fat), len(want))
	}

	cd, err := openISO(image)
	if err != nil {
		t.Fatal(err)
	}

	for name, data := range map[string][]byte{
		"BOOT/KERNEL.IMG;1": c.Kernel, "BOOT/SEGMENT0.IMG;1": c.Segments[0], "BOOT/SEGMENT1.IMG;1": c.Segments[1], "ISOLINUX/LDLINUX.C32;1": c.Module,
	} {
		if !bytes.Equal(cd[name], data) {
			t.Errorf("CD: %s has %d of %d bytes", name, len(cd[name]), len(data))
		}
	}

	// What starts ISOLINUX from a stick, and from a CD, must say where it is.
	program := cd["ISOLINUX/ISOLINUX.BIN;1"]
	at := binary.LittleEndian.Uint64(image[432:]) * 512

	if len(program) != len(c.ISOLINUX) || !bytes.Equal(image[at:at+64], program[:64]) || uint64(binary.LittleEndian.Uint32(program[12:]))*2048 != at {
		t.Error("the first sector or the boot information table points elsewhere")
	}

	catalog := image[uint64(binary.LittleEndian.Uint32(image[17*2048+71:]))*2048:]
	if uint64(binary.LittleEndian.Uint32(catalog[40:]))*2048 != at || binary.LittleEndian.Uint32(catalog[104:])*2048 != 1<<20 {
		t.Error("the boot catalogue points elsewhere")
	}
}

func TestNotEverythingFits(t *testing.T) {
	for name, change := range map[string]func(*stick.Config){
		"no kernel":              func(c *stick.Config) { c.Kernel = nil },
		"arguments of two lines": func(c *stick.Config) { c.Arguments = "a\nb" },
		"a name with a slash": func(c *stick.Config) {
			c.Files = []stick.File{stick.At("a//b", strings.NewReader(""), 0), stick.At("../x", strings.NewReader(""), 0)}
		},
		"a name that is not ASCII":   func(c *stick.Config) { c.Files = []stick.File{stick.At("ä", strings.NewReader(""), 0)} },
		"a file of more than 4 GiB":  func(c *stick.Config) { c.Files = []stick.File{stick.At("big", strings.NewReader(""), 5<<30)} },
		"too little room for data":   func(c *stick.Config) { c.Room = 8 << 20 },
		"programs too large for CDs": func(c *stick.Config) { c.Module = make([]byte, 2<<20) },
	} {
		c := config(16 << 20)
		change(&c)

		if _, err := stick.Make(c); err == nil {
			t.Errorf("%s: it was made all the same", name)
		}
	}

	c := config(0)
	c.Files = []stick.File{stick.At("short", strings.NewReader("x"), 2)}

	d, err := stick.Make(c)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := d.WriteTo(io.Discard); err == nil {
		t.Error("a file that ends early makes an image")
	}
}

// TestOthersFindItWhole asks those who know the formats best.
func TestOthersFindItWhole(t *testing.T) {
	for name, room := range map[string]int64{"small": 16 << 20, "a group and a bit": 200 << 20, "many groups": 9<<30 + 77<<20} {
		t.Run(name, func(t *testing.T) {
			d, err := stick.Make(config(room))
			if err != nil {
				t.Fatal(err)
			}

			image := filepath.Join(t.TempDir(), "image")

			file, err := os.Create(image)
			if err != nil {
				t.Fatal(err)
			}

			if err := errors.Join(file.Truncate(d.Size), d.WriteAt(file, nil), file.Close()); err != nil {
				t.Fatal(err)
			}

			esp := d.Size - room - 1<<20 - 64<<10 // what the partition tables take
			ask(t, "No problems found", "sgdisk", "-v", image)
			ask(t, "files", "fsck.vfat", "-n", cut(t, image, 1<<20, esp))

			data := fmt.Sprintf("%s?offset=%d", image, 1<<20+esp)
			ask(t, "11/", "e2fsck", "-f", "-n", data)
			ask(t, "VETTING-DATA", "dumpe2fs", "-h", data)
		})
	}
}

// ask runs a tool that must find nothing wrong.
func ask(t *testing.T, want string, words ...string) {
	t.Helper()

	program, err := exec.LookPath(words[0])
	if err != nil {
		program = filepath.Join("/usr/sbin", words[0])
	}

	out, err := exec.CommandContext(t.Context(), program, words[1:]...).CombinedOutput()
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("%s is not installed", words[0])

		return
	}

	if err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// cut copies a part of a file.
func cut(t *testing.T, name string, at, size int64) string {
	t.Helper()

	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	data := make([]byte, size)
	part := filepath.Join(t.TempDir(), "part")
	_, err = file.ReadAt(data, at)

	if err = errors.Join(err, os.WriteFile(part, data, 0o600)); err != nil {
		t.Fatal(err)
	}

	return part
}

// FuzzMake: whatever the files, an image has them all or is refused.
func FuzzMake(f *testing.F) {
	f.Add("a/b/LONGNAME.TXT", "a/b/longname.text", uint16(5000), uint16(0), "quiet")
	f.Add("x", "y.z.w", uint16(1), uint16(2048), "")

	f.Fuzz(func(t *testing.T, one, two string, sizeOne, sizeTwo uint16, arguments string) {
		c := config(0)
		c.Arguments = arguments
		first, second := noise(11, int(sizeOne)), noise(12, int(sizeTwo))
		c.Files = []stick.File{
			stick.At(one, bytes.NewReader(first), int64(sizeOne)), stick.At(two, bytes.NewReader(second), int64(sizeTwo)),
		}

		d, err := stick.Make(c)
		if err != nil {
			return
		}

		var out bytes.Buffer
		if _, err := d.WriteTo(&out); err != nil {
			t.Fatal(err)
		}

		files, err := openFAT(out.Bytes()[1<<20:])
		if err != nil {
			t.Fatal(err)
		}

		for name, want := range map[string][]byte{filepath.Clean(one): first, filepath.Clean(two): second} {
			if filepath.Clean(one) == filepath.Clean(two) {
				break
			}

			if !bytes.Equal(files[name], want) {
				t.Errorf("%q has %d of %d bytes", name, len(files[name]), len(want))
			}
		}
	})
}
