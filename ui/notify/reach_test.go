package notify_test

import (
	"errors"
	"strings"
	"testing"

	"vetting/ui/notify"
)

// Whoever is looked at gets nothing that anybody would read.
func TestReachSendsNothing(t *testing.T) {
	url, got := listen(t, 404, "no such page")

	for _, target := range []notify.Target{
		{Name: "n", Kind: notify.Ntfy, URL: notify.Secret(url), Topic: "rack", Token: token},
		{Name: "d", Kind: notify.Webhook, URL: notify.Secret(url + "/services/T0/s3cret?key=hidden"), Sign: sign},
	} {
		if err := target.Reach(t.Context()); err != nil {
			t.Errorf("%s: %v", target.Name, err)
		}

		if r := <-got; r.Method != "HEAD" || r.RequestURI != "/" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: %s %s, %v", target.Name, r.Method, r.RequestURI, r.Header)
		}
	}

	addr, mail := mailbox(t, "")
	target := notify.Target{Name: "m", Kind: notify.SMTP, Server: addr, TLS: "off", From: "a@example.com", To: []string{"b@example.com"}}

	if err := target.Reach(t.Context()); err != nil {
		t.Error(err)
	}

	if said := <-mail; strings.Contains(said, "MAIL") || strings.Contains(said, "DATA") {
		t.Errorf("the mail server heard %q", said)
	}
}

func TestReachSaysWhatIsInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		target notify.Target
		want   string
	}{
		"nobody there":   {notify.Target{Name: "n", Kind: notify.Webhook, URL: "http://127.0.0.1:1/s3cret", Sign: sign}, "refused"},
		"no mail server": {notify.Target{Name: "n", Kind: notify.SMTP, Server: "127.0.0.1:1", TLS: "off", From: "a@example.com", To: []string{"b@example.com"}}, "refused"},
		"no URL":         {notify.Target{Name: "n", Kind: notify.Ntfy, Topic: "rack", URL: "ftp://x"}, "url"},
	} {
		if err := c.target.Reach(t.Context()); err == nil || !strings.Contains(strings.ToLower(err.Error()), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}

	if err := (&notify.Target{Name: "s", Kind: notify.Shoutrrr, URL: "gotify://example.com/AbcDefGhiJklMno"}).Reach(t.Context()); !errors.Is(err, notify.ErrUnseen) {
		t.Errorf("shoutrrr: %v", err)
	}
}
