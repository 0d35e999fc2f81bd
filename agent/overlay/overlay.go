// Package overlay looks at the operator's archives that were unpacked beside the boot
// image, /overlay/NAME, and runs the tools in them.
package overlay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"vetting/core"
)

// Root is the folder of all overlays, without the leading slash.
const Root = "overlay"

const (
	manifestName = "manifest.json"
	maxManifest  = 16 << 20
)

// listed is a file of the manifest.
type listed struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Target string `json:"target"`
}

// Verify compares what was unpacked with what the appliance has sent: the manifest by the
// sum that came with the claim, over TLS, and each file by its sum in the manifest. The
// archive itself came over plain HTTP, and a kernel that runs out of memory while it
// unpacks goes on with part of the files.
func Verify(root fs.FS, o core.Overlay) error {
	dir := path.Join(Root, o.Name)

	text, err := read(root, path.Join(dir, manifestName), maxManifest)
	if err != nil {
		return fmt.Errorf("%s has no list of its files, which comes last: %w", o.Name, err)
	}

	if digest := sha256.Sum256(text); hex.EncodeToString(digest[:]) != o.Manifest {
		return fmt.Errorf("the list of the files of %s is another than the appliance has", o.Name)
	}

	var list struct {
		Files []listed `json:"files"`
	}

	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("reading the list of the files of %s: %w", o.Name, err)
	}

	for _, f := range list.Files {
		if err := f.verify(root, dir); err != nil {
			return fmt.Errorf("/%s/%s: %w", dir, f.Path, err)
		}
	}

	return nil
}

func (f *listed) verify(root fs.FS, dir string) error {
	name := path.Join(dir, f.Path)

	if f.Target != "" {
		links, ok := root.(fs.ReadLinkFS)
		if !ok {
			return nil // a system without links has none
		}

		if target, err := links.ReadLink(name); err != nil || target != f.Target {
			return fmt.Errorf("it does not lead to %s", f.Target)
		}

		return nil
	}

	file, err := root.Open(name)
	if err != nil {
		return err
	}

	defer file.Close() //nolint:errcheck // opened for reading

	digest := sha256.New()

	switch n, err := io.Copy(digest, file); {
	case err != nil:
		return err
	case n != f.Size:
		return fmt.Errorf("it has %d of %d bytes", n, f.Size)
	case hex.EncodeToString(digest.Sum(nil)) != f.SHA256:
		return errors.New("its content is not what was sent")
	default:
		return nil
	}
}

func read(root fs.FS, name string, most int64) ([]byte, error) {
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}

	defer file.Close() //nolint:errcheck // opened for reading

	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}

	return text, err
}

// programDirs and libraryDirs are where overlays have programs and libraries, in the
// order in which they are looked through.
func programDirs() []string {
	return []string{"bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "opt/rocm/bin"}
}

func libraryDirs() []string {
	return []string{"lib", "lib64", "usr/lib", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "opt/rocm/lib"}
}

// Find returns the program of that name in the first overlay that has it, as an absolute
// path; empty: none has.
func Find(root fs.FS, overlays []core.Overlay, program string) string {
	for i := range overlays {
		for _, dir := range programDirs() {
			name := path.Join(Root, overlays[i].Name, dir, program)
			if info, err := fs.Stat(root, name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return "/" + name
			}
		}
	}

	return ""
}

// suites are where overlays have DCGM's diagnostic: the program nvvs with its plugins
// beside it.
func suites() []string {
	return []string{"libexec/*/nvvs", "usr/libexec/*/nvvs", "share/nvidia-validation-suite/nvvs", "usr/share/nvidia-validation-suite/nvvs"}
}

// Diagnostic returns the folder of DCGM's diagnostic in the first overlay that has it, as an
// absolute path; empty: none has.
func Diagnostic(root fs.FS, overlays []core.Overlay) string {
	for i := range overlays {
		for _, pattern := range suites() {
			files, err := fs.Glob(root, path.Join(Root, overlays[i].Name, pattern))
			if err != nil {
				continue
			}

			for _, file := range files {
				if info, err := fs.Stat(root, file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
					return "/" + path.Dir(file)
				}
			}
		}
	}

	return ""
}

// Environ is what programs of overlays are told: where programs and libraries are, and
// nothing of the agent's own. DCGM takes its diagnostic from NVVS_BIN_PATH
// (DcgmDiagManager::GetNvvsBinPath), and from no other place of an overlay.
func Environ(root fs.FS, overlays []core.Overlay) []string {
	programs, libraries := []string{}, []string{}

	for i := range overlays {
		for _, dir := range programDirs() {
			programs = append(programs, path.Join("/", Root, overlays[i].Name, dir))
		}

		for _, dir := range libraryDirs() {
			libraries = append(libraries, path.Join("/", Root, overlays[i].Name, dir))
		}
	}

	programs = append(programs, "/bbin", "/bin", "/usr/bin", "/sbin", "/usr/sbin")

	environ := []string{
		"PATH=" + strings.Join(programs, ":"), "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"), "HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C", "TZ=UTC",
	}

	if dir := Diagnostic(root, overlays); dir != "" {
		environ = append(environ, "NVVS_BIN_PATH="+dir)
	}

	return environ
}

// Loaders are the dynamic loaders that programs for Linux are linked to, by the path that
// stands in the program (System V ABI, AMD64 and AArch64 supplements).
func loaders() []string { return []string{"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"} }

// LinkLoader gives the live system, which is linked statically and has none, the dynamic
// loader of the first overlay that brings one. It makes no file where one is.
func LinkLoader(root fs.FS, overlays []core.Overlay) error {
	for _, loader := range loaders() {
		base := path.Base(loader)

		i := slices.IndexFunc(overlays, func(o core.Overlay) bool { return library(root, o.Name, base) != "" })
		if i < 0 {
			continue
		}

		if err := os.MkdirAll(path.Dir(loader), 0o755); err != nil { //nolint:gosec // a folder of programs
			return fmt.Errorf("linking the dynamic loader: %w", err)
		}

		if err := os.Symlink(library(root, overlays[i].Name, base), loader); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("linking the dynamic loader: %w", err)
		}
	}

	return nil
}

func library(root fs.FS, name, base string) string {
	for _, dir := range libraryDirs() {
		file := path.Join(Root, name, dir, base)
		if info, err := fs.Stat(root, file); err == nil && info.Mode().IsRegular() {
			return "/" + file
		}
	}

	return ""
}
