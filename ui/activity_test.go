package ui_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

func (b *bench) trail(query string) []core.Audit {
	b.t.Helper()

	var list route.AuditList

	got := b.ask("GET", "/api/v1/audit"+query, "", "Authorization", "Bearer "+b.token("read"))
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK {
		b.t.Fatalf("reading the trail: %d %s", got.status, got.body)
	}

	return list.Entries
}

// An order's answer names the entry that it left, which says where it came from; the API,
// the page and vetting audit find it by that id.
func TestAnOrderNamesTheEntryThatItLeft(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, random)
	got := b.ask("POST", "/api/v1/tokens", `{"name":"x","scope":"read"}`, "Authorization", "Bearer "+b.token("admin"))

	id := got.header.Get("Vetting-Activity")
	if got.status != http.StatusCreated || id == "" {
		t.Fatalf("%d, entry %q", got.status, id)
	}

	found := b.trail("?id=" + id)
	if len(found) != 1 || found[0].ID != id || found[0].Action != "token.create" || found[0].Result != core.OutcomeDone {
		t.Errorf("%+v", found)
	}

	page := b.ask("GET", "/activity?id="+id, "", "Authorization", "Bearer "+b.token("read"))
	if !strings.Contains(page.body, id) || !strings.Contains(page.body, "token.create") {
		t.Error("the page does not show it")
	}

	if found := b.trail("?id=no-such"); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// What was refused is written down too, once a minute; what was typed wrong is not, and
// neither is what somebody typed for a name.
func TestWhatWasRefusedIsInTheTrail(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("read")

	for range 3 {
		if got := b.ask("POST", "/api/v1/tokens", `{"name":"x","scope":"read"}`, "Authorization", auth); got.status != http.StatusForbidden || got.header.Get("Vetting-Activity") == "" && got.status != http.StatusForbidden {
			t.Fatalf("status %d", got.status)
		}
	}

	b.ask("POST", "/login", "name=my-password&password=wrong", "Sec-Fetch-Site", "same-origin")

	found := b.trail("?result=refused")
	if len(found) != 1 && len(found) != 2 {
		t.Fatalf("%+v", found)
	}

	for _, e := range found {
		if e.Result != core.OutcomeRefused || strings.Contains(e.Text+e.Who+e.Object, "my-password") {
			t.Errorf("%+v", e)
		}
	}

	if last := found[0]; last.Action != "session.create" || last.Who != "nobody" {
		t.Errorf("%+v", last)
	}
}

// slow is a backup that is made until somebody stops it.
type slow struct {
	canned.Backups
	begun chan struct{}
}

func (s slow) Make(ctx context.Context, _ string) (route.BackupProof, error) {
	close(s.begun)
	<-ctx.Done()

	return route.BackupProof{}, errors.New("half a backup: stopped")
}

func TestATaskIsShownAndStopped(t *testing.T) {
	t.Parallel()

	from := slow{begun: make(chan struct{})}
	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Backups = from; random(cfg) })
	admin, operate, read := "Bearer "+b.token("admin"), "Bearer "+b.token("operate"), "Bearer "+b.token("read")

	made := make(chan answer, 1)
	go func() { made <- b.ask("POST", "/api/v1/backups", "", "Authorization", admin) }()

	<-from.begun

	var list route.TaskList

	got := b.ask("GET", "/api/v1/tasks", "", "Authorization", read)
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list.Tasks) < 2 || list.Tasks[0].Kind != "backup" || list.Tasks[1].Kind != "run" {
		t.Fatalf("%v: %s", err, got.body)
	}

	for _, path := range []string{"/activity", "/activity/recent"} {
		if page := b.ask("GET", path, "", "Authorization", read); !strings.Contains(page.body, "makes a backup") || strings.Contains(page.body, "/stop\"") {
			t.Errorf("%s of a viewer: %d", path, page.status)
		}
	}

	stop := "/activity/" + list.Tasks[0].ID + "/stop"

	if page := b.ask("GET", "/activity", "", "Authorization", operate); !strings.Contains(page.body, `action="`+stop+`"`) {
		t.Error("an operator is offered no way to stop it")
	}

	if got := b.ask("POST", stop, "", "Authorization", read); got.status != http.StatusForbidden {
		t.Errorf("a viewer stops it: %d", got.status)
	}

	if got := b.ask("POST", stop, "", "Authorization", operate); got.status != http.StatusSeeOther {
		t.Errorf("stopping: %d", got.status)
	}

	if got := <-made; got.status != http.StatusConflict || !strings.Contains(got.body, "task/stopped") {
		t.Errorf("whoever waited: %d %s", got.status, got.body)
	}

	if got := b.ask("POST", stop, "", "Authorization", operate); got.status != http.StatusNotFound {
		t.Errorf("stopped twice: %d", got.status)
	}

	if found := b.trail("?action=task.stop"); len(found) != 1 {
		t.Errorf("%+v", found)
	}
}

// A run is a task under its own id.
func TestStoppingATaskThatIsARunCancelsIt(t *testing.T) {
	t.Parallel()

	b, who := open(t, canned.Full, nil), ""
	b.commands.Who = &who

	got := b.ask("POST", "/api/v1/tasks/"+string(canned.Run)+"/stop", "", "Authorization", "Bearer "+b.token("operate"))
	if got.status != http.StatusNoContent || who != "token golden" {
		t.Errorf("%d, asked by %q", got.status, who)
	}
}
