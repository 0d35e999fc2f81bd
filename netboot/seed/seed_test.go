package seed_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"

	"vetting/netboot/seed"
)

// unpack reads an archive with another's reader.
func unpack(t *testing.T, archive []byte) map[string]cpio.Record {
	t.Helper()

	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(archive)))
	if err != nil {
		t.Fatal(err)
	}

	all := map[string]cpio.Record{}
	for _, r := range records {
		all[r.Name] = r
	}

	return all
}

func content(t *testing.T, r cpio.Record) []byte {
	t.Helper()

	b, err := io.ReadAll(io.NewSectionReader(r.ReaderAt, 0, int64(r.FileSize)))
	if err != nil {
		t.Fatal(err)
	}

	return b
}

func TestASeedIsAFileThatRootAloneMayRead(t *testing.T) {
	all := unpack(t, seed.Archive([]byte(`{"token":"x"}`)))

	file, dir := all["vetting/seed.json"], all["vetting"]
	if "/"+file.Name != seed.Path || file.Mode != 0o100600 || file.UID != 0 || dir.Mode != 0o040700 || len(all) != 2 {
		t.Errorf("unpacked %+v", all)
	}

	if got := string(content(t, file)); got != `{"token":"x"}` {
		t.Errorf("content %q", got)
	}
}

// FuzzArchive: whatever the content, it comes out as it went in, in an archive
// whose length the kernel accepts.
func FuzzArchive(f *testing.F) {
	for _, s := range []string{"", "x", "xy", "xyz", "wxyz", "TRAILER!!!", "070701"} {
		f.Add([]byte(s))
	}

	f.Fuzz(func(t *testing.T, b []byte) {
		archive := seed.Archive(b)
		if len(archive)%4 != 0 {
			t.Errorf("%d bytes", len(archive))
		}

		if got := content(t, unpack(t, archive)["vetting/seed.json"]); !bytes.Equal(got, b) {
			t.Errorf("got %q, want %q", got, b)
		}
	})
}
