package ui_test

import (
	"net/http"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

func TestWhatAControllerTellsIsShown(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Hostile, random)
	b.signIn()
	operator, viewer := b.member("otto", route.Operator), b.member("vera", route.Viewer)
	path := "/hosts/52:54:00:00:00:11/controller"
	ask := func(cookie string) answer {
		return b.ask("POST", path, "x=", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}

	page := ask(operator)
	checkMarkup(t, "controller", page.body)

	for _, want := range []string{
		"the last 2 of 311", "Redfish: Management controller not reachable", "IPMI answered", "91 °C", "Correctable ECC", "(over)", "took too long to tell all", "88 / 95", "Not there", "<dd>3.88</dd>",
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("%d, no %q", page.status, want)
		}
	}

	if i, j := strings.Index(page.body, "FAN3"), strings.Index(page.body, "CPU1 Temp"); i < 0 || j < i {
		t.Error("what is worst does not stand first")
	}

	if got := ask(viewer); got.status != http.StatusForbidden {
		t.Errorf("a viewer: %d", got.status)
	}

	b.commands.OnLook = func(core.MAC) (core.Panel, error) {
		return core.Panel{Gauges: []core.Gauge{{Name: canned.Evil, Text: canned.Evil, Unit: canned.Evil}}, Events: []core.PanelEvent{{Sensor: canned.Evil, Text: canned.Evil}}}, nil
	}

	checkMarkup(t, "a hostile controller", ask(operator).body)

	b.commands.OnLook = func(core.MAC) (core.Panel, error) {
		return core.Panel{}, core.NewProblem(core.ErrConflict, "power/wrong-password", "The controller of x, redfish: User or password refused.")
	}

	if got := ask(operator); got.status != http.StatusConflict || !strings.Contains(got.body, "User or password refused") {
		t.Errorf("a wrong password: %d", got.status)
	}

	var did core.PowerOp

	b.commands.OnPower = func(_ core.MAC, op core.PowerOp) (core.PowerState, error) {
		did = op

		return "", nil
	}

	got := b.ask("POST", "/hosts/52:54:00:00:00:11/power", "op=locate", "Cookie", operator, "Sec-Fetch-Site", "same-origin")
	if got.status != http.StatusSeeOther || did != core.PowerLocate || !strings.Contains(b.ask("GET", got.header.Get("Location"), "", "Cookie", operator).body, "The light is on") {
		t.Errorf("the light: %d, %s", got.status, did)
	}
}
