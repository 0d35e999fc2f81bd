package power_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/bmc"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/netboot/power"
)

func TestTheEnginesOrdersAreCarriedOut(t *testing.T) {
	t.Parallel()

	c := &chassis{hasFlags: true}
	host := coretest.Host(7)
	host.Power = core.Power{Method: core.PowerIPMI, BMC: core.BMC{Address: startBMC(t, c, bmc.PrivilegeLevelAdministrator), User: user}}
	door := power.Switch{Tools: power.Tools{Interface: "lo", Timeout: long}}

	for _, c := range []struct {
		way      core.PowerMethod
		op       core.PowerOp
		password string
		want     string
	}{
		{core.PowerIPMI, core.PowerStatus, password, "state: off"},
		{core.PowerIPMI, core.PowerBoot, password, "pxe on: unknown"},
		{core.PowerIPMI, core.PowerStatus, password, "state: on"},
		{core.PowerIPMI, core.PowerBoot, password, "pxe cycle: unknown"},
		{core.PowerIPMI, core.PowerCycle, password, "cycle: unknown"},
		{core.PowerIPMI, core.PowerOff, password, "off: unknown"},
		{core.PowerIPMI, core.PowerOn, "wrong", "on power/wrong-password: unknown"},
		{core.PowerManual, core.PowerBoot, "", "on power/by-hand: unknown"},
		{core.PowerAgent, core.PowerBoot, "", "boot power/failed: unknown"},
		{core.PowerWebhook, core.PowerOn, "", "on power/failed: unknown"},
	} {
		got := door.Do(t.Context(), core.PowerOrder{Host: host, Secret: core.HostSecret{BMCPassword: c.password}, Way: c.way, Op: c.op})

		var said []string

		for _, a := range got.Attempts {
			said = append(said, strings.TrimSpace(a.Action+" "+a.Code))

			if a.Way != c.way || strings.Contains(fmt.Sprint(a), password) {
				t.Errorf("%+v", a)
			}
		}

		if text := strings.Join(said, " ") + ": " + string(got.State); text != c.want {
			t.Errorf("%s %s: %s, not %s", c.way, c.op, text, c.want)
		}
	}

	if err := power.CheckHost(host, core.HostSecret{}); err != nil {
		t.Error(err)
	}

	host.Power.Then = []core.PowerMethod{core.PowerWebhook, core.PowerAgent}
	if err := power.CheckHost(host, core.HostSecret{}); err == nil || !strings.Contains(err.Error(), "webhook: url:") {
		t.Error(err)
	}

	host.Power.Webhook.URL = "https://hooks.example/power"
	if err := power.CheckHost(host, core.HostSecret{}); err != nil {
		t.Errorf("a secret that is not given yet: %v", err)
	}

	for secret, want := range map[core.HostSecret]string{
		{WebhookSecret: "short"}:                 "webhook: secret:",
		{BMCPassword: strings.Repeat("p", 21)}:   "ipmi: password: at most 20 bytes",
		{BMCPassword: strings.Repeat("p", 20)}:   "",
		{WebhookSecret: strings.Repeat("s", 16)}: "",
	} {
		err := power.CheckHost(host, secret)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestPacketsLeaveByTheTestNICOnly(t *testing.T) {
	t.Parallel()

	got := power.Switch{}.Do(t.Context(), core.PowerOrder{Host: coretest.Host(7), Way: core.PowerWoL, Op: core.PowerOn})
	if got.Worked() || got.Attempts[0].Code != "power/unsupported" {
		t.Errorf("%+v", got)
	}
}
