package overlay

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"vetting/initramfs/cpio"
)

// nvvs is the program of DCGM that does its diagnostic. It looks for its plugins in
// plugins/cudaless and plugins/cudaN beside itself, N being the CUDA version of the driver
// (nvvs, TestFramework::GetPluginBaseDir), and for the limits of GPUs in diag-skus.yaml
// beside itself (DCGM 3) or in ../../share/SUITE (DCGM 4, ConfigFileParser_v2.cpp). So its
// folder, SUITE, is kept as its packages have it: below libexec.
const nvvs = "nvvs"

// suite adds DCGM's diagnostic, and says what of it is nowhere. Packages may have been
// unpacked into folders of their own: of a file that is in several of them the first counts.
func (g *gathering) suite(dirs []string, cuda string) (missing []string, err error) {
	program := g.files[nvvs]
	if program == "" {
		return []string{nvvs + ": without it DCGM has no diagnostic, and compute is NOT tested; package datacenter-gpu-manager-4-core"}, nil
	}

	if program, err = filepath.Abs(program); err != nil {
		return nil, err
	}

	beside := filepath.Dir(program)
	name := filepath.Base(beside)

	if err := g.takeInto(program, path.Join("libexec", name, nvvs), true); err != nil {
		return nil, err
	}

	plugins := 0

	for _, dir := range dirs {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, err
		}

		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}

			inside := suitePlace(file, name, beside)
			version := pluginsOf(inside)

			switch {
			case inside == "" || version != "" && cuda != "" && version != cuda:
				return nil
			case version != "" && strings.Contains(path.Base(inside), ".so"):
				plugins++
			}

			return g.takeInto(file, inside, false)
		})
		if err != nil {
			return nil, err
		}
	}

	if plugins == 0 {
		missing = append(missing, "plugins/cuda"+cuda+"*: without them "+nvvs+" has no test of GPUs, and compute is NOT tested; packages datacenter-gpu-manager-4-cuda12 and their like, by the CUDA version of the driver")
	}

	return missing, nil
}

// suitePlace is the place in the overlay of a file of DCGM's diagnostic, whose program is
// in beside; empty: it is none.
func suitePlace(file, name, beside string) string {
	slashed := filepath.ToSlash(file)

	if _, rest, ok := strings.Cut(slashed, "/"+name+"/plugins/"); ok {
		return path.Join("libexec", name, "plugins", rest)
	}

	if rest, err := filepath.Rel(beside, file); err == nil && filepath.IsLocal(rest) {
		if rest = filepath.ToSlash(rest); strings.HasPrefix(rest, "plugins/") {
			return path.Join("libexec", name, rest)
		}
	}

	switch base := path.Base(slashed); {
	case base == "diag-skus.yaml" && strings.Contains(slashed, "/share/") && !strings.Contains(slashed, "/nvidia-validation-suite/"):
		return path.Join("share", name, base)
	case base == "diag-skus.yaml", base == "DcgmProfTesterKernels.ptx":
		return path.Join("libexec", name, base)
	default:
		return ""
	}
}

// pluginsOf is the CUDA version of a plugin by its place, "12"; empty: it is for all.
func pluginsOf(inside string) string {
	_, rest, _ := strings.Cut(inside, "/plugins/")
	folder, _, _ := strings.Cut(rest, "/")
	version, _ := strings.CutPrefix(folder, "cuda")

	if strings.Trim(version, "0123456789") != "" {
		return ""
	}

	return version
}

// takeInto adds a file of the diagnostic in the place where it looks for it. Its plugins
// have the permissions of the program: with others DCGM 3 does not load them
// (TestFramework::PluginPermissionsMatch).
func (g *gathering) takeInto(file, inside string, program bool) error {
	e, err := Read(file)
	if err != nil {
		return err
	}

	if e.Mode&cpio.TypeMask == cpio.Symlink && leads(inside, string(e.Data)) != "" {
		target, err := filepath.EvalSymlinks(file)
		if err != nil {
			return err
		}

		if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() {
			return err
		}

		if e, err = Read(target); err != nil {
			return err
		}
	}

	base := path.Base(inside)

	if e.Mode&cpio.TypeMask == cpio.Regular {
		if program || strings.Contains(base, ".so") {
			e.Mode |= 0o111
		}

		so, needs := dynamic(e.Data)
		g.needs = append(g.needs, needs...)

		if so != "" {
			g.inSuite[so] = true
		}
	}

	g.inSuite[base] = true
	g.add(inside, e)

	return nil
}
