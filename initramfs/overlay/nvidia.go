package overlay

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"vetting/initramfs/cpio"
)

// Driver is what an overlay of NVIDIA's tools is made from.
type Driver struct {
	Dirs   []string // folders that are looked through, with all below, in this order
	System []string // where libraries of the build machine are, and no others: the C library
	Kernel string   // of the boot image, "6.12.117+deb13-amd64"; empty: not compared
	CUDA   string   // the version whose plugins of DCGM are taken, "12"; empty: all that there are
}

// SystemLibraries are the folders of Debian and its kin.
func SystemLibraries() []string {
	return []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"}
}

// wanted are the files of an overlay for NVIDIA's GPUs: by the name in the driver's
// package and in those of DCGM.
func wanted() []want {
	return []want{
		{"nvidia-smi", "bin", true, "part of the driver's package"},
		{"libnvidia-ml.so.*", "lib", true, "part of the driver's package"},
		{"nvidia.ko*", "modules", true, "made from the folder kernel-open of the driver's package: make modules SYSSRC=… for the kernel of the boot image"},
		{"nvidia-uvm.ko*", "modules", false, "without it nothing can compute; made with nvidia.ko"},
		{"gsp_*.bin", "lib/firmware/nvidia/VERSION", false, "firmware of GPUs from Turing on, part of the driver's package"},
		{"libcuda.so.*", "lib", false, "without it DCGM has no GPU work; part of the driver's package"},
		{"libnvidia-ptxjitcompiler.so.*", "lib", false, "used by some tests of DCGM; part of the driver's package"},
		{"dcgmi", "bin", false, "without it compute is NOT tested; package datacenter-gpu-manager-4-core"},
		{"nv-hostengine", "bin", false, "needed by dcgmi; package datacenter-gpu-manager-4-core"},
		{"libdcgm.so.*", "lib", false, "needed by dcgmi; package datacenter-gpu-manager-4-core"},
		{"libdcgmmodule*.so.*", "lib", false, "needed by dcgmi; package datacenter-gpu-manager-4-core"},
		{"libnvperf_dcgm_host.so*", "lib", false, ""},
	}
}

type want struct {
	pattern, into string
	must          bool
	about         string // empty: nothing is missed without it
}

// Nvidia gathers the files of an overlay, and says what it did not find. The error says
// that what there is makes no overlay.
func Nvidia(name string, from Driver) (entries []cpio.Entry, missing []string, err error) {
	files, links, err := catalogue(from.Dirs)
	if err != nil {
		return nil, nil, err
	}

	g := &gathering{name: name, files: files, links: links, system: from.System, taken: map[string]bool{}, inSuite: map[string]bool{}}

	version := ""

	var faults []error

	for _, w := range wanted() {
		found := g.matching(w.pattern)

		switch {
		case len(found) == 0 && w.must:
			faults = append(faults, fmt.Errorf("%s is not in %s: %s", w.pattern, strings.Join(from.Dirs, ", "), w.about))
		case len(found) == 0 && w.about != "":
			missing = append(missing, w.pattern+": "+w.about)
		}

		for _, file := range found {
			if v := strings.TrimPrefix(filepath.Base(file), "libnvidia-ml.so."); strings.Count(v, ".") > 0 && v != filepath.Base(file) {
				version = v
			}

			if err := g.take(file, strings.ReplaceAll(w.into, "VERSION", version), from.Kernel); err != nil {
				faults = append(faults, err)
			}
		}
	}

	if files["dcgmi"] != "" {
		lacks, err := g.suite(from.Dirs, from.CUDA)
		if missing = append(missing, lacks...); err != nil {
			faults = append(faults, fmt.Errorf("gathering DCGM's diagnostic: %w", err))
		}
	}

	if len(faults) > 0 {
		return nil, missing, errors.Join(faults...)
	}

	missing = append(missing, g.libraries()...)

	return g.entries, missing, errors.Join(g.faults...)
}

// catalogue lists the files of folders by name, and apart from them the symlinks; the
// first of a name counts. DCGM's plugins are left out: there are several of each name.
func catalogue(dirs []string) (files, links map[string]string, err error) {
	files, links = map[string]string{}, map[string]string{}

	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}

			into := files
			if d.Type()&fs.ModeSymlink != 0 {
				into = links
			} else if !d.Type().IsRegular() {
				return nil
			}

			inside, err := filepath.Rel(dir, file)
			if err != nil || within(inside, "32") || within(inside, "plugins") { // old, or of the diagnostic
				return err
			}

			if _, known := into[d.Name()]; !known {
				into[d.Name()] = file
			}

			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("looking through %s: %w", dir, err)
		}
	}

	return files, links, nil
}

// within reports whether a file is in a folder of that name, or below one.
func within(file, folder string) bool {
	return slices.Contains(strings.Split(filepath.ToSlash(filepath.Dir(file)), "/"), folder)
}

// gathering collects the entries of an overlay.
type gathering struct {
	name    string
	files   map[string]string
	links   map[string]string
	system  []string
	taken   map[string]bool // by their place in the overlay
	inSuite map[string]bool // names of DCGM's plugins and of libraries beside them
	entries []cpio.Entry
	needs   []string // sonames
	faults  []error
}

func (g *gathering) matching(pattern string) (found []string) {
	for name, file := range g.files {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			found = append(found, file)
		}
	}

	slices.Sort(found)

	return found
}

// take adds a file, a library with the name by which others ask for it.
func (g *gathering) take(file, into, kernel string) error {
	e, err := Read(file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}

	base := filepath.Base(file)

	if into == "modules" {
		if made := madeFor(e.Data); kernel != "" && made != "" && made != kernel {
			return fmt.Errorf("%s is made for the kernel %s, and the boot image has %s", base, made, kernel)
		}
	}

	if into == "bin" {
		e.Mode |= 0o111
	}

	g.add(path.Join(into, base), e)

	so, needs := dynamic(e.Data)
	if so != "" && so != base {
		g.add(path.Join(into, so), cpio.Entry{Mode: cpio.Symlink | 0o777, Data: []byte(base)})
	}

	g.needs = append(g.needs, needs...)

	return nil
}

func (g *gathering) add(inside string, e cpio.Entry) {
	if !g.taken[inside] {
		g.taken[inside] = true
		e.Name = path.Join(Root, g.name, inside)
		g.entries = append(g.entries, e)
	}
}

// libraries adds what programs and libraries need, from the folders given and then from
// the system, and returns what is nowhere.
func (g *gathering) libraries() (missing []string) {
	seen := map[string]bool{}

	for len(g.needs) > 0 {
		need := g.needs[0]
		g.needs = g.needs[1:]

		if seen[need] || g.taken["lib/"+need] || g.inSuite[need] {
			continue
		}

		seen[need] = true

		file := g.find(need)
		if file == "" {
			missing = append(missing, need+": a program or library of the overlay needs it")

			continue
		}

		target, err := filepath.EvalSymlinks(file)
		if err == nil {
			err = g.take(target, "lib", "")
		}

		if err != nil {
			g.faults = append(g.faults, err)
		}

		if base := filepath.Base(target); base != need {
			g.add("lib/"+need, cpio.Entry{Mode: cpio.Symlink | 0o777, Data: []byte(base)})
		}
	}

	slices.Sort(missing)

	return missing
}

func (g *gathering) find(need string) string {
	if file := g.files[need]; file != "" {
		return file
	}

	if file := g.links[need]; file != "" {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}

	for _, dir := range g.system {
		file := filepath.Join(dir, need)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}

	return ""
}

// dynamic returns the name of a library and what a program or library is linked to, its
// loader with it; nothing for what is no ELF file.
func dynamic(data []byte) (name string, needs []string) {
	program, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return "", nil
	}

	if names, err := program.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		name = path.Base(names[0])
	}

	if libraries, err := program.ImportedLibraries(); err == nil {
		for _, library := range libraries {
			needs = append(needs, path.Base(library))
		}
	}

	for _, p := range program.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < maxPath {
			if loader, err := io.ReadAll(p.Open()); err == nil {
				needs = append(needs, path.Base(strings.TrimRight(string(loader), "\x00")))
			}
		}
	}

	return name, needs
}

// madeFor returns the kernel that a module is made for; nothing where it does not tell,
// as one that is packed.
func madeFor(module []byte) string {
	_, rest, found := bytes.Cut(module, []byte("vermagic="))
	if !found {
		return ""
	}

	magic, _, _ := bytes.Cut(rest[:min(len(rest), maxPath)], []byte{0})
	kernel, _, _ := strings.Cut(string(magic), " ")

	return kernel
}

// Runfile unpacks a driver's package (NVIDIA-Linux-x86_64-VERSION.run) into a folder. It
// is a shell script with an archive behind it, and says in "skip=" or in "offset" on which
// line that begins; it is never executed.
func Runfile(file, dir string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the driver's package: %w", err)
	}

	archive, err := behindScript(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}

	for files := tar.NewReader(archive); ; {
		h, err := files.Next()

		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("unpacking %s: %w", file, err)
		case h.Typeflag != tar.TypeReg:
			continue
		case !filepath.IsLocal(h.Name) || h.Size > MaxBytes:
			return fmt.Errorf("unpacking %s: %q leads out of it, or is too large", file, h.Name)
		}

		at := filepath.Join(dir, h.Name) //nolint:gosec // IsLocal above
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}

		content, err := io.ReadAll(io.LimitReader(files, MaxBytes))
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}

		if err := os.WriteFile(at, content, 0o600); err != nil {
			return fmt.Errorf("unpacking %s: %w", file, err)
		}
	}
}

// behindScript finds the archive behind the script.
func behindScript(raw []byte) (io.Reader, error) {
	const head = 256 << 10

	m := regexp.MustCompile(`(?m)^skip="?(\d+)"?$`).FindSubmatch(raw[:min(len(raw), head)])
	if m == nil {
		return nil, errors.New("it is no package of NVIDIA's driver that can be read; unpack it (sh FILE.run --extract-only) and give its folder with --from")
	}

	lines, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return nil, fmt.Errorf("reading where its archive begins: %w", err)
	}

	rest := raw

	for range lines - 1 { // tail -n +skip
		_, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return nil, errors.New("it is cut off")
		}

		rest = after
	}

	switch {
	case bytes.HasPrefix(rest, []byte("\x1f\x8b")):
		return gzip.NewReader(bytes.NewReader(rest))
	case bytes.HasPrefix(rest, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(bytes.NewReader(rest), xz.DefaultDictMax)
	case bytes.HasPrefix(rest, []byte("\x28\xb5\x2f\xfd")):
		decoder, err := zstd.NewReader(bytes.NewReader(rest), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}

		return decoder.IOReadCloser(), nil
	default:
		return nil, errors.New("its archive is packed in a way that is not known; unpack it (sh FILE.run --extract-only) and give its folder with --from")
	}
}
