package deb_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs/build/deb"
)

// small.deb was made by dpkg-deb 1.21 with xz: a control file of several fields,
// a copyright file, a kernel and a link to it.
func small(t testing.TB) []byte {
	t.Helper()

	data, err := os.ReadFile("testdata/small.deb")
	if err != nil {
		t.Fatal(err)
	}

	return data
}

func TestPackageOfDpkg(t *testing.T) {
	p, err := deb.Open(small(t))
	if err != nil {
		t.Fatal(err)
	}

	control, err := p.Control()
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]string{
		"Package": "small", "Version": "1.0-1", "Architecture": "all", "Maintainer": "Nobody <nobody@example.org>",
		"Source": "small-signed (1.0+1)", "Built-Using": "small-src (= 1.0-1)",
		"Description": "a package for tests\nIts description has\ntwo lines.",
	}
	if diff := cmp.Diff(want, control); diff != "" {
		t.Error(diff)
	}

	files := map[string]string{}

	err = p.Files(func(name string) bool { return !strings.HasPrefix(name, "usr/share/man") }, func(name string, content []byte) error {
		files[name] = string(content)

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	wantFiles := map[string]string{"boot/vmlinuz-1": "kernel", "usr/share/doc/small/copyright": "Nobody owns this.\n"}
	if diff := cmp.Diff(wantFiles, files); diff != "" {
		t.Error(diff)
	}
}

// member is a member of an ar archive as deb(5) has it.
type member struct{ name, content string }

func archive(members ...member) []byte {
	var out bytes.Buffer

	out.WriteString("!<arch>\n")

	for _, m := range members {
		fmt.Fprintf(&out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", len(m.content), m.content)

		if len(m.content)%2 == 1 {
			out.WriteByte('\n')
		}
	}

	return out.Bytes()
}

func tarred(t testing.TB, name, content string) string {
	t.Helper()

	var out bytes.Buffer

	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}

	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

func gzipped(t testing.TB, content string) string {
	t.Helper()

	var out bytes.Buffer

	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

func TestOddPackages(t *testing.T) {
	version := member{"debian-binary", "2.0\n"}

	for name, c := range map[string]struct {
		data []byte
		want string // part of the error; empty: it must open and hold etc/x
	}{
		"plain tar":                 {archive(version, member{"data.tar", tarred(t, "./etc/x", "1")}), ""},
		"gzip":                      {archive(version, member{"data.tar.gz", gzipped(t, tarred(t, "./etc/x", "1"))}), ""},
		"names that end in a slash": {archive(member{"debian-binary/", "2.0\n"}, member{"data.tar/", tarred(t, "etc/x", "1")}), ""},
		"a path that leaves":        {archive(version, member{"data.tar", tarred(t, "../../etc/x", "1")}), ""},
		"a signature before data":   {archive(version, member{"_gpgorigin", "odd"}, member{"data.tar", tarred(t, "./etc/x", "1")}), ""},
		"not an archive":            {[]byte("hello"), "not an ar archive"},
		"a format of the future":    {archive(member{"debian-binary", "3.0\n"}), "3.0"},
		"no data":                   {archive(version), "no data.tar"},
		"an unknown compression":    {archive(version, member{"data.tar.br", "x"}), ".br"},
		"not compressed after all":  {archive(version, member{"data.tar.gz", "x"}), "data.tar.gz"},
		"cut off":                   {archive(version, member{"data.tar", tarred(t, "etc/x", "1")})[:300], "cut off"},
		"a tar that is cut off":     {archive(version, member{"data.tar", tarred(t, "etc/x", "1")[:512]}), "etc/x"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := walk(c.data)

			if c.want == "" && (err != nil || got != "etc/x=1") {
				t.Errorf("got %q and the error %v, want etc/x=1", got, err)
			}

			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func walk(data []byte) (found string, err error) {
	p, err := deb.Open(data)
	if err != nil {
		return "", err
	}

	err = p.Files(func(string) bool { return true }, func(name string, content []byte) error {
		found += name + "=" + string(content)

		return nil
	})

	return found, err
}

func FuzzOpen(f *testing.F) {
	f.Add(small(f))
	f.Add(archive(member{"debian-binary", "2.0\n"}, member{"data.tar.gz", gzipped(f, tarred(f, "./x", "1"))}))
	f.Fuzz(func(_ *testing.T, data []byte) {
		p, err := deb.Open(data)
		if err != nil {
			return
		}

		_, _ = p.Control()
		_ = p.Files(func(string) bool { return true }, func(string, []byte) error { return nil })
	})
}
