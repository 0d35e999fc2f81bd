package main

import (
	"context"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
)

func TestDoctorSaysWhichControllersLetNobodyIn(t *testing.T) {
	orders := []core.PowerOrder{
		{Host: core.Host{Name: "good"}, Way: core.PowerIPMI, Op: core.PowerStatus},
		{Host: core.Host{Name: "bad"}, Way: core.PowerRedfish, Op: core.PowerStatus},
		{Host: core.Host{Name: "mute"}, Way: core.PowerIPMI, Op: core.PowerStatus},
	}

	seen := askControllers(t.Context(), orders, func(_ context.Context, o core.PowerOrder) core.PowerAnswer {
		if o.Op != core.PowerStatus {
			t.Errorf("%s is asked to %s", o.Host.Name, o.Op)
		}

		switch o.Host.Name {
		case "good":
			return core.PowerAnswer{State: core.PowerIsOn, Attempts: []core.PowerAttempt{{}}}
		case "bad":
			return core.PowerAnswer{State: core.PowerUnknown, Attempts: []core.PowerAttempt{{Code: "power/refused", Detail: "user or password is wrong"}}}
		default:
			return core.PowerAnswer{}
		}
	})

	found := &checkup{}
	found.controllersSeen("c", nil)
	found.controllersSeen("c", seen[:1])
	found.controllersSeen("c", seen)

	var many []controllerSeen
	for range 12 {
		many = append(many, seen[1])
	}

	found.controllersSeen("c", many)

	for i, want := range []symptom{
		{"c", "ok", "no host has one"},
		{"c", "ok", "all 1 let the appliance in"},
		{"c", "warn", "2 of 3 did not tell: bad by redfish (power/refused: user or password is wrong), mute by ipmi (it said nothing)"},
		{"c", "warn", "and 2 more"},
	} {
		if got := found.Checks[i]; got.Result != want.Result || !strings.Contains(got.Detail, want.Detail) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// Only controllers are asked, by all ways of a host that lead to one, with their passwords.
func TestControllersAreAskedByEveryWay(t *testing.T) {
	ledger := coretest.NewLedger()

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		for i, power := range []core.Power{
			{Method: core.PowerRedfish, Then: []core.PowerMethod{core.PowerWebhook, core.PowerIPMI}}, {Method: core.PowerWebhook}, {Method: core.PowerManual},
		} {
			host := core.Host{MAC: coretest.MAC(i), Name: string(power.Method), Power: power}
			if err := txn.Put(core.TableHost, string(host.MAC), host); err != nil {
				return err
			}
		}

		return txn.Put(core.TableHostSecret, string(coretest.MAC(0)), core.HostSecret{BMCPassword: "calvin"})
	})
	if err != nil {
		t.Fatal(err)
	}

	orders, err := controllerOrders(t.Context(), ledger)
	if err != nil || len(orders) != 2 || orders[0].Way != core.PowerRedfish || orders[1].Way != core.PowerIPMI {
		t.Fatalf("%+v (%v)", orders, err)
	}

	for _, o := range orders {
		if o.Op != core.PowerStatus || o.Secret.BMCPassword != "calvin" {
			t.Errorf("%+v", o)
		}
	}
}

// A deep look where nothing is yet, and at a ledger that is none.
func TestDoctorLooksDeeply(t *testing.T) {
	found := &checkup{}
	found.deep(t.Context(), &Config{DataDir: t.TempDir(), Notifiers: map[string]NotifierConfig{
		"nobody": {Type: "discord", URL: Secret{text: "http://127.0.0.1:1/api/webhooks/1/s3cret"}},
	}})

	want := map[string][2]string{
		"ledger": {"ok", "none yet"}, "notifier nobody": {"warn", "connection refused"}, "management controllers": {"ok", "not looked at"},
	}

	if len(found.Checks) != len(want) {
		t.Errorf("%+v", found.Checks)
	}

	for _, got := range found.Checks {
		if w := want[got.Check]; got.Result != w[0] || !strings.Contains(got.Detail, w[1]) || strings.Contains(got.Detail, "s3cret") {
			t.Errorf("%+v, want %q", got, w)
		}
	}
}
