package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5" //nolint:gosec // dpkg's list of sums is of MD5; it finds damage, not malice
	_ "embed"    // the scripts of the package
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vetting/cmd/vetting/install"
)

//go:embed postinst.sh
var postinst string //nolint:gochecknoglobals // embed needs one; nothing writes it

//go:embed prerm.sh
var prerm string //nolint:gochecknoglobals // as above

//go:embed postrm.sh
var postrm string //nolint:gochecknoglobals // as above

// file is one of an archive.
type file struct {
	path    string // absolute
	mode    int64
	content []byte
}

// pagesOf returns the documentation, as it goes into a package.
func pagesOf(root string) ([]file, error) {
	const home = "/usr/share/doc/vetting/"

	// Pages, not docs/beside: those are copies of what lies beside the code, for the console.
	paths, err := filepath.Glob(filepath.Join(root, "docs", "*.*"))
	if err != nil {
		return nil, err
	}

	var pages []file

	for _, at := range append(paths, filepath.Join(root, "README.md"), filepath.Join(root, "CHANGELOG.md"), filepath.Join(root, "LICENSE")) {
		if ext := filepath.Ext(at); ext != ".md" && ext != ".svg" && ext != "" {
			continue
		}

		content, err := os.ReadFile(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking for the documentation: %w", err)
		}

		if err != nil {
			return nil, err
		}

		pages = append(pages, file{home + filepath.Base(at), 0o644, content})
	}

	return append(pages, file{home + "copyright", 0o644, []byte(copyright)}), nil
}

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vetting

Files: *
Copyright: the authors of vetting
License: Apache-2.0
 On Debian systems the licence is in /usr/share/common-licenses/Apache-2.0.
Comment:
 The program carries unmodified Debian packages (kernel, modules, iPXE) under their
 own licences. "vetting licenses" prints every notice with package, version, SHA-256
 and where the corresponding source is.
`

// debianPackage makes a package (deb(5)): an ar archive of two tars.
func debianPackage(p *program, pages []file) ([]byte, error) {
	files := append([]file{
		{install.PackageProgram, 0o755, p.content},
		{install.PackageUnit, 0o644, []byte(install.Unit(install.PackageProgram))},
		{install.PackageAccount, 0o644, []byte(install.Sysusers())},
	}, pages...)

	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })

	sums, size := &strings.Builder{}, 0

	for _, f := range files {
		fmt.Fprintf(sums, "%x  %s\n", md5.Sum(f.content), strings.TrimPrefix(f.path, "/")) //nolint:gosec // as above
		size += len(f.content)
	}

	control, err := archive(p.made, []file{
		{"/control", 0o644, []byte(about(p, size))},
		{"/md5sums", 0o644, []byte(sums.String())},
		{"/postinst", 0o755, []byte(postinst)},
		{"/postrm", 0o755, []byte(postrm)},
		{"/prerm", 0o755, []byte(prerm)},
	})
	if err != nil {
		return nil, err
	}

	data, err := archive(p.made, files)
	if err != nil {
		return nil, err
	}

	out := bytes.NewBufferString("!<arch>\n")
	member(out, "debian-binary", p.made, []byte("2.0\n"))
	member(out, "control.tar.gz", p.made, control)
	member(out, "data.tar.gz", p.made, data)

	return out.Bytes(), nil
}

// about is the package's control file (deb-control(5)).
func about(p *program, size int) string {
	return fmt.Sprintf(`Package: vetting
Version: %s
Architecture: %s
Maintainer: vetting <root@localhost>
Installed-Size: %d
Depends: passwd
Recommends: systemd
Section: admin
Priority: optional
Description: appliance that decides whether bare-metal hosts may go into production
 It wakes a host, boots it over a dedicated network port into a small system in
 RAM, runs a pipeline of hardware tests and ends in a report that proves what was
 tested, or in a held host with the evidence. One static program is the whole
 server: DHCP, TFTP, HTTP boot, boot image, database and console.
 .
 Nothing is served before "vetting install --interface NAME" has named the
 dedicated network port.
`, p.version, p.arch, (size+1023)/1024)
}

// member adds a file to an ar archive (deb(5)).
func member(out *bytes.Buffer, name string, made time.Time, content []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, made.Unix(), 0, 0, "100644", len(content))
	out.Write(content)

	if len(content)%2 == 1 {
		out.WriteByte('\n')
	}
}

// archive returns files with their folders as a compressed tar that says nothing of
// this machine.
func archive(made time.Time, files []file) ([]byte, error) {
	out := &bytes.Buffer{}

	// Nearly all of it is compressed already.
	pack, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}

	if err := writeTar(tar.NewWriter(pack), made, files); err != nil {
		return nil, err
	}

	if err := pack.Close(); err != nil {
		return nil, err
	}

	return out.Bytes(), nil
}

func writeTar(out *tar.Writer, made time.Time, files []file) error {
	have := map[string]bool{}

	for _, f := range files {
		for _, dir := range foldersOf(f.path) {
			if have[dir] {
				continue
			}

			have[dir] = true

			if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "." + dir, Mode: 0o755, Uname: "root", Gname: "root", ModTime: made, Format: tar.FormatGNU}); err != nil {
				return err
			}
		}

		err := out.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: "." + f.path, Mode: f.mode, Size: int64(len(f.content)), Uname: "root", Gname: "root", ModTime: made,
			Format: tar.FormatGNU,
		})
		if err != nil {
			return err
		}

		if _, err := out.Write(f.content); err != nil {
			return err
		}
	}

	return out.Close()
}

// foldersOf returns the folders of a path, the outermost first, each with its slash.
func foldersOf(name string) []string {
	folders := []string{"/"}

	for i, c := range name {
		if c == '/' && i > 0 {
			folders = append(folders, path.Clean(name[:i])+"/")
		}
	}

	return folders
}
