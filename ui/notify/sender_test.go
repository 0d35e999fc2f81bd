package notify_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/signal"
	"vetting/core/webhook"
	"vetting/ui/notify"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	token = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"
	sign  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// grave is a notice whose text a hostile machine wrote a part of.
func grave() core.Notice {
	return core.Notice{
		Code: "threshold/breach", Severity: core.Critical, Topic: core.StageFailed, HostName: "rack1-u07", Stage: core.CPUStress,
		Text: "rack1-u07: CPUStress ended with fail: 97 °C at \x1b[31m@everyone *bold*\r\nBcc: x@y [a](http://evil)",
		Next: "Look at the cooler of CPU0.",
	}
}

// tellOnce lets the courier send one notice to one target and returns what came
// of it.
func tellOnce(t *testing.T, target notify.Target, notice core.Notice) core.Delivery {
	t.Helper()

	target.Name = "it"
	ledger := coretest.NewLedger()
	bell := signal.New()
	outcome := make(chan core.Delivery, 1)

	c, err := notify.New(notify.Config{
		Targets: []notify.Target{target}, Routes: []notify.Route{{To: []string{"it"}}}, Console: "https://vetting.lan:8443/",
	}, notify.Ports{Ledger: ledger, Bell: bell, Cursor: fixed(0), Outcomes: hand(outcome), Now: coretest.Start})
	if err != nil {
		t.Fatal(err)
	}

	text, err := json.Marshal(notice)
	if err != nil {
		t.Fatal(err)
	}

	_, err = ledger.Update(t.Context(), func(tx core.Txn) error {
		return tx.Emit(core.Event{Kind: core.EventNotice, Time: coretest.Start(), Host: "52:54:00:00:00:07", Run: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Data: text})
	})
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- c.Run(ctx) }()

	o := <-outcome

	cancel()
	<-ended

	all := fmt.Sprintf("%+v", o)
	for _, secret := range []string{token, sign, "hunter2", "T0K3N-in-the-path"} {
		if strings.Contains(all, secret) {
			t.Errorf("a secret is in the outcome: %s", all)
		}
	}

	return o
}

// fixed is a cursor that stands.
type fixed uint64

func (f fixed) Cursor(context.Context) (uint64, error) { return uint64(f), nil }
func (fixed) Advance(context.Context, uint64) error    { return nil }

type hand chan<- core.Delivery

func (h hand) Delivered(_ context.Context, o core.Delivery) error {
	h <- o

	return nil
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()

	path := filepath.Join("testdata", name)

	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was:\n%s", name, got)
	}
}

func indent(t *testing.T, text []byte) []byte {
	t.Helper()

	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatalf("%v in %s", err, text)
	}

	return append(out.Bytes(), '\n')
}

// listen serves one request and hands it over.
func listen(t *testing.T, status int, answer string) (url string, got chan *http.Request) {
	t.Helper()

	got = make(chan *http.Request, 8)

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		got <- r

		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)

	return server.URL, got
}

func body(t *testing.T, r *http.Request) []byte {
	t.Helper()

	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}

	return text
}

func TestNtfy(t *testing.T) {
	t.Parallel()

	url, got := listen(t, http.StatusOK, "{}")

	o := tellOnce(t, notify.Target{Kind: notify.Ntfy, URL: notify.Secret(url), Topic: "vetting-7f3k", Token: token}, grave())
	if !o.OK || o.Attempts != 1 || o.Event != 1 || o.Kind != "ntfy" || o.Text != "rack1-u07: CPUStress: Threshold broken" {
		t.Errorf("%+v", o)
	}

	r := <-got
	if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Authorization") != "Bearer "+token {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}

	golden(t, "ntfy.json", indent(t, body(t, r)))
}

func TestDiscord(t *testing.T) {
	t.Parallel()

	url, got := listen(t, http.StatusNoContent, "")

	if o := tellOnce(t, notify.Target{Kind: notify.Discord, URL: notify.Secret(url + "/api/webhooks/1/T0K3N-in-the-path")}, grave()); !o.OK {
		t.Errorf("%+v", o)
	}

	golden(t, "discord.json", indent(t, body(t, <-got)))
}

func TestWebhook(t *testing.T) {
	t.Parallel()

	url, got := listen(t, http.StatusAccepted, "")

	if o := tellOnce(t, notify.Target{Kind: notify.Webhook, URL: notify.Secret(url), Sign: sign}, grave()); !o.OK {
		t.Errorf("%+v", o)
	}

	r := <-got
	text := body(t, r)
	id := r.Header.Get(webhook.HeaderID)

	if id != fmt.Sprintf("msg_%d_1_it", coretest.Start().UnixMilli()) || !webhook.Verify(sign, id, coretest.Start(), text, r.Header.Get(webhook.HeaderSignature)) {
		t.Errorf("%v", r.Header)
	}

	golden(t, "webhook.json", indent(t, text))
}

func TestShoutrrr(t *testing.T) {
	t.Parallel()

	url, got := listen(t, http.StatusOK, "")
	host := strings.TrimPrefix(url, "http://")

	o := tellOnce(t, notify.Target{Kind: notify.Shoutrrr, URL: notify.Secret("generic://" + host + "/hook/T0K3N-in-the-path?disabletls=yes&template=json")}, grave())
	if !o.OK {
		t.Errorf("%+v", o)
	}

	var m struct{ Title, Message string }
	if err := json.Unmarshal(body(t, <-got), &m); err != nil || m.Title != o.Text || !strings.Contains(m.Message, "What to do: Look at the cooler") {
		t.Errorf("%+v %v", m, err)
	}

	url, _ = listen(t, http.StatusForbidden, "T0K3N-in-the-path is wrong")
	host = strings.TrimPrefix(url, "http://")

	o = tellOnce(t, notify.Target{Kind: notify.Shoutrrr, URL: notify.Secret("generic://" + host + "/hook/T0K3N-in-the-path?disabletls=yes")}, grave())
	if o.OK || o.Code != "notify/failed" {
		t.Errorf("%+v", o)
	}
}

func TestFaultsAreToldApart(t *testing.T) {
	t.Parallel()

	elsewhere, strayed := listen(t, http.StatusOK, "")

	moved := httptest.NewServer(http.RedirectHandler(elsewhere, http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	wrong, _ := listen(t, http.StatusUnauthorized, "the token "+token+" is wrong")
	busy, _ := listen(t, http.StatusInternalServerError, "no\x1b[31m\nmore")

	for name, c := range map[string]struct {
		url, code, detail string
	}{
		"a token that is refused":    {wrong, "notify/refused", "status 401: the token [hidden] is wrong"},
		"nobody listens":             {gone.URL, "notify/unreachable", ""},
		"an error of the service":    {busy, "notify/failed", "status 500: no [31m more"},
		"a redirect is not followed": {moved.URL, "notify/failed", ""},
	} {
		o := tellOnce(t, notify.Target{Kind: notify.Ntfy, URL: notify.Secret(c.url), Topic: "t0pic", Token: token}, grave())
		if o.OK || o.Code != c.code || c.detail != "" && o.Detail != c.detail {
			t.Errorf("%s: %+v", name, o)
		}
	}

	select {
	case <-strayed:
		t.Error("the message went to where a redirect pointed")
	default:
	}
}

// mailbox is an SMTP server for one connection, without TLS.
func mailbox(t *testing.T, refuse string) (addr string, got chan string) {
	t.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = l.Close() })

	got = make(chan string, 1)

	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()

		in := bufio.NewReader(conn)
		data, all := false, ""

		fmt.Fprint(conn, "220 mail.example ESMTP\r\n")

		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}

			all += line

			switch {
			case data && line == ".\r\n":
				data = false
				fmt.Fprint(conn, "250 kept\r\n")
			case data:
			case strings.HasPrefix(line, refuse) && refuse != "":
				fmt.Fprint(conn, "550 no such box\r\n")
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(conn, "250-mail.example\r\n250 8BITMIME\r\n")
			case strings.HasPrefix(line, "DATA"):
				data = true
				fmt.Fprint(conn, "354 go on\r\n")
			case strings.HasPrefix(line, "QUIT"):
				fmt.Fprint(conn, "221 bye\r\n")
				got <- all

				return
			default:
				fmt.Fprint(conn, "250 ok\r\n")
			}
		}
	}()

	return l.Addr().String(), got
}

func TestMail(t *testing.T) {
	t.Parallel()

	addr, got := mailbox(t, "")
	target := notify.Target{
		Kind: notify.SMTP, Server: addr, TLS: "off", From: "vetting <vetting@example.com>", To: []string{"rack@example.com", "Jürgen <j@example.com>"},
	}

	notice := grave()
	notice.HostName = "räck1\r\nBcc: evil@example.com"

	if o := tellOnce(t, target, notice); !o.OK {
		t.Fatalf("%+v", o)
	}

	all := <-got
	for _, want := range []string{"MAIL FROM:<vetting@example.com>", "RCPT TO:<rack@example.com>", "RCPT TO:<j@example.com>"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}

	_, letter, _ := strings.Cut(all, "DATA\r\n")
	letter, _, _ = strings.Cut(letter, "\r\n.\r\n")

	m, err := mail.ReadMessage(strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}

	if m.Header.Get("Bcc") != "" || m.Header.Get("Auto-Submitted") != "auto-generated" || m.Header.Get("Date") == "" || m.Header.Get("Message-Id") == "" {
		t.Errorf("%v", m.Header)
	}

	text, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}

	golden(t, "mail.txt", []byte(m.Header.Get("Subject")+"\n\n"+strings.ReplaceAll(string(text), "\r\n", "\n")))
}

func TestMailIsNeverSentUnencryptedWhenItShouldNotBe(t *testing.T) {
	t.Parallel()

	addr, _ := mailbox(t, "")
	target := notify.Target{Kind: notify.SMTP, Server: addr, From: "a@example.com", To: []string{"b@example.com"}, User: "u", Password: "hunter2"}

	if o := tellOnce(t, target, grave()); o.OK || o.Code != "notify/failed" {
		t.Errorf("a server without STARTTLS was used: %+v", o)
	}

	addr, _ = mailbox(t, "RCPT")
	target.Server, target.TLS, target.User = addr, "off", ""

	if o := tellOnce(t, target, grave()); o.OK || o.Code != "notify/failed" || !strings.Contains(o.Detail, "550") {
		t.Errorf("%+v", o)
	}
}

func TestAMailServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	c, err := notify.New(notify.Config{
		Timeout: 50 * time.Millisecond,
		Targets: []notify.Target{{Name: "m", Kind: notify.SMTP, Server: l.Addr().String(), From: "a@example.com", To: []string{"b@example.com"}}},
	}, notify.Ports{Outcomes: hand(make(chan core.Delivery, 1))})
	if err != nil {
		t.Fatal(err)
	}

	if o, err := c.Test(t.Context(), "m"); err != nil || o.Code != "notify/timeout" {
		t.Errorf("%+v %v", o, err)
	}
}

func TestAServiceThatHangsHoldsOnlyItself(t *testing.T) {
	t.Parallel()

	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))

	t.Cleanup(func() {
		close(release)
		server.Close()
	})

	outcomes := make(chan core.Delivery, 16)

	c, err := notify.New(notify.Config{
		Timeout: 30 * time.Millisecond,
		Targets: []notify.Target{{Name: "s", Kind: notify.Shoutrrr, URL: notify.Secret("generic://" + strings.TrimPrefix(server.URL, "http://") + "/?disabletls=yes")}},
	}, notify.Ports{Outcomes: hand(outcomes)})
	if err != nil {
		t.Fatal(err)
	}

	for i := range 6 {
		o, err := c.Test(t.Context(), "s")
		if err != nil || o.OK || i >= 4 != strings.Contains(o.Detail, "still hang") {
			t.Errorf("message %d: %+v %v", i, o, err)
		}
	}
}

func TestAWrongConfigurationIsNamed(t *testing.T) {
	t.Parallel()

	good := notify.Target{Name: "n", Kind: notify.Ntfy, URL: "https://ntfy.sh", Topic: "t"}

	for name, c := range map[string]struct {
		config notify.Config
		want   string // empty: nothing is wrong
	}{
		"nothing":                   {notify.Config{}, ""},
		"a good one":                {notify.Config{Targets: []notify.Target{good}, Routes: []notify.Route{{To: []string{"n"}}}}, ""},
		"the same name twice":       {notify.Config{Targets: []notify.Target{good, good}}, "notifiers.n: is there twice"},
		"a name with a slash":       {notify.Config{Targets: []notify.Target{{Name: "a/b", Kind: notify.Ntfy, URL: "https://x", Topic: "t"}}}, "notifiers.a/b: a name"},
		"an unknown kind":           {notify.Config{Targets: []notify.Target{{Name: "n", Kind: "smoke"}}}, "type:"},
		"a file instead of a URL":   {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.Discord, URL: "file:///T0K3N-in-the-path"}}}, "notifiers.n: url:"},
		"a webhook without secret":  {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.Webhook, URL: "https://x"}}}, "secret:"},
		"shoutrrr with nonsense":    {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.Shoutrrr, URL: "nothing://T0K3N-in-the-path"}}}, "url: shoutrrr"},
		"a password for all":        {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.SMTP, Server: "m", From: "a@b", To: []string{"a@b"}, TLS: "off", User: "u"}}}, "tls: off"},
		"mail to nobody":            {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.SMTP, Server: "m", From: "a@b"}}}, "to: 1 to 50"},
		"a route to nobody":         {notify.Config{Targets: []notify.Target{good}, Routes: []notify.Route{{To: []string{"x"}}}}, `routes[0]: to: there is no notifier "x"`},
		"a route for no such event": {notify.Config{Targets: []notify.Target{good}, Routes: []notify.Route{{To: []string{"n"}, Topics: []core.Topic{"Party"}}}}, "routes[0]: events:"},
		"eleven attempts":           {notify.Config{Targets: []notify.Target{{Name: "n", Kind: notify.Ntfy, URL: "https://x", Topic: "t", Attempts: 11}}}, "attempts:"},
	} {
		err := c.config.Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "T0K3N")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is in the ledger, reading it goes on.
func FuzzAnyNotice(f *testing.F) {
	f.Add([]byte(`{"code":"threshold/breach","severity":"critical","text":"x","topic":"StageFailed"}`))
	f.Add([]byte(`{"topic":"Alarm"}`))
	f.Add([]byte(`{"topic":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}

		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, coretest.NewLedger(), notify.Config{Targets: []notify.Target{target("phone", 0)}, Routes: []notify.Route{{To: []string{"phone"}}}})
			stop := b.run()
			synctest.Wait()
			b.emit(core.EventNotice, json.RawMessage(data))
			b.tell(core.Alarm, core.Info)
			synctest.Wait()
			stop()

			if _, told := b.came()["2 phone"]; !told {
				t.Errorf("after %s nothing is told any more", data)
			}

			for _, text := range b.noted() {
				if strings.ContainsAny(text, "\r\n\x1b") {
					t.Errorf("%q", text)
				}
			}
		})
	})
}
