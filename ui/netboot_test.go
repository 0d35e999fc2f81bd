package ui_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// The page says how far each machine got, and where one stands still what to do.
func TestTheNetbootPageShowsHowFarEachMachineGot(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	got := b.ask("GET", "/netboot", "", "Authorization", "Bearer "+b.token("read"))

	_, stuck, found := strings.Cut(got.body, `data-key="boot-52:54:00:00:00:16"`)
	if !found {
		t.Fatal("the boot that stands still is not there")
	}

	stuck, _, _ = strings.Cut(stuck, "</section>")
	_, script, _ := strings.Cut(stuck, "<td>Boot script</td>")
	script, _, _ = strings.Cut(script, "</tr>")

	if !strings.Contains(script, "Stands still") || strings.Count(stuck, "Stands still") != 2 || !strings.Contains(stuck, "<b>Next</b>") {
		t.Errorf("the boot reads %s", stuck)
	}

	for _, want := range []string{"Booted in 6.2 s", "10.77.0.50", "enp5s0f1", strings.Repeat("ab", 32), "kept for it"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}

	if strings.Contains(got.body, "No machine has asked to boot") {
		t.Error("machines that asked a minute ago are not seen")
	}
}

func TestTheNetbootPageHelpsWhereNobodyIsHeard(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]func(*ui.Config){
		"nothing was ever heard": nil,
		"long ago":               func(cfg *ui.Config) { cfg.Now = func() time.Time { return canned.Now().Add(time.Hour) } },
	} {
		scene := canned.Full
		if change == nil {
			scene = canned.Empty
		}

		b := open(t, scene, change)

		if got := b.ask("GET", "/netboot", "", "Authorization", "Bearer "+b.token("read")); !strings.Contains(got.body, "No machine has asked to boot") {
			t.Errorf("%s: there is no advice", name)
		}
	}
}

// What was learned of earlier runs is told with what it is based on, and only where it
// is known of every stage to come.
func TestARunTellsWhatEarlierOnesTeach(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	path := "/runs/" + string(canned.Run)
	auth := "Bearer " + b.token("read")

	if got := b.ask("GET", path, "", "Authorization", auth); !strings.Contains(got.body, "left, from 1 earlier run of this model") {
		t.Error("the page does not tell what the sister teaches")
	}

	_, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var run core.Run

		if err := txn.Get(core.TableRun, string(canned.Run), &run); err != nil {
			return err
		}

		run.Stages = append(run.Stages, core.Stage{Name: core.GPU, Phase: core.Pending})

		return txn.Put(core.TableRun, string(canned.Run), run)
	})
	if err != nil {
		t.Fatal(err)
	}

	if got := b.ask("GET", path, "", "Authorization", auth); strings.Contains(got.body, "of this model") || !strings.Contains(got.body, "left, not yet measured") {
		t.Error("the page does not say that nobody has seen one of the stages")
	}

	if got := b.ask("GET", "/runs", "", "Authorization", auth); !regexp.MustCompile(`<td>about [^<]+, not yet measured</td>`).MatchString(got.body) {
		t.Error("the list of runs does not tell the guess")
	}
}

// Programs are told what the page of the boot services shows.
func TestTheNetbootCallsTellWhatThePageShows(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	ask := func(path string, into any) {
		t.Helper()

		got := b.ask("GET", path, "", "Authorization", "Bearer "+b.token("read"))
		if err := json.Unmarshal([]byte(got.body), into); err != nil || got.status != 200 {
			t.Fatalf("%s: %d %v %s", path, got.status, err, got.body)
		}
	}

	var (
		about  route.Netboot
		leases route.LeaseList
		events route.BootEventList
	)

	ask("/api/v1/netboot", &about)

	if facts := canned.Netboot(); !about.Served || about.Interface != facts.Interface || about.Pool != facts.Pool || len(about.Files) != len(facts.Files) || about.Files[0].SHA256 != facts.Files[0].SHA256 || about.Checks == nil {
		t.Errorf("%+v", about)
	}

	ask("/api/v1/netboot/leases", &leases)

	if len(leases.Leases) == 0 || !slices.IsSortedFunc(leases.Leases, func(a, b route.Lease) int { return a.Addr.Compare(b.Addr) }) {
		t.Errorf("%+v", leases)
	}

	for _, l := range leases.Leases {
		if l.InForce != l.Expires.After(canned.Now()) {
			t.Errorf("%+v", l)
		}
	}

	ask("/api/v1/netboot/events", &events)

	all := len(events.Events)
	if all < 3 || !slices.IsSortedFunc(events.Events, func(a, b route.BootEvent) int { return b.Step.Time.Compare(a.Step.Time) }) {
		t.Errorf("%+v", events)
	}

	if ask("/api/v1/netboot/events?limit=2", &events); len(events.Events) != 2 {
		t.Errorf("%d events where two were asked for", len(events.Events))
	}

	none := open(t, canned.Empty, func(cfg *ui.Config) { cfg.Netboot = nil })
	if got := none.ask("GET", "/api/v1/netboot", "", "Authorization", "Bearer "+none.token("read")); !strings.Contains(got.body, `"served":false`) {
		t.Errorf("without boot services: %s", got.body)
	}
}
