package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	ossignal "os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"vetting/core"
	"vetting/core/profile"
	"vetting/core/retention"
	"vetting/core/route"
)

// reloadables are the keys, and groups of keys, that count at once when the file is
// read again. All others wait for a restart.
func reloadables() []string {
	return []string{"log.level", "profiles", "run.profile", "notifiers", "routes", "retention", "janitor"}
}

func reloadable(key string) bool {
	return slices.ContainsFunc(reloadables(), func(known string) bool {
		return key == known || strings.HasPrefix(key, known+".")
	})
}

// live is the configuration in force. Safe for concurrent use.
type live struct {
	mu      sync.Mutex // guards all below
	config  Config
	origin  map[string]string // by key, as source.load tells it
	waiting map[string]string // what the file says of keys that wait for a restart
}

func (l *live) set(config *Config, origin, waiting map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.config, l.origin, l.waiting = *config, maps.Clone(origin), waiting
}

// retention is the policy in force.
func (l *live) retention() retention.Policy {
	l.mu.Lock()
	defer l.mu.Unlock()

	return l.config.sweeps().Policy
}

// settings lists the configuration in force, without secrets.
func (l *live) settings() []route.Setting {
	l.mu.Lock()
	defer l.mu.Unlock()

	all := listed(&l.config, l.origin, l.waiting)

	list := func(key string, values ...string) {
		all = append(all, route.Setting{Key: key, Value: strings.Join(values, " "), Pending: l.waiting[key]})
	}

	list(kernelArgs, l.config.Netboot.KernelArgs...)

	for _, name := range slices.Sorted(maps.Keys(l.config.Notifiers)) {
		list("notifiers."+name, l.config.Notifiers[name].Type)
	}

	for i, r := range l.config.Routes {
		list(fmt.Sprintf("routes[%d]", i), r.String())
	}

	list("profiles", slices.Sorted(maps.Keys(l.config.Profiles))...)

	return all
}

// listed tells the settings of a configuration, where each comes from, and what waits.
func listed(config *Config, origin, waiting map[string]string) []route.Setting {
	var all []route.Setting

	for _, s := range settings() {
		word, at := splitOrigin(origin[s.key])

		all = append(all, route.Setting{Key: s.key, Value: unquoted(s.value(config)), Origin: word, At: at, Pending: unquoted(waiting[s.key])})
	}

	return all
}

// kernelArgs is a key that holds a list, and has a place of its own in settings.
const kernelArgs = "netboot.kernel_args"

// unquoted shows an empty text as none.
func unquoted(value string) string {
	if value == `""` {
		return ""
	}

	return value
}

// differing lists what fresh says of the keys that only a restart can change,
// where it is not what is in force.
func differing(now, fresh *Config) map[string]string {
	waiting := map[string]string{}

	for _, s := range settings() {
		if reloadable(s.key) {
			continue
		}

		was, secret := s.at(now).(*Secret)
		same := s.value(now) == s.value(fresh)

		if is, ok := s.at(fresh).(*Secret); secret && ok {
			same = *was == *is
		}

		if !same {
			waiting[s.key] = s.value(fresh)
		}
	}

	if !slices.Equal(now.Netboot.KernelArgs, fresh.Netboot.KernelArgs) {
		waiting[kernelArgs] = strings.Join(fresh.Netboot.KernelArgs, " ")
	}

	return waiting
}

// reload reads the configuration again and puts in force what can be changed
// while the appliance runs: all of it or, when anything is wrong, nothing. It
// returns a sentence about what came of it; the error names every fault.
func (a *appliance) reload(ctx context.Context) (string, error) {
	a.reloading.Lock()
	defer a.reloading.Unlock()

	select {
	case a.lookNow <- struct{}{}:
	default: // they are about to be looked at
	}

	if a.source == nil {
		return "", errors.New("reading the configuration again: this appliance has none to read")
	}

	source := *a.source

	fresh, err := a.loadAgain(ctx, &source)
	if err == nil {
		err = a.apply(&fresh, source.profiles)
	}

	if err != nil {
		fault := withoutText(err)
		a.log.Error("configuration not reloaded, the old one stays in force", slog.String("error", fault))
		a.warnings.warn("reload", core.Critical,
			"The configuration was read again and cannot be used, so the old one stays in force. "+fault)
		a.auditReload(ctx, "config.reload-refused", "had the configuration read again, which cannot be used; the old one stays in force: "+fault)

		return "", err
	}

	a.warnings.settle("reload")

	said := a.heldBack(&fresh, source.origin)

	a.auditReload(ctx, "config.reload", "had the configuration read again: "+said)

	return said, nil
}

// loadAgain reads the configuration, with what is set in the console by now.
func (a *appliance) loadAgain(ctx context.Context, source *source) (fresh Config, err error) {
	if source.settled, err = readSettled(ctx, a.store); err != nil {
		return fresh, err
	}

	return source.load()
}

// auditReload writes down a reload. What counts now counts whether or not there is
// room for the entry.
func (a *appliance) auditReload(ctx context.Context, action, text string) {
	if _, err := a.store.Update(ctx, func(txn core.Txn) error {
		return core.WriteAudit(txn, core.Audit{Time: time.Now(), Who: "local", Action: action, Object: "config", Text: text})
	}); err != nil {
		a.log.Error("the reload is not in the audit trail", slog.String("error", err.Error()))
	}
}

// heldBack tells which keys wait for a restart.
func (a *appliance) heldBack(fresh *Config, origin map[string]string) string {
	waiting := differing(&a.config, fresh)
	inForce := a.config
	inForce.Log.Level, inForce.Profiles, inForce.Notifiers = fresh.Log.Level, fresh.Profiles, fresh.Notifiers
	inForce.Run.Profile = fresh.Run.Profile
	inForce.Routes, inForce.Retention, inForce.Janitor = fresh.Routes, fresh.Retention, fresh.Janitor
	a.live.set(&inForce, origin, waiting)

	if len(waiting) == 0 {
		a.warnings.settle("restart")
		a.log.Info("configuration reloaded")

		return "reloaded"
	}

	keys := strings.Join(slices.Sorted(maps.Keys(waiting)), ", ")
	a.log.Warn("configuration reloaded, but for keys that wait for a restart", slog.String("keys", keys))
	a.warnings.warn("restart", core.Warning, "The configuration was changed, and these keys wait for a restart of the appliance: "+keys+". An administrator starts it anew under Settings, General.")

	return "reloaded; these keys wait for a restart: " + keys
}

// apply puts a checked configuration in force, as far as that goes.
func (a *appliance) apply(fresh *Config, places map[string]string) error {
	all, err := profiles(profile.Defaults(), fresh.Profiles)
	if err != nil {
		return err
	}

	told, err := fresh.notifications(consoleURL(&a.config))
	if err == nil {
		err = told.Validate()
	}

	if err != nil {
		return err
	}

	level, err := fresh.logLevel()
	if err != nil {
		return err
	}

	// The first that can still refuse; those after it were asked already.
	if err := a.engine.SetProfiles(all, places); err != nil {
		return err
	}

	a.level.Set(level)

	return errors.Join(a.courier.Reload(told), a.janitor.Reload(fresh.sweeps()))
}

// withoutText writes a fault on one line and without the lines of the file that it
// quotes, in which secrets may stand.
func withoutText(err error) string {
	var kept []string

	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		before, _, quoted := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, ">")), " |")

		if line == "" || strings.Trim(line, "^") == "" || quoted && strings.Trim(before, "0123456789") == "" {
			continue
		}

		kept = append(kept, line)
	}

	return strings.Join(kept, " ")
}

func (c *cli) reloadCommand() *cobra.Command {
	return c.keyCommand("reload", "Have the running appliance read its configuration again", &controlRequest{Reload: true})
}

// heedHangups reloads the configuration at each SIGHUP, until ctx ends.
func (a *appliance) heedHangups(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	ossignal.Notify(hangups, unix.SIGHUP)

	defer ossignal.Stop(hangups)

	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
			_, _ = a.reload(ctx) // the log and the console tell what is wrong
		}
	}
}
