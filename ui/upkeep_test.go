package ui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

func TestNotifiersAreListedWithWhatCameOfThem(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	var list route.NotifierList

	got := b.ask("GET", "/api/v1/notifiers", "", "Authorization", "Bearer "+b.token("read"))
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || got.status != http.StatusOK || len(list.Notifiers) != 2 || len(list.Routes) != 2 {
		t.Fatalf("%d %s", got.status, got.body)
	}

	phone, mail := list.Notifiers[0], list.Notifiers[1]

	if phone.Last == nil || !phone.Last.OK || phone.Last.Event != 7 || phone.Tested == nil || phone.Tested.Event != 0 {
		t.Errorf("phone: %+v", phone)
	}

	if mail.Last == nil || mail.Last.OK || mail.Last.Code != "notify/refused" || mail.Tested != nil || mail.Attempts != 3 {
		t.Errorf("mail: %+v", mail)
	}

	none := open(t, canned.Empty, nil)
	if got := none.ask("GET", "/api/v1/notifiers", "", "Authorization", "Bearer "+none.token("read")); got.body != `{"notifiers":[],"routes":[]}` {
		t.Errorf("without notifiers: %d %s", got.status, got.body)
	}
}

// A test says what came of it, whoever asks, and stands in the audit trail.
func TestANotifierIsTested(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("operate")

	for name, want := range map[string]string{"phone": `"ok":true`, "ops-mail": `"ok":false,"code":"notify/unreachable"`} {
		if got := b.ask("POST", "/api/v1/notifiers/"+name+"/test", "", "Authorization", auth); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}

	for name, want := range map[string]string{"phone": "phone took the test message", "ops-mail": "connection refused"} {
		if got := b.ask("POST", "/notifications/"+name+"/test", "", "Authorization", auth); got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s on the page: %d", name, got.status)
		}
	}

	for _, path := range []string{"/api/v1/notifiers/nobody/test", "/notifications/nobody/test"} {
		if got := b.ask("POST", path, "", "Authorization", auth); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.status)
		}
	}

	none := open(t, canned.Empty, nil)
	if got := none.ask("POST", "/api/v1/notifiers/phone/test", "", "Authorization", "Bearer "+none.token("operate")); got.status != http.StatusNotFound {
		t.Errorf("without notifiers: %d %s", got.status, got.body)
	}

	trail := b.ask("GET", "/api/v1/audit?action=notifier.test", "", "Authorization", "Bearer "+b.token("admin")).body
	if strings.Count(trail, `"object":"notifier/`) != 4 || !strings.Contains(trail, "tried to send a test message to the notifier ops-mail") {
		t.Errorf("the audit trail: %s", trail)
	}
}

func TestTheLogOfDeliveriesIsReadInPages(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for i := range uint64(30) {
			d := core.Delivery{Event: 100 + i, Target: "phone", OK: i%3 != 0, Text: fmt.Sprint(i)}
			if err := txn.Put(core.TableDelivery, core.DeliveryKey(d.Event, d.Target), d); err != nil {
				return err
			}
		}

		return nil
	}); err != nil {
		t.Fatal(err)
	}

	read := func(query string) (events []uint64) {
		for token := ""; ; {
			var page route.DeliveryList

			got := b.ask("GET", "/api/v1/deliveries?limit=7"+query+"&page_token="+token, "", "Authorization", auth)
			if err := json.Unmarshal([]byte(got.body), &page); err != nil || got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}

			for i := range page.Deliveries {
				events = append(events, page.Deliveries[i].Event)
			}

			if token = page.NextPageToken; token == "" {
				return events
			}
		}
	}

	all := read("")
	if len(all) != 33 || all[0] != 129 || all[32] != 5 || slices.Contains(all, 0) {
		t.Errorf("all: %v", all)
	}

	if failed := read("&failed=true"); len(failed) != 11 || failed[10] != 7 {
		t.Errorf("those that did not arrive: %v", failed)
	}

	if mail := read("&target=ops-mail"); !slices.Equal(mail, []uint64{7}) {
		t.Errorf("those to ops-mail: %v", mail)
	}

	page := b.ask("GET", "/notifications?failed=true", "", "Authorization", auth).body
	if !strings.Contains(page, "429 Too Many Requests") || strings.Contains(page, "rack3-u19: Run passed") {
		t.Error("the page does not keep to its filter")
	}
}

func TestWhatWouldGoNowIsShown(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	var found route.Expiring

	got := b.ask("GET", "/api/v1/retention/preview", "", "Authorization", auth)
	if err := json.Unmarshal([]byte(got.body), &found); err != nil || found.Count != 3 || len(found.Items) != 3 || found.Bytes != 52428800 {
		t.Errorf("%d %s", got.status, got.body)
	}

	if page := b.ask("GET", "/retention", "", "Authorization", auth).body; !strings.Contains(page, "3 logs and files, 50 MiB") || !strings.Contains(page, "smart.bin") {
		t.Error("the page does not say what would go")
	}

	many := open(t, canned.Full, func(cfg *ui.Config) {
		cfg.Expiring = func(context.Context) (route.Expiring, error) {
			return route.Expiring{Items: make([]route.ExpiringItem, 1500)}, nil
		}
	})
	if err := json.Unmarshal([]byte(many.ask("GET", "/api/v1/retention/preview", "", "Authorization", "Bearer "+many.token("read")).body), &found); err != nil || found.Count != 1500 || len(found.Items) != 1000 {
		t.Errorf("of 1500: %d named, %d counted", len(found.Items), found.Count)
	}

	broken := open(t, canned.Full, func(cfg *ui.Config) {
		cfg.Expiring = func(context.Context) (route.Expiring, error) { return route.Expiring{}, errors.New("disk on fire") }
	})
	if got := broken.ask("GET", "/retention", "", "Authorization", "Bearer "+broken.token("read")); got.status != http.StatusInternalServerError || strings.Contains(got.body, "fire") {
		t.Errorf("a fault: %d", got.status)
	}
}

func TestTheConfigurationIsForAdministrators(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	for _, path := range []string{"/config", "/api/v1/config"} {
		if got := b.ask("GET", path, "", "Authorization", "Bearer "+b.token("operate")); got.status != http.StatusForbidden {
			t.Errorf("%s for an operator: %d", path, got.status)
		}

		got := b.ask("GET", path, "", "Authorization", "Bearer "+b.token("admin"))
		for _, want := range []string{"netboot.interface", "eth1", "eth2", "[hidden]"} {
			if !strings.Contains(got.body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
	}
}

func TestAMessageIsSentAgainByWhoMayAndIsOnRecord(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	const path = "/api/v1/deliveries/7/ops-mail/resend"

	if got := b.ask("POST", path, "", "Authorization", "Bearer "+b.token("read")); got.status != http.StatusForbidden {
		t.Errorf("a viewer: %d %s", got.status, got.body)
	}

	auth := "Bearer " + b.token("operate")
	if got := b.ask("POST", path, "", "Authorization", auth); got.status != http.StatusOK || !strings.Contains(got.body, `"ok":true`) {
		t.Errorf("%d %s", got.status, got.body)
	}

	if got := b.ask("GET", "/api/v1/audit?action=notifier.resend", "", "Authorization", auth); !strings.Contains(got.body, "sent the message about event 7 to the notifier ops-mail again") {
		t.Errorf("not on record: %s", got.body)
	}

	for path, want := range map[string]int{
		"/api/v1/deliveries/5/phone/resend": http.StatusConflict, "/api/v1/deliveries/x/phone/resend": http.StatusUnprocessableEntity,
		"/notifications/5/phone/resend": http.StatusConflict, "/notifications/7/ops-mail/resend": http.StatusOK,
	} {
		if got := b.ask("POST", path, "", "Authorization", auth); got.status != want {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}

	log := func(scope string) string {
		return b.ask("GET", "/notifications", "", "Authorization", "Bearer "+b.token(scope)).body
	}
	if !strings.Contains(log("operate"), `action="/notifications/7/ops-mail/resend"`) || strings.Contains(log("operate"), `action="/notifications/7/phone/resend"`) || strings.Contains(log("read"), "Send again") {
		t.Error("the buttons are not those of what did not arrive, for operators")
	}
}
