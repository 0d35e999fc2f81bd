package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting/install"
	"vetting/core"
)

// installed are the flags of what install writes into a new configuration.
func installed() []string {
	return []string{"interface", "subnet", "mode", "i-own-this-network", "console-listen"}
}

func (c *cli) installCommand() *cobra.Command {
	var (
		dry, later bool
		root       string
	)

	cmd := &cobra.Command{
		Use: "install", Short: "Install the appliance on this machine as a service of systemd; doing it again changes nothing", Args: noArgs,
		Long: "Copies this program to /usr/local/bin, makes the system user vetting, writes the unit and a commented configuration, and starts it.\n" +
			"After the installation of a package only the last two are done. A configuration that is there is kept as it is. Takes root.",
		Example: "  sudo vetting install --interface eth1\n  vetting install --interface eth1 --dry-run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := install.Options{Root: root, Start: !later}

			fresh, err := c.prepare(cmd, &options)
			if err != nil {
				return err
			}

			steps, err := install.Plan(options)
			if err != nil {
				return err
			}

			if err := c.carryOut(cmd.Context(), steps, dry); err != nil || dry || root != "" || later {
				return err
			}

			return c.greetInstalled(cmd.Context(), fresh)
		},
	}
	settingFlags(cmd, installed()...)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&later, "no-start", false, "install, but start nothing")
	cmd.Flags().StringVar(&root, "root", "", "install below this folder instead, as for an image of a system; starts nothing")

	return cmd
}

// prepare fills in what is installed. fresh: there is no configuration yet.
func (c *cli) prepare(cmd *cobra.Command, o *install.Options) (fresh bool, err error) {
	if o.Program, err = os.Executable(); err != nil {
		return false, fmt.Errorf("looking for this program: %w", err)
	}

	o.Manual = manPages(cmd.Root())
	given := &source{flags: map[string]string{}}

	for _, name := range installed() {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			given.flags[name] = f.Value.String()
		}
	}

	path := filepath.Join(o.Root, install.ConfigPath)

	switch _, err := os.Stat(path); {
	case err == nil:
		return false, contradiction(path, given.flags)
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("looking at the configuration: %w", err)
	}

	config, err := given.load()
	if err != nil {
		return true, err
	}

	if config.Netboot.Interface == "" {
		return true, &usageError{errors.New("netboot.interface: name the dedicated test NIC with --interface; the cards are listed by: ip -br link")}
	}

	o.Config, err = exampleOf(&config)

	return true, err
}

// contradiction refuses flags that say something else than the configuration that is
// there, which belongs to the operator.
func contradiction(path string, flags map[string]string) error {
	plain, as := source{file: path}, source{file: path, flags: flags}

	have, err := plain.load()
	if err != nil {
		return err
	}

	want, err := as.load()
	if err != nil {
		return err
	}

	for _, s := range settings() {
		if was, is := s.value(&have), s.value(&want); was != is {
			return &usageError{fmt.Errorf("%s is there already and says %s: %s; change it there, then: systemctl restart vetting", path, s.key, was)}
		}
	}

	return nil
}

// carryOut does the steps and says each.
func (c *cli) carryOut(ctx context.Context, steps []install.Step, dry bool) error {
	if len(steps) == 0 {
		fmt.Fprintln(c.out, "nothing to do")
	}

	for _, step := range steps {
		fmt.Fprintln(c.out, step.What)

		if dry {
			continue
		}

		err := step.Do(ctx)
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w; this takes root: sudo vetting …", err)
		}

		if err != nil {
			return err
		}
	}

	return nil
}

// greetInstalled tells how people get in.
func (c *cli) greetInstalled(ctx context.Context, fresh bool) error {
	config, err := (&source{file: install.ConfigPath}).load()
	if err != nil {
		return err
	}

	fmt.Fprintf(c.out, "console: %s\n", consoleURL(&config))

	link, err := askControl(ctx, config.DataDir, controlRequest{})

	switch {
	case errors.Is(err, core.ErrNotFound):
		fmt.Fprintln(c.out, "it does not answer yet; see: systemctl status vetting")
	case err != nil:
		return err
	case fresh:
		fmt.Fprintf(c.out, "set the admin password here (once, 30 min): %s\n", link)
	default:
		fmt.Fprintln(c.out, "a link that sets a password is printed by: sudo vetting admin link")
	}

	return nil
}

func (c *cli) uninstallCommand() *cobra.Command {
	var (
		dry  bool
		root string
	)

	cmd := &cobra.Command{
		Use: "uninstall", Short: "Stop the appliance and remove what install has put there; data and configuration stay", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			steps, err := install.Removal(install.Options{Root: root})
			if err != nil {
				return err
			}

			if err := c.carryOut(cmd.Context(), steps, dry); err != nil {
				return err
			}

			fmt.Fprintf(c.out, "kept: /var/lib/vetting (the data), %s, and the user %s that they belong to\n", install.ConfigPath, install.Account)

			return nil
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	cmd.Flags().StringVar(&root, "root", "", "remove it below this folder instead")

	return cmd
}
