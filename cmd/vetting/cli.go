package main

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/cmd/vetting/install"
	"vetting/cmd/vetting/operator"
	"vetting/core/route"
)

// cli is what the commands share: where they print and the configuration flags.
type cli struct {
	out, errs io.Writer
	file      string
}

func newRoot(out, errs io.Writer) *cobra.Command {
	c := &cli{out: out, errs: errs}
	root := &cobra.Command{
		Use:           "vetting",
		Short:         "Decide whether a bare-metal host may go into production",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}

	operator.OnlyParts(root)
	root.SetOut(out)
	root.SetErr(errs)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see: vetting help", err)}
	})
	root.PersistentFlags().StringVar(&c.file, "config", os.Getenv("VETTING_CONFIG"), "configuration file (YAML); without it, "+install.ConfigPath+" where there is one that may be read")
	root.PersistentFlags().Bool(operator.NoColour, false, "keep colours out of tables; so does NO_COLOR in the environment, and they are never in what no terminal shows")

	over := c.overAPI()
	root.AddCommand(c.serveCommand(), c.demoCommand(), c.configCommand(over), c.adminCommand(), c.tokenCommand(over), c.apiCommand(), c.holdCommand(),
		c.reloadCommand(), c.storeCommand(), c.backupCommand(), c.overlayCommand(), c.licensesCommand(), c.doctorCommand(), c.supportCommand(), c.docsCommand(), c.manCommand(), c.installCommand(), c.uninstallCommand(), c.printCommand(), c.importCommand(), c.usbCommand(), c.kitCommand(), c.netbootCommand(over))
	root.AddCommand(operator.Commands(over)...)

	return root
}

// overAPI is what the commands of package operator need.
func (c *cli) overAPI() operator.Env {
	r := &remote{}

	return operator.Env{
		Out: c.out, Errs: c.errs, Version: version(), Hold: []*cobra.Command{c.holdSSHCommand()}, Profile: []*cobra.Command{c.profileCheckCommand()},
		Baseline: []*cobra.Command{c.baselineCheckCommand()},
		Reach:    func(cmd *cobra.Command) { remoteFlags(cmd, r) },
		Connect:  func(cmd *cobra.Command) (*client.Client, error) { return c.connect(cmd, r) },
	}
}

// version tells the module version and commit that the toolchain recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}

	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return info.Main.Version + " " + s.Value[:12]
		}
	}

	return info.Main.Version
}

// settingFlags declares the flags of the settings that have one, or of those named.
func settingFlags(cmd *cobra.Command, only ...string) {
	for _, s := range settings() {
		if s.flag == "" || only != nil && !slices.Contains(only, s.flag) {
			continue
		}

		if _, boolean := s.at(&Config{}).(*bool); boolean {
			cmd.Flags().Bool(s.flag, false, s.doc)

			continue
		}

		cmd.Flags().String(s.flag, "", s.doc)
	}
}

// configFile is the file that is read: the one named, else that of an installed
// appliance where this user may read it; empty: none.
func (c *cli) configFile() string {
	if c.file == "" && readable(install.ConfigPath) {
		return install.ConfigPath
	}

	return c.file
}

// load reads the configuration with the flags given to cmd.
func (c *cli) load(cmd *cobra.Command) (Config, *source, error) {
	s := &source{file: c.configFile(), env: environ(), flags: map[string]string{}}

	for _, setting := range settings() {
		if f := cmd.Flags().Lookup(setting.flag); f != nil && f.Changed {
			s.flags[setting.flag] = f.Value.String()
		}
	}

	config, err := s.load()

	return config, s, err
}

// loadSettled reads the configuration with what was set in the console. Where that
// cannot be read, it says so and goes on without.
func (c *cli) loadSettled(cmd *cobra.Command) (Config, *source, error) {
	config, s, err := c.load(cmd)
	if err != nil {
		return config, s, err
	}

	if err := s.withSettled(cmd.Context(), &config); err != nil {
		_, _ = fmt.Fprintln(c.errs, "vetting:", withoutText(err))
	}

	return config, s, nil
}

// group is a command that only holds others.
func group(use, short string, parts ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short}
	g.AddCommand(parts...)
	operator.OnlyParts(g)

	return g
}

// oneArg accepts one argument at most.
func oneArg(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return &usageError{fmt.Errorf("unexpected argument %q", args[1])}
	}

	return nil
}

// exactly accepts as many arguments as there are names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return &usageError{fmt.Errorf("%s wants %s, got %d arguments", cmd.CommandPath(), strings.Join(names, " "), len(args))}
		}

		return nil
	}
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}

	return nil
}

func (c *cli) configCommand(over operator.Env) *cobra.Command {
	return group("config", "Write, check and show the configuration",
		&cobra.Command{
			Use: "init", Short: "Print the commented example file", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				text, err := example()
				if err == nil {
					_, err = io.WriteString(c.out, text)
				}

				return err
			},
		},
		&cobra.Command{
			Use: "check [FILE]", Short: "Read a file and name every fault with its line", Args: oneArg,
			RunE: func(cmd *cobra.Command, args []string) error {
				if len(args) == 1 {
					c.file = args[0]
				}

				config, _, err := c.load(cmd)
				if err != nil {
					return err
				}

				if err := config.checkSecrets(); err != nil {
					return err
				}

				_, err = fmt.Fprintln(c.out, "ok")

				return err
			},
		},
		&cobra.Command{
			Use: "schema", Short: "Print the JSON schema of the file, by which editors complete keys and say what they mean", Args: noArgs,
			RunE: func(*cobra.Command, []string) error {
				text, err := configSchema()
				if err == nil {
					_, err = c.out.Write(text)
				}

				return err
			},
		},
		&cobra.Command{
			Use: "path", Short: "Print which file is read; nothing where none is, and the defaults count", Args: noArgs,
			RunE: func(*cobra.Command, []string) (err error) {
				if file := c.configFile(); file != "" {
					_, err = fmt.Fprintln(c.out, file)
				}

				return err
			},
		},
		c.configShowCommand(), operator.Settings(over),
	)
}

func (c *cli) configShowCommand() *cobra.Command {
	var (
		origin bool
		list   func(any) error
	)

	show := &cobra.Command{
		Use: "show", Short: "Print every key with its value, as the file has it; with -o as a list that says where each comes from", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, s, err := c.loadSettled(cmd)
			if err != nil {
				return err
			}

			if cmd.Flags().Changed("output") {
				return list(route.SettingList{Settings: listed(&config, s.origin, nil)})
			}

			for _, setting := range settings() {
				line := setting.key + ": " + setting.value(&config)
				if origin {
					line += "  # " + s.origin[setting.key]
				}

				if _, err := fmt.Fprintln(c.out, line); err != nil {
					return err
				}
			}

			return nil
		},
	}
	list = operator.Lister(show, c.out, "settings", "key value origin at", "key")
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	settingFlags(show)

	return show
}
