package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting/operator"
	"vetting/core"
	"vetting/core/profile"
	"vetting/initramfs"
	"vetting/initramfs/cpio"
	"vetting/initramfs/overlay"
)

// overlayDir is the folder of the data directory that overlays are kept in.
const overlayDir = "overlays"

func shelf(config *Config) *overlay.Shelf {
	return &overlay.Shelf{Dir: filepath.Join(config.DataDir, overlayDir)}
}

// maxTimeout bounds what a custom stage may ask for: those of three days of soak.
const maxTimeout = 72 * time.Hour

// scriptHeader is the header of a custom stage.
type scriptHeader struct {
	Vetting struct {
		Name        string   `yaml:"name"`
		Description string   `yaml:"description"`
		After       string   `yaml:"after"`
		Timeout     Duration `yaml:"timeout"`
		Profiles    []string `yaml:"profiles"`
		Needs       []string `yaml:"needs"`
		Destructive bool     `yaml:"destructive"`
	} `yaml:"vetting"`
}

// readHeader reads the header of a custom stage.
func readHeader(text []byte) (script core.Script, needs []string, err error) {
	const longest = 16 << 10

	if len(text) > longest {
		return script, nil, fmt.Errorf("the header is longer than %d bytes", longest)
	}

	var header scriptHeader
	if err := decodeSent(text, &header); err != nil {
		return script, nil, err
	}

	h := &header.Vetting
	script = core.Script{
		Name: h.Name, Description: h.Description, After: core.StageName(h.After), Timeout: time.Duration(h.Timeout), Profiles: h.Profiles,
	}

	if script.Timeout == 0 {
		script.Timeout = 5 * time.Minute
	}

	switch {
	case !overlay.ValidName(h.Name):
		err = fmt.Errorf("name %.40q must be 1 to %d lower-case letters, digits and hyphens", h.Name, overlay.MaxName)
	case len(h.Description) > 256:
		err = errors.New("description is longer than 256 bytes")
	case h.Destructive:
		err = errors.New("destructive: true is refused; a custom stage sees no disk. Disks are written by the stage Storage alone")
	case script.Timeout < time.Second || script.Timeout > maxTimeout:
		err = fmt.Errorf("timeout %v must be between 1s and %v", script.Timeout, maxTimeout)
	case h.After != "" && (!slices.Contains(core.Pipeline(), script.After) || script.After.ByAppliance()):
		err = fmt.Errorf("after %.40q is no stage of the agent; they are %s", h.After, strings.Join(agentStages(), ", "))
	case len(h.Profiles) > 32 || slices.ContainsFunc(h.Profiles, func(p string) bool { return len(p) > 64 }):
		err = errors.New("profiles names more than 32, or one of more than 64 bytes")
	}

	return script, h.Needs, err
}

func agentStages() (names []string) {
	for _, name := range core.Pipeline() {
		if !name.ByAppliance() {
			names = append(names, string(name))
		}
	}

	return names
}

func (c *cli) overlayCommand() *cobra.Command {
	return group("overlay", "Keep archives that are unpacked beside the boot image: vendors' tools and custom stages",
		c.overlayAddCommand(), c.overlayListCommand(), c.overlayRemoveCommand(), c.overlayCheckCommand(),
		group("build", "Make an archive from files of this machine", c.overlayScriptCommand(), c.overlayNvidiaCommand()))
}

func (c *cli) overlayAddCommand() *cobra.Command {
	var name, sum string

	add := &cobra.Command{
		Use: "add FILE", Short: "Check an archive and put it into the data directory, in place of the one of its name", Args: exactly("FILE"),
		Long: "FILE is a newc cpio archive, plain or packed with gzip, xz or zstd, or a folder that becomes /overlay/NAME.\n" +
			"It counts at once for runs that are started from now on, where the setting Boot.overlays of their profile, class,\n" +
			"host or run names it. Run it as the appliance's user, on its machine.",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			if err := checkSum(args[0], sum); err != nil {
				return err
			}

			sealed, err := seal(args[0], name)
			if err != nil {
				return err
			}

			if err := shelf(&config).Put(sealed); err != nil {
				return err
			}

			return c.tellOverlay(&sealed.Overlay)
		},
	}
	add.Flags().StringVar(&name, "name", "", "name of the overlay (default: the one in the archive, or the folder's)")
	add.Flags().StringVar(&sum, "sha256", "", "refuse FILE unless it has this SHA-256")
	settingFlags(add, "data-dir")

	return add
}

func (c *cli) overlayCheckCommand() *cobra.Command {
	var name string

	check := &cobra.Command{
		Use: "check FILE", Short: "Say whether an archive or a folder could be added, and what is in it", Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			sealed, err := seal(args[0], name)
			if err != nil {
				return err
			}

			return c.tellOverlay(&sealed.Overlay)
		},
	}
	check.Flags().StringVar(&name, "name", "", "name of the overlay (default: the one in the archive, or the folder's)")

	return check
}

// checkSum compares a file with the sum that somebody vouches for.
func checkSum(file, want string) error {
	if want == "" {
		return nil
	}

	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}

	if got := overlay.Sum(text); got != strings.ToLower(want) {
		return fmt.Errorf("%s has the SHA-256 %s, not %s", file, got, want)
	}

	return nil
}

// seal makes an overlay of an archive or a folder.
func seal(file, name string) (overlay.Sealed, error) {
	info, err := os.Stat(file)
	if err != nil {
		return overlay.Sealed{}, fmt.Errorf("reading the archive: %w", err)
	}

	var entries []cpio.Entry

	if info.IsDir() {
		if name == "" {
			name = filepath.Base(filepath.Clean(file))
		}

		entries, err = overlay.Folder(name, file)
	} else {
		entries, err = unpackFile(file, info.Size())
	}

	if err != nil {
		return overlay.Sealed{}, fmt.Errorf("%s cannot be an overlay: %w", file, err)
	}

	sealed, err := overlay.Seal(name, entries, readHeader)
	if err != nil {
		return sealed, fmt.Errorf("%s cannot be an overlay: %w", file, err)
	}

	return sealed, nil
}

func unpackFile(file string, size int64) ([]cpio.Entry, error) {
	if size > overlay.MaxBytes {
		return nil, fmt.Errorf("it has more than %d MiB", overlay.MaxBytes>>20)
	}

	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}

	entries, err := overlay.Unpack(raw)

	// What build or add has made may be added again: its list is written anew.
	return slices.DeleteFunc(entries, func(e cpio.Entry) bool {
		return strings.Count(e.Name, "/") == 2 && path.Base(e.Name) == overlay.ManifestName && bytes.HasPrefix(e.Data, []byte(`{"version":`))
	}), err
}

func (c *cli) tellOverlay(o *core.Overlay) error {
	var text strings.Builder

	fmt.Fprintf(&text, "overlay %s: %d files, %.1f MiB unpacked, %.1f MiB to send, sha256 %s\n", o.Name, o.Files,
		float64(o.Unpacked)/(1<<20), float64(o.Bytes)/(1<<20), o.SHA256)

	for _, s := range o.Scripts {
		fmt.Fprintf(&text, "  custom stage %s: %s after %s, at most %v%s\n", s.Name, s.File, orLast(s.After), s.Timeout, only(s.Profiles))
	}

	_, err := fmt.Fprint(c.out, text.String())

	return err
}

func orLast(stage core.StageName) string {
	if stage == "" {
		return "the last stage"
	}

	return string(stage)
}

func only(profiles []string) string {
	if len(profiles) == 0 {
		return ""
	}

	return ", only with " + strings.Join(profiles, ", ")
}

// overlayRow is an overlay in the list.
type overlayRow struct {
	Name     string   `json:"name"`
	SHA256   string   `json:"sha256"`
	Bytes    int64    `json:"bytes"`
	Unpacked int64    `json:"unpacked"`
	Files    int      `json:"files"`
	Stages   []string `json:"custom_stages"`
	Used     []string `json:"profiles"` // of the configuration, that name it
}

func (c *cli) overlayListCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List the overlays of the data directory, and the profiles that name them", Args: noArgs}
	settingFlags(list, "data-dir")
	show := operator.Lister(list, c.out, "overlays", "name files unpacked bytes custom_stages profiles sha256", "name")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		config, _, err := c.load(cmd)
		if err != nil {
			return err
		}

		all, err := shelf(&config).List()
		if err != nil {
			return err
		}

		rows := make([]overlayRow, len(all))
		for i, o := range all {
			rows[i] = overlayRow{Name: o.Name, SHA256: o.SHA256, Bytes: o.Bytes, Unpacked: o.Unpacked, Files: o.Files, Stages: []string{}, Used: config.naming(o.Name)}
			for _, s := range o.Scripts {
				rows[i].Stages = append(rows[i].Stages, s.Name)
			}
		}

		return show(map[string]any{"overlays": rows})
	}

	return list
}

func (c *cli) overlayRemoveCommand() *cobra.Command {
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Forget an overlay; a run that waits to boot with it cannot boot any more", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			return shelf(&config).Remove(args[0])
		},
	}
	settingFlags(remove, "data-dir")

	return remove
}

func (c *cli) overlayScriptCommand() *cobra.Command {
	var name, out string

	build := &cobra.Command{
		Use: "script FILE…", Short: "Make an overlay of custom stages: scripts with a header, and FILE.yaml where the header stands beside one",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{fmt.Errorf("%s wants at least one FILE", cmd.CommandPath())}
			}

			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var entries []cpio.Entry

			for _, file := range args {
				e, err := overlay.Read(file)
				if err != nil {
					return fmt.Errorf("reading a custom stage: %w", err)
				}

				e.Name = path.Join(overlay.Root, name, overlay.StageDir, filepath.Base(file))
				entries = append(entries, e)
			}

			return c.writeOverlay(name, out, entries)
		},
	}
	buildFlags(build, &name, &out, "custom")

	return build
}

func buildFlags(cmd *cobra.Command, name, out *string, usual string) {
	cmd.Flags().StringVar(name, "name", usual, "name of the overlay")
	cmd.Flags().StringVarP(out, "out", "o", "", "where to write the archive (default: NAME.overlay.cpio)")
}

// writeOverlay checks what is to be an overlay and writes it as a file, to be added.
func (c *cli) writeOverlay(name, out string, entries []cpio.Entry) error {
	sealed, err := overlay.Seal(name, entries, readHeader)
	if err != nil {
		return fmt.Errorf("this cannot be an overlay: %w", err)
	}

	if out == "" {
		out = name + ".overlay.cpio"
	}

	if err := os.WriteFile(out, sealed.Archive, 0o644); err != nil { //nolint:gosec // it holds no secret
		return fmt.Errorf("writing the overlay: %w", err)
	}

	if err := c.tellOverlay(&sealed.Overlay); err != nil {
		return err
	}

	_, err = fmt.Fprintf(c.out, "written to %s; add it with: vetting overlay add %s\n", out, out)

	return err
}

// naming returns the profiles of the file that name an overlay.
func (c *Config) naming(name string) []string {
	found := []string{}

	for own, p := range c.Profiles {
		if slices.Contains(overlayNames(p.Config), name) {
			found = append(found, own)
		}
	}

	slices.Sort(found)

	return found
}

func overlayNames(config map[string]string) []string {
	return profile.Overlays(&core.Profile{Config: config})
}

func (c *cli) overlayNvidiaCommand() *cobra.Command {
	var (
		name, out, driver, kernel, cuda string
		from                            []string
	)

	build := &cobra.Command{
		Use: "nvidia", Short: "Make an overlay of NVIDIA's tools from a driver's package and from folders", Args: noArgs,
		Long: "Takes nvidia-smi, the driver's libraries and firmware from --driver, which is unpacked and not executed, and from the folders\n" +
			"of --from, which have the modules nvidia.ko and nvidia-uvm.ko made for the kernel of the boot image, and DCGM with its\n" +
			"diagnostic (nvvs) and plugins where compute is to be tested. Libraries that these are linked to are taken from there and then from this machine. It says what it did not find.",
		RunE: func(*cobra.Command, []string) error {
			if driver == "" && len(from) == 0 {
				return &usageError{errors.New("vetting overlay build nvidia wants --driver FILE.run, --from DIR or both")}
			}

			if kernel == "" {
				kernel = imageKernel()
			}

			return c.buildNvidia(name, out, driver, overlay.Driver{Dirs: from, System: overlay.SystemLibraries(), Kernel: kernel, CUDA: cuda})
		},
	}
	buildFlags(build, &name, &out, "nvidia")
	build.Flags().StringVar(&driver, "driver", "", "package of the driver (NVIDIA-Linux-x86_64-VERSION.run)")
	build.Flags().StringArrayVar(&from, "from", nil, "folder with files, all below it included; several times, the first counts")
	build.Flags().StringVar(&cuda, "cuda", "", "version of CUDA whose plugins of DCGM are taken, as 12 (default: all that there are)")
	build.Flags().StringVar(&kernel, "kernel", "", "kernel that modules must be made for (default: that of the boot image)")

	return build
}

// imageKernel is the kernel of the boot image; empty where there is no image.
func imageKernel() string {
	image, err := initramfs.Open()
	if err != nil {
		return ""
	}

	return image.KernelVersion
}

func (c *cli) buildNvidia(name, out, driver string, from overlay.Driver) error {
	if driver != "" {
		dir, err := os.MkdirTemp("", "vetting-driver-*")
		if err != nil {
			return fmt.Errorf("unpacking the driver's package: %w", err)
		}

		defer os.RemoveAll(dir)

		if err := overlay.Runfile(driver, dir); err != nil {
			return err
		}

		from.Dirs = append(from.Dirs, dir)
	}

	entries, missing, err := overlay.Nvidia(name, from)

	for _, m := range missing {
		fmt.Fprintln(c.errs, "not found:", m)
	}

	if err != nil {
		return fmt.Errorf("this makes no overlay of NVIDIA's tools: %w", err)
	}

	return c.writeOverlay(name, out, entries)
}
