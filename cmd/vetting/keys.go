package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vetting/cmd/vetting/operator"
	"vetting/core"
	"vetting/core/route"
	"vetting/store"
	"vetting/ui"
	"vetting/ui/account"
)

// offline makes keys while no appliance runs, in the ledger itself.
type offline struct {
	book    *account.Book
	console string
}

// SetupLink makes a one-time link to set a password; see ui.
func (o offline) SetupLink(ctx context.Context) (string, error) {
	secret, err := o.book.NewLink(ctx)
	if err != nil {
		return "", err
	}

	return ui.SetupURL(o.console, secret), nil
}

// CreateToken makes an API token.
func (o offline) CreateToken(ctx context.Context, name, scope string, life time.Duration) (string, error) {
	parsed, err := route.ParseScope(scope)
	if err != nil {
		return "", err
	}

	secret, _, err := o.book.CreateToken(ctx, account.AtTerminal(), name, parsed, life)

	return secret, err
}

// ResetTOTP takes the second factor of a user away.
func (o offline) ResetTOTP(ctx context.Context, name string) error {
	_, err := o.book.ResetTOTP(ctx, "terminal", name)

	return err
}

// CreateAdmin makes an administrator with a password.
func (o offline) CreateAdmin(ctx context.Context, name, password string) error {
	return o.book.CreateAdmin(ctx, name, password)
}

// ResetPassword gives a user another password.
func (o offline) ResetPassword(ctx context.Context, name, password string) error {
	return o.book.ResetPassword(ctx, name, password)
}

// Backup is made of the ledger itself where no appliance runs; see takeBackup.
func (offline) Backup(context.Context, io.Writer, bool) error {
	return errors.New("making a backup: no appliance runs on this data directory")
}

// Settings are read from the ledger itself where no appliance runs; see settledOf.
func (offline) Settings(context.Context) (string, error) {
	return "", errors.New("reading what was set in the console: no appliance runs on this data directory")
}

// Controllers are asked by an appliance that runs alone; see checkup.controllers.
func (offline) Controllers(context.Context) (string, error) {
	return "", errors.New("asking management controllers: no appliance runs on this data directory")
}

// Reload has nobody to tell.
func (offline) Reload(context.Context) (string, error) {
	return "", errors.New("reloading the configuration: no appliance runs on this data directory")
}

// key asks the running appliance, or opens the ledger when none runs.
func key(ctx context.Context, config Config, ask controlRequest) (value string, err error) {
	value, err = askControl(ctx, config.DataDir, ask)
	if !errors.Is(err, core.ErrNotFound) {
		return value, err
	}

	if err := standInFor(config.DataDir); err != nil {
		return "", err
	}

	ledger, err := store.Open(ctx, store.Config{Dir: filepath.Join(config.DataDir, ledgerDir)})
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, ledger.Close()) }()

	book := account.New(account.Config{Ledger: ledger, Now: time.Now, Rand: rand.Reader})

	return obey(ctx, offline{book, consoleURL(&config)}, ask)
}

// consoleURL is how people will reach the console that does not run yet.
func consoleURL(c *Config) string {
	return cmp.Or(c.Console.base(c.Netboot.Interface), c.Console.scheme()+c.Console.Listen)
}

func (c *cli) keyCommand(use, short string, ask *controlRequest) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			value, err := key(cmd.Context(), config, *ask)
			if err == nil {
				_, err = fmt.Fprintln(c.out, value)
			}

			return err
		},
	}
	settingFlags(cmd)

	return cmd
}

func (c *cli) adminCommand() *cobra.Command {
	link := c.keyCommand("link", "Print a one-time link that sets the password of the first user, or resets that of any", &controlRequest{})

	reset := &controlRequest{}
	factor := c.keyCommand("reset-totp NAME", "Take the second factor of a user away, who has lost it", reset)
	factor.Args = exactly("NAME")
	ask := factor.RunE
	factor.RunE = func(cmd *cobra.Command, args []string) error {
		reset.ResetTOTP = args[0]

		return ask(cmd, args)
	}

	create := c.passwordCommand("create NAME", "Make an administrator who signs in with a password", func(ask *controlRequest, name string) { ask.Admin = name })
	password := c.passwordCommand("reset-password NAME", "Set the password of a user anew; their sessions end, role and second factor stay",
		func(ask *controlRequest, name string) { ask.Reset = name })

	return group("admin", "Let people into the console", link, create, password, factor)
}

func (c *cli) tokenCommand(over operator.Env) *cobra.Command {
	ask := &controlRequest{}
	create := c.keyCommand("create", "Make an API token and print it once", ask)
	create.Flags().StringVar(&ask.Name, "name", "command line", "what the token is for")
	create.Flags().StringVar(&ask.Scope, "scope", string(route.Read), "read, operate or admin")
	create.Flags().Var((*seconds)(&ask.Life), "ttl", "how long it is good for, such as 12h or 30d (default until it is revoked)")

	return group("token", "Let programs into the API", append(operator.Tokens(over), create)...)
}

// seconds is a flag that takes a time of a second or more.
type seconds int64

// Set reads "12h" or "30d".
func (s *seconds) Set(text string) error {
	d, err := ParseDuration(text)
	if err == nil && time.Duration(d) < time.Second {
		err = fmt.Errorf("%q is under a second", text)
	}

	*s = seconds(time.Duration(d) / time.Second)

	return err
}

// String is what stands in the place of a default: none.
func (s *seconds) String() string { return "" }

// Type is what the help calls the value.
func (s *seconds) Type() string { return "duration" }
