package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/profile"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// The page of a hold has all that can be done, the page of its run a short form and the
// way to it; who only looks has no business there.
func TestAHoldHasAPageOfItsOwn(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	held := "/runs/" + string(canned.Run[:25]+"2")
	operator := b.member("otto", route.Operator)

	page, run := b.ask("GET", held+"/hold", "", "Cookie", operator), b.ask("GET", held, "", "Cookie", operator)

	for _, want := range []string{
		"This host needs a decision", `action="` + held + `/retry"`, `action="` + held + `/release"`, `action="` + held + `/fail"`, `action="` + held + `/waivers"`,
		`action="` + held + `/hold-key"`, "vetting run hold ssh", "open at 10.77.0.50", "<h2>Evidence</h2>", "Expected and actual", `id="hold" data-live`, `data-view="run:`,
	} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the page of the hold lacks %q", want)
		}
	}

	for want, is := range map[string]bool{
		"This host needs a decision": true, `href="` + held + `/hold"`: true, `action="` + held + `/retry"`: true, `action="` + held + `/release"`: true,
		`action="` + held + `/fail"`: false, `action="` + held + `/waivers"`: false, `action="` + held + `/hold-key"`: false,
	} {
		if strings.Contains(run.body, want) != is {
			t.Errorf("the page of the run has %q: %t", want, !is)
		}
	}

	if got := b.ask("GET", held+"/hold", "", "Cookie", b.member("vera", route.Viewer)); got.status != http.StatusForbidden {
		t.Errorf("who only looks: %d", got.status)
	}

	if over := b.ask("GET", "/runs/"+string(canned.Run[:25]+"3")+"/hold", "", "Cookie", operator); over.status != http.StatusOK || !strings.Contains(over.body, "holds no host") {
		t.Errorf("a run that holds nothing: %d", over.status)
	}
}

func TestAHeldRunIsEndedAsFailedOnItsPageAndByTheAPI(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	held, cookie := "/runs/"+string(canned.Run[:25]+"2"), b.member("otto", route.Operator)

	var orders []string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		orders = append(orders, word)

		if word == "fail: " {
			return core.Run{}, core.NewProblem(core.ErrInvalid, "run/no-reason", "Say why.")
		}

		return core.Run{ID: id}, nil
	}

	bad := b.ask("POST", held+"/fail", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	if bad.status != http.StatusUnprocessableEntity || !strings.Contains(bad.body, "Say why.") || !strings.Contains(bad.body, `id="fail-reason"`) {
		t.Errorf("without a reason: %d", bad.status)
	}

	form := url.Values{"fail_reason": {"burnt"}}
	if got := b.ask("POST", held+"/fail", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther {
		t.Errorf("on the page: %d", got.status)
	}

	if got := b.ask("POST", "/api/v1"+held+"/fail", `{"reason":"burnt"}`, "Authorization", "Bearer "+b.token("operate")); got.status != http.StatusOK {
		t.Errorf("by the API: %d", got.status)
	}

	if got := b.ask("POST", "/api/v1"+held+"/fail", `{"reason":"burnt"}`, "Authorization", "Bearer "+b.token("read")); got.status != http.StatusForbidden {
		t.Errorf("with a token that may read: %d", got.status)
	}

	if got := strings.Join(orders, "|"); got != "fail: |fail: burnt|fail: burnt" {
		t.Error(got)
	}
}

// A key that was taken is not shown again; another is issued in its place.
func TestANewKeyOfAHoldIsIssued(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Failed, nil)
	auth := "Bearer " + b.token("operate")
	held := "/runs/" + string(canned.Run[:25]+"1")

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var run core.Run
		if err := txn.Get(core.TableRun, string(canned.Run[:25]+"1"), &run); err != nil {
			return err
		}

		run.Hold.TakenAt, run.Hold.TakenBy = canned.Now(), "ann"

		return txn.Put(core.TableRun, string(run.ID), run)
	}); err != nil {
		t.Fatal(err)
	}

	page := b.ask("GET", held+"/hold", "", "Authorization", auth)
	if !strings.Contains(page.body, "taken by ann") || !strings.Contains(page.body, `action="`+held+`/hold-key/renew"`) || strings.Contains(page.body, `id="hold-key"`) {
		t.Error("no new key is offered")
	}

	fresh := b.ask("POST", held+"/hold-key/renew", "", "Authorization", auth)
	if fresh.status != http.StatusOK || !strings.Contains(fresh.body, "BEGIN OPENSSH PRIVATE KEY") || !strings.Contains(fresh.body, `data-view=""`) || fresh.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the new key: %d", fresh.status)
	}

	if got := b.ask("POST", "/api/v1"+held+"/hold-key/renew", "", "Authorization", auth); !strings.Contains(got.body, `"private_key"`) {
		t.Errorf("by the API: %d %s", got.status, got.body)
	}
}

// What was just done can be taken back: once, by whoever did it, for a minute, and where
// nobody has changed it since.
func TestWhatWasJustDoneIsTakenBack(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	cookie, other := b.member("otto", route.Operator), b.member("olga", route.Operator)

	var back []core.MAC

	b.commands.OnUndelete = func(mac core.MAC) (core.Host, error) {
		back = append(back, mac)

		return core.Host{MAC: mac}, nil
	}

	remove := func() (undo string) {
		got := b.ask("POST", "/hosts/"+string(canned.Host)+"/delete", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
		place := got.header.Get("Location")

		_, id, ok := strings.Cut(place, "&undo=")
		if !ok {
			t.Fatalf("%d %s", got.status, place)
		}

		if page := b.ask("GET", place, "", "Cookie", cookie); !strings.Contains(page.body, `action="/undo/`+id+`"`) {
			t.Error("no way back is offered")
		}

		if page := b.ask("GET", place, "", "Cookie", other); strings.Contains(page.body, "/undo/") {
			t.Error("it is offered to somebody else")
		}

		return "/undo/" + id
	}
	take := func(path, cookie string) answer {
		return b.ask("POST", path, "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}

	path := remove()

	if got := take(path, other); got.status != http.StatusConflict {
		t.Errorf("somebody else takes it: %d", got.status)
	}

	if got := take(path, cookie); got.status != http.StatusSeeOther || got.header.Get("Location") != "/hosts/"+string(canned.Host)+"?done=undone" {
		t.Errorf("%d %s", got.status, got.header.Get("Location"))
	}

	if got := take(path, cookie); got.status != http.StatusConflict {
		t.Errorf("a second time: %d", got.status)
	}

	path = remove()
	now = now.Add(time.Minute)

	if got := take(path, cookie); got.status != http.StatusConflict {
		t.Errorf("after a minute: %d", got.status)
	}

	if len(back) != 1 || back[0] != canned.Host {
		t.Errorf("brought back: %v", back)
	}
}

// A host that was renamed gets its name back, and not where it was changed again.
func TestAHostThatWasChangedIsAsItWas(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.member("otto", route.Operator)
	host := core.Host{MAC: canned.Host, Name: "before", Tags: []string{"lab"}, Power: core.Power{Method: core.PowerWoL}}

	b.commands.OnUpdate = func(_ core.MAC, change func(*core.Host)) (core.Host, error) {
		change(&host)

		return host, nil
	}

	edit := func() string {
		form := url.Values{"name": {"after"}, "tags": {"gpu"}, "power": {"wol"}}
		got := b.ask("POST", "/hosts/"+string(canned.Host), form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")

		_, id, _ := strings.Cut(got.header.Get("Location"), "&undo=")

		return "/undo/" + id
	}

	path := edit()
	if host.Name != "after" {
		t.Fatalf("%+v", host)
	}

	if got := b.ask("POST", path, "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther || host.Name != "before" || host.Tags[0] != "lab" {
		t.Errorf("%d, %+v", got.status, host)
	}

	path = edit()
	host.Name = "by somebody else"

	if got := b.ask("POST", path, "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusConflict || host.Name != "by somebody else" {
		t.Errorf("changed since: %d, %+v", got.status, host)
	}
}

// A run that overwrites disks is started from its plan alone: by whoever types the end of
// the machine's serial number, and with a grace in which it can be withdrawn. What writes
// to no disk, and what programs start, begins at once.
func TestARunThatOverwritesDisksIsStartedFromItsPlan(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.member("otto", route.Operator)
	host := "/hosts/" + string(canned.Host)

	var wishes []core.StartRun

	b.commands.OnStart = func(mac core.MAC, wish core.StartRun) (core.Run, error) {
		wishes = append(wishes, wish)

		return core.Run{ID: canned.Run, Host: mac}, nil
	}

	post := func(form url.Values) answer {
		return b.ask("POST", host+"/runs", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}

	const destroys, reads = "wipe", "look"

	b.commands.More = []core.Profile{{
		Name: destroys, Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.Storage, core.Reporting},
		Config: map[string]string{profile.StorageMode: "destructive"},
	}, {Name: reads, Scale: 1, Stages: []core.StageName{core.InventoryCheck, core.Storage, core.Reporting}}}

	form := url.Values{"profile": {destroys}, "armed": {"ZC1A7C9F1R3"}}

	led := post(form)
	if led.status != http.StatusSeeOther || !strings.HasPrefix(led.header.Get("Location"), host+"/start?") || len(wishes) != 0 {
		t.Fatalf("%d %s, %d started", led.status, led.header.Get("Location"), len(wishes))
	}

	plan := b.ask("GET", led.header.Get("Location"), "", "Cookie", cookie)
	for _, want := range []string{"1 disk is overwritten", "ST4000NM000A-2HZ100", "ZC1A7C9F1R3", "Overwritten", "Read only", `name="confirm"`, "last 4 letters"} {
		if !strings.Contains(plan.body, want) {
			t.Errorf("the plan lacks %q", want)
		}
	}

	form.Set("planned", "1")
	form.Set("confirm", "0000")

	if got := post(form); got.status != http.StatusUnprocessableEntity || len(wishes) != 0 || !strings.Contains(got.body, "are others") {
		t.Errorf("the wrong letters: %d, %d started", got.status, len(wishes))
	}

	form.Set("confirm", " f1r3 ")

	if got := post(form); got.status != http.StatusSeeOther || len(wishes) != 1 || wishes[0].Grace != core.Grace || wishes[0].Armed[0] != "ZC1A7C9F1R3" {
		t.Errorf("the right letters: %d, %+v", got.status, wishes)
	}

	wishes = nil

	if got := post(url.Values{"profile": {reads}, "armed": {"ZC1A7C9F1R3"}}); got.status != http.StatusSeeOther || len(wishes) != 1 || wishes[0].Grace != 0 {
		t.Errorf("a profile that only reads: %d, %+v", got.status, wishes)
	}

	// What host or class lay over the profile counts as what it says itself.
	b.override(t, core.Override{Config: map[string]string{profile.StorageMode: "destructive"}})

	if got := post(url.Values{"profile": {reads}, "armed": {"ZC1A7C9F1R3"}}); !strings.HasPrefix(got.header.Get("Location"), host+"/start?") || len(wishes) != 1 {
		t.Errorf("a profile that the host makes destructive: %d, %+v", got.status, wishes)
	}

	if got := post(url.Values{"profile": {reads}, "armed": {"ZC1A7C9F1R3"}, "planned": {"1"}, "confirm": {"F1R3"}}); got.status != http.StatusSeeOther || len(wishes) != 2 || wishes[1].Grace != core.Grace {
		t.Errorf("with the letters: %d, %+v", got.status, wishes)
	}

	api := b.ask("POST", "/api/v1"+host+"/runs", `{"profile":"`+destroys+`","armed_disks":["ZC1A7C9F1R3"],"grace_s":10}`, "Authorization", "Bearer "+b.token("operate"))
	if api.status != http.StatusCreated || len(wishes) != 3 || wishes[2].Grace != 10*time.Second {
		t.Errorf("by the API: %d %s, %+v", api.status, api.body, wishes)
	}
}

// override lays something over every profile on the canned host.
func (b *bench) override(t *testing.T, o core.Override) {
	t.Helper()

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var h core.Host
		if err := txn.Get(core.TableHost, string(canned.Host), &h); err != nil {
			return err
		}

		h.Overrides = o

		return txn.Put(core.TableHost, string(canned.Host), h)
	}); err != nil {
		t.Fatal(err)
	}
}

// The page of a run that has not begun offers the way back, and no page else cancels it.
func TestAStartIsWithdrawnOnThePageOfTheRun(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.member("otto", route.Operator)
	id := canned.Run[:25] + "7"
	run := "/runs/" + string(id)

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		var run core.Run
		if err := txn.Get(core.TableRun, string(id), &run); err != nil {
			return err
		}

		run.Armed, run.Deadline, run.Profile.Config = []string{"ZC1A7C9F1R7"}, canned.Now().Add(8*time.Second), map[string]string{"Storage.mode": "destructive"}

		return txn.Put(core.TableRun, string(run.ID), run)
	}); err != nil {
		t.Fatal(err)
	}

	page := b.ask("GET", run, "", "Cookie", cookie)
	if !strings.Contains(page.body, `action="`+run+`/withdraw"`) || !strings.Contains(page.body, "overwrites 1 disk: ZC1A7C9F1R7") || strings.Contains(page.body, `action="`+run+`/cancel"`) {
		t.Error("the page offers no way back")
	}

	var order string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		order = word

		return core.Run{ID: id}, nil
	}

	if got := b.ask("POST", run+"/withdraw", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); got.status != http.StatusSeeOther || order != "withdraw" {
		t.Errorf("%d %s", got.status, order)
	}
}
