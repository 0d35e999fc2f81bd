package manifest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs/manifest"
)

var digest = strings.Repeat("a", 64)

func sample() manifest.Manifest {
	return manifest.Manifest{Version: manifest.Version, Kernel: "6.12.1-amd64", Files: []manifest.File{
		{Path: "/init", Size: 3, SHA256: digest, Segment: manifest.SegmentBase},
		{Path: "/lib/modules/6.12.1-amd64/kernel/a.ko.xz", Size: 4, SHA256: digest, Segment: manifest.SegmentModules},
	}}
}

func TestManifestSurvivesItsFile(t *testing.T) {
	m := sample()
	m.Files[0], m.Files[1] = m.Files[1], m.Files[0]

	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}

	got, err := manifest.Decode(data)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}

	if lines := strings.Count(string(data), "\n"); lines != 4 {
		t.Errorf("the file has %d lines, want one for each entry and two more:\n%s", lines, data)
	}
}

func TestManifestRefuses(t *testing.T) {
	entry := func(path, size, sum, segment string) string {
		return `{"version":1,"kernel":"k","files":[{"path":"` + path + `","size":` + size + `,"sha256":"` + sum + `","segment":"` + segment + `"}]}`
	}
	twice := strings.Replace(entry("/a", "1", digest, "base"), "]", `,{"path":"/a","size":1,"sha256":"`+digest+`","segment":"base"}]`, 1)

	for name, c := range map[string]struct{ text, want string }{
		"nothing":                    {"", "EOF"},
		"half a file":                {`{"version":1,"files":[`, "EOF"},
		"a version of the future":    {`{"version":2,"kernel":"k","files":[]}`, "version 2"},
		"a field it does not know":   {`{"version":1,"odd":1}`, "odd"},
		"more after the end":         {`{"version":1,"kernel":"k","files":[]}{}`, "more follows"},
		"a relative path":            {entry("init", "1", digest, "base"), "absolute"},
		"a path that leaves":         {entry("/../init", "1", digest, "base"), "absolute"},
		"a negative size":            {entry("/a", "-1", digest, "base"), "size"},
		"a sum that is none":         {entry("/a", "1", "XYZ", "base"), "SHA-256"},
		"a segment it does not know": {entry("/a", "1", digest, "third"), "third"},
		"a file twice":               {twice, "twice"},
		"a manifest without end":     {strings.Repeat(" ", 5<<20), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := manifest.Decode([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func description() manifest.Description {
	return manifest.Description{
		Version: manifest.Version, ID: digest, Kernel: "6.12.1-amd64", Go: "go1.26",
		Blobs:   []manifest.Blob{{Name: "kernel", Role: manifest.RoleKernel, Size: 1, SHA256: digest}},
		Sources: []manifest.Package{{Name: "ipxe", Version: "1", Kind: manifest.KindDeb, Source: "x", Blobs: []string{"kernel"}}},
		Inputs:  map[string]string{"base": digest},
	}
}

func TestDescriptionSurvivesItsFile(t *testing.T) {
	data, err := description().Encode()
	if err != nil {
		t.Fatal(err)
	}

	got, err := manifest.DecodeDescription(data)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(description(), got); diff != "" {
		t.Error(diff)
	}
}

func TestDescriptionRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*manifest.Description)
		want   string
	}{
		"a version of the future": {func(d *manifest.Description) { d.Version = 2 }, "version 2"},
		"an id that is none":      {func(d *manifest.Description) { d.ID = "latest" }, "latest"},
		"a blob in a folder":      {func(d *manifest.Description) { d.Blobs[0].Name = "a/b" }, "a/b"},
		"a blob outside":          {func(d *manifest.Description) { d.Blobs[0].Name = "../x" }, "../x"},
		"a blob that is itself":   {func(d *manifest.Description) { d.Blobs[0].Name = manifest.DescriptionName }, "cannot be"},
		"a negative size":         {func(d *manifest.Description) { d.Blobs[0].Size = -1 }, "size"},
		"a sum that is none":      {func(d *manifest.Description) { d.Blobs[0].SHA256 = "" }, "SHA-256"},
		"a role it does not know": {func(d *manifest.Description) { d.Blobs[0].Role = "odd" }, "odd"},
		"two kernels": {func(d *manifest.Description) {
			d.Blobs = append(d.Blobs, manifest.Blob{Name: "other", Role: manifest.RoleKernel, SHA256: digest})
		}, "twice"},
		"a name twice": {func(d *manifest.Description) {
			d.Blobs = append(d.Blobs, manifest.Blob{Name: "kernel", Role: manifest.RoleLoader, SHA256: digest})
		}, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			d := description()
			c.change(&d)

			data, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}

			if _, err := manifest.DecodeDescription(data); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestTextsSurviveAndRepeat(t *testing.T) {
	want := map[string]string{"ipxe": "GPL, mostly\n", "go": strings.Repeat("BSD ", 1000)}

	data, err := manifest.EncodeTexts(want)
	if err != nil {
		t.Fatal(err)
	}

	got, err := manifest.DecodeTexts(data)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if again, _ := manifest.EncodeTexts(want); string(again) != string(data) {
		t.Error("packing twice gave two results")
	}

	for name, damaged := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "half": data[:len(data)/2]} {
		if _, err := manifest.DecodeTexts(damaged); err == nil {
			t.Errorf("%s was read without an error", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Decode(data)
		if err != nil {
			return
		}

		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}

		if _, err := manifest.Decode(again); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}

func FuzzDecodeDescription(f *testing.F) {
	data, err := description().Encode()
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = manifest.DecodeDescription(data) })
}

func FuzzDecodeTexts(f *testing.F) {
	data, err := manifest.EncodeTexts(map[string]string{"a": "b"})
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = manifest.DecodeTexts(data) })
}
