package debian_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"vetting/initramfs/build/debian"
)

// The shapes are those of real machines; the addresses are placeholders.
const (
	container = `Types: deb
# a comment inside a paragraph
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`
	cloud = `Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: trixie trixie-updates trixie-backports
Components: main

Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian-security.list
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp
`
	installer = `# deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
deb cdrom:[x] bookworm main

deb http://mirror.example/debian/ bookworm main non-free-firmware # the archive
deb-src http://source.example/debian/ bookworm main

deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://security.example/debian-security bookworm-security main
`
	ubuntu = `Types: deb
URIs: http://ubuntu.example/ubuntu/
Suites: noble noble-updates
Components: main universe
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
`
	embedded = `Types: deb
URIs: http://shop.example/deb
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 bm90IGEga2V5
 -----END PGP PUBLIC KEY BLOCK-----
`
)

func TestMirrorsOfMachines(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  debian.Mirrors
	}{
		"a Debian 12 container": {
			map[string]string{"sources.list.d/debian.sources": container},
			debian.Mirrors{Archive: "http://mirror.example/debian", Security: "http://mirror.example/debian-security"},
		},
		"a Debian 13 cloud machine with a list of mirrors": {
			map[string]string{"sources.list.d/debian.sources": cloud},
			debian.Mirrors{Archive: "mirror+file:///etc/apt/mirrors/debian.list", Security: "mirror+file:///etc/apt/mirrors/debian-security.list"},
		},
		"a Debian 12 machine from the installer": {
			map[string]string{"sources.list": installer},
			debian.Mirrors{Archive: "http://mirror.example/debian", Security: "http://security.example/debian-security"},
		},
		"others' packages first": {
			map[string]string{
				"sources.list.d/a.list":   "deb [signed-by=/usr/share/keyrings/shop.gpg] https://shop.example/apt bookworm main\n",
				"sources.list.d/b.list":   "deb https://shop.example/apt nodistro main\n",
				"sources.list.d/c.list":   "deb [trusted=yes] https://shop.example/apt ./\n",
				"sources.list.d/key.asc":  "odd",
				"sources.list.d/off.list": "# deb http://off.example/debian bookworm main\n",
				"sources.list":            installer,
			},
			debian.Mirrors{Archive: "http://mirror.example/debian", Security: "http://security.example/debian-security"},
		},
		"a stranger's key inside the file": {map[string]string{"sources.list.d/shop.sources": embedded}, debian.Mirrors{}},
		"Ubuntu":                           {map[string]string{"sources.list.d/ubuntu.sources": ubuntu}, debian.Mirrors{}},
		"Ubuntu with Debian added": {
			map[string]string{"sources.list.d/ubuntu.sources": ubuntu, "sources.list.d/debian.sources": container},
			debian.Mirrors{Archive: "http://mirror.example/debian", Security: "http://mirror.example/debian-security"},
		},
		"an entry that is switched off": {
			map[string]string{"sources.list.d/debian.sources": strings.Replace(container, "Types: deb\n", "Types: deb\nEnabled: no\n", 1)},
			debian.Mirrors{Security: "http://mirror.example/debian-security"},
		},
		"source code only": {map[string]string{"sources.list": "deb-src http://mirror.example/debian bookworm main\n"}, debian.Mirrors{}},
		"a file apt would not read": {
			map[string]string{"sources.list.d/debian.sources.disabled": container}, debian.Mirrors{},
		},
		"nothing at all": {nil, debian.Mirrors{}},
	} {
		t.Run(name, func(t *testing.T) {
			etc := fstest.MapFS{}
			for file, text := range c.files {
				etc[file] = &fstest.MapFile{Data: []byte(text)}
			}

			sources, err := debian.ReadSources(etc)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(c.want, debian.FindMirrors(sources)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDamagedSourcesAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"options without an end": {"sources.list", "deb [arch=amd64 http://mirror.example/debian bookworm main\n", "no end"},
		"an address alone":       {"sources.list", "deb http://mirror.example/debian\n", "no address and suite"},
		"a line without a field": {"sources.list.d/debian.sources", "Types deb\n", "is not a field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := debian.ReadSources(fstest.MapFS{c.file: {Data: []byte(c.text)}})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file) {
				t.Errorf("got the error %v, want one with %q and the file's name", err, c.want)
			}
		})
	}
}

func FuzzSources(f *testing.F) {
	for _, text := range []string{container, cloud, installer, ubuntu, embedded, " ", "deb [", ":\n x"} {
		f.Add(text)
	}

	f.Fuzz(func(_ *testing.T, text string) {
		for _, parse := range []func(string) ([]debian.Source, error){
			func(s string) ([]debian.Source, error) { return debian.ParseList(strings.NewReader(s)) },
			func(s string) ([]debian.Source, error) { return debian.ParseDeb822(strings.NewReader(s)) },
		} {
			if sources, err := parse(text); err == nil {
				debian.FindMirrors(sources)
			}
		}
	})
}
