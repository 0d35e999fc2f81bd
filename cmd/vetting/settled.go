package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/spf13/cobra"

	"vetting/core"
	"vetting/store"
)

// settable reports whether the console may set a key. It may not set what it is reached
// by, who comes in, where the ledger lies in which it keeps what it sets, and secrets.
func settable(key string) bool {
	if strings.HasPrefix(key, "oidc.") {
		return false
	}

	switch key {
	case "version", "data_dir", "log.format", "console.listen", "host_api.enrol_key":
		return false
	default:
		return true
	}
}

// consoleOrigin is the origin of what was set in the console.
const consoleOrigin = "console"

// settle puts what was set in the console over the defaults. What this program does not
// know, as after a step back to an older one, is left alone.
func (s *source) settle(config *Config) error {
	var faults []error

	for _, setting := range settings() {
		text, ok := s.settled.Values[setting.key]
		if !ok || !settable(setting.key) {
			continue
		}

		s.origin[setting.key] = consoleOrigin

		if fault := sift([]byte(text)); fault != nil { // it came over the network
			faults = append(faults, fmt.Errorf("set in the console: %s: %w", setting.key, fault))
		} else if err := setting.set(config, text); err != nil {
			faults = append(faults, fmt.Errorf("set in the console: %w", err))
		}
	}

	return errors.Join(faults...)
}

// settleNotifiers adds the notifiers that were set up in the console, with what they are
// told. One of the same name in the file counts in their place.
func (s *source) settleNotifiers(config *Config) {
	s.lost = nil

	for _, name := range slices.Sorted(maps.Keys(s.settled.Notifiers)) {
		if _, ok := config.Notifiers[name]; ok {
			continue
		}

		told := s.settled.Notifiers[name]
		n := NotifierConfig{Type: told.Kind, Topic: told.Topic, Server: told.Server, TLS: told.TLS, User: told.User, From: told.From, To: told.To}

		if !n.keep(config.DataDir, name, &told) {
			s.lost = append(s.lost, name)

			continue
		}

		if config.Notifiers == nil {
			config.Notifiers = map[string]NotifierConfig{}
		}

		config.Notifiers[name] = n
		config.Routes = append(config.Routes, RouteConfig{Events: told.Events, Severities: told.Severities, To: []string{name}})
	}
}

// keep says where the secrets of a notifier lie; false: one of them is not there, as after
// the restore of a backup without keys.
func (n *NotifierConfig) keep(dir, name string, told *core.Told) bool {
	for _, key := range told.Secrets {
		at := n.secret(key)
		if at == nil {
			continue
		}

		*at = Secret{file: notifierSecret(dir, name, told.Version, key)}
		if _, err := os.Stat(at.file); errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}

	return true
}

// secret is where a notifier keeps one of its secrets; nil: it has none of that name.
func (n *NotifierConfig) secret(key string) *Secret {
	switch key {
	case "url":
		return &n.URL
	case "token":
		return &n.Token
	case "secret":
		return &n.Secret
	case "password":
		return &n.Password
	default:
		return nil
	}
}

// notifierSecret is the file of a secret that was typed in the console. Each time that a
// notifier is typed its secrets have another version and files of their own: which ones
// count is decided by the ledger alone, whenever the appliance is killed.
func notifierSecret(dir, name, version, key string) string {
	if version != "" {
		name += "." + version
	}

	path, err := filepath.Abs(filepath.Join(dir, secretDir, "notifier-"+name+"-"+key))
	if err != nil {
		return filepath.Join(dir, secretDir, "notifier-"+name+"-"+key)
	}

	return path
}

// sweepSecrets removes the files of secrets that no notifier of the ledger has: of those
// that were removed or typed anew, and of a change that a kill kept from being made.
func sweepSecrets(dir string, settled *core.Settings) error {
	kept := map[string]bool{}

	for name, told := range settled.Notifiers {
		for _, key := range told.Secrets {
			kept[filepath.Base(notifierSecret(dir, name, told.Version, key))] = true
		}
	}

	entries, err := os.ReadDir(filepath.Join(dir, secretDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listing the secrets: %w", err)
	}

	var failed error

	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "notifier-") && !kept[e.Name()] {
			failed = errors.Join(failed, removed(filepath.Join(dir, secretDir, e.Name())))
		}
	}

	return failed
}

// secretDir is the folder of the data directory with the secrets that were typed in the
// console. They are no part of the ledger.
const secretDir = "secrets"

// keyLines says on which line of a YAML text each key stands, by its path.
func keyLines(text []byte) map[string]int {
	lines := map[string]int{}

	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return lines
	}

	for _, document := range file.Docs {
		linesOf(document.Body, "", lines)
	}

	return lines
}

func linesOf(node ast.Node, group string, lines map[string]int) {
	switch node := node.(type) {
	case *ast.MappingNode:
		for _, value := range node.Values {
			linesOf(value, group, lines)
		}
	case *ast.MappingValueNode:
		var key string
		if yaml.NodeToValue(node.Key, &key) != nil {
			return
		}

		lines[group+key] = node.Key.GetToken().Position.Line
		linesOf(node.Value, group+key+".", lines)
	}
}

// readSettled reads what was set in the console.
func readSettled(ctx context.Context, ledger core.Ledger) (all core.Settings, err error) {
	err = ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableSetting, core.SettingsKey, &all) })
	if errors.Is(err, core.ErrNotFound) {
		err = nil
	}

	return all, err
}

// settledOf reads what was set in the console for a command: from the appliance that runs,
// or from its ledger where none does. Without a ledger nothing was set.
func settledOf(ctx context.Context, dir string) (all core.Settings, err error) {
	said, err := askControl(ctx, dir, controlRequest{Settings: true})
	if err == nil {
		if err := json.Unmarshal([]byte(said), &all); err != nil {
			return all, fmt.Errorf("reading the appliance's answer: %w", err)
		}

		return all, nil
	}

	if !errors.Is(err, core.ErrNotFound) {
		return all, err
	}

	ledgerAt := filepath.Join(dir, ledgerDir)
	if _, err := os.Stat(ledgerAt); errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}

	// By a process of its own, which damage of the ledger may end; see examine.
	err = asOwner(dir, func() error {
		out, errs, _, err := runChild(ctx, "/proc/self/exe", []string{"vetting", "store", "settled", ledgerAt})
		if err == nil && json.Unmarshal(out, &all) != nil {
			err = errors.New(firstLine(strings.TrimPrefix(string(errs), "vetting: ")))
		}

		return err
	})

	return all, err
}

// settledCommand is what settledOf starts.
func (c *cli) settledCommand() *cobra.Command {
	return &cobra.Command{
		Use: "settled DIR", Short: "Say as JSON what was set in the console, by its ledger", Hidden: true, Args: exactly("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ledger, err := store.Open(cmd.Context(), store.Config{Dir: args[0]})
			if err != nil {
				return err
			}

			all, err := readSettled(cmd.Context(), ledger)
			if err = errors.Join(err, ledger.Close()); err != nil {
				return err
			}

			return json.NewEncoder(c.out).Encode(all)
		},
	}
}

// withSettled adds to a configuration what was set in the console. Where that cannot be
// read, the configuration is as it was, and the error says why.
func (s *source) withSettled(ctx context.Context, config *Config) error {
	settled, err := settledOf(ctx, config.DataDir)
	if err != nil {
		return fmt.Errorf("what was set in the console is not known: %w", err)
	}

	again := *s
	again.settled = settled

	fresh, err := again.load()
	if err != nil {
		return err
	}

	*config, *s = fresh, again

	return nil
}

// takeSettled puts what was set in the console into the configuration, at the start. What
// does not fit with the rest, as when the file was changed meanwhile, keeps nobody out of
// the console: then it counts for nothing, no machine is answered, and nothing is removed.
func (a *appliance) takeSettled(ctx context.Context) error {
	if a.source == nil {
		return nil
	}

	settled, err := readSettled(ctx, a.store)
	if err != nil {
		return err
	}

	if err := sweepSecrets(a.config.DataDir, &settled); err != nil {
		a.log.Warn("secrets that open nothing any more could not be removed", slog.String("error", err.Error()))
	}

	again := *a.source
	again.settled = settled

	fresh, err := again.load()
	if err == nil {
		_, err = fresh.notifications("")
	}

	if err != nil {
		a.unsettle(&fresh, withoutText(err))

		return nil
	}

	*a.source = again
	a.config = fresh

	if len(again.lost) > 0 {
		a.warnings.warn("lost", core.Critical, "Nobody is told by "+strings.Join(again.lost, ", ")+
			": the secrets that were typed here are not in the data directory, as after the restore of a backup without keys. Set them up again under Notifications.")
	}

	a.live.set(&fresh, again.origin, nil)

	level, err := fresh.logLevel()
	if err == nil {
		a.level.Set(level)
	}

	return err
}

// unsettle goes on without what was set in the console. How long things are to be kept may
// have been part of it, so all of them are. Machines still hang on the test NIC that was to
// be served, by unfit, and do not reach the console.
func (a *appliance) unsettle(unfit *Config, fault string) {
	a.log.Error("what was set in the console cannot be used; the boot services stay off and nothing is removed", slog.String("error", fault))
	a.warnings.warn("settings", core.Critical, "What was set here in the console does not fit with the file, the environment or the flags, "+
		"so none of it counts and no machine is answered; logs, files, samples, deleted hosts and backups are all kept until it is mended. "+fault)

	a.dropped.card, a.config.Netboot.Interface = cmp.Or(unfit.Netboot.Interface, a.config.Netboot.Interface), ""
	if own, err := netip.ParsePrefix(cmp.Or(unfit.Netboot.Subnet, a.config.Netboot.Subnet)); err == nil {
		a.dropped.own = own
	}

	a.config.Retention.Artifacts, a.config.Retention.Logs, a.config.Retention.Failed, a.config.Retention.Downsample = 0, 0, 0, 0
	a.config.Hosts.Trash, a.config.Backup.Keep = longest, allBackups

	a.live.set(&a.config, a.source.origin, nil)
}

// How long deleted hosts are kept, and how many backups, where it is not known how it was
// set: a century, and more than a folder will ever hold.
const (
	longest    = Duration(36500 * 24 * time.Hour)
	allBackups = 1 << 20
)

// fromConsole reports whether a key was set in the console.
func (a *appliance) fromConsole(key string) bool {
	return a.source != nil && a.source.origin[key] == consoleOrigin
}

// settledText tells what was set in the console, as JSON.
func (a *appliance) settledText(ctx context.Context) (string, error) {
	all, err := readSettled(ctx, a.store)
	if err != nil {
		return "", err
	}

	text, err := json.Marshal(all)

	return string(text), err
}

// splitOrigin splits an origin such as "file /etc/vetting.yaml:3" into its word and where that is.
func splitOrigin(origin string) (word, at string) {
	word, at, _ = strings.Cut(origin, " ")
	if word == "env" {
		word = "environment"
	}

	return word, at
}
