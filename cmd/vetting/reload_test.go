package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// fromFile is an appliance whose configuration is a file, and what writes another
// one.
func fromFile(t *testing.T, text string) (*appliance, func(text string)) {
	t.Helper()

	path := filepath.Join(t.TempDir(), "vetting.yaml")
	write := func(text string) {
		t.Helper()

		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(text)

	dir := t.TempDir()
	from := &source{file: path, flags: map[string]string{"console-listen": "127.0.0.1:0", "data-dir": dir}}

	config, err := from.load()
	if err != nil {
		t.Fatal(err)
	}

	return deskAppliance(t, dir, func(a *appliance) {
		a.config, a.source = config, from
		a.live.set(&config, from.origin, nil)
	}), write
}

const before = "log: {level: info}\nretention: {logs: 30d}\nnetboot: {subnet: 10.77.0.1/24}\n"

const after = `log: {level: debug}
retention: {logs: 60d}
janitor: {interval: 2h}
netboot: {subnet: 10.99.0.1/24, kernel_args: [quiet]}
host_api: {enrol_key: {env: NOT_READ_NOW}}
profiles: {receiving: {extends: quick, description: new ones}}
notifiers: {chat: {type: discord, url: "https://chat.example/hook-of-ours"}}
routes: [{to: [chat], severities: [critical]}]
`

func TestReloadPutsInForceWhatItCanAndNamesTheRest(t *testing.T) {
	a, write := fromFile(t, before)

	write(after)

	said, err := a.reload(t.Context())
	if err != nil || said != "reloaded; these keys wait for a restart: host_api.enrol_key, netboot.kernel_args, netboot.subnet" {
		t.Fatalf("%q, %v", said, err)
	}

	if entry := lastAudit(t, a); entry.Action != "config.reload" || !strings.HasSuffix(entry.Text, said) {
		t.Errorf("the audit trail says %+v", entry)
	}

	if a.level.Level() != slog.LevelDebug {
		t.Error("the log's level is as before")
	}

	if !slices.ContainsFunc(a.engine.Profiles(), func(p core.Profile) bool { return p.Name == "receiving" }) {
		t.Error("the profile is not there")
	}

	if targets, routes := a.courier.Targets(), a.courier.Routes(); len(targets) != 1 || len(routes) != 1 || targets[0].Name != "chat" {
		t.Errorf("%v %v", targets, routes)
	}

	want := map[string]route.Setting{
		"retention.logs":      {Key: "retention.logs", Value: "60d", Origin: "file"},
		"janitor.interval":    {Key: "janitor.interval", Value: "2h", Origin: "file"},
		"netboot.subnet":      {Key: "netboot.subnet", Value: "10.77.0.1/24", Origin: "file", Pending: "10.99.0.1/24"},
		"netboot.kernel_args": {Key: "netboot.kernel_args", Pending: "quiet"},
		"console.listen":      {Key: "console.listen", Value: "127.0.0.1:0", Origin: "flag"},
		"host_api.enrol_key":  {Key: "host_api.enrol_key", Origin: "file", Pending: `{env: "NOT_READ_NOW"}`},
		"notifiers.chat":      {Key: "notifiers.chat", Value: "discord"},
		"profiles":            {Key: "profiles", Value: "receiving"},
	}

	for _, s := range a.live.settings() {
		if at := map[string]string{"file": a.source.file + ":", "flag": "--"}[s.Origin]; !strings.HasPrefix(s.At, at) {
			t.Errorf("%s is said to be at %q", s.Key, s.At)
		}

		s.At = ""
		if expected, ok := want[s.Key]; ok && s != expected {
			t.Errorf("%+v, want %+v", s, expected)
		}

		if strings.Contains(s.Value, "hook-of-ours") {
			t.Errorf("a secret is shown: %+v", s)
		}

		delete(want, s.Key)
	}

	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}

	if w := a.warnings.list(); len(w) != 1 || w[0].Severity != core.Warning || !strings.Contains(w[0].Text, "netboot.subnet") {
		t.Errorf("%v", w)
	}

	write(before)

	if said, err := a.reload(t.Context()); err != nil || said != "reloaded" || len(a.warnings.list()) != 0 || len(a.courier.Targets()) != 0 {
		t.Errorf("%q, %v, %v", said, err, a.warnings.list())
	}
}

// lastAudit is the newest entry of the audit trail.
func lastAudit(t *testing.T, a *appliance) (entry core.Audit) {
	t.Helper()

	if err := a.store.View(t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableAudit, core.Query{Reverse: true, Limit: 1}, func(_ string, decode func(any) error) error { return decode(&entry) })
	}); err != nil {
		t.Fatal(err)
	}

	return entry
}

func TestABadFileLeavesTheOldOneInForce(t *testing.T) {
	a, write := fromFile(t, before)
	earlier := ""

	for name, text := range map[string]string{
		"a misspelt key beside a secret":      "log: {level: debug}\nnotifiers:\n  chat: {type: discord, url: \"https://hush.example/x\", tpoic: lab}\n",
		"a notifier that lacks its address":   "log: {level: debug}\nnotifiers: {chat: {type: discord}}\n",
		"a secret that lies nowhere":          "log: {level: debug}\nnotifiers: {chat: {type: discord, url: {file: /nowhere/hush}}}\n",
		"a route to nobody":                   "log: {level: debug}\nroutes: [{to: [nobody]}]\n",
		"an event that there is not":          "log: {level: debug}\nnotifiers: {n: {type: ntfy, url: 'https://ntfy.example', topic: x}}\nroutes: [{to: [n], events: [Sunrise]}]\n",
		"a profile with a stage of its own":   "log: {level: debug}\nprofiles: {mine: {stages: [Prayer]}}\n",
		"a policy that forgets within a day":  "log: {level: debug}\nretention: {logs: 1h}\n",
		"a janitor that never rests":          "log: {level: debug}\njanitor: {interval: 1s}\n",
		"a level that there is not":           "log: {level: loud}\n",
		"a hold that is over before it began": "log: {level: debug}\nrun: {hold: 1s}\n",
	} {
		t.Run(name, func(t *testing.T) {
			write(text)

			if said, err := a.reload(t.Context()); err == nil {
				t.Fatalf("taken: %s", said)
			}

			if a.level.Level() != slog.LevelInfo || len(a.courier.Targets()) != 0 || a.live.config.Log.Level != "info" {
				t.Error("something of it is in force")
			}

			w := a.warnings.list()
			if len(w) != 1 || w[0].Severity != core.Critical || strings.Contains(w[0].Text, "hush.example") || strings.Contains(w[0].Text, "\n") {
				t.Errorf("the console says %v", w)
			}

			if entry := lastAudit(t, a); entry.ID == earlier || entry.Action != "config.reload-refused" || entry.Who != "local" ||
				!strings.HasSuffix(w[0].Text, strings.TrimPrefix(entry.Text, "had the configuration read again, which cannot be used; the old one stays in force: ")) ||
				strings.Contains(entry.Text, "hush.example") {
				t.Errorf("the audit trail says %+v", entry)
			} else {
				earlier = entry.ID
			}
		})
	}

	write(before)

	if _, err := a.reload(t.Context()); err != nil || len(a.warnings.list()) != 0 {
		t.Errorf("%v, %v", err, a.warnings.list())
	}
}

func TestAHangupReloads(t *testing.T) {
	// Whatever comes first, the signal does not end the test; and since the last one may
	// come when the test is over, it is caught for good.
	own := make(chan os.Signal, 8)
	ossignal.Notify(own, unix.SIGHUP)

	a, write := fromFile(t, before)
	write("log: {level: error}\n")

	for every := time.Tick(10 * time.Millisecond); a.level.Level() != slog.LevelError; {
		if err := unix.Kill(os.Getpid(), unix.SIGHUP); err != nil {
			t.Fatal(err)
		}

		select {
		case <-every:
		case <-t.Context().Done():
			t.Fatal("the signal was not heard")
		}
	}
}

// What the configuration says of notifiers reaches whom it names, with its secret.
func TestNotifiersAreTold(t *testing.T) {
	told := make(chan *http.Request, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r }))

	defer hook.Close()

	t.Setenv("HOOK_SECRET", "a secret of sixteen letters or more")

	a, _ := fromFile(t, "notifiers: {hook: {type: webhook, url: "+hook.URL+"/of-ours, secret: {env: HOOK_SECRET}}}\n")

	token, err := a.ui.CreateToken(t.Context(), "test", "operate")
	if err != nil {
		t.Fatal(err)
	}

	api, err := client.New(a.ui.URL(), token, filepath.Join(a.config.DataDir, consoleKey+".crt"))
	if err != nil {
		t.Fatal(err)
	}

	var outcome route.Delivery
	if err := api.Call(t.Context(), client.Request{Route: "notifiers.test", Params: []string{"hook"}}, &outcome); err != nil || !outcome.OK {
		t.Fatalf("%+v, %v", outcome, err)
	}

	if r := <-told; r.URL.Path != "/of-ours" || r.Header.Get("Webhook-Signature") == "" {
		t.Errorf("%s %v", r.URL, r.Header)
	}

	var expiring json.RawMessage
	if err := api.Call(t.Context(), client.Request{Route: "retention.preview"}, &expiring); err != nil || !strings.Contains(string(expiring), `"count":0`) {
		t.Errorf("%s, %v", expiring, err)
	}
}
