package ui_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vetting/ui/canned"
	"vetting/ui/integration"
	"vetting/ui/view"
)

// The addresses on the page are those by which whoever looks reaches the appliance.
func TestIntegrationsNameThisAppliance(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	admin := "Bearer " + b.token("admin")
	page := b.ask("GET", "/settings/integrations", "", "Authorization", admin).body

	for _, want := range []string{"http://console.test/api/v1/sd/prometheus", "targets: [&#34;console.test&#34;]", "VETTING_SERVER=http://console.test", "http://console.test/readyz", "http://console.test/api/v1/hosts.csv", "webhook-signature"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	for _, path := range []string{"/settings/integrations/grafana-dashboard.json", "/settings/integrations/prometheus-rules.yaml", "/settings/users", "/settings/tokens", "/settings/notifiers", "/settings/retention"} {
		if got := b.ask("GET", path, "", "Authorization", admin); got.status != http.StatusOK || got.body == "" {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// What the dashboard and the rules draw are figures that the appliance has.
func TestTheDashboardAndTheRulesUseFiguresThatThereAre(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}

	source := ""

	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, "_test.go") {
			source += string(text)
		}
	}

	named := regexp.MustCompile(`vetting_[a-z_]+`).FindAllString(integration.Dashboard+integration.Rules, -1)
	if len(named) < 12 {
		t.Errorf("only %d are named", len(named))
	}

	for _, name := range named {
		if !strings.Contains(source, `"`+name+`"`) {
			t.Errorf("there is no %s", name)
		}
	}

	if !json.Valid([]byte(integration.Dashboard)) {
		t.Error("the dashboard is no JSON")
	}
}

// Every part of a page has an address, which leads to where it is.
func TestEveryPartOfAPageHasAnAddress(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	for base, tabs := range map[string]map[string]string{"/hosts/" + string(canned.Host): view.HostTabs(), "/runs/" + string(canned.Run): view.RunTabs()} {
		page := b.ask("GET", base, "", "Authorization", auth).body

		for name, at := range tabs {
			got := b.ask("GET", base+"/"+name, "", "Authorization", auth)
			if to := got.header.Get("Location"); got.status != http.StatusSeeOther || to != base+"#"+at && to != strings.ReplaceAll(base, ":", "%3A")+"#"+at {
				t.Errorf("%s/%s leads to %q", base, name, to)
			}

			if strings.Count(page, `id="`+at+`"`) != 1 {
				t.Errorf("%s has %d parts called %s", base, strings.Count(page, `id="`+at+`"`), at)
			}
		}
	}
}
