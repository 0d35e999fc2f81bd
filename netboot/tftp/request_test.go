package tftp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/netboot/tftp"
)

// recorded returns what real clients sent to port 69, by file name.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()

	names, err := filepath.Glob("testdata/packets/*.bin")
	if err != nil || len(names) < 10 {
		t.Fatalf("found %d recorded packets (%v)", len(names), err)
	}

	all := map[string][]byte{}

	for _, name := range names {
		if all[strings.TrimSuffix(filepath.Base(name), ".bin")], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}

	return all
}

func TestRecordedRequestsAreUnderstood(t *testing.T) {
	snponly := func(options ...tftp.Option) tftp.Request { return tftp.Request{Name: "snponly.efi", Options: options} }
	want := map[string]tftp.Request{
		// EDK2 asks for the size, gives up, and comes again for the file.
		"ovmf-pxe-op1-1": snponly(tftp.Option{Name: "tsize", Value: "0"}, tftp.Option{Name: "blksize", Value: "1468"}, tftp.Option{Name: "windowsize", Value: "4"}),
		"ovmf-pxe-op1-2": snponly(tftp.Option{Name: "blksize", Value: "1468"}, tftp.Option{Name: "windowsize", Value: "4"}),
		// iPXE looks for a script beside itself.
		"ovmf-pxe-op1-3":      {Name: "autoexec.ipxe", Options: []tftp.Option{{Name: "blksize", Value: "1432"}, {Name: "tsize", Value: "0"}}},
		"undionly-ipxe-op1-1": {Name: "undionly.kpxe", Options: []tftp.Option{{Name: "blksize", Value: "1432"}, {Name: "tsize", Value: "0"}}},
		"tftp-clients-op1-1":  snponly(tftp.Option{Name: "tsize", Value: "0"}),
		"tftp-clients-op1-2":  snponly(tftp.Option{Name: "blksize", Value: "1468"}, tftp.Option{Name: "tsize", Value: "0"}),
		"tftp-clients-op1-3":  snponly(),
		"tftp-clients-op1-4":  {Name: "snponly.efi", Text: true},
		"tftp-clients-op1-5":  snponly(tftp.Option{Name: "tsize", Value: "0"}, tftp.Option{Name: "blksize", Value: "512"}, tftp.Option{Name: "timeout", Value: "6"}),
	}

	for name, packet := range recorded(t) {
		if strings.Contains(name, "op2") {
			if _, err := tftp.ParseRequest(packet); err == nil {
				t.Errorf("%s: a write request passes for a read request", name)
			}

			continue
		}

		got, err := tftp.ParseRequest(packet)
		if diff := cmp.Diff(want[name], got); diff != "" || err != nil {
			t.Errorf("%s: error %v, -want +got:\n%s", name, err, diff)
		}
	}
}

func TestNamesAreReadAsOldRomsWriteThem(t *testing.T) {
	for name, want := range map[string]string{
		"undionly.kpxe":             "undionly.kpxe",
		"/undionly.kpxe":            "undionly.kpxe",
		"//boot//undionly.kpxe":     "boot/undionly.kpxe",
		"undionly.kpxe\xff":         "undionly.kpxe",
		"undionly.kpxe\xff\xfe \r":  "undionly.kpxe",
		`\boot\undionly.kpxe`:       "boot/undionly.kpxe",
		`C:\undionly.kpxe`:          "undionly.kpxe",
		"../../etc/passwd":          "etc/passwd",
		"a/../../../etc/shadow":     "etc/shadow",
		`..\..\windows`:             "windows",
		"":                          "",
		strings.Repeat("n", 255):    strings.Repeat("n", 255),
		"./snponly.efi":             "snponly.efi",
		"/grub/x86_64-efi/fs.lst\n": "grub/x86_64-efi/fs.lst",
	} {
		got, err := tftp.ParseRequest([]byte("\x00\x01" + name + "\x00octet\x00"))
		if err != nil || got.Name != want {
			t.Errorf("%q is read as %q (%v), want %q", name, got.Name, err, want)
		}
	}
}

func TestRequestsAreForgivenOrRefused(t *testing.T) {
	for _, c := range []struct {
		name, packet, refusal string
	}{
		{"the mode in capitals", "\x00\x01a\x00OCTET\x00", ""},
		{"no NUL at the end", "\x00\x01a\x00octet", ""},
		{"an option without value", "\x00\x01a\x00octet\x00blksize\x00", ""},
		{"no mode", "\x00\x01a", "malformed read request"},
		{"a mode of mail", "\x00\x01a\x00mail\x00", "unknown transfer mode"},
		{"a name beyond all measure", "\x00\x01" + strings.Repeat("n", 256) + "\x00octet\x00", "malformed read request"},
		{"a write request", "\x00\x02a\x00octet\x00", "not a read request"},
		{"nothing", "", "not a read request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := tftp.ParseRequest([]byte(c.packet))

			got := ""
			if err != nil {
				got = err.Error()
			}

			if got != c.refusal {
				t.Errorf("error is %q, want %q", got, c.refusal)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, packet := range recorded(f) {
		f.Add(packet)
	}

	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := tftp.ParseRequest(packet)
		if err != nil {
			return
		}

		for _, part := range strings.Split(r.Name, "/") {
			if part == ".." || part == "." || strings.HasPrefix(r.Name, "/") || strings.Contains(r.Name, `\`) {
				t.Errorf("the name is %q", r.Name)
			}
		}
	})
}
