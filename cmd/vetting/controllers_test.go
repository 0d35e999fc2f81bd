package main

import (
	"context"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/problem"
)

func TestDoctorSaysWhichControllersLetNobodyIn(t *testing.T) {
	hosts := []core.Host{{Name: "good", MAC: coretest.MAC(1)}, {Name: "bad", MAC: coretest.MAC(2)}, {Name: "mute", MAC: coretest.MAC(3)}, {Name: "busy", MAC: coretest.MAC(4)}}

	seen := askControllers(t.Context(), hosts, func(_ context.Context, who string, mac core.MAC) (core.PowerAnswer, error) {
		if who != "local" {
			t.Errorf("%s asks", who)
		}

		switch mac {
		case coretest.MAC(1):
			return core.PowerAnswer{State: core.PowerIsOn, Attempts: []core.PowerAttempt{{Way: core.PowerIPMI}}}, nil
		case coretest.MAC(2):
			return core.PowerAnswer{Attempts: []core.PowerAttempt{{Way: core.PowerRedfish, Code: "power/refused", Detail: "user or password is wrong"}}}, nil
		case coretest.MAC(4):
			return core.PowerAnswer{}, core.NewProblem(core.ErrConflict, problem.PowerBusy, "Run x needs the controller itself.")
		default:
			return core.PowerAnswer{}, nil
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
		{"c", "warn", "2 of 3 did not tell: bad by redfish (power/refused: user or password is wrong), mute (it said nothing); 1 left alone"},
		{"c", "warn", "and 2 more"},
	} {
		if got := found.Checks[i]; got.Result != want.Result || !strings.Contains(got.Detail, want.Detail) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// Only hosts with a controller are asked.
func TestHostsWithAControllerAreAsked(t *testing.T) {
	ledger := coretest.NewLedger()

	_, err := ledger.Update(t.Context(), func(txn core.Txn) error {
		for i, power := range []core.Power{{Method: core.PowerRedfish, BMC: core.BMC{Address: "192.0.2.1"}}, {Method: core.PowerWebhook}} {
			host := core.Host{MAC: coretest.MAC(i), Name: string(power.Method), Power: power}
			if err := txn.Put(core.TableHost, string(host.MAC), host); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	hosts, err := controlledHosts(t.Context(), ledger)
	if err != nil || len(hosts) != 1 || hosts[0].MAC != coretest.MAC(0) {
		t.Fatalf("%+v (%v)", hosts, err)
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
