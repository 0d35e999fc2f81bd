package ui_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
)

// What is looked at stands in the address, so that it can be passed on and the way
// back works; a word that is none shows all.
func TestTheRackShowsWhatItsAddressAsksFor(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	tests := map[string]struct{ path, want, not string }{
		"a state":            {"/?state=pass", "rack3-u21", ">rack3-u17<"},
		"words":              {"/?q=hpe+u20", "rack3-u20", ">rack3-u21<"},
		"a tag":              {"/?q=gpu", "rack3-u19", ">rack3-u18<"},
		"nothing fits":       {"/?q=nowhere", "No host fits", "rack3-u20</a>"},
		"groups":             {"/?group=model", `<h2 class="group">HPE ProLiant DL380 Gen10`, `"nothing"`},
		"hosts without any":  {"/?group=class", "No class given", `"nothing"`},
		"a list":             {"/?look=list", `<table class="stk hosts"`, `class="tiles"`},
		"racks":              {"/?look=elevation", `<ol class="units"`, `class="tiles"`},
		"words that are not": {"/?state=glad&group=mood&look=ahead", `class="tiles"`, "No host fits"},
		"a way back":         {"/?state=pass", `href="/" aria-current="true"`, `"nothing"`},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := b.ask("GET", tt.path, "", "Authorization", auth)
			if !strings.Contains(got.body, tt.want) {
				t.Errorf("the page lacks %q", tt.want)
			}

			if _, hosts, _ := strings.Cut(got.body, `id="pick"`); strings.Contains(hosts, tt.not) {
				t.Errorf("the page holds %q", tt.not)
			}
		})
	}
}

// Whoever may only look is offered no boxes that lead nowhere.
func TestReadersTickNothing(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	if got := b.ask("GET", "/", "", "Authorization", "Bearer "+b.token("read")); strings.Contains(got.body, `type="checkbox"`) {
		t.Error("a reader can tick hosts")
	}

	if got := b.ask("GET", "/hosts/selected?mac="+string(canned.Host), "", "Authorization", "Bearer "+b.token("read")); got.status != http.StatusForbidden {
		t.Errorf("a reader opens the page of ticked hosts: %d", got.status)
	}
}

func TestRunsStartOnTickedHostsAndARefusalKeepsNoOtherBack(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	var asked []core.MAC

	b.commands.OnStart = func(mac core.MAC, wish core.StartRun) (core.Run, error) {
		asked = append(asked, mac)

		if len(wish.Armed) > 0 || wish.Profile != "quick" {
			t.Errorf("asked for %+v", wish)
		}

		if mac == canned.Host {
			return core.Run{}, core.NewProblem(core.ErrConflict, "run/busy", "A run is under way on <b>this</b> host.")
		}

		return core.Run{ID: canned.Run, Host: mac}, nil
	}

	const form = "profile=quick&mac=52:54:00:00:00:11&mac=52-54-00-00-00-13&mac=52:54:00:00:00:13"

	got := b.ask("POST", "/hosts/selected/runs", form, "Authorization", "Bearer "+b.token("operate"))
	if got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}

	if want := []core.MAC{canned.Host, "52:54:00:00:00:13"}; !slices.Equal(asked, want) {
		t.Errorf("started on %v, want %v", asked, want)
	}

	for _, want := range []string{"Not started: A run is under way on &lt;b&gt;this", "is on its way"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestTagsOfTickedHosts(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	tags := map[core.MAC][]string{"52:54:00:00:00:11": nil, "52:54:00:00:00:13": {"lab", "gpu"}}

	b.commands.OnUpdate = func(mac core.MAC, change func(*core.Host)) (core.Host, error) {
		host := core.Host{MAC: mac, Tags: tags[mac]}
		change(&host)
		tags[mac] = host.Tags

		return host, nil
	}

	got := b.ask("POST", "/hosts/selected/tags", "add=new,+lab&drop=gpu&mac=52:54:00:00:00:11&mac=52:54:00:00:00:13", "Authorization", "Bearer "+b.token("operate"))
	if got.status != http.StatusSeeOther {
		t.Errorf("status %d", got.status)
	}

	if want := "map[52:54:00:00:00:11:[new lab] 52:54:00:00:00:13:[lab new]]"; fmt.Sprint(tags) != want {
		t.Errorf("got %v, want %v", tags, want)
	}

	b.commands.OnUpdate = func(core.MAC, func(*core.Host)) (core.Host, error) { return core.Host{}, errors.New("on purpose") }

	if got := b.ask("POST", "/hosts/selected/tags", "add=new&mac=52:54:00:00:00:11", "Authorization", "Bearer "+b.token("operate")); got.status < 400 {
		t.Errorf("a failure is told as %d", got.status)
	}
}

// The page of five hundred hosts is small enough to be loaded over a phone.
func TestTheRackOfFiveHundredHostsIsSmall(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Crowd, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
	auth := "Bearer " + b.token("operate")
	page := b.ask("GET", "/", "", "Authorization", auth, "Accept-Encoding", "gzip")
	total := len(page.body)

	plain := b.ask("GET", "/", "", "Authorization", auth)
	if n := strings.Count(plain.body, `<div class="tile `); n != 500 {
		t.Errorf("%d tiles", n)
	}

	// Those that wait for a person do not push the tiles out of sight.
	if above, _, folded := strings.Cut(plain.body, `<details class="more" id="decide-more"><summary>51 more</summary>`); !folded || strings.Count(above, `aria-label="Open `) != 5 {
		t.Errorf("%d hosts that wait for a decision stand unfolded", strings.Count(above, `aria-label="Open `))
	}

	for _, part := range strings.Split(plain.body, `"`) {
		if strings.HasPrefix(part, "/static/") {
			total += len(b.ask("GET", part, "", "Accept-Encoding", "gzip").body)
		}
	}

	if page.header.Get("Content-Encoding") != "gzip" || total > 60<<10 {
		t.Errorf("%d bytes, packed as %q", total, page.header.Get("Content-Encoding"))
	}

	t.Logf("%d bytes, %d of them the page", total, len(page.body))
}

// What a run that passed left out is said wherever its verdict is: a skip must not read as health.
func TestAPassSaysWhatItWasNotAbout(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	passed := "52:54:00:00:00:15"

	for path, mark := range map[string]string{
		"/": `id="tile-` + passed, "/hosts": `id="row-` + passed, "/hosts/" + passed: `id="host-last"`, "/runs/01JD4X00000000000000000015": `id="run-findings"`,
	} {
		_, part, ok := strings.Cut(b.ask("GET", path, "", "Authorization", auth).body, mark)
		part = part[:min(len(part), 4000)]

		if said := strings.Contains(part, "NOT tested: CPUStress, Memory and ") || strings.Contains(part, " things NOT tested</summary>"); !ok || !said {
			t.Errorf("%s does not say what was not tested: %.1500s", path, part)
		}
	}

	// What has not passed says nothing of the kind on its tile: its fault is what matters there.
	if _, part, _ := strings.Cut(b.ask("GET", "/", "", "Authorization", auth).body, `id="tile-52:54:00:00:00:14"`); strings.Contains(part[:min(len(part), 1000)], "NOT tested") {
		t.Error("a tile of a run that failed says what was not tested")
	}
}

// A run is judged by the limits that it began with, and its page has them, whatever is set since.
func TestARunShowsTheLimitsThatItBeganWith(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var run core.Run
		if err := txn.Get(core.TableRun, string(canned.Run), &run); err != nil {
			return err
		}

		run.Rules = []core.Rule{{ID: "frozen-then", Stage: "*", Key: "disk/*/temperature_celsius", Op: core.OpLTE, Value: 41, Severity: core.Critical}}

		return txn.Put(core.TableRun, string(run.ID), run)
	}); err != nil {
		t.Fatal(err)
	}

	_, part, ok := strings.Cut(b.ask("GET", "/runs/"+string(canned.Run), "", "Authorization", "Bearer "+b.token("read")).body, `id="limits-rules"`)
	if !ok || !strings.Contains(part, "1 limit that this run began with") || !strings.Contains(part, "frozen-then") || !strings.Contains(part, "at most 41") {
		t.Errorf("the page lacks them: %.600s", part)
	}
}
