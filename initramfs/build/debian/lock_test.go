package debian_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs/build/debian"
)

func sum(digit string) string { return strings.Repeat(digit, 64) }

func kernel(version, digit string) debian.Locked {
	return debian.Locked{Role: "kernel", Package: "linux-image-" + version + "-amd64", Version: version + "-1", SHA256: sum(digit)}
}

func TestLockSurvivesItsFile(t *testing.T) {
	lock := debian.Lock{Suite: "trixie", Packages: []debian.Locked{
		kernel("6.12.1+deb13", "a"), {Role: "ipxe", Package: "ipxe", Version: "1.21.1+git2025.dad+dfsg-1", SHA256: sum("b")},
	}}

	data, err := lock.Encode()
	if err != nil {
		t.Fatal(err)
	}

	got, err := debian.DecodeLock(data)
	if err != nil {
		t.Fatal(err)
	}

	if got.Packages[0].Role != "ipxe" {
		t.Error("the file is not sorted by role")
	}

	if diff := cmp.Diff(lock, got); diff != "" {
		t.Error(diff)
	}
}

func TestLockRefuses(t *testing.T) {
	entry := func(role, name, version, digest string) string {
		return `{"suite":"trixie","packages":[{"role":"` + role + `","package":"` + name + `","version":"` + version + `","sha256":"` + digest + `"}]}`
	}

	for name, c := range map[string]struct{ text, want string }{
		"text":                        {"hello", "invalid"},
		"a field it does not know":    {`{"suite":"trixie","url":"x"}`, "url"},
		"a suite that is a path":      {`{"suite":"../x"}`, "../x"},
		"a package that is an option": {entry("kernel", "--help", "1", sum("a")), "--help"},
		"a package that is a path":    {entry("kernel", "a/b", "1", sum("a")), "a/b"},
		"a version that is a path":    {entry("kernel", "linux", "1/../..", sum("a")), "1/../.."},
		"a short sum":                 {entry("kernel", "linux", "1", "abc"), "abc"},
		"no role":                     {entry("", "linux", "1", sum("a")), "role"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := debian.DecodeLock([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLockIsHeldWhileItCanBe(t *testing.T) {
	locked, newer := kernel("6.12.1", "a"), kernel("6.12.2", "b")
	rebuilt := locked
	rebuilt.SHA256 = sum("c")

	lock := debian.Lock{Suite: "trixie", Packages: []debian.Locked{locked}}

	for name, c := range map[string]struct {
		lock      debian.Lock
		available []debian.Locked
		want      debian.Locked
		held      bool
		diff      int // lines
	}{
		"the locked version is the newest":          {lock, []debian.Locked{locked}, locked, true, 0},
		"the mirror has both":                       {lock, []debian.Locked{newer, locked}, locked, true, 0},
		"the mirror dropped the locked version":     {lock, []debian.Locked{newer}, newer, false, 2},
		"the mirror has nothing of that name":       {lock, nil, newer, false, 2},
		"the same version with another content":     {lock, []debian.Locked{rebuilt}, newer, false, 2},
		"the lock file does not know this role yet": {debian.Lock{Suite: "trixie"}, []debian.Locked{newer}, newer, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, held := debian.Decide(c.lock, "kernel", c.available, newer)
			if got != c.want || held != c.held {
				t.Errorf("got %v (held %v), want %v (held %v)", got, held, c.want, c.held)
			}

			if diff := c.lock.Diff([]debian.Locked{got}); len(diff) != c.diff {
				t.Errorf("the difference has %d lines, want %d: %q", len(diff), c.diff, diff)
			}
		})
	}
}

func TestDiffNamesBothVersions(t *testing.T) {
	lock := debian.Lock{Suite: "trixie", Packages: []debian.Locked{kernel("6.12.1", "a")}}

	got := strings.Join(lock.Diff([]debian.Locked{kernel("6.12.2", "b")}), "\n")
	want := "kernel: linux-image-6.12.1-amd64 6.12.1-1 (" + sum("a") + ")\n" +
		"        → linux-image-6.12.2-amd64 6.12.2-1 (" + sum("b") + ")"

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecodeLock(f *testing.F) {
	f.Add([]byte(`{"suite":"trixie","packages":[{"role":"ipxe","package":"ipxe","version":"1:2-1","sha256":"` + sum("a") + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lock, err := debian.DecodeLock(data)
		if err != nil {
			return
		}

		for _, p := range lock.Packages {
			if strings.ContainsAny(debian.FileName(p), "/\x00\n") || strings.HasPrefix(p.Package, "-") {
				t.Errorf("%q would leave the cache folder or become an option", debian.FileName(p))
			}
		}
	})
}
