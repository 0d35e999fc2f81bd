package collect_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/collect"
)

const small = `
# a port of a card
/proc
meminfo |
|MemTotal:       1024 kB
|MemFree:         512 kB
/sys/class/net
eth0 -> ../../devices/pci0000:00/0000:00:03.0/net/eth0
lo -> /sys/devices/virtual/net/lo
/sys/devices/pci0000:00/0000:00:03.0
config #
|8680d310
driver -> ../../../bus/pci/drivers/igb
vendor = 0x8086
/sys/devices/pci0000:00/0000:00:03.0/net/eth0
carrier = 1
device -> ../../../0000:00:03.0
flags =
ifalias = "no line end"
speed ! invalid argument
a%20name%25 = "\"quoted\"\n"
secret ! permission denied
/sys/bus/pci/drivers/igb
/sys/devices/virtual/net/lo
address = 00:00:00:00:00:00
/sys/loop
a -> b
b -> a
`

func tree(t *testing.T, text string) *collect.Tree {
	t.Helper()

	tree, err := collect.ParseTree(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}

	return tree
}

func TestTreeReads(t *testing.T) {
	root := tree(t, small)

	for name, want := range map[string]string{
		"proc/meminfo":                           "MemTotal:       1024 kB\nMemFree:         512 kB\n",
		"sys/class/net/eth0/carrier":             "1\n",
		"sys/class/net/eth0/device/vendor":       "0x8086\n",
		"sys/class/net/eth0/device/config":       "\x86\x80\xd3\x10",
		"sys/class/net/lo/address":               "00:00:00:00:00:00\n",
		"sys/class/net/eth0/flags":               "",
		"sys/class/net/eth0/ifalias":             "no line end",
		"sys/class/net/eth0/a name%":             "\"quoted\"\n",
		"sys/class/net/eth0/device/net/../class": "", // an invalid name, refused below
	} {
		text, err := fs.ReadFile(root, name)
		if fs.ValidPath(name) && (err != nil || string(text) != want) || !fs.ValidPath(name) && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}

	for name, want := range map[string]error{
		"sys/class/net/eth1/carrier": fs.ErrNotExist, "sys/class/net/eth0/secret": fs.ErrPermission, "sys/class/net/eth0/carrier/x": fs.ErrNotExist,
	} {
		if _, err := root.ReadFile(name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}

	for _, name := range []string{"sys/class/net/eth0/speed", "sys/loop/a", "sys/class/net"} {
		if text, err := root.ReadFile(name); err == nil {
			t.Errorf("%s was read: %q", name, text)
		}
	}

	if target, err := fs.ReadLink(root, "sys/class/net/eth0/device/driver"); err != nil || target != "../../../bus/pci/drivers/igb" {
		t.Errorf("link to %q, %v", target, err)
	}

	if names, err := fs.Glob(root, "sys/class/net/*/carrier"); err != nil || len(names) != 1 {
		t.Errorf("glob gives %v, %v", names, err)
	}

	walked := 0
	if err := fs.WalkDir(root, "sys", func(string, fs.DirEntry, error) error { walked++; return nil }); err != nil || walked != 31 {
		t.Errorf("%d files walked, %v", walked, err)
	}
}

// TestTreeIsWrittenAsRead: the text form keeps every kind of file.
func TestTreeIsWrittenAsRead(t *testing.T) {
	var once, twice bytes.Buffer
	if err := tree(t, small).WriteText(&once); err != nil {
		t.Fatal(err)
	}

	if err := tree(t, once.String()).WriteText(&twice); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(once.String(), twice.String()); diff != "" {
		t.Error(diff)
	}

	for _, part := range []string{"config #\n|8680d310\n", "speed ! invalid argument\n", "ifalias = \"no line end\"\n", "/sys/bus/pci/drivers/igb\n", "flags =\n"} {
		if !strings.Contains(once.String(), part) {
			t.Errorf("%q is not in\n%s", part, &once)
		}
	}
}

func TestTreeIsChanged(t *testing.T) {
	root := tree(t, small)

	if err := errors.Join(
		root.Put("sys/class/net/eth0/carrier", []byte("0\n")), root.Put("proc/new/file", []byte("x")),
		root.Fail("proc/meminfo", "input/output error"), root.Link("sys/class/net/eth1", "eth0"),
	); err != nil {
		t.Fatal(err)
	}

	root.Remove("sys/loop")
	root.Remove("sys/not/there")

	if text, err := root.ReadFile("sys/devices/pci0000:00/0000:00:03.0/net/eth0/carrier"); err != nil || string(text) != "0\n" {
		t.Errorf("through the link was written %q, %v", text, err)
	}

	if text, err := root.ReadFile("sys/class/net/eth1/carrier"); err != nil || string(text) != "0\n" {
		t.Errorf("the new link leads to %q, %v", text, err)
	}

	if _, err := root.Stat("sys/loop"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was removed is there: %v", err)
	}

	if _, err := root.ReadFile("proc/meminfo"); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("a failing file gives %v", err)
	}

	if root.Put("proc/meminfo/x", nil) == nil || root.Put("/abs", nil) == nil || root.Folder("proc/new/file") == nil {
		t.Error("nonsense was written")
	}
}

func TestTreeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"|x\n": "line 1", "/a\nb # \n": "line 2", "/a\nb #\n|zz\n": "line 3", "/a\nb = \"x\n": "line 2", "/a\nb -> c\n/a/b/d\nx = 1\n": "line", "/a\nb\n": "line 2",
		"/a\n../../x = 1\n": "line 2",
	} {
		if _, err := collect.ParseTree(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzTree: any text is a tree or an error, and a tree is read as it is written.
func FuzzTree(f *testing.F) {
	f.Add(small)
	f.Add("/a b\nc # \n|00")
	f.Add("/\nx = 1")

	f.Fuzz(func(t *testing.T, text string) {
		root, err := collect.ParseTree(strings.NewReader(text))
		if err != nil {
			return
		}

		var once, twice bytes.Buffer
		if err := root.WriteText(&once); err != nil {
			t.Fatal(err)
		}

		again, err := collect.ParseTree(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("%v of\n%q", err, once.String())
		}

		if err := again.WriteText(&twice); err != nil || once.String() != twice.String() {
			t.Fatalf("%v\n%q\n%q", err, once.String(), twice.String())
		}

		_ = fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, _ error) error {
			_, _ = root.ReadFile(name)

			return nil
		})
	})
}
