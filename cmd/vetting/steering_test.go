package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/agent/gate"
	"vetting/core"
	"vetting/core/problem"
	"vetting/store/backup"
	"vetting/ui"
)

// steeredAppliance has a file of its own, which no test may find changed.
func steeredAppliance(t *testing.T, file string) (pilot, string) {
	t.Helper()

	a, _ := fromFile(t, file)

	t.Cleanup(func() {
		if text, err := os.ReadFile(a.source.file); err != nil || string(text) != file {
			t.Errorf("the person's own file was changed: %v %s", err, text)
		}
	})

	return pilot{a}, a.config.DataDir
}

func (p pilot) field(t *testing.T, key string) *ui.Field {
	t.Helper()

	fields := p.Fields()

	i := slices.IndexFunc(fields, func(f ui.Field) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("%s is not listed", key)
	}

	return &fields[i]
}

func TestTheConsoleSetsWhatNobodyElseDecides(t *testing.T) {
	p, _ := steeredAppliance(t, "retention: {logs: 30d}\n")

	err := p.Change(t.Context(), "ada", map[string]string{"log.level": "debug", "netboot.subnet": "10.99.0.1/24", "janitor.interval": "2h"})
	if err != nil {
		t.Fatal(err)
	}

	if f := p.field(t, "log.level"); f.Value != "debug" || f.Origin != "console" || f.Pending != "" {
		t.Errorf("what counts at once: %+v", f)
	}

	if f := p.field(t, "netboot.subnet"); f.Value != "10.77.0.1/24" || f.Pending != "10.99.0.1/24" || f.Origin != "console" {
		t.Errorf("what waits for a restart: %+v", f)
	}

	entry := lastAudit(t, p.appliance)
	if entry.Who != "ada" || entry.Action != "settings.change" || entry.Text != "set janitor.interval to 2h, set log.level to debug, set netboot.subnet to 10.99.0.1/24" || entry.Before == entry.After {
		t.Errorf("the audit trail says %+v", entry)
	}

	if all, err := readSettled(t.Context(), p.store); err != nil || all.Serial != 1 || all.ChangedBy != "ada" {
		t.Errorf("%+v %v", all, err)
	}

	if err := p.Change(t.Context(), "ada", map[string]string{"log.level": "", "netboot.subnet": ""}); err != nil {
		t.Fatal(err)
	}

	if f := p.field(t, "log.level"); f.Value != "info" || f.Origin != "default" {
		t.Errorf("what was taken back: %+v", f)
	}

	if f := p.field(t, "netboot.subnet"); f.Pending != "" || f.Origin != "default" {
		t.Errorf("what was taken back: %+v", f)
	}
}

func TestTheConsoleRefusesWhatItMayNotOrWhatDoesNotFit(t *testing.T) {
	p, _ := steeredAppliance(t, "retention:\n  logs: 30d\n")

	for name, test := range map[string]struct {
		values map[string]string
		kind   error
		want   string
	}{
		"a key of the file":            {map[string]string{"retention.logs": "60d"}, core.ErrConflict, p.source.file + ":2"},
		"a key of a flag":              {map[string]string{"data_dir": "/x"}, core.ErrInvalid, "cannot be set"},
		"where it is reached":          {map[string]string{"console.listen": "0.0.0.0:1"}, core.ErrInvalid, "cannot be set"},
		"a secret":                     {map[string]string{"host_api.enrol_key": "sesame-sesame"}, core.ErrInvalid, "cannot be set"},
		"a key that there is not":      {map[string]string{"no.such.key": "1"}, core.ErrInvalid, "cannot be set"},
		"a pool outside the network":   {map[string]string{"netboot.pool.start": "10.1.0.1", "netboot.pool.end": "10.1.0.9"}, core.ErrInvalid, "10.77.0.0/24"},
		"a word that is none":          {map[string]string{"netboot.mode": "both"}, core.ErrInvalid, "dhcp, proxy or off"},
		"no number":                    {map[string]string{"traffic.port": "many"}, core.ErrInvalid, "traffic.port"},
		"more than a value":            {map[string]string{"netboot.mode": "dhcp\nconsole: {listen: ':1'}"}, core.ErrInvalid, "netboot.mode"},
		"a card that there is not":     {map[string]string{interfaceKey: "no-such-card"}, core.ErrNotFound, "no-such-card"},
		"a profile that there is not":  {map[string]string{"run.profile": "thorough"}, core.ErrInvalid, "thorough"},
		"one of two that does not fit": {map[string]string{"log.level": "debug", "run.hold": "1s"}, core.ErrInvalid, "run.hold"},
	} {
		t.Run(name, func(t *testing.T) {
			err := p.Change(t.Context(), "ada", test.values)
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}

	if all, err := readSettled(t.Context(), p.store); err != nil || all.Serial != 0 || p.field(t, "log.level").Value != "info" {
		t.Errorf("something was kept: %+v %v", all, err)
	}
}

// The kernel refuses the boot services a port that the console holds, at the next start.
func TestTheConsolesOwnPortCannotBeGivenToAnother(t *testing.T) {
	p, _ := steeredAppliance(t, "netboot: {interface: eth9}\n")
	p.source.flags["console-listen"] = "0.0.0.0:8443"

	if err := p.Change(t.Context(), "ada", map[string]string{"traffic.port": "8443"}); !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), "traffic.port") {
		t.Errorf("%v", err)
	}

	for _, values := range []map[string]string{{"traffic.port": "8444"}, {"log.level": "debug"}} {
		if err := p.Change(t.Context(), "ada", values); err != nil {
			t.Errorf("%v: %v", values, err)
		}
	}
}

func TestATestNetworkMustNotOverlapWithAnother(t *testing.T) {
	cards, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}

	for i := range cards {
		for _, addr := range addressesOf(&cards[i]) {
			if !addr.Is4() {
				continue
			}

			own, err := addr.Prefix(24)
			if err != nil {
				t.Fatal(err)
			}

			if err := overlap(own, "another"); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), cards[i].Name) {
				t.Errorf("%s over %s: %v", own, cards[i].Name, err)
			}

			if cards[i].Name == "lo" {
				if err := overlap(own, "lo"); err != nil {
					t.Errorf("a card overlaps with itself: %v", err)
				}
			}
		}
	}
}

// secretOf is where a secret of a notifier lies, as the ledger says.
func secretOf(t *testing.T, p pilot, dir, name, key string) string {
	t.Helper()

	settled, err := readSettled(t.Context(), p.store)
	if err != nil {
		t.Fatal(err)
	}

	return notifierSecret(dir, name, settled.Notifiers[name].Version, key)
}

// A kill between the files of secrets and the ledger leaves the notifier as it was, with
// the secrets that it had: never the new ones for the old place. What was left goes at the
// next start, as it does after a kill between the ledger and the removal of the old ones.
func TestAKillBetweenSecretsAndLedgerChangesNothing(t *testing.T) {
	p, dir := steeredAppliance(t, "retention: {logs: 30d}\n")
	typed := &ui.Notifying{Name: "phone", Kind: "ntfy", Topic: "t", Secrets: map[string]string{"url": "https://ntfy.example", "token": "tk_first"}}

	if err := p.SaveNotifier(t.Context(), "ada", typed); err != nil {
		t.Fatal(err)
	}

	// Killed after the files were written, and, of another, before they were removed.
	typed.Secrets = map[string]string{"url": "https://other.example", "token": "tk_second"}
	if err := p.keepSecrets(typed, "next"); err != nil {
		t.Fatal(err)
	}

	writeFile(t, notifierSecret(dir, "gone", "", "token"), "tk_gone")
	writeFile(t, filepath.Join(dir, secretDir, "of-another-kind"), "stays")

	for range 2 {
		if err := p.takeSettled(t.Context()); err != nil {
			t.Fatal(err)
		}

		n := p.config.Notifiers["phone"]
		url, token := must(n.URL.Read()), must(n.Token.Read())

		if url != "https://ntfy.example" || token != "tk_first" {
			t.Errorf("told is %s by %s", url, token)
		}
	}

	if kept := must(os.ReadDir(filepath.Join(dir, secretDir))); len(kept) != 3 {
		t.Errorf("kept are %v", kept)
	}
}

// A secret that was typed lies in a file that only the appliance may read, and nowhere else.
func TestSecretsOfNotifiersStayOutOfEverythingElse(t *testing.T) {
	p, dir := steeredAppliance(t, "notifiers: {chat: {type: discord, url: \"https://chat.example/x\"}}\n")
	typed := &ui.Notifying{Name: "phone", Kind: "ntfy", Topic: "t", Secrets: map[string]string{"url": "https://ntfy.example", "token": "tk_sesame"}, Events: []core.Topic{core.HoldingOpened}}

	if err := p.SaveNotifier(t.Context(), "ada", typed); err != nil {
		t.Fatal(err)
	}

	path := secretOf(t, p, dir, "phone", "token")

	at, err := os.Stat(path)
	if err != nil || at.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", at, err)
	}

	if folder, err := os.Stat(filepath.Dir(path)); err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("the folder of secrets: %v %v", folder, err)
	}

	if targets := p.courier.Targets(); len(targets) != 2 || targets[1].Name != "phone" {
		t.Errorf("told are %v", targets)
	}

	for _, keys := range []bool{false, true} {
		var made bytes.Buffer
		if err := p.writeBackup(t.Context(), &made, keys, "ada"); err != nil {
			t.Fatal(err)
		}

		into := t.TempDir()
		if _, err := backup.Restore(t.Context(), &made, filepath.Join(into, "d"), ledgerDir); err != nil {
			t.Fatal(err)
		}

		if _, err := os.Stat(secretOf(t, p, filepath.Join(into, "d"), "phone", "token")); (err == nil) != keys {
			t.Errorf("a backup with keys %t: %v", keys, err)
		}
	}

	all, err := json.Marshal([]any{p.Fields(), must(readSettled(t.Context(), p.store)), lastAudit(t, p.appliance), p.live.settings()})
	if err != nil || bytes.Contains(all, []byte("sesame")) {
		t.Errorf("a secret is shown: %v", err)
	}

	if err := p.SaveNotifier(t.Context(), "ada", &ui.Notifying{Name: "chat", Kind: "discord", Secrets: map[string]string{"url": "https://x.example/"}}); !errors.Is(err, core.ErrConflict) {
		t.Errorf("one of the file: %v", err)
	}

	for _, name := range []string{"../../etc/x", "", "a b"} {
		if err := p.SaveNotifier(t.Context(), "ada", &ui.Notifying{Name: name, Kind: "discord", Secrets: map[string]string{"url": "https://x.example/sesame"}}); !errors.Is(err, core.ErrInvalid) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("the name %q: %v", name, err)
		}
	}

	if err := p.DropNotifier(t.Context(), "ada", "chat"); !errors.Is(err, core.ErrConflict) {
		t.Errorf("removing one of the file: %v", err)
	}

	// A key that is not given again opens nothing any more, and goes.
	typed.Secrets, typed.Replace = map[string]string{"url": "https://ntfy.example"}, true
	if err := p.SaveNotifier(t.Context(), "ada", typed); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the token that was taken away is still there: %v", err)
	}

	path = secretOf(t, p, dir, "phone", "url")

	if err := p.DropNotifier(t.Context(), "ada", "phone"); err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || len(p.courier.Targets()) != 1 {
		t.Errorf("the secret is still there: %v", err)
	}
}

// What is refused leaves the secrets as they were: those before it still open what they
// opened.
func TestARefusedNotifierLeavesTheSecretsAsTheyWere(t *testing.T) {
	p, dir := steeredAppliance(t, "retention: {logs: 30d}\n")
	save := func(name, token string, events ...core.Topic) error {
		return p.SaveNotifier(t.Context(), "ada", &ui.Notifying{
			Name: name, Kind: "ntfy", Topic: "t", Secrets: map[string]string{"url": "https://ntfy.example", "token": token}, Events: events, Replace: true,
		})
	}

	if err := save("phone", "tk_first"); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"phone", "other"} {
		if err := save(name, "tk_second", "no.topic"); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("of a topic that there is not: %v", err)
		}
	}

	if text, err := os.ReadFile(secretOf(t, p, dir, "phone", "token")); err != nil || string(text) != "tk_first" {
		t.Errorf("the secret is %q, %v", text, err)
	}

	if kept, err := os.ReadDir(filepath.Join(dir, secretDir)); err != nil || len(kept) != 2 {
		t.Errorf("kept are %v, %v", kept, err)
	}
}

// A notifier that is saved under the name of another does not take its place unless somebody
// says so: whoever was told before would be told no more, and never hear of it.
func TestANotifierTakesNoOthersPlaceUnasked(t *testing.T) {
	p, dir := steeredAppliance(t, "retention: {logs: 30d}\n")
	save := func(token string, replace bool) error {
		return p.SaveNotifier(t.Context(), "ada", &ui.Notifying{
			Name: "phone", Kind: "ntfy", Topic: "t", Secrets: map[string]string{"url": "https://ntfy.example", "token": token}, Replace: replace,
		})
	}
	is := func(want string) {
		t.Helper()

		if text, err := os.ReadFile(secretOf(t, p, dir, "phone", "token")); err != nil || string(text) != want {
			t.Errorf("the secret is %q, %v", text, err)
		}

		if kept := must(os.ReadDir(filepath.Join(dir, secretDir))); len(kept) != 2 {
			t.Errorf("kept are %v", kept)
		}
	}

	if err := save("tk_first", false); err != nil {
		t.Fatal(err)
	}

	var refused *core.Problem
	if err := save("tk_second", false); !errors.Is(err, core.ErrConflict) || !errors.As(err, &refused) || refused.Code != problem.NotifierThere {
		t.Errorf("saved under the name of another: %v", err)
	}

	is("tk_first")

	if err := save("tk_third", true); err != nil {
		t.Error(err)
	}

	is("tk_third")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}

	return value
}

func TestACertificateIsLookedAtBeforeItCounts(t *testing.T) {
	p, dir := steeredAppliance(t, "log: {level: info}\n")

	chain, key, err := gate.NewKey(rand.Reader, time.Now(), "vetting.lan")
	if err != nil {
		t.Fatal(err)
	}

	_, other, err := gate.NewKey(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}

	late, lateKey, err := gate.NewKey(rand.Reader, time.Now().AddDate(-200, 0, 0), "vetting.lan")
	if err != nil {
		t.Fatal(err)
	}

	for name, pair := range map[string][2][]byte{"none": {nil, nil}, "another key": {chain, other}, "expired": {late, lateKey}, "no PEM": {[]byte("x"), key}} {
		if err := p.TakeCertificate(t.Context(), "ada", pair[0], pair[1]); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if _, err := os.Stat(filepath.Join(dir, ownKey)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused key was kept: %v", err)
	}

	if err := p.TakeCertificate(t.Context(), "ada", chain, key); err != nil {
		t.Fatal(err)
	}

	all, err := readSettled(t.Context(), p.store)
	if err != nil || all.Values["console.tls.mode"] != "files" || all.Values["console.tls.cert"] != filepath.Join(dir, ownCert) {
		t.Errorf("%+v %v", all.Values, err)
	}

	p.console = must(p.consoleCertificate()) // what browsers are shown

	if c, err := p.Certificate(); err != nil || !c.SelfSigned || c.Fixed != "" || !bytes.Contains(p.Authority(), []byte("BEGIN CERTIFICATE")) {
		t.Errorf("%+v %v", c, err)
	}

	before := must(os.ReadFile(filepath.Join(dir, consoleKey+".crt")))

	if err := p.RenewCertificate(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}

	if all, err := readSettled(t.Context(), p.store); err != nil || all.Values["console.tls.mode"] != "" || bytes.Equal(before, must(os.ReadFile(filepath.Join(dir, consoleKey+".crt")))) {
		t.Errorf("%+v %v", all.Values, err)
	}
}

func TestACertificateOfTheFileIsTheFiles(t *testing.T) {
	p, _ := steeredAppliance(t, "console: {tls: {mode: self-signed}}\n")

	for name, err := range map[string]error{
		"renewed": p.RenewCertificate(t.Context(), "ada"), "handed in": p.TakeCertificate(t.Context(), "ada", nil, nil),
	} {
		if !errors.Is(err, core.ErrConflict) || !strings.Contains(err.Error(), p.source.file+":1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoCardIsListenedOnThatPeopleComeBy(t *testing.T) {
	p, _ := steeredAppliance(t, "log: {level: info}\n")

	cards, err := p.Cards(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for _, card := range cards {
		if card.Name == "lo" || len(card.MAC) != 17 {
			t.Errorf("%+v is offered", card)
		}

		if !card.Default {
			continue
		}

		if _, err := p.Listen(t.Context(), card.Name, false); !errors.Is(err, core.ErrRefused) {
			t.Errorf("%s holds the default route: %v", card.Name, err)
		}

		// Those that give no addresses, and those whose network it is, may be there, as the
		// boot services and the doctor see it.
		for _, c := range []struct {
			mode string
			own  bool
			want string
		}{{"dhcp", false, "fail"}, {"dhcp", true, ""}, {"proxy", false, ""}, {"off", false, ""}} {
			set := NetbootConfig{Interface: card.Name, Mode: c.mode, OwnNetwork: c.own, Subnet: "10.77.0.1/24"}
			found := &checkup{}
			found.card(set)

			err := checkTestNetwork(&Config{Netboot: set})
			if errors.Is(err, core.ErrRefused) != (c.want == "fail") || (found.Checks[0].Result == "fail") != (c.want == "fail") {
				t.Errorf("%s: in %+v the console says %v, the doctor %+v", card.Name, c, err, found.Checks)
			}
		}
	}

	if _, err := p.Listen(t.Context(), "no-such-card", false); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestARestartIsInTheAuditTrail(t *testing.T) {
	p, _ := steeredAppliance(t, "log: {level: info}\n")

	if err := p.Restart(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}

	if entry := lastAudit(t, p.appliance); entry.Action != "appliance.restart" || entry.Who != "ada" {
		t.Errorf("%+v", entry)
	}

	if err := p.again.await(t.Context()); !errors.Is(err, errAgain) {
		t.Errorf("%v", err)
	}
}
