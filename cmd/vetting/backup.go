package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/store"
	"vetting/store/backup"
)

// BackupConfig says where backups are put by themselves, how often, and how many are kept.
type BackupConfig struct {
	Dir      string   `yaml:"dir"`
	Interval Duration `yaml:"interval"`
	Keep     int      `yaml:"keep"`
	Keys     bool     `yaml:"keys"`
}

func (b BackupConfig) validate() error {
	var faults []error

	if b.Dir != "" && !filepath.IsAbs(b.Dir) {
		faults = append(faults, fmt.Errorf("backup.dir: %q is no absolute path", b.Dir))
	}

	if time.Duration(b.Interval) < time.Minute {
		faults = append(faults, fmt.Errorf("backup.interval: %s is under a minute", b.Interval))
	}

	if b.Keep < 1 {
		faults = append(faults, fmt.Errorf("backup.keep: %d is not at least 1", b.Keep))
	}

	return errors.Join(faults...)
}

// keyFiles are the files of the data directory that open something. With them another
// machine is this appliance to agents under way and to browsers.
func keyFiles() []string {
	return []string{gateKey + ".crt", gateKey + ".key", consoleKey + ".crt", consoleKey + ".key", holdSecret, tokenSecret, totpSecret, reportSecret, ownCert, ownKey}
}

// backedUp is what a backup is made of.
func backedUp(ctx context.Context, ledger *store.Store, dir string, keys bool, now time.Time) (backup.Source, error) {
	id, err := identify(ctx, ledger)
	if err != nil && !errors.Is(err, core.ErrFull) {
		return backup.Source{}, err
	}

	s := backup.Source{
		Manifest: backup.Manifest{Made: now.UTC().Truncate(time.Second), Program: version(), Appliance: id, Keys: keys},
		Ledger:   ledger, Dir: dir, Folders: []string{logDir, artifactDir, overlayDir},
	}

	if keys {
		s.Files, s.Folders = keyFiles(), append(s.Folders, secretDir)
	}

	return s, nil
}

// writeBackup writes a backup of the running appliance and puts it into the audit trail.
func (a *appliance) writeBackup(ctx context.Context, w io.Writer, keys bool, who string) error {
	source, err := backedUp(ctx, a.store, a.config.DataDir, keys, time.Now())
	if err != nil {
		return err
	}

	text := "made a backup, without keys"
	if keys {
		text = "made a backup, with the keys of the appliance"
	}

	// Before it, so that whoever takes it away stands in it, too. A full disk must not
	// keep anybody from saving what is on it.
	_, err = a.store.Update(ctx, func(txn core.Txn) error {
		return core.WriteAudit(txn, core.Audit{Time: source.Manifest.Made, Who: who, Action: "backup.create", Object: "ledger", Text: text})
	})
	if err != nil && !errors.Is(err, core.ErrFull) {
		return err
	}

	_, err = backup.Write(ctx, w, source)

	return err
}

func (c *cli) backupCommand() *cobra.Command {
	var keys bool

	create := &cobra.Command{
		Use: "create FILE", Short: "Back up all that the appliance must not forget, while it runs or while it does not", Args: exactly("FILE"),
		Long: "Ledger, logs, artifacts and overlays as of one moment; what is written meanwhile is not delayed. FILE - is standard output.\n" +
			"The file is read again before it gets its name. It holds the passwords of BMCs, which are in the ledger: keep it as you keep them.\n" +
			"Without --with-keys the key pairs and secrets of the appliance are not in it: another machine that it is restored on makes new ones,\n" +
			"browsers ask again, and hosts that are under test at that moment must boot anew.",
		Example: "  sudo vetting backup create /var/backups/vetting.backup --with-keys",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			write := func(w io.Writer) error { return takeBackup(cmd.Context(), &config, keys, w) }

			if args[0] == "-" {
				return write(c.out)
			}

			s, err := keepBackup(cmd.Context(), args[0], write)
			if err != nil {
				return err
			}

			return c.tellBackup(args[0], &s)
		},
	}
	settingFlags(create)
	create.Flags().BoolVar(&keys, "with-keys", false, "with the key pairs and secrets of the appliance, so that another machine can take its place at once")

	return group("backup", "Back the appliance up, and make it anew from a backup", create, c.backupVerifyCommand(), c.backupRestoreCommand())
}

func (c *cli) tellBackup(name string, s *backup.Summary) error {
	keys := "without keys"
	if s.Keys {
		keys = "with keys"
	}

	_, err := fmt.Fprintf(c.out, "%s: whole; of %s, %s, %d files, %.1f MiB, %s\n",
		name, s.Made.Format(time.RFC3339), &s.Ledger, s.Files, float64(s.Bytes)/(1<<20), keys)

	return err
}

func (c *cli) backupVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Read a backup from end to end and prove it whole, or name the damage", Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("opening the backup: %w", err)
			}

			s, err := backup.Verify(cmd.Context(), file)
			if err = errors.Join(err, file.Close()); err != nil {
				return err
			}

			return c.tellBackup(args[0], &s)
		},
	}
}

func (c *cli) backupRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup, whole or not at all, where there is none yet", Args: exactly("FILE"),
		Long: "The ledger is proved before it gets its place; one of an older program is brought up to date, one of a newer program is refused.\n" +
			"Nothing is written over data that is there. Start the appliance afterwards.",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, _, err := c.load(cmd)
			if err != nil {
				return err
			}

			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("opening the backup: %w", err)
			}

			s, err := restoreBackup(cmd.Context(), file, config.DataDir)
			if err = errors.Join(err, file.Close()); err != nil {
				return err
			}

			if err := c.tellBackup(args[0], &s); err != nil {
				return err
			}

			_, err = fmt.Fprintf(c.out, "restored into %s; start the appliance\n", config.DataDir)

			return err
		},
	}
	settingFlags(cmd)

	return cmd
}

// restoreBackup restores into a data directory, as its owner.
func restoreBackup(ctx context.Context, from io.Reader, dir string) (s backup.Summary, err error) {
	if runsOn(ctx, dir) {
		return s, core.NewProblem(core.ErrConflict, "backup/data-in-the-way", "An appliance runs on "+dir+". Stop it and move its data directory away.")
	}

	if err := standInFor(dir); err != nil {
		return s, err
	}

	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, fmt.Errorf("making the data directory: %w", err)
	}

	return backup.Restore(ctx, from, dir, ledgerDir)
}

// takeBackup has the running appliance write a backup, or opens the ledger when none
// runs.
func takeBackup(ctx context.Context, config *Config, keys bool, w io.Writer) error {
	err := askBackup(ctx, config.DataDir, keys, w)
	if !errors.Is(err, core.ErrNotFound) {
		return err
	}

	ledgerAt := filepath.Join(config.DataDir, ledgerDir)
	if _, err := os.Stat(ledgerAt); errors.Is(err, fs.ErrNotExist) {
		return core.NewProblem(core.ErrNotFound, "backup/nothing", "There is no ledger in "+ledgerAt+", so there is nothing to back up.")
	}

	// Only for that: the file that it is written to is root's own, where root asks.
	return asOwner(config.DataDir, func() error { return backUpStopped(ctx, config.DataDir, keys, w) })
}

// backUpStopped backs up a data directory that no appliance uses.
func backUpStopped(ctx context.Context, dir string, keys bool, w io.Writer) (err error) {
	ledger, err := store.Open(ctx, store.Config{Dir: filepath.Join(dir, ledgerDir)})
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, ledger.Close()) }()

	source, err := backedUp(ctx, ledger, dir, keys, time.Now())
	if err != nil {
		return err
	}

	_, err = backup.Write(ctx, w, source)

	return err
}

// askBackup copies a backup from the control socket. ErrNotFound: no appliance runs.
func askBackup(ctx context.Context, dir string, keys bool, w io.Writer) error {
	path := filepath.Join(dir, controlSocket)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}

	at := "http://control/backup"
	if keys {
		at += "?keys"
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at, http.NoBody)
	if err != nil {
		return fmt.Errorf("writing the request: %w", err)
	}

	answer, err := client.Do(request)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: no appliance answers at %s", core.ErrNotFound, path)
	}

	if err != nil {
		return fmt.Errorf("the appliance broke off, its log says why: %w", err)
	}

	if answer.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("the appliance writes no backup: %s", answer.Status), answer.Body.Close())
	}

	// What the appliance could not write to the end is cut off, and no backup.
	_, err = io.Copy(w, answer.Body)

	return errors.Join(err, answer.Body.Close())
}
