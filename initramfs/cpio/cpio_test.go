package cpio_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	uroot "github.com/u-root/u-root/pkg/cpio"

	"vetting/initramfs/cpio"
)

func sample() []cpio.Entry {
	return []cpio.Entry{
		{Name: "dev", Mode: cpio.Dir | 0o755},
		{Name: "dev/console", Mode: cpio.Char | 0o600, Major: 5, Minor: 1},
		{Name: "empty", Mode: cpio.Regular | 0o644},
		{Name: "init", Mode: cpio.Regular | 0o755, Data: []byte("\x7fELF odd")},
		{Name: "sh", Mode: cpio.Symlink | 0o777, Data: []byte("bbin/gosh")},
	}
}

func TestUnpackReturnsWhatPackWrote(t *testing.T) {
	packed := cpio.Pack(sample())

	if len(packed)%4 != 0 {
		t.Errorf("the archive has %d bytes, not a multiple of 4", len(packed))
	}

	got, err := cpio.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}

	normal := func(e cpio.Entry) cpio.Entry {
		if len(e.Data) == 0 {
			e.Data = nil
		}

		return e
	}
	if diff := cmp.Diff(sample(), got, cmp.Transformer("normal", normal)); diff != "" {
		t.Error(diff)
	}
}

// Another reader must see the same: ours could agree with its own mistakes.
func TestURootReadsOurArchive(t *testing.T) {
	reader := uroot.Newc.Reader(bytes.NewReader(cpio.Pack(sample())))

	for _, want := range sample() {
		got, err := reader.ReadRecord()
		if err != nil {
			t.Fatalf("%s: %v", want.Name, err)
		}

		data, err := io.ReadAll(io.NewSectionReader(got, 0, int64(got.FileSize)))
		if err != nil {
			t.Fatal(err)
		}

		have := cpio.Entry{
			Name: got.Name, Mode: uint32(got.Mode), Data: data, Major: uint32(got.Rmajor), Minor: uint32(got.Rminor),
		}
		if have.Name != want.Name || have.Mode != want.Mode || !bytes.Equal(have.Data, want.Data) ||
			have.Major != want.Major || have.Minor != want.Minor {
			t.Errorf("u-root reads %+v, we wrote %+v", have, want)
		}

		if got.MTime != 0 || got.UID != 0 || got.GID != 0 {
			t.Errorf("%s: time %d, owner %d:%d; want 0, 0:0", got.Name, got.MTime, got.UID, got.GID)
		}
	}

	if _, err := reader.ReadRecord(); err != io.EOF { //nolint:errorlint // u-root returns it bare
		t.Errorf("after the last entry: %v, want the end", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	whole := cpio.Pack(sample())

	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"an empty file":                  {nil, "the archive ends"},
		"an archive cut off in a header": {whole[:60], "the archive ends"},
		"an archive cut off in a file":   {whole[:len(whole)-260], "the archive ends"},
		"something else":                 {bytes.Repeat([]byte("x"), 200), "magic"},
		"a size that is not a number":    {bytes.Replace(whole, []byte("0000000000000000000000"), []byte("000000000000000000000Z"), 1), "hexadecimal"},
		"a name longer than a path":      {[]byte(strings.Repeat("x", 0) + "070701" + strings.Repeat("00000000", 11) + "00002000" + "00000000"), "the name has"},
		"a file larger than the archive": {[]byte("070701" + strings.Repeat("00000000", 6) + "FFFFFFFF" + strings.Repeat("00000000", 4) + "00000002" + "00000000a\x00\x00\x00"), "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cpio.Unpack(c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestPadFillsUpToFour(t *testing.T) {
	for size := range 9 {
		got := cpio.Pad(make([]byte, size))
		if len(got)%4 != 0 || len(got)-size > 3 {
			t.Errorf("%d bytes became %d", size, len(got))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(cpio.Pack(sample()))
	f.Add([]byte("070701"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := cpio.Unpack(data)
		if err != nil {
			return
		}

		again, err := cpio.Unpack(cpio.Pack(entries))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}

		if len(again) != len(entries) {
			t.Fatalf("%d entries became %d", len(entries), len(again))
		}
	})
}
