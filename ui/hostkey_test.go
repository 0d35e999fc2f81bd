package ui_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

// Hosts of the scene: one whose agent is heard, one whose key waits.
const (
	heardHost   = core.MAC("52:54:00:00:00:13")
	waitingHost = core.MAC("52:54:00:00:00:18")
)

func TestPowerOrdersReachTheEngine(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	var orders []string

	b.commands.OnPower = func(mac core.MAC, op core.PowerOp) (core.PowerState, error) {
		orders = append(orders, string(mac[15:])+" "+string(op))

		return map[core.PowerOp]core.PowerState{core.PowerStatus: core.PowerIsOff}[op], nil
	}

	for _, op := range []string{"on", "off", "cycle", "boot", "status"} {
		var done route.PowerDone

		got := b.ask("POST", "/api/v1/hosts/"+string(heardHost)+"/power", fmt.Sprintf(`{"op":%q}`, op), "Authorization", auth)
		if err := json.Unmarshal([]byte(got.body), &done); err != nil || got.status != http.StatusOK || string(done.Op) != op {
			t.Errorf("%s: %d %s", op, got.status, got.body)
		}

		want := core.PowerUnknown
		if op == "status" {
			want = core.PowerIsOff
		}

		if done.State != want {
			t.Errorf("%s: state %q, want %q", op, done.State, want)
		}

		page := b.ask("POST", "/hosts/"+string(heardHost)+"/power", "op="+op, "Authorization", auth)
		if page.status != http.StatusSeeOther {
			t.Errorf("%s on the page: %d", op, page.status)
		}

		if said := b.ask("GET", page.header.Get("Location"), "", "Authorization", auth); !strings.Contains(said.body, `id="done"`) {
			t.Errorf("%s leads to %s, which says nothing of it", op, page.header.Get("Location"))
		}
	}

	if want := "13 on|13 on|13 off|13 off|13 cycle|13 cycle|13 boot|13 boot|13 status|13 status"; strings.Join(orders, "|") != want {
		t.Error(orders)
	}

	b.commands.OnPower = func(core.MAC, core.PowerOp) (core.PowerState, error) {
		return "", core.NewProblem(core.ErrConflict, "power/busy", "Run X is in SMART; cancel it first.")
	}

	if got := b.ask("POST", "/hosts/"+string(heardHost)+"/power", "op=off", "Authorization", auth); got.status != http.StatusConflict || !strings.Contains(got.body, "cancel it first") {
		t.Errorf("a refusal on the page: %d", got.status)
	}
}

// Only what can be done is offered: a host without a controller cannot be switched
// off, one that a run works on is not.
func TestAHostOffersTheSwitchesItHas(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		power core.Power
		state core.State
		want  string
	}{
		"by hand":                     {core.Power{Method: core.PowerManual}, core.StateCompleted, ""},
		"Wake-on-LAN":                 {core.Power{Method: core.PowerWoL}, core.StateCompleted, "on boot"},
		"a controller":                {core.Power{Method: core.PowerIPMI}, core.StateCompleted, "status on boot off cycle"},
		"a controller behind packets": {core.Power{Method: core.PowerWoL, Then: []core.PowerMethod{core.PowerRedfish}}, core.StateFailedHolding, "status on boot off cycle"},
		"a run under way":             {core.Power{Method: core.PowerIPMI}, core.State(core.SMART), "status on boot-"},
	} {
		b := open(t, canned.Full, nil)

		if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
			var (
				host core.Host
				run  core.Run
			)

			if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
				return err
			}

			if err := txn.Get(core.TableRun, string(canned.Run), &run); err != nil {
				return err
			}

			host.Power, run.State = c.power, c.state

			if err := txn.Put(core.TableRun, string(canned.Run), run); err != nil {
				return err
			}

			return txn.Put(core.TableHost, string(canned.Host), host)
		}); err != nil {
			t.Fatal(err)
		}

		page := b.ask("GET", hostPath, "", "Authorization", "Bearer "+b.token("operate")).body

		var got []string

		for part := range strings.SplitSeq(page, `name="op" value="`) {
			if word, rest, ok := strings.Cut(part, `"`); ok && !strings.HasPrefix(part, "<!") {
				if strings.HasPrefix(rest, " disabled") {
					word += "-"
				}

				got = append(got, word)
			}
		}

		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestKeysOfInstalledHostsAreShownAndDecided(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	ask := func(query string) (ids []string) {
		var list route.HostKeyList

		got := b.ask("GET", "/api/v1/host-keys"+query, "", "Authorization", auth)
		if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, got.status, got.body)
		}

		for i := range list.Keys {
			ids = append(ids, list.Keys[i].ID[:2])
		}

		return ids
	}

	for query, want := range map[string][]string{
		"": {"2b", "1a", "3c"}, "?state=pending": {"2b"}, "?state=approved": {"1a"}, "?host=" + string(heardHost): {"1a", "3c"},
		"?host=" + string(heardHost) + "&state=revoked": {"3c"},
	} {
		if got := ask(query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}

	if got := b.ask("GET", "/api/v1/host-keys?state=lost", "", "Authorization", auth); got.status != http.StatusUnprocessableEntity {
		t.Errorf("a state that there is not: %d", got.status)
	}

	inbox := b.ask("GET", "/inbox", "", "Authorization", auth).body
	for _, want := range []string{"1 installed host waits for approval", "SHA256:2b2b", "bench-1.lan", `action="/host-keys/` + strings.Repeat("2b", 16) + `/approve"`} {
		if !strings.Contains(inbox, want) {
			t.Errorf("the inbox lacks %q", want)
		}
	}

	if !strings.Contains(inbox, `>3</span>`) {
		t.Error("the key that waits is not counted beside the inbox")
	}

	var did []string

	b.commands.OnKey = func(word, id string) (core.HostKey, error) {
		did = append(did, word+" "+id[:2])

		return core.HostKey{ID: id, Host: waitingHost}, nil
	}

	id := strings.Repeat("2b", 16)
	for path, to := range map[string]string{"/approve": "/hosts/" + string(waitingHost) + "?done=key-approved#installed", "/revoke": "/hosts/" + string(waitingHost) + "?done=key-revoked#installed"} {
		if got := b.ask("POST", "/host-keys/"+id+path, "back=host", "Authorization", auth); got.header.Get("Location") != to {
			t.Errorf("%s: %d to %s", path, got.status, got.header.Get("Location"))
		}

		if got := b.ask("POST", "/api/v1/host-keys/"+id+path, "", "Authorization", auth); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}

	slices.Sort(did)

	if want := []string{"approve 2b", "approve 2b", "revoke 2b", "revoke 2b"}; !slices.Equal(did, want) {
		t.Errorf("%v", did)
	}
}

func TestWhetherAnInstalledHostIsHeardIsShown(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	var list route.PresenceList

	got := b.ask("GET", "/api/v1/presence", "", "Authorization", auth)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Hosts) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}

	want := route.Presence{
		Host: heardHost, Online: true, Since: canned.Now().Add(-26 * time.Hour), LastSeen: canned.Now().Add(-20 * time.Second), AgentVersion: "0.1.0",
		Uptime: 180000, KeyID: strings.Repeat("1a", 16),
	}
	if diff := cmp.Diff(want, list.Hosts[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	for path, words := range map[string][]string{
		"/":                             {"<span>online</span>", "<span>offline</span>"},
		"/hosts":                        {"Online", "Offline"},
		"/hosts/" + string(heardHost):   {"Online", "agent 0.1.0", "up for about 50 h", "signed", "Approved", "Revoked", "decided by ada"},
		"/hosts/" + string(waitingHost): {"Offline", "ada is logged in on tty1", "Waits for approval"},
	} {
		page := b.ask("GET", path, "", "Authorization", auth).body
		for _, word := range words {
			if !strings.Contains(page, word) {
				t.Errorf("%s lacks %q", path, word)
			}
		}
	}

	if page := b.ask("GET", hostPath, "", "Authorization", auth).body; strings.Contains(page, "Installed system") {
		t.Error("a host that has no agent tells of one")
	}
}

// The lines name the console as the caller reaches it, wherever they are offered.
func TestTheQuickLinesNameTheConsole(t *testing.T) {
	t.Parallel()

	b := installedSide(t)
	auth := "Bearer " + b.token("operate")

	for path, want := range map[string]string{
		"/inbox": "curl &#39;https://console.test&#39;", "/hosts/new": "curl &#39;https://console.test&#39;",
		"/api/v1/quick-lines": `{"lines":[{"for":"Machines","line":"curl 'https://console.test'"}]}`,
	} {
		if got := b.ask("GET", path, "", "Authorization", auth); !strings.Contains(got.body, want) {
			t.Errorf("%s lacks the line", path)
		}
	}

	none := open(t, canned.Empty, nil)
	if got := none.ask("GET", "/api/v1/quick-lines", "", "Authorization", "Bearer "+none.token("read")); got.body != `{"lines":[]}` {
		t.Errorf("without an agent: %d %s", got.status, got.body)
	}

	if got := none.ask("GET", "/inbox", "", "Authorization", "Bearer "+none.token("read")); strings.Contains(got.body, "quick-more") {
		t.Error("without an agent: the inbox offers it")
	}
}

// formOf writes an override as the browser sends it.
func formOf(o core.Override) url.Values {
	form := url.Values{"name": {"r740"}}

	for stage, why := range o.Skip {
		form.Set("skip_"+string(stage), why)
	}

	for key, value := range o.Config {
		form.Set("config", key+"="+value)
	}

	for _, r := range append(slices.Clone(o.Rules), core.Rule{Stage: "*", Op: core.OpLTE, Severity: core.Warning}) { // and the empty row
		row := map[string]string{
			"id": r.ID, "stage": r.Stage, "key": r.Key, "op": string(r.Op), "value": "", "of": r.Of, "severity": string(r.Severity), "code": r.Code,
			"for": "", "count": "", "required": "",
		}

		if r.ID != "" {
			row["value"], row["count"] = fmt.Sprint(r.Value), fmt.Sprint(r.Count)
		}

		if r.For > 0 {
			row["for"] = r.For.String()
		}

		if r.Required {
			row["required"] = "1"
		}

		for name, value := range row {
			form.Add("rule_"+name, value)
		}
	}

	return form
}

// What a form of limits, settings and stages says reaches the engine as it is, for
// hosts and for classes, and the pages show it again.
func TestOverridesAreEditedInForms(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	want := core.Override{
		Skip: map[core.StageName]string{core.GPU: "this model has none"}, Config: map[string]string{"SMART.self_test": "none"},
		Rules: []core.Rule{
			{ID: "t", Stage: "SMART", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 50.5, Severity: core.Critical, For: 30 * time.Second, Code: "x/y"},
			{ID: "f", Stage: "*", Key: "fan/*/speed_rpm", Op: core.OpWithinPct, Value: 10, Of: "baseline", Severity: core.Warning, Count: 3, Required: true},
		},
	}

	var got core.Override

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (core.Host, error) {
		host := core.Host{MAC: mac, Name: "stays", Overrides: core.Override{Config: map[string]string{"gone": "1"}}}
		change(&host)
		got = host.Overrides

		return host, nil
	}
	b.commands.OnClass = func(class core.Class, _ []func(*core.Class) error) (core.Class, error) {
		got = class.Overrides

		return class, nil
	}

	for path, to := range map[string]string{hostPath + "/overrides": hostPath + "?done=overrides#overrides", "/classes": "/classes?done=class"} {
		got = core.Override{}

		res := b.ask("POST", path, formOf(want).Encode(), "Authorization", auth)
		if res.status != http.StatusSeeOther || res.header.Get("Location") != to {
			t.Errorf("%s: %d %s", path, res.status, res.header.Get("Location"))
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}

	if res := b.ask("POST", hostPath+"/overrides", formOf(core.Override{}).Encode(), "Authorization", auth); res.status != http.StatusSeeOther || got.Config != nil || got.Rules != nil || got.Skip != nil {
		t.Errorf("an empty form: %d %+v", res.status, got)
	}

	page := b.ask("GET", "/classes", "", "Authorization", auth).body
	for _, word := range []string{"GPU is skipped: this model has none", `value="disk-temperature"`, `value="30s"`, "SMART.self_test = short"} {
		if !strings.Contains(page, word) {
			t.Errorf("the classes lack %q", word)
		}
	}
}

// A form that is refused says all that is wrong and keeps what was typed.
func TestAnOverrideThatIsRefusedStaysInTheForm(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	b.commands.OnUpdate = func(core.MAC, func(*core.Host)) (core.Host, error) {
		t.Error("the engine was asked")

		return core.Host{}, nil
	}

	form := formOf(core.Override{Skip: map[core.StageName]string{core.PSU: "one only"}, Rules: []core.Rule{{ID: "hot"}}})
	form.Set("config", "SMART.self_test\nA = 1\nA = 2")
	form["rule_value"], form["rule_for"], form["rule_count"] = []string{"6o", ""}, []string{"10", ""}, []string{"many", ""}

	for _, path := range []string{hostPath + "/overrides", "/classes"} {
		got := b.ask("POST", path, form.Encode(), "Authorization", auth)
		if got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, got.status)
		}

		for _, word := range []string{
			"Line 1 of the settings", "a second time", "no number", "write 10s or 5m", "no whole number", `value="6o"`, `value="one only"`, "A = 1",
		} {
			if !strings.Contains(got.body, word) {
				t.Errorf("%s lacks %q", path, word)
			}
		}
	}

	b.commands.OnUpdate = func(core.MAC, func(*core.Host)) (core.Host, error) {
		return core.Host{}, fmt.Errorf("checking: %w", errorsJoined())
	}

	got := b.ask("PATCH", "/api/v1/hosts/"+string(canned.Host), `{"overrides":{}}`, "Authorization", auth)
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"message":"First. Second."`) {
		t.Errorf("by the API: %d %s", got.status, got.body)
	}
}

// What was typed about a host that is refused stays, but for passwords.
func TestAHostThatIsRefusedStaysInTheForm(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.commands.OnUpdate = func(core.MAC, func(*core.Host)) (core.Host, error) {
		return core.Host{}, core.NewProblem(core.ErrInvalid, "host/bad-power", "No such address.")
	}

	form := url.Values{"name": {"renamed"}, "power": {"ipmi"}, "then": {"wol"}, "bmc_address": {"not an address"}, "bmc_password": {"hunter2hunter2"}}

	got := b.ask("POST", hostPath, form.Encode(), "Authorization", "Bearer "+b.token("operate"))
	for _, word := range []string{"No such address.", `value="renamed"`, `value="not an address"`, `<option value="wol" selected`, `id="edit-more" open`} {
		if !strings.Contains(got.body, word) {
			t.Errorf("the page lacks %q", word)
		}
	}

	if strings.Contains(got.body, "hunter2") || got.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", got.status)
	}
}

func errorsJoined() error {
	return errors.Join(core.NewProblem(core.ErrInvalid, "threshold/bad-rule", "First."), core.NewProblem(core.ErrInvalid, "threshold/bad-rule", "Second."))
}

// A secret that is forgotten with its address must be asked for.
func TestAHostWithoutItsSecretAsksForIt(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (core.Host, error) {
		host := core.Host{MAC: mac}
		change(&host)

		return host, nil
	}

	for form, word := range map[string]string{
		"name=a&power=redfish&bmc_address=10.0.0.9&bmc_user=a":                   "saved-no-secret",
		"name=a&power=redfish&bmc_address=10.0.0.9&bmc_user=a&bmc_password=hush": "saved",
		"name=a&power=webhook&webhook_url=https://relay/":                        "saved-no-secret",
		"name=a&power=manual": "saved&undo=" + strings.Repeat("0", 32),
	} {
		res := b.ask("POST", hostPath, form, "Authorization", auth)
		if to := res.header.Get("Location"); to != hostPath+"?done="+word {
			t.Errorf("%s leads to %d %q", form, res.status, to)
		}
	}

	if page := b.ask("GET", hostPath+"?done=saved-no-secret", "", "Authorization", auth).body; !strings.Contains(page, "Give it again.") {
		t.Error("the page does not ask for it")
	}
}
