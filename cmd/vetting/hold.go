package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// The way of an operator to a held host leads through the appliance, since the
// test network is not routed: ssh runs "vetting hold proxy" as its ProxyCommand.

// openFor is how long a tunnel may take to open.
const openFor = 20 * time.Second

func (c *cli) holdCommand() *cobra.Command {
	ssh, release := c.holdSSHCommand(), c.holdReleaseCommand()
	ssh.Hidden, release.Hidden = true, true // now: vetting run hold ssh and release

	return group("hold", "Reach the SSH server of a held host; see also: vetting run hold", c.holdProxyCommand(), ssh, release)
}

func (c *cli) holdProxyCommand() *cobra.Command {
	r := &remote{}
	cmd := &cobra.Command{
		Use: "proxy RUN", Short: "Carry standard input and output to the SSH server of a held host; for ssh -o ProxyCommand", Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect(cmd, r)
			if err != nil {
				return err
			}

			ctx, cancel := context.WithTimeout(cmd.Context(), openFor)
			tunnel, err := api.HoldTunnel(ctx, args[0])

			cancel()

			if err != nil {
				return err
			}

			return carry(cmd.Context(), tunnel, cmd.InOrStdin(), c.out)
		},
	}
	remoteFlags(cmd, r)

	return cmd
}

// carry copies between a tunnel and this process until the host closes it, or
// ctx ends. What is typed into a tunnel that has closed is lost.
func carry(ctx context.Context, tunnel *client.Tunnel, in io.Reader, out io.Writer) error {
	stop := context.AfterFunc(ctx, func() { _ = tunnel.Close() })
	defer stop()

	go func() {
		if _, err := io.Copy(tunnel, in); err != nil || tunnel.CloseWrite() != nil {
			_ = tunnel.Close() // it cannot tell that nothing more comes
		}
	}()

	_, err := io.Copy(out, tunnel)
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}

	if err != nil {
		err = fmt.Errorf("carrying the tunnel: %w", err)
	}

	return errors.Join(err, tunnel.Close())
}

func (c *cli) holdReleaseCommand() *cobra.Command {
	r := &remote{}
	cmd := &cobra.Command{
		Use: "release RUN", Short: "End the hold of a failed host", Args: exactly("RUN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.connect(cmd, r)
			if err != nil {
				return err
			}

			return c.print(cmd, api, client.Request{Route: "runs.release", Params: args})
		},
	}
	remoteFlags(cmd, r)

	return cmd
}

func (c *cli) holdSSHCommand() *cobra.Command {
	r := &remote{}

	var (
		key   string
		renew bool
	)

	cmd := &cobra.Command{
		Use: "ssh RUN [COMMAND…]", Short: "Open a shell in a held host, with its key, which is handed out once and kept here",
		Long: "Takes the key of the hold where nobody has yet, keeps it below $XDG_STATE_HOME/vetting (~/.local/state/vetting), and becomes ssh.\n" +
			"Where somebody else took the key, name the copy of it with --key.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{errors.New("which run? see: vetting run hold ssh --help")}
			}

			api, err := c.connect(cmd, r)
			if err != nil {
				return err
			}

			if renew {
				if err := renewKey(cmd.Context(), api, core.RunID(args[0])); err != nil {
					return err
				}
			}

			door, err := openDoor(cmd.Context(), api, core.RunID(args[0]), key)
			if err != nil {
				return err
			}

			return door.ssh(r, args[1:])
		},
	}
	remoteFlags(cmd, r)
	cmd.Flags().StringVar(&key, "key", "", "file with the key, where it was taken elsewhere")
	cmd.Flags().BoolVar(&renew, "renew", false, "have a new key made first; the one before opens nothing any more, half a minute later")
	cmd.Flags().SetInterspersed(false) // what follows the run is the host's

	return cmd
}

// door is what ssh needs to get into a held host. The host key is known under an
// alias, so that no trust on first use is needed.
type door struct {
	run             core.RunID
	addr, alias     string
	key, knownHosts string // files
}

// renewKey has a new key made for a hold, keeps it where openDoor looks for it, and waits
// until the host has asked which keys count.
func renewKey(ctx context.Context, api *client.Client, run core.RunID) error {
	var made core.HoldKey
	if err := api.Call(ctx, client.Request{Route: "runs.renew-hold-key", Params: []string{string(run)}}, &made); err != nil {
		return err
	}

	dir, err := stateDir()
	if err != nil {
		return err
	}

	var held route.Run
	if err := api.Call(ctx, client.Request{Route: "runs.get", Params: []string{string(run)}}, &held); err != nil {
		return err
	}

	if held.Hold == nil {
		return fmt.Errorf("the hold of run %s ended meanwhile", run)
	}

	if err := writeSecret(keyFile(dir, &held), []byte(made.PrivateKey)); err != nil {
		return err
	}

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(heedsKeys):
		return nil
	}
}

// heedsKeys is how long it takes a held host to ask which keys count, at most.
const heedsKeys = 35 * time.Second

// keyFile is where the key of a hold is kept; a stage that is run again makes another one.
func keyFile(dir string, held *route.Run) string {
	return filepath.Join(dir, "vetting-"+strings.ToLower(string(held.ID))+"-"+sum([]byte(held.Hold.PublicKey))[:12]+".key")
}

// openDoor finds or takes the key of a hold. file names a copy of it; empty:
// there is none but perhaps the one that was kept here.
func openDoor(ctx context.Context, api *client.Client, run core.RunID, file string) (door, error) {
	dir, err := stateDir()
	if err != nil {
		return door{}, err
	}

	var held route.Run
	if err := api.Call(ctx, client.Request{Route: "runs.get", Params: []string{string(run)}}, &held); err != nil {
		return door{}, err
	}

	if held.Hold == nil {
		return door{}, fmt.Errorf("run %s is in %s, and its host has not opened its SSH server", run, held.State)
	}

	alias := "vetting-" + strings.ToLower(string(held.ID))
	d := door{run: held.ID, addr: held.Hold.Addr.String(), alias: alias, key: file, knownHosts: filepath.Join(dir, alias+".known_hosts")}

	if d.key == "" {
		d.key = keyFile(dir, &held)
	}

	if err := writeSecret(d.knownHosts, []byte(alias+" "+held.Hold.HostKey+"\n")); err != nil {
		return door{}, err
	}

	if file != "" || readable(d.key) {
		return d, nil
	}

	var taken core.HoldKey
	if err := api.Call(ctx, client.Request{Route: "runs.hold-key", Params: []string{string(run)}}, &taken); err != nil {
		return door{}, err
	}

	return d, writeSecret(d.key, []byte(taken.PrivateKey))
}

// stateDir is where the keys of holds are kept, for the user alone.
func stateDir() (string, error) {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("looking for a place for the key: %w", err)
		}

		dir = filepath.Join(home, ".local", "state")
	}

	dir = filepath.Join(dir, "vetting")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a place for the key: %w", err)
	}

	return dir, nil
}

// ssh turns this process into ssh. It returns only when that fails.
func (d door) ssh(r *remote, command []string) error {
	program, err := lookPath("ssh")
	if err != nil {
		return err
	}

	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("looking for this program: %w", err)
	}

	args := append([]string{
		"ssh", "-i", d.key, "-o", "IdentitiesOnly=yes", "-o", "HostKeyAlias=" + d.alias, "-o", "UserKnownHostsFile=" + d.knownHosts,
		"-o", "StrictHostKeyChecking=yes", "-o", "ProxyCommand=" + quote(self) + " hold proxy " + quote(string(d.run)), "root@" + d.addr,
	}, command...)

	// The proxy finds the appliance by the environment: a token among the arguments
	// would be seen by all.
	for name, value := range map[string]string{"VETTING_SERVER": r.server, "VETTING_TOKEN": r.token, "VETTING_CERT": r.cert} {
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("telling the proxy of the appliance: %w", err)
		}
	}

	return fmt.Errorf("starting ssh: %w", unix.Exec(program, args, os.Environ()))
}

// quote writes a word for the shell that runs a ProxyCommand, in which ssh takes
// a percent sign for its own.
func quote(word string) string {
	return strings.ReplaceAll("'"+strings.ReplaceAll(word, "'", `'\''`)+"'", "%", "%%")
}

// lookPath finds a program to become.
func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}

	return "", fmt.Errorf("there is no %s here; install the OpenSSH client", name)
}
