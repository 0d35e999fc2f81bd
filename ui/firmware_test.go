package ui_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

// earlier writes a run of the canned host before its last, with an older BIOS.
func (b *bench) earlier(id core.RunID) {
	b.t.Helper()

	_, err := b.ledger.Update(b.t.Context(), func(tx core.Txn) error {
		if err := tx.Put(core.TableRun, string(id), core.Run{ID: id, Host: canned.Host, State: core.StateCompleted, Verdict: core.Pass}); err != nil {
			return err
		}

		return tx.Put(core.TableFirmware, "run/"+string(id), core.FirmwareSnapshot{
			Host: canned.Host, Run: id, Items: []core.FirmwareItem{{Part: core.Part{Kind: "board"}, Name: "BIOS", Version: "2.1.9"}},
		})
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// The history of a host tells what changed from run to run, and two runs are compared.
func TestTheFirmwareOfAHostIsComparedFromRunToRun(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")
	older := canned.Run[:10] + "0000000000000000"
	b.earlier(older)

	var history route.FirmwareHistory
	if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1"+hostPath+"/firmware", "", "Authorization", auth).body), &history); err != nil {
		t.Fatal(err)
	}

	if len(history.Runs) != 2 || history.Runs[0].Run != canned.Run || history.Runs[1].Run != older || len(history.Runs[1].Changes) != 0 {
		t.Fatalf("%+v", history)
	}

	if c := history.Runs[0].Changes[0]; c.What != "changed" || c.Name != "BIOS" || c.Old != "2.1.9" || c.New != "2.17.2" {
		t.Errorf("%+v", c)
	}

	for _, query := range []string{"", "?from=" + string(older)} {
		var diff route.FirmwareDiff
		if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/runs/"+string(canned.Run)+"/firmware-diff"+query, "", "Authorization", auth).body), &diff); err != nil {
			t.Fatal(err)
		}

		if diff.From != older || diff.To != canned.Run || len(diff.Changes) != len(history.Runs[0].Changes) {
			t.Errorf("%q: %+v", query, diff)
		}
	}

	if page := b.ask("GET", hostPath+"/firmware", "", "Authorization", auth).body; !strings.Contains(page, "2.1.9") {
		t.Error("the page of the host's firmware lacks the version before")
	}
}

// Only hosts that a rule speaks against are listed where they are asked for.
func TestHostsOffTheBaselineAreFound(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	for query, want := range map[string]string{"?off=true": "rack3-u18 rack3-u20", "?off=true&limit=1": ""} {
		var (
			fleet route.FirmwareFleet
			names []string
		)

		if err := json.Unmarshal([]byte(b.ask("GET", "/api/v1/firmware"+query, "", "Authorization", auth).body), &fleet); err != nil {
			t.Fatal(err)
		}

		for _, h := range fleet.Hosts {
			names = append(names, h.HostName)
		}

		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s", query, got)
		}

		if (fleet.NextPageToken != "") != (want == "") {
			t.Errorf("%s: next %q", query, fleet.NextPageToken)
		}
	}
}

// A baseline that is refused stays in its form, with what is wrong with it.
func TestARefusedBaselineStaysInItsForm(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")
	taken := ""
	b.commands.OnBaseline = func(text string) (core.FirmwareBaseline, error) {
		if strings.Contains(text, "disc") {
			return core.FirmwareBaseline{}, core.NewProblem(core.ErrInvalid, "firmware/bad-baseline", "[3:11] rules[0].part: \"disc\" is no kind of part")
		}

		taken = text

		return core.FirmwareBaseline{Text: text}, nil
	}

	form := func(text string) answer {
		return b.ask("POST", "/firmware/baseline", url.Values{"baseline": {text}}.Encode(), "Authorization", auth,
			"Content-Type", "application/x-www-form-urlencoded")
	}

	if got := form("rules: [{id: a, part: disc}]"); !strings.Contains(got.body, "rules: [{id: a, part: disc}]") || !strings.Contains(got.body, "is no kind of part") {
		t.Errorf("status %d: %.300s", got.status, got.body)
	}

	if got := form("rules: []\r\n"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/firmware?done=baseline" || taken != "rules: []\n" {
		t.Errorf("status %d, took %q", got.status, taken)
	}

	if got := b.ask("PUT", "/api/v1/firmware/baseline", "rules: [{id: a, part: disc}]", "Authorization", auth); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "firmware/bad-baseline") {
		t.Errorf("status %d: %s", got.status, got.body)
	}

	reader := "Bearer " + b.token("read")
	if got := b.ask("PUT", "/api/v1/firmware/baseline", "rules: []", "Authorization", reader); got.status != http.StatusForbidden {
		t.Errorf("a reader: status %d", got.status)
	}
}
