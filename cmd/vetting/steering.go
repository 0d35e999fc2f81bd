package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"vetting/agent/gate"
	"vetting/core"
	"vetting/core/problem"
	"vetting/netboot"
	"vetting/netboot/nic"
	"vetting/ui"
	"vetting/ui/notify"
)

// pilot changes the appliance for administrators in the console; it is ui.Steering.
type pilot struct{ *appliance }

// settingOf finds a key.
func settingOf(key string) (s setting, ok bool) {
	all := settings()

	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return s, false
	}

	return all[i], true
}

// typeable reports whether a person may type a value for a key in the console. Where the
// certificate lies is for the page of certificates.
func typeable(key string) bool { return settable(key) && !strings.HasPrefix(key, "console.tls.") }

// choices are the values of a key that has only a few.
func choices(key string) []string {
	return map[string][]string{
		"log.level": {"debug", "info", "warn", "error"}, "netboot.mode": {"dhcp", "proxy", "off"}, "netboot.router_solicitations": {"auto", "on", "off"},
	}[key]
}

// Fields lists every key with one value.
func (p pilot) Fields() (list []ui.Field) {
	defaults, known := Defaults(), map[string]setting{}

	for _, s := range settings() {
		known[s.key] = s
	}

	for _, shown := range p.live.settings() {
		s, ok := known[shown.Key]
		if !ok {
			continue
		}

		f := ui.Field{Setting: shown, Doc: s.doc, Default: unquoted(s.value(&defaults)), Settable: typeable(s.key), Choices: choices(s.key)}
		if _, boolean := s.at(&Config{}).(*bool); boolean {
			f.Choices = []string{"true", "false"}
		}

		list = append(list, f)
	}

	return list
}

// scalar writes what a person typed as the YAML scalar of the key.
func (s setting) scalar(typed string) string {
	if _, text := s.at(&Config{}).(*string); !text {
		return typed
	}

	written, err := yaml.Marshal(typed)
	if err != nil {
		return typed
	}

	return strings.TrimSpace(string(written))
}

func errSettings(kind error, format string, args ...any) error {
	return core.NewProblem(kind, "settings/refused", fmt.Sprintf(format, args...))
}

// sentence is a fault of the configuration for people, on one line.
func sentence(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(withoutText(err), "checking the configuration: "), "set in the console: ")
}

// Change sets keys of the configuration. What can count at once does, the rest waits for a
// restart.
func (p pilot) Change(ctx context.Context, who string, values map[string]string) error {
	said := make([]string, 0, len(values))

	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] == "" {
			said = append(said, "took back what was set for "+key)
		} else {
			said = append(said, "set "+key+" to "+values[key])
		}
	}

	return p.change(ctx, core.Audit{Who: who, Action: "settings.change", Object: "config", Text: strings.Join(said, ", ")}, func(all *core.Settings, origin map[string]string) error {
		for key, typed := range values {
			s, ok := settingOf(key)
			if !ok || !typeable(key) {
				return errSettings(core.ErrInvalid, "%.60s cannot be set in the console.", key)
			}

			if word, at := splitOrigin(origin[key]); word == "flag" || word == "environment" || word == "file" {
				return errSettings(core.ErrConflict, "%s is set by %s %s and can only be changed there.", key, word, at)
			}

			if typed == "" {
				delete(all.Values, key)
			} else {
				all.Values[key] = s.scalar(typed)
			}
		}

		return nil
	}, slices.ContainsFunc(slices.Collect(maps.Keys(values)), func(key string) bool { return strings.HasPrefix(key, "netboot.") }))
}

// change edits what is set in the console, looks whether all fits together, keeps it, and
// puts in force what can be: all of it or nothing. network says that the test network is
// to be looked at, too.
func (a *appliance) change(ctx context.Context, deed core.Audit, edit func(all *core.Settings, origin map[string]string) error, network bool) error {
	if a.source == nil {
		return errSettings(core.ErrConflict, "This appliance has no configuration of its own.")
	}

	a.reloading.Lock()
	defer a.reloading.Unlock()

	again := *a.source

	before, unfit := a.loadAgain(ctx, &again) // it may be what does not fit, and be mended just now
	if unfit != nil && again.origin == nil {
		return unfit
	}

	was := again.settled
	again.settled = editable(was)

	if err := edit(&again.settled, again.origin); err != nil {
		return err
	}

	fresh, err := again.load()
	if err != nil {
		return errSettings(core.ErrInvalid, "%s", sentence(err))
	}

	if err := a.checkMachines(&fresh, network); err != nil {
		return err
	}

	deed.Time = time.Now()
	again.settled.Serial, again.settled.ChangedAt, again.settled.ChangedBy = was.Serial+1, deed.Time.UTC(), deed.Who
	deed.Before, deed.After = core.Digest(was), core.Digest(again.settled)

	if err := a.apply(&fresh, again.profiles); err != nil {
		return errSettings(core.ErrInvalid, "%s", sentence(err))
	}

	_, err = a.store.Update(ctx, func(txn core.Txn) error {
		return errors.Join(txn.Put(core.TableSetting, core.SettingsKey, again.settled), core.WriteAudit(txn, deed))
	})
	if err != nil {
		if unfit == nil {
			err = errors.Join(err, a.apply(&before, a.profilePlaces()))
		}

		return err
	}

	a.warnings.settle("settings")

	if len(again.lost) == 0 {
		a.warnings.settle("lost")
	}

	a.heldBack(&fresh, again.origin)

	return nil
}

// editable returns settings that can be changed without changing those given.
func editable(all core.Settings) core.Settings {
	all.Values, all.Notifiers = maps.Clone(all.Values), maps.Clone(all.Notifiers)

	if all.Values == nil {
		all.Values = map[string]string{}
	}

	if all.Notifiers == nil {
		all.Notifiers = map[string]core.Told{}
	}

	return all
}

// checkMachines looks whether machines could be answered as is set. What was not changed
// is in nobody's way. network: the test network was changed.
func (a *appliance) checkMachines(fresh *Config, network bool) error {
	if network {
		if err := checkTestNetwork(fresh); err != nil {
			return err
		}
	}

	if fresh.Netboot.Interface == "" || !network && fresh.Traffic.Port == a.config.Traffic.Port {
		return nil
	}

	return fresh.portsLeft()
}

// checkTestNetwork looks whether the test network can be served on this machine: whether
// its card is one for that, and whether it overlaps with the network of another card.
func checkTestNetwork(config *Config) error {
	n := config.Netboot
	if n.Interface == "" {
		return nil
	}

	if _, err := nic.Find(n.Interface); err != nil {
		return err
	}

	theirs, err := keepsOff(n)
	if err != nil {
		return err
	}

	if theirs {
		return errPublic(n.Interface)
	}

	own, err := netip.ParsePrefix(n.Subnet)
	if err != nil {
		return err
	}

	return overlap(own, n.Interface)
}

// overlap looks for a network of another card that the test network would take machines
// away from.
func overlap(own netip.Prefix, except string) error {
	cards, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("listing network cards: %w", err)
	}

	for i := range cards {
		addrs, err := cards[i].Addrs()
		if err != nil || cards[i].Name == except {
			continue
		}

		for _, addr := range addrs {
			if other, err := netip.ParsePrefix(addr.String()); err == nil && other.Overlaps(own) {
				return errSettings(core.ErrInvalid, "netboot.subnet: %s overlaps with %s of %s, whose machines would not be reached any more; take another network.",
					own.Masked(), other, cards[i].Name)
			}
		}
	}

	return nil
}

func errPublic(card string) error {
	return errSettings(core.ErrRefused, "%s holds the default route: it is a network of others, and this machine is reached by it. Take another card, set netboot.mode to proxy or off, which give no addresses, or say that all of that network is yours.", card)
}

// Cards lists the cards of this machine that a test network can hang on.
func (p pilot) Cards(context.Context) (list []ui.Card, err error) {
	cards, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing network cards: %w", err)
	}

	for i := range cards {
		card := &cards[i]
		if card.Flags&net.FlagLoopback != 0 || len(card.HardwareAddr) != 6 {
			continue
		}

		c := ui.Card{Name: card.Name, MAC: card.HardwareAddr.String(), Megabits: nic.Megabits(card.Name), Link: card.Flags&net.FlagRunning != 0}

		if driver, err := os.Readlink(filepath.Join("/sys/class/net", filepath.Base(card.Name), "device", "driver")); err == nil {
			c.Driver = filepath.Base(driver)
		}

		if addrs, err := card.Addrs(); err == nil {
			for _, addr := range addrs {
				c.Addrs = append(c.Addrs, addr.String())
			}
		}

		if c.Default, err = nic.Carries(card.Name); err != nil {
			return nil, err
		}

		list = append(list, c)
	}

	return list, nil
}

// How long is listened for others on a network, and waited for a card that was down.
const (
	listenFor = 5 * time.Second
	linkFor   = 4 * time.Second
)

// Listen looks who else is on the network of a card, and what is in the way of our services.
func (p pilot) Listen(ctx context.Context, name string, own bool) (heard ui.Surroundings, err error) {
	heard.Card = name

	if _, err := nic.Find(name); err != nil {
		return heard, err
	}

	config := p.wanted()
	config.Interface, config.OwnNetwork = name, own

	theirs, err := keepsOff(config)
	if err != nil {
		return heard, err
	}

	if theirs {
		return heard, errPublic(name)
	}

	prefix, err := netip.ParsePrefix(config.Subnet)
	if err != nil {
		return heard, err
	}

	if err := nic.Check(); err != nil {
		heard.Mute = wordsOf(err)

		return heard, nil //nolint:nilerr // that is the answer
	}

	if p.netboot == nil || p.config.Netboot.Interface != name {
		heard.Taken = taken(ctx, name, config.Mode)
	}

	if !linked(ctx, name, prefix) {
		heard.Mute = name + " has no link, so nobody could be heard there. Is the cable in, and is what hangs on its other end switched on?"

		return heard, nil
	}

	found, err := netboot.Look(ctx, name, prefix.Addr(), listenFor)
	if err != nil {
		return heard, err
	}

	heard.Servers, heard.Proxies, heard.User, heard.Deaf = found.Servers, found.Proxies, string(found.User), found.Deaf

	return heard, nil
}

// wanted is what is set of the test network, with what waits for a restart.
func (p pilot) wanted() NetbootConfig {
	config := p.config.Netboot

	for _, f := range p.Fields() {
		switch f.Key {
		case "netboot.subnet":
			config.Subnet = f.Wanted()
		case "netboot.mode":
			config.Mode = f.Wanted()
		}
	}

	return config
}

// taken lists the ports of the boot services that others have, each as a sentence.
func taken(ctx context.Context, card, mode string) (list []string) {
	parsed, err := netboot.ParseMode(mode)
	if err != nil {
		return nil
	}

	for _, port := range netboot.Ports(parsed) {
		if err := port.Free(ctx, card); err != nil {
			list = append(list, firstLine(wordsOf(err)))
		}
	}

	return list
}

// linked sees to it that a card is up, as serving does, and waits a little for its link.
func linked(ctx context.Context, name string, prefix netip.Prefix) bool {
	if err := nic.Raise(name, prefix); err != nil {
		return false
	}

	for end := time.Now().Add(linkFor); ; {
		card, err := nic.Find(name)
		if err == nil && card.Flags&net.FlagRunning != 0 {
			return true
		}

		if err != nil || time.Now().After(end) {
			return false
		}

		select {
		case <-ctx.Done():
			return false
		case <-time.After(linkFor / 20):
		}
	}
}

// SaveNotifier sets up who is told.
func (p pilot) SaveNotifier(ctx context.Context, who string, n *ui.Notifying) error {
	told := core.Told{
		Kind: n.Kind, Topic: n.Topic, Server: n.Server, TLS: n.TLS, User: n.User, From: n.From,
		Secrets: slices.Sorted(maps.Keys(n.Secrets)), Events: n.Events,
	}

	for to := range strings.SplitSeq(n.To, ",") {
		if to = strings.TrimSpace(to); to != "" {
			told.To = append(told.To, to)
		}
	}

	// Before a secret is kept, all that was typed is looked at.
	trial := notify.Config{Targets: []notify.Target{{
		Name: n.Name, Kind: notify.Kind(n.Kind), Topic: n.Topic, Server: n.Server, TLS: n.TLS, User: n.User, From: n.From, To: told.To,
		URL: notify.Secret(n.Secrets["url"]), Token: notify.Secret(n.Secrets["token"]), Sign: notify.Secret(n.Secrets["secret"]), Password: notify.Secret(n.Secrets["password"]),
	}}}
	if err := trial.Validate(); err != nil {
		return errSettings(core.ErrInvalid, "%s", withoutText(err))
	}

	if _, there := p.inFile(n.Name); there {
		return errSettings(core.ErrConflict, "There is a notifier %s in the configuration file; take another name.", n.Name)
	}

	p.typing.Lock()
	defer p.typing.Unlock()

	told.Version = rand.Text()

	err := p.change(ctx, core.Audit{Who: who, Action: "notifier.save", Object: "notifier/" + n.Name, Text: "set up the notifier " + n.Name + " (" + n.Kind + ")"},
		func(all *core.Settings, _ map[string]string) error {
			if _, there := all.Notifiers[n.Name]; there && !n.Replace {
				return core.NewProblem(core.ErrConflict, problem.NotifierThere, "There is a notifier "+n.Name+" already. Nothing was saved; take another name, or say that this one shall take its place.")
			}

			all.Notifiers[n.Name] = told

			return p.keepSecrets(n, told.Version)
		}, false)

	// What counts is what the ledger has now. What else was kept opens something all the
	// same, and goes.
	return errors.Join(err, p.sweep(ctx))
}

// sweep removes the secrets that no notifier has.
func (p pilot) sweep(ctx context.Context) error {
	settled, err := readSettled(context.WithoutCancel(ctx), p.store)
	if err != nil {
		return err
	}

	return sweepSecrets(p.config.DataDir, &settled)
}

// keepSecrets writes down what opens a notifier, beside what opened it before.
func (p pilot) keepSecrets(n *ui.Notifying, version string) error {
	if err := os.MkdirAll(filepath.Join(p.config.DataDir, secretDir), 0o700); err != nil {
		return fmt.Errorf("making a place for secrets: %w", err)
	}

	for key, typed := range n.Secrets {
		if err := writeSecret(notifierSecret(p.config.DataDir, n.Name, version, key), []byte(typed)); err != nil {
			return err
		}
	}

	return nil
}

// removed sees to it that a secret is not there.
func removed(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a secret: %w", err)
	}

	return nil
}

// inFile reports whether the file names a notifier.
func (p pilot) inFile(name string) (n NotifierConfig, there bool) {
	if p.source == nil {
		return n, false
	}

	bare := *p.source
	bare.settled = core.Settings{}

	config, err := bare.load()
	if err != nil {
		return n, false
	}

	n, there = config.Notifiers[name]

	return n, there
}

// DropNotifier removes one, with its secrets.
func (p pilot) DropNotifier(ctx context.Context, who, name string) error {
	p.typing.Lock()
	defer p.typing.Unlock()

	err := p.change(ctx, core.Audit{Who: who, Action: "notifier.delete", Object: "notifier/" + name, Text: "removed the notifier " + name},
		func(all *core.Settings, _ map[string]string) error {
			if _, ok := all.Notifiers[name]; !ok {
				return errSettings(core.ErrConflict, "The notifier %.64s stands in the configuration file and can only be removed there.", name)
			}

			delete(all.Notifiers, name)

			return nil
		}, false)
	if err != nil {
		return err
	}

	return p.sweep(ctx)
}

// answerFirst is how long the answer to whoever asks for a restart has to leave.
const answerFirst = 700 * time.Millisecond

// Restart starts the appliance anew.
func (p pilot) Restart(ctx context.Context, who string) error {
	_, err := p.store.Update(ctx, func(txn core.Txn) error {
		return core.WriteAudit(txn, core.Audit{Time: time.Now(), Who: who, Action: "appliance.restart", Object: "appliance", Text: "had the appliance started anew"})
	})
	if err != nil && !errors.Is(err, core.ErrFull) {
		return err
	}

	p.log.Info("the appliance is started anew", slog.String("who", who))
	time.AfterFunc(answerFirst, p.again.ask)

	return nil
}

// The files of a certificate that was handed in.
const (
	ownCert = "console-own.crt"
	ownKey  = "console-own.key"
)

// Certificate tells of the console's certificate.
func (p pilot) Certificate() (c ui.Certificate, err error) {
	console, err := p.consoleCertificate() // as its files are
	if err != nil {
		return c, err
	}

	pair := console.get()
	c.Fixed = p.fixedCertificate()

	if pair == nil {
		c.Off = true

		return c, nil
	}

	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return c, fmt.Errorf("reading the console's certificate: %w", err)
	}

	sum := sha256.Sum256(leaf.Raw)
	c.SelfSigned, c.Subject, c.Issuer = bytes.Equal(leaf.RawIssuer, leaf.RawSubject), leaf.Subject.String(), leaf.Issuer.String()
	c.SHA256, c.From, c.Until, c.Names = hex.EncodeToString(sum[:]), leaf.NotBefore, leaf.NotAfter, slices.Clone(leaf.DNSNames)

	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}

	return c, nil
}

// fixedCertificate says who decides about the certificate, where the console does not.
func (p pilot) fixedCertificate() string {
	for _, f := range p.Fields() {
		if strings.HasPrefix(f.Key, "console.tls.") && (f.Origin == "flag" || f.Origin == "environment" || f.Origin == "file") {
			return f.Key + " is set by " + f.Origin + " " + f.At + "; the certificate can only be changed there."
		}
	}

	return ""
}

// setCertificate has the console use files, or its own pair where there are none.
func (p pilot) setCertificate(ctx context.Context, deed core.Audit, files map[string]string) error {
	if fixed := p.fixedCertificate(); fixed != "" {
		return errSettings(core.ErrConflict, "%s", fixed)
	}

	err := p.change(ctx, deed, func(all *core.Settings, _ map[string]string) error {
		for _, key := range []string{"console.tls.mode", "console.tls.cert", "console.tls.key"} {
			if files[key] == "" {
				delete(all.Values, key)

				continue
			}

			s, _ := settingOf(key)
			all.Values[key] = s.scalar(files[key])
		}

		return nil
	}, false)
	if err != nil {
		return err
	}

	p.warnings.warn("certificate", core.Warning, "The console has a new certificate, which counts after a restart: Settings, Restart.")

	return nil
}

// RenewCertificate makes a new self-signed pair.
func (p pilot) RenewCertificate(ctx context.Context, who string) error {
	if fixed := p.fixedCertificate(); fixed != "" {
		return errSettings(core.ErrConflict, "%s", fixed)
	}

	cert, key, err := gate.NewKey(rand.Reader, time.Now(), p.consoleNames()...)
	if err != nil {
		return err
	}

	at := filepath.Join(p.config.DataDir, consoleKey)
	if err := errors.Join(writeSecret(at+".crt", cert), writeSecret(at+".key", key)); err != nil {
		return err
	}

	return p.setCertificate(ctx, core.Audit{Who: who, Action: "certificate.renew", Object: "certificate", Text: "had a new self-signed certificate made"}, nil)
}

// consoleNames are the names and addresses by which people may reach the console.
func (p pilot) consoleNames() (names []string) {
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}

	if u, err := url.Parse(p.ui.URL()); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}

	if host, _, err := net.SplitHostPort(p.config.Console.Listen); err == nil && !isWildcard(host) {
		names = append(names, host)
	}

	slices.Sort(names)

	return slices.Compact(names)
}

// TakeCertificate keeps a chain and a key that were handed in.
func (p pilot) TakeCertificate(ctx context.Context, who string, chain, key []byte) error {
	if fixed := p.fixedCertificate(); fixed != "" {
		return errSettings(core.ErrConflict, "%s", fixed)
	}

	if p.config.Console.TLS.Mode == "off" {
		return errSettings(core.ErrConflict, "This console is served without TLS.")
	}

	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return errSettings(core.ErrInvalid, "Chain and key do not fit together, or are not PEM: %s. The server's own certificate comes first.", strings.TrimPrefix(err.Error(), "tls: "))
	}

	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return errSettings(core.ErrInvalid, "The certificate cannot be read.")
	}

	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		return errSettings(core.ErrInvalid, "The certificate expired on %s.", leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return errSettings(core.ErrInvalid, "The certificate is not valid before %s.", leaf.NotBefore.Format(time.DateOnly))
	case leaf.IsCA && len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return errSettings(core.ErrInvalid, "This is the certificate of an authority; the server's own comes first.")
	}

	cert, keyAt := filepath.Join(p.config.DataDir, ownCert), filepath.Join(p.config.DataDir, ownKey)
	if err := errors.Join(writeSecret(cert, chain), writeSecret(keyAt, key)); err != nil {
		return err
	}

	return p.setCertificate(ctx, core.Audit{Who: who, Action: "certificate.upload", Object: "certificate", Text: "handed in a certificate for " + strings.Join(leaf.DNSNames, ", ")},
		map[string]string{"console.tls.mode": "files", "console.tls.cert": cert, "console.tls.key": keyAt})
}

// Licences is every notice of what is in this program and its boot image.
func (p pilot) Licences() (string, error) {
	var out strings.Builder

	err := writeLicences(&out)

	return out.String(), err
}

// Authority is the certificate for browsers to trust: our own where it is self-signed, else
// the last of the chain. It is the one that is shown to browsers now: nobody needs to log
// in for it, so that no file is read for it.
func (p pilot) Authority() []byte {
	if p.console == nil || p.console.get() == nil {
		return nil
	}

	pair := p.console.get()

	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[len(pair.Certificate)-1]})
}

// OwnNotifiers names the notifiers that were set up in the console.
func (p pilot) OwnNotifiers(ctx context.Context) ([]string, error) {
	all, err := readSettled(ctx, p.store)

	return slices.Sorted(maps.Keys(all.Notifiers)), err
}

// Facts are what this appliance is made of.
func (p pilot) Facts() [][2]string {
	return [][2]string{
		{"Name", p.about.Name},
		{"Id", p.about.ID},
		{"Version", p.about.Version},
		{"Program, SHA-256", p.about.BinarySHA256},
		{"Boot image", p.about.ImageID},
		{"Kernel", p.about.KernelVersion},
		{"Kernel, SHA-256", p.about.KernelSHA256},
		{"RAM system, SHA-256", p.about.InitrdSHA256},
		{"Agent for installed hosts, SHA-256", p.program.Digest()},
		{"Data directory", p.config.DataDir},
	}
}

// Support has the program itself make a bundle, as vetting support does.
func (p pilot) Support(ctx context.Context, who string) (text []byte, err error) {
	dir, err := os.MkdirTemp(p.config.DataDir, ".support-")
	if err != nil {
		return nil, fmt.Errorf("making a place for the bundle: %w", err)
	}

	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	path := filepath.Join(dir, "bundle")
	args := []string{"vetting", "support", path}

	if p.source != nil {
		if p.source.file != "" {
			args = append(args, "--config", p.source.file)
		}

		for name, value := range p.source.flags {
			args = append(args, "--"+name+"="+value)
		}
	}

	_, errs, state, err := runChild(ctx, "/proc/self/exe", args)
	if err == nil && !state.Success() {
		err = errors.New(firstLine(string(errs)))
	}

	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}

	if text, err = os.ReadFile(path); err != nil {
		return nil, fmt.Errorf("reading the bundle: %w", err)
	}

	_, err = p.store.Update(ctx, func(txn core.Txn) error {
		return core.WriteAudit(txn, core.Audit{Time: time.Now(), Who: who, Action: "support.download", Object: "appliance", Text: "took a support bundle away"})
	})
	if errors.Is(err, core.ErrFull) {
		err = nil
	}

	return text, err
}
