package ui_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// Overwriting somebody's data takes a password that was typed a moment ago, and a
// reason; a program with a token has no password.
func TestOverridingTheWipeProbeTakesAPasswordTypedJustNow(t *testing.T) {
	t.Parallel()

	now := canned.Now()
	b := open(t, canned.Failed, func(cfg *ui.Config) { random(cfg); cfg.Now = func() time.Time { return now } })
	b.signIn()
	cookie := b.member("otto", route.Operator)
	run := "/runs/01JD4X00000000000000000014"

	var orders []string

	b.commands.OnRun = func(word string, id core.RunID) (core.Run, error) {
		orders = append(orders, word)

		return core.Run{ID: id}, nil
	}

	type try struct{ password, json string }

	page := func(c try) answer {
		form := url.Values{"serial": {"S64G7C9F1R6"}, "reason": {"old array"}}
		if c.password != "" {
			form.Set("password", c.password)
		}

		return b.ask("POST", run+"/override-wipe", form.Encode(), "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}
	api := func(c try) answer {
		return b.ask("POST", "/api/v1"+run+"/override-wipe", `{"serials":["S64G7C9F1R6"],"reason":"old array"`+c.json+`}`, "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	}

	for name, order := range map[string]struct {
		do   func(try) answer
		good int
	}{"the page": {page, http.StatusSeeOther}, "the API": {api, http.StatusOK}} {
		orders = nil

		now = now.Add(6 * time.Minute)

		if got := b.ask("GET", run+"/hold", "", "Cookie", cookie); !strings.Contains(got.body, `id="wipe-password"`) || !strings.Contains(got.body, `id="wipe-reason"`) {
			t.Errorf("%s: the form does not ask for the password", name)
		}

		if got := order.do(try{}); got.status != http.StatusForbidden || !strings.Contains(got.body, "Type your password again") {
			t.Errorf("%s, without a password: %d %.300s", name, got.status, got.body)
		}

		wrong := order.do(try{"not the password", `,"password":"not the password"`})
		if wrong.status != http.StatusForbidden || !strings.Contains(wrong.body, "The password is wrong") {
			t.Errorf("%s, with a wrong one: %d %.300s", name, wrong.status, wrong.body)
		}

		if len(orders) != 0 {
			t.Fatalf("%s: %v without a password", name, orders)
		}

		got := order.do(try{password, `,"password":"` + password + `"`})
		if got.status != order.good || len(orders) != 1 || orders[0] != "override S64G7C9F1R6: old array" {
			t.Errorf("%s, with the right one: %d %v", name, got.status, orders)
		}

		old := cookie
		if cookie, _, _ = strings.Cut(got.header.Get("Set-Cookie"), ";"); cookie == old || cookie == "" {
			t.Fatalf("%s: the cookie stays", name)
		}

		if got := b.ask("GET", run, "", "Cookie", old); got.status != http.StatusSeeOther {
			t.Errorf("%s: the cookie before still opens: %d", name, got.status)
		}

		if got := b.ask("GET", run+"/hold", "", "Cookie", cookie); strings.Contains(got.body, `id="wipe-password"`) {
			t.Errorf("%s: right after it was typed, the form asks again", name)
		}

		if got := order.do(try{}); got.status != order.good || len(orders) != 2 {
			t.Errorf("%s, typed just now: %d %v", name, got.status, orders)
		}
	}

	orders = nil

	got := b.ask("POST", "/api/v1"+run+"/override-wipe", `{"serials":["S64G7C9F1R6"],"reason":"old array"}`, "Authorization", "Bearer "+b.token("operate"))
	if got.status != http.StatusOK || len(orders) != 1 {
		t.Errorf("with a token: %d %s", got.status, got.body)
	}
}
