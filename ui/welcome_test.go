package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vetting/ui"
	"vetting/ui/canned"
)

// Whoever sets the first password is led on; whoever sets a new one knows the way.
func TestTheFirstPersonIsLedToTheFirstSteps(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, random) // nothing can be set in its console; see TestTheFirstStepsInTheBrowser

	for _, want := range []string{"/welcome", "/"} {
		link, err := b.SetupLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}

		at, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}

		form := url.Values{"token": {at.Query().Get("token")}, "name": {"ada"}, "password": {password}, "again": {password}}

		got := b.ask("POST", "/setup", form.Encode(), "Sec-Fetch-Site", "same-origin")
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%d, led to %q, not to %s", got.status, got.header.Get("Location"), want)
		}
	}
}

// Each step says how things stand, and what comes next.
func TestTheFirstStepsShowHowThingsStand(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		scene  canned.Scene
		change func(*ui.Config)
		want   []string
	}{
		"a new appliance without a test NIC": {canned.Empty, nil, []string{"No test NIC", "notifiers:", "Listening: nothing unknown", "/hosts/new"}},
		"a new appliance that serves":        {canned.Empty, func(cfg *ui.Config) { cfg.Netboot = canned.Netboot }, []string{"enp5s0f1", "10.77.0.1/16", "Answers"}},
		"at work": {canned.Full, nil, []string{
			"Answers", "Test ", "9 hosts are registered", "Adopt 3c:ec:ef:00:17:a2", "Stands still", "Booted in 6.2 s",
		}},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := open(t, tt.scene, tt.change)
			got := b.ask("GET", "/welcome", "", "Authorization", "Bearer "+b.token("admin"))

			for _, want := range tt.want {
				if !strings.Contains(got.body, want) {
					t.Errorf("the page lacks %q", want)
				}
			}
		})
	}
}
