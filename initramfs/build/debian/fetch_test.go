package debian_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/initramfs/build/debian"
)

// mirror is a Debian mirror as apt would show it, played by the scripts in
// testdata/bin: package → versions, newest first.
type mirror struct {
	dir string
	t   *testing.T
}

func newMirror(t *testing.T) mirror {
	t.Helper()

	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the stand-ins for apt are shell scripts, and there is no /bin/sh")
	}

	bin, err := filepath.Abs("testdata/bin")
	if err != nil {
		t.Fatal(err)
	}

	m := mirror{dir: t.TempDir(), t: t}
	t.Setenv("MIRROR_DIR", m.dir)
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))

	return m
}

// publish puts versions of a kernel on the mirror, in place of those before, and
// returns them as they would be locked.
func (m mirror) publish(versions ...string) (all []debian.Locked) {
	m.t.Helper()

	for i, version := range versions {
		p := debian.Locked{Role: "kernel", Package: "linux-image-" + version + "-amd64", Version: version + "-1"}
		content := "the kernel " + version
		digest := sha256.Sum256([]byte(content))
		p.SHA256 = hex.EncodeToString(digest[:])

		m.write(p.Package+"_"+p.Version+".deb", content)
		m.write(p.Package, fmt.Sprintf("Package: %s\nVersion: %s\nSHA256: %s\n", p.Package, p.Version, p.SHA256))

		if i == 0 {
			m.write("linux-image-amd64", fmt.Sprintf("Package: linux-image-amd64\nVersion: %s\nDepends: kmod, %s (= %s)\nSHA256: %s\n",
				p.Version, p.Package, p.Version, p.SHA256))
		}

		all = append(all, p)
	}

	return all
}

func (m mirror) drop(p debian.Locked) {
	m.t.Helper()

	for _, name := range []string{p.Package, p.Package + "_" + p.Version + ".deb"} {
		if err := os.Remove(filepath.Join(m.dir, name)); err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m mirror) write(name, text string) {
	m.t.Helper()

	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// calls are the commands apt-get was given since the last time.
func (m mirror) calls() string {
	m.t.Helper()

	text, err := os.ReadFile(filepath.Join(m.dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}

	m.write("calls", "")

	return string(text)
}

// builder is a build machine with an empty cache and the given lock.
func (m mirror) builder(lock ...debian.Locked) (f *debian.Fetcher, said *strings.Builder) {
	said = &strings.Builder{}

	return &debian.Fetcher{
		Cache: m.t.TempDir(), Lock: debian.Lock{Suite: "trixie", Packages: lock},
		Wants:   []debian.Want{{Role: "kernel", Name: "linux-image-amd64", Follows: "linux-image-"}},
		Etc:     fstest.MapFS{"sources.list": {Data: []byte("deb http://mirror.example/debian bookworm main\n")}},
		Keyring: "/keys.gpg",
		Say:     func(format string, args ...any) { fmt.Fprintf(said, format+"\n", args...) },
	}, said
}

func (m mirror) fetch(f *debian.Fetcher) debian.Fetched {
	m.t.Helper()

	got, err := f.Fetch(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}

	if len(got) != 1 {
		m.t.Fatalf("got %d packages, want 1", len(got))
	}

	return got[0]
}

func TestLockedVersionIsFetchedOnce(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.2", "6.12.1")
	f, said := m.builder(kernels[1])

	if got := m.fetch(f); got.Locked != kernels[1] {
		t.Errorf("got %v, want the locked %v", got.Locked, kernels[1])
	}

	if strings.Contains(said.String(), "DIFFERS") {
		t.Errorf("it complains although the lock was held: %s", said)
	}

	if calls := m.calls(); !strings.Contains(calls, "update") || !strings.Contains(calls, "download") {
		t.Errorf("the first build called apt-get with %q", calls)
	}

	if m.fetch(f); m.calls() != "" {
		t.Error("the second build used apt although the cache has everything")
	}
}

func TestDroppedVersionIsReplacedLoudly(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.2", "6.12.1")
	m.drop(kernels[1])

	f, said := m.builder(kernels[1])

	if got := m.fetch(f); got.Locked != kernels[0] {
		t.Errorf("got %v, want the newest %v", got.Locked, kernels[0])
	}

	for _, word := range []string{"DIFFERS FROM THE LOCK FILE", "6.12.1-1", "6.12.2-1", kernels[0].SHA256, "LOCK=strict"} {
		if !strings.Contains(said.String(), word) {
			t.Errorf("the warning does not say %q: %s", word, said)
		}
	}

	m.calls()
	said.Reset()

	if got := m.fetch(f); got.Locked != kernels[0] || m.calls() != "" {
		t.Errorf("the second build should take %v from the cache without apt, got %v", kernels[0], got.Locked)
	}

	if !strings.Contains(said.String(), "DIFFERS") {
		t.Error("the second build does not repeat the warning")
	}
}

func TestStrictLockRefuses(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.2", "6.12.1")
	m.drop(kernels[1])

	f, _ := m.builder(kernels[1])
	f.Mode = debian.Strict

	if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "LOCK=strict") || !strings.Contains(err.Error(), "6.12.1-1") {
		t.Errorf("got the error %v, want a refusal that names the lock", err)
	}

	f.Mode = debian.Prefer
	m.fetch(f)

	f.Mode = debian.Strict
	if _, err := f.Fetch(t.Context()); err == nil {
		t.Error("a stand-in from an earlier build got past LOCK=strict")
	}
}

func TestRenewTakesTheNewest(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.2", "6.12.1")
	f, _ := m.builder(kernels[1])
	f.Mode = debian.Renew

	if got := m.fetch(f); got.Locked != kernels[0] {
		t.Errorf("got %v, want the newest %v", got.Locked, kernels[0])
	}
}

func TestDamageOnTheWayIsFound(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.1")
	f, _ := m.builder(kernels[0])
	file := m.fetch(f).File

	if err := os.WriteFile(file, []byte("bit rot"), 0o600); err != nil {
		t.Fatal(err)
	}

	m.calls()

	if m.fetch(f); !strings.Contains(m.calls(), "download") {
		t.Error("a damaged package in the cache was used")
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}

	m.write(kernels[0].Package+"_"+kernels[0].Version+".deb", "something else")

	if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("got the error %v, want one about the SHA-256", err)
	}
}

func TestAptRootKeepsProxyAndChecks(t *testing.T) {
	m := newMirror(t)
	f, _ := m.builder(m.publish("6.12.1")...)
	m.fetch(f)

	conf, err := os.ReadFile(filepath.Join(f.Cache, "apt/apt.conf"))
	if err != nil {
		t.Fatal(err)
	}

	if !strings.Contains(string(conf), `Acquire::http::Proxy "http://proxy.example:3128";`) {
		t.Error("the machine's proxy is not used")
	}

	if strings.Contains(string(conf), `"true"`) || strings.Contains(string(conf), "Post-Invoke") {
		t.Errorf("settings of the host that loosen checks or run programs came along:\n%s", conf)
	}

	list, err := os.ReadFile(filepath.Join(f.Cache, "apt/etc/apt/sources.list"))
	if err != nil {
		t.Fatal(err)
	}

	want := "deb [signed-by=/keys.gpg] http://mirror.example/debian trixie main\n" +
		"deb [signed-by=/keys.gpg] http://mirror.example/debian trixie-updates main\n"
	if string(list) != want {
		t.Errorf("got the sources\n%swant\n%s", list, want)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	m := newMirror(t)
	kernels := m.publish("6.12.1")

	for name, c := range map[string]struct {
		change func(*testing.T, *debian.Fetcher)
		want   string
	}{
		"no Debian source":     {func(_ *testing.T, f *debian.Fetcher) { f.Etc = fstest.MapFS{} }, "MIRROR="},
		"no keys":              {func(_ *testing.T, f *debian.Fetcher) { f.Keyring = "" }, "debian-archive-keyring"},
		"no network":           {func(*testing.T, *debian.Fetcher) { m.write("offline", "") }, "Could not resolve host"},
		"not a Debian machine": {func(t *testing.T, _ *debian.Fetcher) { t.Setenv("PATH", "/nowhere") }, "not Debian or Ubuntu"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := m.builder(kernels...)
			c.change(t, f)

			if _, err := f.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got the error %v, want one with %q", err, c.want)
			}

			if err := os.Remove(filepath.Join(m.dir, "offline")); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		})
	}
}
