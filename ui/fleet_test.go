package ui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

const hostPath = "/hosts/" + string(canned.Host)

// What a role may not do, its pages do not offer.
func TestAPageOffersWhatItsReaderMayDo(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	b.signIn()

	offers := map[route.Role]string{}
	held := "/runs/" + string(canned.Run[:25]+"2")

	for _, role := range route.Roles() {
		cookie, all := b.member("m-"+string(role), role), ""
		for _, path := range []string{"/", "/hosts", hostPath, "/runs/" + string(canned.Run), held, held + "/hold", "/inbox", "/classes", "/firmware", "/settings"} {
			got := b.ask("GET", path, "", "Cookie", cookie)
			if got.status != http.StatusOK && (path != held+"/hold" || role != route.Viewer) {
				t.Errorf("%s as %s: status %d", path, role, got.status)
			}

			all += got.body
		}

		offers[role] = all
	}

	for word, least := range map[string]route.Role{
		`href="/hosts/new"`: route.Operator, `action="` + hostPath + `/runs"`: route.Operator, `action="` + hostPath + `/delete"`: route.Operator,
		`/cancel"`: route.Operator, `action="` + held + `/retry"`: route.Operator, `action="` + held + `/hold-key"`: route.Operator,
		`>Adopt<`: route.Operator, `>Bring back<`: route.Operator, `action="/classes"`: route.Operator, `>Save the baseline<`: route.Operator, `>Save the spec<`: route.Operator,
		`href="/people"`: route.Administrator, `href="/activity"`: route.Viewer, `action="/settings/tokens"`: route.Administrator,
		`action="/settings/password"`: route.Viewer,
	} {
		for _, role := range route.Roles() {
			if may := role.Scope().Allows(least.Scope()); strings.Contains(offers[role], word) != may {
				t.Errorf("%s is offered %s: %t", role, word, !may)
			}
		}
	}
}

// The form of a host carries every field, and a password that is not typed stays.
func TestTheFormOfAHostCarriesEveryField(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	var got core.Host

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (core.Host, error) {
		got = core.Host{
			MAC: mac, SpecYAML: "stays", Overrides: core.Override{Config: map[string]string{"SMART.self_test": "none"}},
			Power: core.Power{Then: []core.PowerMethod{core.PowerManual}, BMC: core.BMC{Pin: "ab", Insecure: true}},
		}
		change(&got)

		return got, nil
	}

	form := url.Values{
		"name": {"u1"}, "rack": {" B07/U12 "}, "asset_tag": {"A-1"}, "class": {"r740"}, "tags": {"lab, gpu"}, "aliases": {"52-54-00-00-00-12 525400000013"},
		"notes": {"two\r\nlines"}, "power": {"redfish"}, "bmc_address": {"10.0.0.9"}, "bmc_user": {"root"}, "webhook_url": {"https://w"},
		"then": {"ipmi", "", "wol"}, "bmc_system": {"System.1"}, "bmc_pin": {"AA:0B"},
	}

	if res := b.ask("POST", hostPath, form.Encode(), "Authorization", auth); res.status != http.StatusSeeOther {
		t.Fatalf("%d %.300s", res.status, res.body)
	}

	want := core.Host{
		MAC: canned.Host, Name: "u1", Rack: "B07/U12", AssetTag: "A-1", Class: "r740", Tags: []string{"lab", "gpu"}, SpecYAML: "stays",
		Aliases: []core.MAC{"52:54:00:00:00:12", "52:54:00:00:00:13"}, Notes: "two\nlines",
		Overrides: core.Override{Config: map[string]string{"SMART.self_test": "none"}},
		Power: core.Power{
			Method: core.PowerRedfish, Then: []core.PowerMethod{core.PowerIPMI, core.PowerWoL}, Webhook: core.Webhook{URL: "https://w"},
			BMC: core.BMC{Address: "10.0.0.9", User: "root", System: "System.1", Pin: "aa0b"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	form.Set("bmc_insecure", "1")

	if b.ask("POST", hostPath, form.Encode(), "Authorization", auth); !got.Power.BMC.Insecure {
		t.Error("a controller of which any certificate is trusted")
	}

	if _, err := b.ledger.Update(context.Background(), func(tx core.Txn) error {
		return tx.Put(core.TableHostSecret, string(canned.Host), core.HostSecret{BMCPassword: "old", WebhookSecret: "kept-hush"})
	}); err != nil {
		t.Fatal(err)
	}

	var secret core.HostSecret

	b.commands.OnSecret = func(_ core.MAC, s core.HostSecret) { secret = s }
	form.Set("bmc_password", "new")
	b.ask("POST", hostPath, form.Encode(), "Authorization", auth)

	if secret != (core.HostSecret{BMCPassword: "new", WebhookSecret: "kept-hush"}) {
		t.Errorf("secrets %+v", secret)
	}

	form.Del("bmc_password")
	form.Set("webhook_secret", "changed")
	b.ask("POST", hostPath, form.Encode(), "Authorization", auth)

	if secret != (core.HostSecret{BMCPassword: "old", WebhookSecret: "changed"}) {
		t.Errorf("secrets %+v", secret)
	}

	if page := b.ask("GET", hostPath, "", "Authorization", auth); strings.Contains(page.body, "kept-hush") || strings.Contains(page.body, `value="old"`) {
		t.Error("the page shows a secret")
	}
}

func TestAPatchChangesWhatIsGiven(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	before := core.Host{
		MAC: canned.Host, Name: "a", Rack: "r", AssetTag: "t", Class: "c", Tags: []string{"x"}, Notes: "n", Aliases: []core.MAC{"52:54:00:00:00:12"},
	}

	for body, change := range map[string]func(*core.Host){
		`{}`:                         func(*core.Host) {},
		`{"name":"b"}`:               func(h *core.Host) { h.Name = "b" },
		`{"rack":""}`:                func(h *core.Host) { h.Rack = "" },
		`{"asset_tag":"u"}`:          func(h *core.Host) { h.AssetTag = "u" },
		`{"class":"d","tags":[]}`:    func(h *core.Host) { h.Class, h.Tags = "d", []string{} },
		`{"aliases":[]}`:             func(h *core.Host) { h.Aliases = nil },
		`{"notes":"m"}`:              func(h *core.Host) { h.Notes = "m" },
		`{"power":{"method":"wol"}}`: func(h *core.Host) { h.Power = core.Power{Method: core.PowerWoL} },
		`{"overrides":{"config":{"SMART.self_test":"none"}}}`: func(h *core.Host) {
			h.Overrides = core.Override{Config: map[string]string{"SMART.self_test": "none"}}
		},
	} {
		var got core.Host

		b.commands.OnUpdate = func(_ core.MAC, change func(*core.Host)) (core.Host, error) {
			got = before
			change(&got)

			return got, nil
		}

		if res := b.ask("PATCH", "/api/v1/hosts/"+string(canned.Host), body, "Authorization", auth); res.status != http.StatusOK {
			t.Errorf("%s: %d %s", body, res.status, res.body)
		}

		want := before
		change(&want)

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}

	if res := b.ask("PATCH", "/api/v1/hosts/"+string(canned.Host), `{"aliases":["nonsense"]}`, "Authorization", auth); res.status != http.StatusUnprocessableEntity {
		t.Errorf("an address that is none: %d", res.status)
	}
}

// taking imports as the engine does, into a memory of its own: all or nothing.
func taking(t *testing.T, b *bench, refuse func(*core.Host) string) (wrote *[]string) {
	t.Helper()

	wrote = &[]string{}
	b.commands.OnImport = func(rows []core.ImportRow, dry bool) (done []core.Imported, err error) {
		var (
			faults []error
			did    []string
		)

		for i := range rows {
			var old core.Host

			if err := b.ledger.View(t.Context(), func(r core.Reader) error {
				err := r.Get(core.TableHost, string(rows[i].MAC), &old)
				if errors.Is(err, core.ErrNotFound) {
					return nil
				}

				return err
			}); err != nil {
				return nil, err
			}

			fresh := old
			rows[i].Edit(&fresh)

			if why := refuse(&fresh); why != "" {
				faults = append(faults, core.NewProblem(core.ErrInvalid, "host/invalid", why).With("line", rows[i].Line))
			}

			is := core.Imported{Line: rows[i].Line, MAC: rows[i].MAC, Name: fresh.Name, New: old.MAC == ""}
			is.Changed = !is.New && core.Digest(old) != core.Digest(fresh)
			done = append(done, is)

			if is.New || is.Changed {
				did = append(did, fresh.Name+" "+fresh.Rack)
			}
		}

		if len(faults) > 0 {
			return nil, errors.Join(faults...)
		}

		if !dry {
			*wrote = append(*wrote, did...)
		}

		return done, nil
	}

	return wrote
}

// The path of a webhook's address is often all that keeps others from calling it.
func TestViewersSeeOfAWebhookOnlyItsHost(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	if _, err := b.ledger.Update(t.Context(), func(tx core.Txn) error {
		var host core.Host
		if err := tx.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		host.Power.Webhook.URL = "https://relay.example:8443/hook/T0K3N?k=T0K3N"
		gone := host
		gone.MAC = "52:54:00:00:00:99"

		return errors.Join(tx.Put(core.TableHost, string(host.MAC), host), tx.Put(core.TableTrash, string(gone.MAC), gone))
	}); err != nil {
		t.Fatal(err)
	}

	for scope, sees := range map[string]bool{"read": false, "operate": true} {
		auth := "Bearer " + b.token(scope)

		for _, path := range []string{"/api/v1/hosts", "/api/v1" + hostPath, "/api/v1/trash", hostPath} {
			got := b.ask("GET", path, "", "Authorization", auth)
			if got.status != http.StatusOK || strings.Contains(got.body, "T0K3N") != sees ||
				path != hostPath && !strings.Contains(got.body, "https://relay.example:8443") { // viewers get no form
				t.Errorf("%s with %s: %d, %v", path, scope, got.status, strings.Contains(got.body, "T0K3N"))
			}
		}
	}
}

// A parameter that is neither true nor false does nothing: whoever wrote
// dry_run=yes did not mean no.
func TestABooleanThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	wrote := taking(t, b, func(*core.Host) string { return "" })
	list := "name,mac_address\nfresh,52:54:00:00:00:77\n"

	for _, word := range []string{"dry_run=yes", "dry_run=True", "dry_run=", "dry_run", "dry_run=false&dry_run=true"} {
		got := b.ask("POST", "/api/v1/hosts.csv?"+word, list, "Authorization", auth, "Content-Type", "text/csv")
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "request/bad-boolean") || len(*wrote) != 0 {
			t.Errorf("%s: %d, wrote %v", word, got.status, *wrote)
		}
	}

	for _, path := range []string{"/deliveries?failed=yes", "/runs/" + string(canned.Run) + "/samples?badges=yes"} {
		if got := b.ask("GET", "/api/v1"+path, "", "Authorization", auth); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", path, got.status)
		}
	}

	for _, path := range []string{"/deliveries?failed=1", "/runs/" + string(canned.Run) + "/samples?badges=0"} {
		if got := b.ask("GET", "/api/v1"+path, "", "Authorization", auth); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// A list that was exported is taken back and changes nothing; another is taken
// whole; a dry run does nothing.
func TestHostsTravelAsCSV(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	wrote := taking(t, b, func(*core.Host) string { return "" })

	take := func(list, query string) (result route.ImportResult) {
		t.Helper()

		res := b.ask("POST", "/api/v1/hosts.csv"+query, list, "Authorization", auth, "Content-Type", "text/csv")
		if err := json.Unmarshal([]byte(res.body), &result); err != nil || res.status != http.StatusOK {
			t.Fatalf("%d %s", res.status, res.body)
		}

		return result
	}

	export := b.ask("GET", "/api/v1/hosts.csv", "", "Authorization", auth)
	if kept := take(export.body, ""); kept.Added+kept.Changed != 0 || len(kept.Rows) != 9 || len(*wrote) != 0 {
		t.Errorf("the exported list changes something: %+v %v", kept, *wrote)
	}

	list := "name,mac_address,rack,position\nfresh,52:54:00:00:00:77,B1,4\nrenamed," + string(canned.Host) + ",B1,5\n"

	if dry := take(list, "?dry_run=true"); !dry.DryRun || dry.Added != 1 || dry.Changed != 1 || len(*wrote) != 0 {
		t.Errorf("a dry run: %+v %v", dry, *wrote)
	}

	if dry := take(list, "?dry_run=1"); !dry.DryRun || len(*wrote) != 0 {
		t.Errorf("a dry run of 1: %+v %v", dry, *wrote)
	}

	page := b.ask("POST", "/hosts/import", url.Values{"list": {list}, "dry": {"1"}}.Encode(), "Authorization", auth)
	if page.status != http.StatusOK || !strings.Contains(page.body, "nothing is written yet: 1 added, 1 changed, of 2 rows") || len(*wrote) != 0 {
		t.Errorf("a dry run on the page: %d", page.status)
	}

	if done := take(list, "?dry_run=0"); done.DryRun || done.Added != 1 || done.Changed != 1 || !slices.Equal(*wrote, []string{"fresh B1/U4", "renamed B1/U5"}) {
		t.Errorf("%+v %v", done, *wrote)
	}

	if bad := b.ask("POST", "/hosts/import", "list=name%0A", "Authorization", auth); bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.body, "mac_address") {
		t.Errorf("a list without addresses: %d", bad.status)
	}
}

// One row that cannot be taken keeps all out, whoever finds it, and all such rows
// are named.
func TestAListIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	wrote := taking(t, b, func(h *core.Host) string {
		return map[bool]string{true: "A host needs a name."}[h.Name == ""]
	})

	for name, c := range map[string]struct{ list, lines string }{
		"a row that cannot be read":   {"name,mac_address\nfine,52:54:00:00:00:77\nbad,nonsense\n", "3"},
		"one that the engine refuses": {"name,mac_address\nfine,52:54:00:00:00:77\n,52:54:00:00:00:78\n", "3"},
		"both":                        {"name,mac_address\n,52:54:00:00:00:78\nbad,nonsense\nfine,52:54:00:00:00:77\n", "2 3"},
	} {
		res := b.ask("POST", "/api/v1/hosts.csv", c.list, "Authorization", auth, "Content-Type", "text/csv")

		var sad struct {
			Error struct {
				Code, Message string
				Details       struct{ Rows []route.ImportRow }
			}
		}

		if err := json.Unmarshal([]byte(res.body), &sad); err != nil || res.status != http.StatusUnprocessableEntity || sad.Error.Code != "host/bad-list" {
			t.Errorf("%s: %d %s", name, res.status, res.body)
		}

		var lines []string

		for _, row := range sad.Error.Details.Rows {
			lines = append(lines, fmt.Sprint(row.Line))

			if row.Error == nil || row.Error.Message == "" || row.Did != "refused" {
				t.Errorf("%s: line %d does not say why", name, row.Line)
			}
		}

		if strings.Join(lines, " ") != c.lines {
			t.Errorf("%s: lines %v, want %s", name, lines, c.lines)
		}

		page := b.ask("POST", "/hosts/import", url.Values{"list": {c.list}}.Encode(), "Authorization", auth)
		if page.status != http.StatusUnprocessableEntity || !strings.Contains(page.body, "Nothing was imported") || !strings.Contains(page.body, "Refused") ||
			!strings.Contains(page.body, "52:54:00:00:00:77") {
			t.Errorf("%s, on the page: %d", name, page.status)
		}
	}

	if len(*wrote) != 0 {
		t.Errorf("written: %v", *wrote)
	}
}

// A spec that was learned is shown and not saved.
func TestALearnedSpecIsShownAndNotSaved(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	b.commands.OnSpec = func(core.MAC, string) (core.Host, error) { return core.Host{}, errors.New("saved") }

	if page := b.ask("POST", hostPath+"/spec/learn", "", "Authorization", auth); page.status != http.StatusOK || !strings.Contains(page.body, "not saved yet") ||
		!strings.Contains(page.body, "    count: 4\n</textarea>") {
		t.Errorf("%d", page.status)
	}

	if res := b.ask("POST", "/api/v1"+hostPath+"/spec/learn", `{"run":"`+string(canned.Run[:25])+`3"}`, "Authorization", auth); res.status != http.StatusConflict {
		t.Errorf("from another host's run: %d %s", res.status, res.body)
	}
}

func TestOrdersAboutAHeldRunReachTheEngine(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	var orders []string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		orders = append(orders, word)

		return core.Run{ID: id}, nil
	}

	run := "/runs/" + string(canned.Run)

	for _, c := range []struct{ path, body string }{
		{"/api/v1" + run + "/retry", ""},
		{"/api/v1" + run + "/retry", `{"stage":"Firmware"}`},
		{run + "/retry", "stage="},
		{run + "/retry", "stage=SMART"},
		{"/api/v1" + run + "/override-wipe", `{"serials":["S1","S2"],"reason":"scratch"}`},
		{run + "/override-wipe", "serial=S1&serial=S%203&reason=old+array"},
	} {
		if res := b.ask("POST", c.path, c.body, "Authorization", auth); res.status != http.StatusOK && res.status != http.StatusSeeOther {
			t.Errorf("%s %s: %d %s", c.path, c.body, res.status, res.body)
		}
	}

	if got := strings.Join(orders, "|"); got != "retry|again Firmware|retry|again SMART|override S1 S2: scratch|override S1 S 3: old array" {
		t.Error(got)
	}
}

// The key of a hold stands on the page that took it, which does not follow and is
// not kept, and on no other.
func TestTheKeyOfAHoldIsShownOnce(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	held := "/runs/" + string(canned.Run[:25]+"2")

	before := b.ask("GET", held+"/hold", "", "Authorization", auth)
	if !strings.Contains(before.body, "Take the key") || !strings.Contains(before.body, "open at 10.77.0.50") || !strings.Contains(before.body, "about 23 h 40 min left") ||
		!strings.Contains(before.body, "SHA256:canned") {
		t.Error("the page does not tell of the hold")
	}

	taken := b.ask("POST", held+"/hold-key", "", "Authorization", auth)
	for _, want := range []string{"BEGIN OPENSSH PRIVATE KEY", "ProxyCommand=vetting hold proxy", "root@10.77.0.50", `data-view=""`} {
		if !strings.Contains(taken.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	if taken.header.Get("Cache-Control") != "no-store" || strings.Contains(b.ask("GET", held, "", "Authorization", auth).body, "PRIVATE KEY") {
		t.Error("the key is kept, or shown again")
	}

	b.commands.OnRun = func(string, core.RunID) (core.Run, error) {
		return core.Run{}, core.NewProblem(core.ErrConflict, "hold/key-taken", "The key was handed to bob.")
	}

	if again := b.ask("POST", held+"/hold-key", "", "Authorization", auth); again.status != http.StatusConflict || !strings.Contains(again.body, "handed to bob") {
		t.Errorf("a second time: %d", again.status)
	}
}

// Two fields make a host. Who has typed more than those finds it in sight when the host is
// refused.
func TestWhatMoreWasTypedOfANewHostStandsOpen(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	for form, folded := range map[string]bool{"mac=nonsense&name=x": true, "mac=nonsense&name=x&rack=B07": false, "mac=nonsense&name=x&power=bogus": false} {
		page := b.ask("POST", "/hosts", form, "Authorization", "Bearer "+b.token("operate"), "Content-Type", "application/x-www-form-urlencoded").body

		if got := strings.Contains(page, `id="host-more">`); got != folded || !strings.Contains(page, `id="host-more"`) {
			t.Errorf("%s: folded: %t", form, got)
		}
	}
}
