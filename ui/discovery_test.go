package ui_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
	"vetting/ui/lookup"
)

// Prometheus is told of hosts that passed, by a name that it can reach them by; of the
// others only where it asks for them.
func TestTargetsOfPrometheusHavePassed(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")
	hosts := map[string]core.Host{}

	var list route.HostList
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/hosts?limit=500", "", "Authorization", auth).body), &list); err != nil {
		t.Fatal(err)
	}

	for i := range list.Hosts {
		hosts[list.Hosts[i].Name] = list.Hosts[i]
	}

	for query, fits := range map[string]func(*core.Host) bool{
		"":                       func(h *core.Host) bool { return h.LastVerdict == core.Pass },
		"?verdict=fail&port=443": func(h *core.Host) bool { return h.LastVerdict == core.Fail },
		"?verdict=any":           func(*core.Host) bool { return true },
	} {
		var groups []route.ScrapeGroup
		if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/sd/prometheus"+query, "", "Authorization", auth).body), &groups); err != nil {
			t.Fatal(err)
		}

		if len(groups) == 0 {
			t.Errorf("%s: nothing is found", query)
		}

		for _, g := range groups {
			name, port, _ := strings.Cut(g.Targets[0], ":")
			h := hosts[name]

			if !fits(&h) || h.Quarantine != "" || len(g.Targets) != 1 || strings.Contains(query, "port") != (port == "443") || g.Labels["__meta_vetting_mac"] != string(h.MAC) {
				t.Errorf("%s: %+v is of %+v", query, g, h)
			}
		}
	}

	for _, query := range []string{"?port=x", "?port=65536", "?verdict=good"} {
		if got := b.ask("GET", "/api/v1/sd/prometheus"+query, "", "Authorization", auth); got.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", query, got.status)
		}
	}

	none := open(t, canned.Empty, nil)
	if got := none.ask("GET", "/api/v1/sd/prometheus", "", "Authorization", "Bearer "+none.token("read")); got.body != "[]" {
		t.Errorf("of no hosts it says %s, where Prometheus wants a list", got.body)
	}
}

// Hosts that share a name are told apart: Prometheus takes targets that are alike in all labels
// but those that go after relabelling for one.
func TestTargetsOfOneNameAreToldApart(t *testing.T) {
	t.Parallel()

	ledger := coretest.NewLedger()
	b := open(t, canned.Empty, func(cfg *ui.Config) { cfg.Ledger = ledger })

	if _, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		for mac, name := range map[core.MAC]string{"52:54:00:00:00:01": "u01", "52:54:00:00:00:02": "u01", "52:54:00:00:00:03": "u03"} {
			if err := txn.Put(core.TableHost, string(mac), core.Host{MAC: mac, Name: name, LastVerdict: core.Pass}); err != nil {
				return err
			}
		}

		return nil
	}); err != nil {
		t.Fatal(err)
	}

	var groups []route.ScrapeGroup
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/sd/prometheus", "", "Authorization", "Bearer "+b.token("read")).body), &groups); err != nil {
		t.Fatal(err)
	}

	told := map[string]bool{}

	for _, g := range groups {
		instance, given := g.Labels["instance"]
		told[g.Targets[0]+" "+instance] = true

		if given != (g.Targets[0] == "u01:9100") {
			t.Errorf("%+v", g)
		}
	}

	if len(groups) != 3 || len(told) != 3 {
		t.Errorf("%v", told)
	}
}

// The example for Terraform reads a field that the answer has.
func TestTheExampleForTerraformReadsWhatThereIs(t *testing.T) {
	t.Parallel()

	page, err := os.ReadFile("../docs/integrations.md")
	if err != nil {
		t.Fatal(err)
	}

	m := regexp.MustCompile(`jsondecode\(self\.response_body\)\.(\w+) == "(\w+)"`).FindSubmatch(page)
	if m == nil || !strings.Contains(string(page), `:8443/api/v1/hosts/${var.mac}"`) {
		t.Fatal("there is no example")
	}

	b := open(t, canned.Full, nil)
	got := b.ask("GET", "/api/v1/hosts/52:54:00:00:00:13", "", "Authorization", "Bearer "+b.token("read"))

	var host map[string]any
	if err := json.Unmarshal([]byte(got.body), &host); err != nil || host[string(m[1])] != string(m[2]) {
		t.Errorf("%s is %v, and %s is waited for: %v", m[1], host[string(m[1])], m[2], err)
	}
}

// Names that are no host names would be no address.
func TestTargetsAreAddresses(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Hostile, nil)

	var groups []route.ScrapeGroup
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/sd/prometheus?verdict=any", "", "Authorization", "Bearer "+b.token("read")).body), &groups); err != nil {
		t.Fatal(err)
	}

	for _, g := range groups {
		if strings.ContainsAny(g.Targets[0], "<>/ \x1b\"'=") {
			t.Errorf("target %q", g.Targets[0])
		}
	}
}

// Groups of Ansible have names that Ansible takes, and every host has its variables.
func TestTheInventoryOfAnsible(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	b.quarantineOneThatPassed()

	var told map[string]json.RawMessage
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/ansible/inventory", "", "Authorization", "Bearer "+b.token("read")).body), &told); err != nil {
		t.Fatal(err)
	}

	var meta route.InventoryMeta
	if err := json.Unmarshal(told["_meta"], &meta); err != nil || len(meta.HostVars) == 0 {
		t.Fatalf("%s %v", told["_meta"], err)
	}

	for name, text := range told {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("group %q", name)
		}

		var group route.InventoryGroup
		if err := json.Unmarshal(text, &group); name != "_meta" && (err != nil || len(group.Hosts) == 0) {
			t.Errorf("%s: %s %v", name, text, err)
		}

		for _, host := range group.Hosts {
			vars, ok := meta.HostVars[host]
			if !ok || !belongs(name, vars) {
				t.Errorf("%s in %s: %+v", host, name, vars)
			}
		}
	}

	for _, want := range []string{"all_vetting", "verdict_pass", "busy", "held", "quarantined", "model_", "rack_"} {
		if !slices.ContainsFunc(slicesOf(told), func(s string) bool { return strings.HasPrefix(s, want) }) {
			t.Errorf("%s is missing: %v", want, slicesOf(told))
		}
	}
}

// Names are not unique. What is said of one of two hosts with a name must not be taken for
// what is said of the other: such are named by their MAC. A host is once in a group.
func TestHostsOfOneNameAreToldApartInTheInventory(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	_, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for mac, host := range map[core.MAC]core.Host{
			"02:00:00:00:00:01": {LastVerdict: core.Pass, Tags: []string{"dc 1", "dc-1"}}, "02:00:00:00:00:02": {LastVerdict: core.Fail, Quarantine: "another machine"},
		} {
			host.MAC, host.Name = mac, "twin"
			if err := txn.Put(core.TableHost, string(mac), host); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	got := b.ask("GET", "/api/v1/ansible/inventory", "", "Authorization", "Bearer "+b.token("read")).body

	var groups map[string]struct{ Hosts []string }
	if err := json.Unmarshal([]byte(got), &groups); err != nil {
		t.Fatal(err)
	}

	if strings.Contains(got, `"twin"`) || !slices.Contains(groups["verdict_pass"].Hosts, "02:00:00:00:00:01") || !slices.Contains(groups["quarantined"].Hosts, "02:00:00:00:00:02") {
		t.Errorf("passed: %v, in quarantine: %v", groups["verdict_pass"].Hosts, groups["quarantined"].Hosts)
	}

	if hosts := groups["tag_dc_1"].Hosts; len(hosts) != 1 {
		t.Errorf("with the tag: %v", hosts)
	}
}

// quarantineOneThatPassed says of a host that passed that another machine answered for it.
func (b *bench) quarantineOneThatPassed() {
	b.t.Helper()

	_, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		hosts, err := lookup.AllHosts(txn)
		if err != nil {
			return err
		}

		at := slices.IndexFunc(hosts, func(h core.Host) bool { return h.LastVerdict == core.Pass })
		hosts[at].Quarantine = "another machine answered under this address"

		return txn.Put(core.TableHost, string(hosts[at].MAC), hosts[at])
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// belongs is whether a host with those variables may be in a group that programs act on.
func belongs(group string, vars route.InventoryHost) bool {
	switch group {
	case "verdict_pass":
		return vars.Verdict == string(core.Pass) && vars.Quarantine == ""
	case "busy":
		return vars.State != ""
	case "held":
		return vars.State == core.StateFailedHolding
	case "quarantined":
		return vars.Quarantine != ""
	default:
		return true
	}
}

func slicesOf(m map[string]json.RawMessage) (names []string) {
	for name := range m {
		names = append(names, name)
	}

	return names
}
