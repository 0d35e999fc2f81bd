package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/initramfs"
)

func TestWhatTheConsoleSetsStandsBelowTheFileAndAboveTheDefaults(t *testing.T) {
	dir := t.TempDir()

	if err := os.Mkdir(filepath.Join(dir, secretDir), 0o700); err != nil {
		t.Fatal(err)
	}

	for _, key := range []string{"url", "token"} {
		writeFile(t, notifierSecret(dir, "phone", "", key), "sesame")
	}

	s := &source{
		file:  filepath.Join(t.TempDir(), "vetting.yaml"),
		env:   map[string]string{"VETTING_RETENTION_LOGS": "3d"},
		flags: map[string]string{"mode": "proxy"},
		settled: core.Settings{
			Values: map[string]string{
				interfaceKey: "eth9", "netboot.mode": "off", "netboot.subnet": "10.9.0.1/24", "retention.logs": "9d", "retention.artifacts": "9d",
				"data_dir": "/elsewhere", "of.a.later.program": "1",
			},
			Notifiers: map[string]core.Told{
				"phone": {Kind: "ntfy", Topic: "t", Secrets: []string{"url", "token", "nonsense"}, Events: []core.Topic{core.HoldingOpened}},
				"mail":  {Kind: "discord", Secrets: []string{"url"}},
				"lost":  {Kind: "discord", Secrets: []string{"url"}},
			},
		},
	}
	writeFile(t, s.file, "data_dir: "+dir+"\n\nnetboot:\n  subnet: 10.8.0.1/24\nnotifiers:\n  mail: {type: shoutrrr, url: \"x://y\"}\n")

	config, err := s.load()
	if err != nil {
		t.Fatal(err)
	}

	for key, want := range map[string][2]string{
		interfaceKey:          {"eth9", "console"},
		"netboot.mode":        {"proxy", "flag --mode"},
		"netboot.subnet":      {"10.8.0.1/24", "file " + s.file + ":4"},
		"retention.logs":      {"3d", "env VETTING_RETENTION_LOGS"},
		"retention.artifacts": {"9d", "console"},
		"data_dir":            {dir, "file " + s.file + ":1"},
	} {
		for _, setting := range settings() {
			if setting.key == key && (setting.value(&config) != want[0] || s.origin[key] != want[1]) {
				t.Errorf("%s = %s from %s, want %v", key, setting.value(&config), s.origin[key], want)
			}
		}
	}

	phone, mail := config.Notifiers["phone"], config.Notifiers["mail"]
	if phone.URL.file != filepath.Join(dir, "secrets/notifier-phone-url") || phone.Token.file != filepath.Join(dir, "secrets/notifier-phone-token") || phone.Password.Set() || mail.Type != "shoutrrr" {
		t.Errorf("%#v %#v", phone, mail)
	}

	if _, there := config.Notifiers["lost"]; there || len(s.lost) != 1 {
		t.Errorf("a notifier without its secret counts; lost are %v", s.lost)
	}

	if len(config.Routes) != 1 || config.Routes[0].To[0] != "phone" {
		t.Errorf("%v", config.Routes)
	}
}

// settled is an appliance over a ledger in which the console has set something.
func settledAppliance(t *testing.T, file string, values map[string]string) *appliance {
	t.Helper()

	dir := t.TempDir()
	from := &source{file: filepath.Join(dir, "vetting.yaml"), flags: map[string]string{"data-dir": dir, "console-listen": "127.0.0.1:0"}}
	writeFile(t, from.file, file)

	config, err := from.load()
	if err != nil {
		t.Fatal(err)
	}

	a, err := newAppliance(config, from, &initramfs.Image{ID: "none"}, t.Output(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(context.Background())
	if err := a.openStore(ctx); err != nil {
		t.Fatal(err)
	}

	ended := make(chan error, 1)

	go func() { ended <- a.store.Run(ctx) }()

	t.Cleanup(func() {
		stop()

		if err := errors.Join(<-ended, a.close()); err != nil {
			t.Error(err)
		}
	})

	_, err = a.store.Update(ctx, func(txn core.Txn) error {
		return txn.Put(core.TableSetting, core.SettingsKey, core.Settings{Serial: 1, Values: values})
	})
	if err != nil {
		t.Fatal(err)
	}

	return a
}

func TestTheApplianceStartsWithWhatTheConsoleSet(t *testing.T) {
	a := settledAppliance(t, "log: {level: info}\n", map[string]string{interfaceKey: "eth9", "netboot.subnet": "10.9.0.1/24"})

	if err := a.takeSettled(t.Context()); err != nil {
		t.Fatal(err)
	}

	if a.config.Netboot.Interface != "eth9" || !a.fromConsole(interfaceKey) || a.fromConsole("log.level") || len(a.warnings.list()) != 0 {
		t.Errorf("%+v %v", a.config.Netboot, a.warnings.list())
	}
}

// What was set in the console must never keep people out of the console.
func TestWhatDoesNotFitLeavesTheConsoleAlone(t *testing.T) {
	a := settledAppliance(t, "netboot: {subnet: 10.8.0.1/24, interface: eth1}\n", map[string]string{"netboot.pool.start": "10.9.0.10", "netboot.pool.end": "10.9.0.20"})

	if err := a.open(t.Context(), a.takeSettled, a.openNetbootOrNot); err != nil {
		t.Fatal(err)
	}

	if all := a.warnings.list(); len(all) != 1 || all[0].Severity != core.Critical || !strings.Contains(all[0].Text, "10.9.0.10") {
		t.Errorf("%v", all)
	}

	if !a.alone || a.netboot != nil {
		t.Error("machines are answered by settings that nobody has looked through")
	}

	if a.ready()["netboot"](t.Context()) == nil {
		t.Error("the boot services are said to be ready")
	}
}

// It may have said that things are kept for ever, and the first sweep would remove them for good.
func TestNothingIsRemovedWhileWhatWasSetDoesNotFit(t *testing.T) {
	a := settledAppliance(t, "netboot: {subnet: 10.8.0.1/24}\nretention: {downsample: 10s}\n", map[string]string{
		"netboot.pool.start": "10.9.0.10", "netboot.pool.end": "10.9.0.20",
		"retention.artifacts": "0d", "retention.logs": "0d", "retention.failed": "0d", "hosts.trash": "3650d", "backup.keep": "1000",
	})

	if err := a.takeSettled(t.Context()); err != nil {
		t.Fatal(err)
	}

	ended := time.Now().Add(-50 * 365 * 24 * time.Hour)

	for _, verdict := range []core.Verdict{core.Pass, core.Fail} {
		due := a.config.sweeps().Policy.Of(&core.Run{State: core.StateCompleted, Verdict: verdict, EndedAt: ended})
		if !due.Log.IsZero() || !due.Artifacts.IsZero() || !due.Samples.IsZero() {
			t.Errorf("of a run with %s things go: %+v", verdict, due)
		}
	}

	if a.config.Hosts.Trash < Duration(3650*24*time.Hour) || a.config.Backup.Keep < 1000 {
		t.Errorf("deleted hosts are kept for %s, and %d backups", a.config.Hosts.Trash, a.config.Backup.Keep)
	}

	if all := a.warnings.list(); len(all) != 1 || !strings.Contains(all[0].Text, "kept until it is mended") {
		t.Errorf("%v", all)
	}

	for _, shown := range a.live.settings() {
		if shown.Key == "retention.logs" && shown.Value != "0s" {
			t.Errorf("people are shown %q", shown.Value)
		}
	}
}

func TestWithoutATestNICTheConsoleSaysSo(t *testing.T) {
	a := deskAppliance(t, t.TempDir(), func(a *appliance) { a.alone = true })

	all := a.conditions()
	if len(all) != 1 || all[0].Severity != core.Warning || !strings.Contains(all[0].Text, "no test NIC") {
		t.Errorf("%v", all)
	}

	if a.admit() != nil {
		t.Error("people of 10.77.0.0/24 are kept out, and there is no test network")
	}

	if !strings.HasPrefix(a.state(), "no test NIC") {
		t.Errorf("systemctl status shows %q", a.state())
	}
}

// A command knows it from the appliance that runs, and from the ledger of one that does not.
func TestCommandsKnowWhatTheConsoleSet(t *testing.T) {
	dir := t.TempDir()

	if all, err := settledOf(t.Context(), dir); err != nil || all.Serial != 0 {
		t.Errorf("without a ledger: %+v, %v", all, err)
	}

	t.Run("running", func(t *testing.T) {
		a := deskAppliance(t, dir, nil)

		_, err := a.store.Update(t.Context(), func(txn core.Txn) error {
			return txn.Put(core.TableSetting, core.SettingsKey, core.Settings{Serial: 7, Values: map[string]string{interfaceKey: "eth9"}})
		})
		if err != nil {
			t.Fatal(err)
		}

		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			all, err := settledOf(t.Context(), dir)
			if err == nil && all.Serial == 7 {
				return
			}

			if time.Now().After(end) {
				t.Fatalf("%+v, %v", all, err)
			}
		}
	})

	if all, err := settledOf(t.Context(), dir); err != nil || all.Serial != 7 || all.Values[interfaceKey] != "eth9" {
		t.Errorf("from the ledger: %+v, %v", all, err)
	}
}

func TestARestartIsAskedForOnce(t *testing.T) {
	var r restart

	ended := make(chan error, 1)

	go func() { ended <- r.await(t.Context()) }()

	if r.asked() {
		t.Error("asked for by nobody")
	}

	r.ask()
	r.ask()

	select {
	case err := <-ended:
		if !errors.Is(err, errAgain) || !r.asked() {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody heard")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()

	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What was chosen in the console and cannot be served must not keep anybody from the console, in which
// another port can be chosen; what the file names is refused, as it always was.
func TestBootServicesOfTheConsoleThatFailLeaveItOpen(t *testing.T) {
	for origin, stays := range map[string]bool{consoleOrigin: true, "file /etc/vetting/vetting.yaml:3": false} {
		a := deskAppliance(t, t.TempDir(), nil)
		a.source, a.config.Netboot.Interface = &source{origin: map[string]string{interfaceKey: origin}}, "no-such-card"
		a.config.Netboot.Pool.Start = "no address"

		err := a.openNetbootOrNot(t.Context())
		if (err == nil) != stays || stays && (len(a.warnings.list()) == 0 || !a.alone) {
			t.Errorf("by %s: %v, warnings %v", origin, err, a.warnings.list())
		}
	}
}

// Started anew, the appliance would end again each time, before anybody reached the console.
func TestWhatTheConsoleSetOfTheBootServicesNeverEndsTheAppliance(t *testing.T) {
	for key, stays := range map[string]bool{"netboot.mode": true, "traffic.port": true, "run.hold": false} {
		a := deskAppliance(t, t.TempDir(), nil)
		a.config.Netboot.Interface, a.image = "no-such-card", fullImage()
		a.source = &source{origin: map[string]string{interfaceKey: "file /etc/vetting/vetting.yaml:3", key: consoleOrigin}}

		if err := a.openNetboot(t.Context()); err != nil {
			t.Fatal(err)
		}

		others := make(chan struct{})
		taken := component{"partner", func(context.Context) error { return errors.New("bind: address already in use") }}
		other := component{"netboot", func(ctx context.Context) error {
			<-ctx.Done()
			close(others)

			return nil
		}}

		for want, run := range map[string]func(context.Context) error{
			"no-such-card":           a.serveMachines,
			"address already in use": func(ctx context.Context) error { return a.outlive(ctx, other, taken) },
		} {
			a.warnings.settle("netboot")

			if got := endsWithin(t, run, func() bool { return len(a.warnings.list()) > 0 }); (got == nil) != stays {
				t.Errorf("%s by the console: %v", key, got)
			}

			if all := a.warnings.list(); stays && (len(all) != 1 || !strings.Contains(all[0].Text, want) || !strings.Contains(all[0].Text, "traffic.port")) {
				t.Errorf("%s by the console: people are told %v", key, all)
			}
		}

		<-others // machines that find no agent API are better not answered at all
	}
}

// fullImage has all that the boot services ask for, as one byte each.
func fullImage() *initramfs.Image {
	one, loaders := []byte{1}, map[string][]byte{}
	for _, name := range []string{"undionly.kpxe", "ipxe.pxe", "snponly.efi", "ipxe.efi", "shimx64.efi", "grubx64.efi", "ipxe-arm64.efi"} {
		loaders[name] = one
	}

	return &initramfs.Image{ID: "none", Kernel: one, Base: one, Modules: one, Loaders: loaders, Pieces: map[string][]byte{initramfs.Stub: one}}
}

// endsWithin runs a part until it ends, or has told, and then until it is told to end.
func endsWithin(t *testing.T, run func(context.Context) error, told func() bool) error {
	t.Helper()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()

	ended := make(chan error, 1)

	go func() { ended <- run(ctx) }()

	for end := time.Now().Add(time.Minute); !told() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		select {
		case err := <-ended:
			return err
		default:
		}
	}

	stop()

	return <-ended
}

func TestTheConsoleLeavesTheTestNICItsPorts(t *testing.T) {
	for name, test := range map[string]struct {
		listen string
		port   int
		ok     bool
	}{
		"the port of agents on all addresses": {"0.0.0.0:443", 5201, false},
		"the same over IPv6":                  {"[::]:https", 5201, false},
		"the port of boots":                   {":80", 5201, false},
		"the partner's":                       {"0.0.0.0:8443", 8443, false},
		"the partner's on the test NIC":       {"10.77.0.1:8443", 8443, false},
		"another port":                        {"0.0.0.0:8443", 5201, true},
		"another address":                     {"192.0.2.5:443", 5201, true},
		"the machine itself":                  {"localhost:8443", 8443, true},
	} {
		c := Defaults()
		c.Console.Listen, c.Traffic.Port = test.listen, test.port

		if err := c.portsLeft(); (err == nil) != test.ok || err != nil && !errors.Is(err, core.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
