package ui_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// client speaks to a console that listens, whatever its certificate.
func client() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // a test's own certificate
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// follow reads the frames of a stream as text until it ends.
func follow(t *testing.T, url, token, lastID string) (frames <-chan string, cut func()) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	req.Header.Set("Authorization", "Bearer "+token)

	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}

	res, err := client().Do(req) //nolint:bodyclose // closed below
	if err != nil {
		t.Fatal(err)
	}

	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d", url, res.StatusCode)
	}

	out := make(chan string, 1000)

	go func() {
		defer close(out)
		defer func() { _ = res.Body.Close() }()

		var frame strings.Builder

		scan := bufio.NewScanner(res.Body)
		for scan.Scan() {
			if scan.Text() != "" {
				frame.WriteString(scan.Text() + "\n")

				continue
			}

			if text := frame.String(); !strings.HasPrefix(text, ":") && !strings.HasPrefix(text, "retry:") {
				out <- text
			}

			frame.Reset()
		}
	}()

	t.Cleanup(cancel)

	return out, cancel
}

func nextFrame(t *testing.T, in <-chan string) string {
	t.Helper()

	select {
	case f, ok := <-in:
		if !ok {
			t.Fatal("the stream ended")
		}

		return f
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within 10 s")

		return ""
	}
}

// happen writes events and rings the bell.
func (b *bench) happen(n int, run core.RunID) uint64 {
	b.t.Helper()

	seq, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		for range n {
			if err := txn.Emit(core.Event{Kind: core.EventStage, Run: run, Data: json.RawMessage(`{}`)}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}

	b.bell.Ring(seq)

	return seq
}

func secure(t *testing.T) func(*ui.Config) {
	return func(cfg *ui.Config) { random(cfg); cfg.TLS = certificate(t) }
}

func TestTheStreamResumesOverTLSWithoutLoss(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, secure(t))
	token := b.token("read")
	base, _ := b.listen()
	start := b.happen(1, canned.Run)

	in, cut := follow(t, base+"/api/v1/events", token, fmt.Sprint(start))
	b.happen(3, canned.Run)

	for i := start + 1; i <= start+3; i++ {
		if f := nextFrame(t, in); !strings.HasPrefix(f, fmt.Sprintf("id: %d\nevent: stage\ndata: {", i)) {
			t.Errorf("got %q, want id %d", f, i)
		}
	}

	cut()
	b.happen(5, canned.Run)

	again, _ := follow(t, base+"/api/v1/events", token, fmt.Sprint(start+3))
	for i := start + 4; i <= start+8; i++ {
		if f := nextFrame(t, again); !strings.HasPrefix(f, fmt.Sprintf("id: %d\n", i)) {
			t.Errorf("after the cut: %q, want id %d", f, i)
		}
	}
}

func TestAStreamFromNowOnDoesNotTellTheLedgersPast(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random) // the ledger has events; nobody has rung the bell
	token := b.token("read")
	base, _ := b.listen()

	in, _ := follow(t, base+"/api/v1/events?run="+string(canned.Run), token, "")

	// The log comes from its beginning, the events from now on.
	if f := nextFrame(t, in); !strings.HasPrefix(f, "event: log\n") {
		t.Errorf("got %q", f)
	}

	b.happen(1, "01JD4X00000000000000000099")
	seq := b.happen(1, canned.Run)

	if f := nextFrame(t, in); !strings.HasPrefix(f, fmt.Sprintf("id: %d\n", seq)) {
		t.Errorf("got %q, want id %d", f, seq)
	}
}

func TestThePageOfARunHearsItsLogAndItsEvents(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	token := b.token("read")
	base, _ := b.listen()
	in, _ := follow(t, base+"/events?v=run:"+string(canned.Run)+"&log_after=5", token, "")

	if f := nextFrame(t, in); !strings.HasPrefix(f, "event: clock\n") {
		t.Errorf("got %q", f)
	}

	if f := nextFrame(t, in); !strings.HasPrefix(f, "event: log\n") || !strings.Contains(f, `"seq":6`) || strings.Contains(f, `"seq":5`) {
		t.Errorf("got %q", f)
	}

	b.happen(1, "01JD4X00000000000000000099")
	seq := b.happen(1, canned.Run)

	if f := nextFrame(t, in); !strings.HasPrefix(f, fmt.Sprintf("id: %d\n", seq)) {
		t.Errorf("got %q", f)
	}
}

func TestTheStreamsAreBehindTheirCheck(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	base, _ := b.listen()

	for _, path := range []string{"/events?v=rack", "/api/v1/events"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}

		res, err := client().Do(req)
		if err != nil {
			t.Fatal(err)
		}

		_ = res.Body.Close()

		if res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusSeeOther {
			t.Errorf("%s as nobody: %d", path, res.StatusCode)
		}
	}

	if b.Streams() != 0 {
		t.Errorf("%d streams are open", b.Streams())
	}
}

func TestStoppingWithOpenStreamsTakesLessThanASecond(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, secure(t))
	token := b.token("read")
	base, stop := b.listen()

	var streams []<-chan string

	for range 6 {
		in, _ := follow(t, base+"/events?v=rack", token, "")
		streams = append(streams, in)
	}

	await(t, "the streams to open", func() bool { return b.Streams() == 6 })

	if took := stop(); took > time.Second {
		t.Errorf("took %s", took)
	}

	for _, in := range streams {
		nextFrame(t, in) // the appliance's time comes first

		if f := nextFrame(t, in); f != "event: bye\ndata: restart\n" {
			t.Errorf("got %q", f)
		}
	}

	await(t, "the streams to end", func() bool { return b.Streams() == 0 })
}

// Trap 2: strings of a request must outlive it. Without Immutable, what one
// handler kept would read as the next request of the same connection.
func TestWhatAHandlerKeepsIsNotOverwrittenByTheNextRequest(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)

	var (
		mu   sync.Mutex
		kept []core.Host
	)

	b.commands.OnRegister = func(h core.Host) (core.Host, error) {
		mu.Lock()
		defer mu.Unlock()

		kept = append(kept, h)

		return h, nil
	}
	b.commands.OnStart = func(mac core.MAC, wish core.StartRun) (core.Run, error) {
		mu.Lock()
		defer mu.Unlock()

		kept = append(kept, core.Host{MAC: mac, Name: wish.Profile})

		return core.Run{ID: canned.Run}, nil
	}

	token := b.token("operate")
	base, _ := b.listen()
	one := client() // one connection, kept alive

	post := func(path, kind, body string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}

		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", kind)

		res, err := one.Do(req)
		if err != nil {
			t.Fatal(err)
		}

		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}

	for i := range 20 {
		post("/hosts", "application/x-www-form-urlencoded", fmt.Sprintf("mac=52:54:00:00:00:%02d&name=AAAA%02d&notes=NNNN%02d", i, i, i))
		post(fmt.Sprintf("/hosts/52:54:00:00:01:%02d/runs", i), "application/x-www-form-urlencoded", fmt.Sprintf("profile=BBBB%02d", i))
	}

	for i := range 20 {
		host, run := kept[2*i], kept[2*i+1]
		if host.Name != fmt.Sprintf("AAAA%02d", i) || host.Notes != fmt.Sprintf("NNNN%02d", i) || run.Name != fmt.Sprintf("BBBB%02d", i) || run.MAC != core.MAC(fmt.Sprintf("52:54:00:00:01:%02d", i)) {
			t.Errorf("request %d left %+v and %+v", i, host, run)
		}
	}
}

func TestABodyThatIsTooLargeIsRefusedWithAllHeaders(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	token := b.token("operate")
	base, _ := b.listen()

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = conn.Close() }()

	// The head alone says how much would come: it is refused before it is sent.
	_, _ = fmt.Fprintf(conn, "POST /api/v1/hosts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2097152\r\n\r\n", token)

	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = res.Body.Close() }()

	var got route.ErrorBody

	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}

	if res.StatusCode != http.StatusRequestEntityTooLarge || got.Error.Code == "" || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %+v %v", res.StatusCode, got, res.Header)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	token := b.token("read")
	base, _ := b.listen()

	var wg sync.WaitGroup

	for i := range 16 {
		wg.Go(func() {
			one := client()

			for _, path := range []string{"/", "/hosts", "/runs/" + string(canned.Run), "/api/v1/runs", "/api/v1/hosts?limit=" + fmt.Sprint(i+1)} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, http.NoBody)
				if err != nil {
					t.Error(err)

					return
				}

				req.Header.Set("Authorization", "Bearer "+token)

				res, err := one.Do(req)
				if err != nil {
					t.Error(err)

					return
				}

				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()

				if res.StatusCode != http.StatusOK {
					t.Errorf("%s: %d", path, res.StatusCode)
				}
			}
		})
	}

	wg.Wait()
}
