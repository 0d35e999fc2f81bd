package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/signal"
	"vetting/ui/sse"
)

// logs is a run log in memory.
type logs struct {
	mu    sync.Mutex
	lines []core.LogLine
}

func (l *logs) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()

	l.lines = append(l.lines, core.LogLine{Seq: uint64(len(l.lines) + 1), Text: text})
}

func (l *logs) ReadLog(_ context.Context, _ core.RunID, after uint64, limit int) ([]core.LogLine, error) {
	l.mu.Lock()
	defer l.mu.Unlock()

	if after >= uint64(len(l.lines)) {
		return nil, nil
	}

	rest := l.lines[after:]

	return rest[:min(limit, len(rest))], nil
}

type bench struct {
	ledger *coretest.Ledger
	bell   *signal.Bell
	logs   *logs
	hub    *sse.Hub
	app    *fiber.App
	url    string
}

// serve runs a hub behind a real listener; change may adjust its config.
func serve(t *testing.T, change func(*sse.Config), want func(c *fiber.Ctx) sse.Want) *bench {
	t.Helper()

	b := &bench{ledger: coretest.NewLedger(), bell: signal.New(), logs: &logs{}}
	cfg := sse.Config{Ledger: b.ledger, Bell: b.bell, Logs: b.logs, Heartbeat: 50 * time.Millisecond, LogEvery: 10 * time.Millisecond}

	if change != nil {
		change(&cfg)
	}

	b.hub = sse.New(cfg)
	b.app = fiber.New(fiber.Config{DisableStartupMessage: true, Immutable: true})
	b.app.Add(http.MethodGet, "/events", func(c *fiber.Ctx) error {
		w := sse.Want{}
		if want != nil {
			w = want(c)
		}

		after, known, err := sse.Cursor(c)
		if err != nil {
			return c.SendStatus(http.StatusUnprocessableEntity)
		}

		w.After, w.FromNow = after, !known

		if err := b.hub.Serve(c, w); err != nil {
			return c.Status(http.StatusServiceUnavailable).SendString(err.Error())
		}

		return nil
	})

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() { done <- b.app.Listener(ln) }()

	t.Cleanup(func() {
		b.hub.Close()

		if err := b.app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Errorf("shutting down: %v", err)
		}

		<-done
	})

	b.url = "http://" + ln.Addr().String() + "/events"

	return b
}

// happen writes n events and rings.
func (b *bench) happen(t *testing.T, n int, kind core.EventKind) uint64 {
	t.Helper()

	seq, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for i := range n {
			if err := txn.Emit(core.Event{Kind: kind, Run: "R1", Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	b.bell.Ring(seq)

	return seq
}

// note tells of a batch of samples of each run, in one commit.
func (b *bench) note(t *testing.T, runs ...core.RunID) {
	t.Helper()

	seq, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
		for _, run := range runs {
			if err := txn.Note(time.Unix(1, 0), core.SampleNote{Run: run, SampleChange: core.SampleChange{Epoch: 1, Seq: 1, Count: 20}}); err != nil {
				return err
			}
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	b.bell.Ring(seq)
}

type message struct{ id, event, data string }

// read sends the messages of a stream until it ends.
func read(t *testing.T, url, lastID string) (<-chan message, context.CancelFunc) {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}

	client := &http.Client{Transport: &http.Transport{}}

	res, err := client.Do(req) //nolint:bodyclose // closed by the goroutine below
	if err != nil {
		t.Fatal(err)
	}

	if got := res.Header.Get("Content-Type"); res.StatusCode == http.StatusOK && got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}

	out := make(chan message, 100000)

	go func() {
		defer close(out)
		defer func() { _ = res.Body.Close() }()

		m := message{}
		scan := bufio.NewScanner(res.Body)
		scan.Buffer(nil, 1<<24)

		for scan.Scan() {
			key, value, _ := strings.Cut(scan.Text(), ": ")

			switch {
			case scan.Text() == "":
				if m != (message{}) {
					out <- m
				}

				m = message{}
			case key == "":
				out <- message{event: "comment", data: value}
			case key == "id":
				m.id = value
			case key == "event":
				m.event = value
			case key == "data":
				m.data += value
			}
		}
	}()

	t.Cleanup(cancel)

	return out, cancel
}

// next returns the next message that is no comment.
func next(t *testing.T, in <-chan message) message {
	t.Helper()

	for late := time.After(5 * time.Second); ; { // however many comments come meanwhile
		select {
		case m, ok := <-in:
			if !ok {
				t.Fatal("the stream ended")
			}

			if m.event != "comment" {
				return m
			}
		case <-late:
			t.Fatal("nothing came within 5 s")
		}
	}
}

func TestAStreamTellsWhatHappensFromNowOn(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)
	b.happen(t, 3, core.EventHost)

	in, _ := read(t, b.url, "")

	for m := range in { // the first comment says that the stream stands
		if m.event == "comment" {
			break
		}

		t.Fatalf("told %+v of before", m)
	}

	b.happen(t, 2, core.EventRun)

	if m := next(t, in); m.id != "4" || m.event != "run" || !strings.Contains(m.data, `"seq":4`) {
		t.Errorf("got %+v", m)
	}

	if m := next(t, in); m.id != "5" {
		t.Errorf("got %+v", m)
	}
}

func TestLastEventIDResumesWithoutLossOrRepetition(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)
	b.happen(t, 1, core.EventHost)

	seen := uint64(1)

	for range 8 { // cut off again and again while things happen
		in, cut := read(t, b.url, fmt.Sprint(seen))
		b.happen(t, 300, core.EventStage)

		for range 150 {
			seen++

			if m := next(t, in); m.id != fmt.Sprint(seen) {
				t.Fatalf("got id %s, want %d", m.id, seen)
			}
		}

		cut()
	}

	in, _ := read(t, b.url+"?after=1", fmt.Sprint(seen)) // the header wins over the query
	for seen++; seen <= 1+8*300; seen++ {
		if m := next(t, in); m.id != fmt.Sprint(seen) {
			t.Fatalf("got id %s, want %d", m.id, seen)
		}
	}
}

func TestLogAndSampleFramesCarryNoID(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)
	b.note(t, "R1")
	b.happen(t, 1, core.EventLog)
	b.happen(t, 1, core.EventStage)

	in, _ := read(t, b.url+"?after=0", "")

	for _, want := range []message{{event: "sample"}, {event: "log"}, {event: "stage", id: "3"}} {
		if m := next(t, in); m.event != want.event || m.id != want.id {
			t.Errorf("got %+v, want %+v", m, want)
		}
	}
}

// One event of the ledger tells of the samples of many runs; a reader gets a frame for
// each run, and of those only what he chose.
func TestSamplesAreToldRunByRun(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, func(c *fiber.Ctx) sse.Want {
		return sse.Want{Chooses: func(e core.Event) bool { return e.Run != "R2" }}
	})
	b.note(t, "R1", "R2", "R3")
	b.happen(t, 1, core.EventStage)

	in, _ := read(t, b.url+"?after=0", "")

	for _, run := range []core.RunID{"R1", "R3"} {
		m := next(t, in)

		var got core.Event
		if err := json.Unmarshal([]byte(m.data), &got); err != nil || m.event != "sample" || got.Run != run || got.Seq != 1 || !strings.Contains(m.data, `"count":20`) {
			t.Errorf("got %+v, %v, want samples of %s", m, err, run)
		}
	}

	if m := next(t, in); m.event != "stage" {
		t.Errorf("then came %+v", m)
	}
}

func TestTheLogOfARunIsToldFromWhereTheReaderIs(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, func(*fiber.Ctx) sse.Want { return sse.Want{Run: "R1", LogAfter: 2} })

	for i := range 600 {
		b.logs.add(fmt.Sprintf("line %d", i+1))
	}

	b.happen(t, 1, core.EventLog) // announces what the log frames tell already

	in, _ := read(t, b.url+"?after=0", "")
	want := uint64(3)

	for want <= 600 {
		m := next(t, in)

		var got struct {
			Run   string
			Lines []core.LogLine
			After uint64
		}

		if err := json.Unmarshal([]byte(m.data), &got); err != nil || m.event != "log" || m.id != "" || got.Run != "R1" {
			t.Fatalf("got %+v, %v", m, err)
		}

		for _, line := range got.Lines {
			if line.Seq != want {
				t.Fatalf("line %d, want %d", line.Seq, want)
			}

			want++
		}
	}

	b.logs.add("one\r\nevent: forged\n\ndata: x\rlast")

	if m := next(t, in); m.event != "log" || !strings.Contains(m.data, "forged") {
		t.Errorf("a line that tries to forge a frame came as %+v", m)
	}
}

func TestAFilterChoosesEventsAndTheCursorGoesOn(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, func(*fiber.Ctx) sse.Want {
		return sse.Want{Chooses: func(e core.Event) bool { return e.Kind == core.EventRun }}
	})

	b.happen(t, 500, core.EventStage)
	b.happen(t, 1, core.EventRun)

	in, _ := read(t, b.url+"?after=0", "")

	if m := next(t, in); m.id != "501" {
		t.Errorf("got %+v", m)
	}
}

func TestAReaderFarBehindIsToldToReadAnew(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, func(*fiber.Ctx) sse.Want { return sse.Want{Resync: 100} })
	b.happen(t, 200, core.EventStage)

	in, _ := read(t, b.url, "5")

	if m := next(t, in); m.event != "resync" || m.id != "200" {
		t.Errorf("got %+v, want a resync at 200", m)
	}

	b.happen(t, 1, core.EventStage)

	if m := next(t, in); m.id != "201" {
		t.Errorf("got %+v", m)
	}
}

func TestACursorOfAnotherLedgerIsToldToReadAnew(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)
	b.happen(t, 3, core.EventStage)

	in, _ := read(t, b.url, "99999")

	if m := next(t, in); m.event != "resync" || m.id != "3" {
		t.Errorf("got %+v, want a resync at 3", m)
	}

	b.happen(t, 1, core.EventStage)

	if m := next(t, in); m.id != "4" {
		t.Errorf("got %+v", m)
	}
}

func TestABadCursorIsRefused(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)

	res, err := http.Get(b.url + "?after=-1") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = res.Body.Close() }()

	if res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("status %d", res.StatusCode)
	}
}

// Trap 6: a reader that stops reading must not keep its stream, nor hold up the
// others.
func TestAStalledReaderIsDroppedAndTheOthersHearEverything(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *sse.Config) { c.Stall = 3 * time.Second }, nil)

	in, _ := read(t, b.url+"?after=0", "")

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(b.url, "http://"), "/events"))
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = conn.Close() }()

	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}

	_, _ = fmt.Fprintf(conn, "GET /events?after=0 HTTP/1.1\r\nHost: x\r\n\r\n") // and never reads

	wait(t, "both streams to open", func() bool { return b.hub.Open() == 2 })

	fat := strings.Repeat("x", 4000)
	last := uint64(0)

	for range 200 { // 8 MB: more than the sockets' buffers hold
		seq, err := b.ledger.Update(t.Context(), func(txn core.Txn) error {
			for range 10 {
				if err := txn.Emit(core.Event{Kind: core.EventStage, Data: json.RawMessage(`"` + fat + `"`)}); err != nil {
					return err
				}
			}

			return nil
		})
		if err != nil {
			t.Fatal(err)
		}

		last = seq
		b.bell.Ring(seq)
	}

	for want := uint64(1); want <= last; want++ {
		if m := next(t, in); m.id != fmt.Sprint(want) {
			t.Fatalf("the good reader got %s, want %d", m.id, want)
		}
	}

	wait(t, "the stalled stream to be dropped", func() bool { return b.hub.Open() == 1 })
}

// Trap 5: only a failing write tells that a reader went away.
func TestAReaderWhoLeavesIsNoticed(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)
	_, cut := read(t, b.url, "")

	wait(t, "the stream to open", func() bool { return b.hub.Open() == 1 })
	cut()
	wait(t, "the stream to close", func() bool { return b.hub.Open() == 0 })
}

// Proxies in front pass on what comes as it comes, and keep nothing of it.
func TestProxiesAreToldNotToHoldAStreamBack(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, nil)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}

	req.Header.Set("Accept-Encoding", "gzip")

	res, err := (&http.Transport{}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = res.Body.Close() }()

	for name, want := range map[string]string{"X-Accel-Buffering": "no", "Cache-Control": "no-store", "Content-Type": "text/event-stream", "Content-Encoding": ""} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// Trap 4: shutting down with open streams must be quick, say goodbye and leave
// no goroutine behind that could use a closed ledger.
func TestShutdownWithOpenStreamsIsQuick(t *testing.T) { //nolint:paralleltest // counts goroutines
	before := runtime.NumGoroutine()

	t.Run("with fifty readers and one stalled", func(t *testing.T) { //nolint:paralleltest // see above
		b := serve(t, func(c *sse.Config) { c.MostEach = 100 }, nil)

		var readers []<-chan message

		for range 50 {
			in, _ := read(t, b.url, "")
			readers = append(readers, in)
		}

		wait(t, "the streams to open", func() bool { return b.hub.Open() == 50 })

		start := time.Now()

		b.hub.Close()

		if err := b.app.ShutdownWithTimeout(5 * time.Second); err != nil {
			t.Error(err)
		}

		if took := time.Since(start); took > time.Second {
			t.Errorf("took %s, want under a second", took)
		}

		for _, in := range readers {
			if m := next(t, in); m.event != "bye" || m.data != "restart" {
				t.Errorf("got %+v, want bye", m)
			}
		}
	})

	wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+2 })
}

func TestTooManyStreamsOfOneCallerEndTheOldest(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *sse.Config) { c.MostEach = 2; c.Most = 3 }, func(c *fiber.Ctx) sse.Want {
		return sse.Want{Caller: c.Query("who")}
	})

	first, _ := read(t, b.url+"?who=a", "")
	wait(t, "the first", func() bool { return b.hub.Open() == 1 })
	read(t, b.url+"?who=a", "")
	wait(t, "the second", func() bool { return b.hub.Open() == 2 })
	read(t, b.url+"?who=a", "")

	if m := next(t, first); m.event != "bye" || m.data != "many" {
		t.Errorf("the oldest got %+v, want bye", m)
	}

	wait(t, "two to remain", func() bool { return b.hub.Open() == 2 })
	read(t, b.url+"?who=b", "")
	wait(t, "three", func() bool { return b.hub.Open() == 3 })

	res, err := http.Get(b.url + "?who=c") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}

	defer func() { _ = res.Body.Close() }()

	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the fourth: status %d, want 503", res.StatusCode)
	}
}

// Pages that were left count no longer: who goes from page to page, or loads one again and
// again, ends no other page of theirs.
func TestTheStreamOfTheNextPageTakesThePlaceOfTheLast(t *testing.T) {
	t.Parallel()

	b := serve(t, func(c *sse.Config) { c.MostEach = 3 }, func(c *fiber.Ctx) sse.Want {
		return sse.Want{Caller: c.Query("who"), Name: c.Query("stream"), Instead: c.Query("instead")}
	})

	other, _ := read(t, b.url+"?who=a&stream=other", "")
	stranger, _ := read(t, b.url+"?who=b&stream=page0", "")

	wait(t, "two pages", func() bool { return b.hub.Open() == 2 })

	for i := range 12 {
		in, _ := read(t, fmt.Sprintf("%s?who=a&stream=page%d&instead=page%d", b.url, i+1, i), "")

		if i == 0 {
			wait(t, "the third page", func() bool { return b.hub.Open() == 3 })
			read(t, b.url+"?who=a&stream=page1", "") // it connects again

			if m := next(t, in); m.event != "bye" {
				t.Errorf("%+v", m)
			}
		}

		wait(t, "the page before to be gone", func() bool { return b.hub.Open() == 3 })
	}

	b.hub.Close()

	for name, in := range map[string]<-chan message{"another page": other, "somebody else's": stranger} {
		if m := next(t, in); m.event != "bye" || m.data != "restart" {
			t.Errorf("%s was told %+v", name, m)
		}
	}
}

func TestAStreamEndsWhenItsCallerMayNoLongerRead(t *testing.T) {
	t.Parallel()

	b := serve(t, nil, func(*fiber.Ctx) sse.Want {
		return sse.Want{Alive: func(context.Context) error { return errors.New("signed out") }}
	})

	in, _ := read(t, b.url, "")

	if m := next(t, in); m.event != "bye" || m.data != "logout" {
		t.Errorf("got %+v, want bye logout", m)
	}
}

// wait polls; the deadline only bounds a test that fails.
func wait(t *testing.T, what string, done func() bool) {
	t.Helper()

	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()

	late := time.After(10 * time.Second)

	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

// What depends on no event is looked at with every beat, and what events were about is told
// together, no faster than a page can be drawn.
func TestPartsOfAPage(t *testing.T) {
	t.Parallel()

	var (
		mu    sync.Mutex
		asked []map[core.MAC]bool
	)

	b := serve(t, func(cfg *sse.Config) { cfg.PartEvery = 300 * time.Millisecond }, func(*fiber.Ctx) sse.Want {
		return sse.Want{News: true, Parts: func(_ context.Context, hosts map[core.MAC]bool) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()

			if hosts == nil {
				return []byte("beat"), nil
			}

			asked = append(asked, hosts)

			return []byte("news"), nil
		}}
	})
	in, _ := read(t, b.url, "")
	part := func(data string) {
		t.Helper()

		for range 100 {
			switch m := next(t, in); {
			case m == message{event: "part", data: data}:
				return
			case m.event == "part" && m.data != "beat":
				t.Fatalf("told %+v", m)
			}
		}

		t.Fatalf("%q is not told", data)
	}

	part("beat")
	b.happen(t, 1, core.EventSample)
	b.happen(t, 1, core.EventLog)
	part("beat")

	for range 30 {
		b.happen(t, 1, core.EventHost)
		time.Sleep(5 * time.Millisecond)
	}

	part("news")
	part("news")

	mu.Lock()
	defer mu.Unlock()

	if len(asked) > 3 || !asked[0][""] {
		t.Errorf("asked %d times, first about %v", len(asked), asked[0])
	}
}
