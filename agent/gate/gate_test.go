package gate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/partner"
	"vetting/agent/wire"
	"vetting/core"
)

const otherRun = "01JD8WVZ6T0000000000000002"

// desk is a gate before a book whose run is claimed.
type desk struct {
	book *gatetest.Book
	gate http.Handler
	log  *bytes.Buffer
	now  time.Time
}

func newDesk(t *testing.T, change ...func(*gate.Config)) *desk {
	t.Helper()

	d := &desk{book: gatetest.New(t).Book, log: &bytes.Buffer{}, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	c := gate.Config{
		Runs: d.book, Logs: d.book, Artifacts: d.book, Log: slog.New(slog.NewTextHandler(d.log, nil)), Partner: tickets{},
		Now: func() time.Time { return d.now },
	}

	for _, f := range change {
		f(&c)
	}

	d.gate = gate.New(c)

	return d
}

// tickets hands out one that nobody takes.
type tickets struct{}

func (tickets) Admit(core.RunID, string) (wire.TrafficReply, error) {
	return wire.TrafficReply{Ticket: strings.Repeat("0", 32), Key: strings.Repeat("1", 64), Port: 5201}, nil
}

func (d *desk) claimed(t *testing.T) *desk {
	t.Helper()

	if got := d.post("claim", d.book.BootToken, bodies()["claim"]); got.Code != http.StatusOK {
		t.Fatalf("claim: %d %s", got.Code, got.Body)
	}

	return d
}

func (d *desk) post(call, token, body string) *httptest.ResponseRecorder {
	return d.do(request(string(gatetest.RunID), call, token, strings.NewReader(body)))
}

func (d *desk) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.gate.ServeHTTP(w, r)

	return w
}

func request(run, call, token string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/runs/"+run+"/"+call, body)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}

	return r
}

// bodies has a message that makes sense for each call of the contract.
func bodies() map[string]string {
	return map[string]string{
		"hello": `{"protocol_version":1,"agent_version":"1","mac":"52:54:00:12:34:56","boot_id":"b","firmware":"bios"}`,
		"claim": `{"boot_id":"b","identity":{"smbios_uuid":"u"}}`, "heartbeat": `{"stage":"InventoryCheck","progress":0.5}`,
		"log":      `{"seq":1,"lines":[{"time":"2026-11-23T12:00:00Z","level":"info","text":"a"}]}`,
		"sensor":   `{"seq":1,"samples":[{"time":"2026-11-23T12:00:00Z","key":"cpu/package0/temperature_celsius","value":40}]}`,
		"result":   `{"seq":1,"stage":"InventoryCheck","verdict":"pass"}`,
		"artifact": "the file itself",
		"partner":  "",
		"traffic":  "{}",
		"pair":     `{"step":"wait"}`,
		"hold":     `{"ip":"192.0.2.1","ssh_host_key":"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"}`,
	}
}

// forever knows of a run that it takes longer than may be told.
type forever struct{}

func (forever) Page(core.RunID) (address string, code []string) { return "", nil }

func (forever) Left(context.Context, core.RunID) (low, high time.Duration, guess bool) {
	return -1, 150 * 366 * 24 * time.Hour, true
}

// TestNoOutlookCostsTheLease: an agent refuses an order with a length of time beyond all
// measure, and the lease with it.
func TestNoOutlookCostsTheLease(t *testing.T) {
	d := newDesk(t, func(c *gate.Config) { c.Screen = forever{} }).claimed(t)
	d.book.Outlook = core.Outlook{Stage: 1, Stages: 2}

	got := d.post("heartbeat", "session 1", bodies()["heartbeat"])

	var order wire.Order
	if err := json.Unmarshal(got.Body.Bytes(), &order); err != nil || got.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", got.Code, got.Body, err)
	}

	if err := order.Validate(); err != nil || order.Outlook == nil || !(order.Outlook.LeftHighS > 0) || !order.Outlook.LeftGuess {
		t.Errorf("%v: %+v", err, order.Outlook)
	}
}

func codeOf(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()

	var fault wire.Fault
	if err := json.Unmarshal(w.Body.Bytes(), &fault); err != nil || fault.Validate() != nil {
		t.Errorf("body of %d is no fault: %s", w.Code, w.Body)
	}

	return fault.Error.Code
}

// target adds the query that artifact needs.
func target(call string) string {
	switch call {
	case "artifact":
		return "artifact?name=dmesg.txt&stage=SMART"
	case "partner":
		return "partner?frames=1&seed=7"
	default:
		return call
	}
}

func TestEachRouteAnswersItsRunAndNobodyElse(t *testing.T) {
	for _, route := range wire.Routes() {
		body := bodies()[route.Name]

		good := "session 1"
		if route.Auth == wire.AuthBoot {
			good = "boot-token-of-the-test"
		}

		tests := map[string]struct {
			run, token string
			want       int
		}{
			"its own token":                    {string(gatetest.RunID), good, 200},
			"no token":                         {string(gatetest.RunID), "", 401},
			"a token nobody has":               {string(gatetest.RunID), "guess", 401},
			"a token longer than any":          {string(gatetest.RunID), strings.Repeat("x", 257), 401},
			"its token, on another run":        {otherRun, good, 401},
			"a run that is no name of any run": {"..%2F..%2Fetc", good, 404},
		}

		for name, tt := range tests {
			t.Run(route.Name+" with "+name, func(t *testing.T) {
				d := newDesk(t)
				if route.Name != "claim" {
					d.claimed(t)
				}

				if route.Name == "hold" {
					d.book.SetState(core.StateFailedHolding)
				}

				got := d.do(request(tt.run, target(route.Name), tt.token, strings.NewReader(body)))
				if got.Code != tt.want {
					t.Errorf("status %d, want %d: %s", got.Code, tt.want, got.Body)
				}

				if tt.want != 200 {
					codeOf(t, got)
				}

				if tt.token != "" && strings.Contains(d.log.String(), tt.token) {
					t.Error("the token is in the log")
				}
			})
		}
	}
}

func TestAStrangersBodyIsNotRead(t *testing.T) {
	for _, call := range []string{"log", "sensor", "result", "artifact?name=a"} {
		t.Run(call, func(t *testing.T) {
			d := newDesk(t).claimed(t)
			body := &countingReader{}

			if got := d.do(request(string(gatetest.RunID), call, "guess", body)); got.Code != 401 || body.n != 0 {
				t.Errorf("status %d after reading %d bytes, want 401 after none", got.Code, body.n)
			}
		})
	}
}

type countingReader struct{ n int }

func (c *countingReader) Read(p []byte) (int, error) {
	c.n += len(p)

	return len(p), nil
}

func TestBadInputIsRefusedWithTheRightStatus(t *testing.T) {
	lines := strings.Repeat(`{"time":"2026-11-23T12:00:00Z","level":"info","text":"`+strings.Repeat("a", 8000)+`"},`, 140)
	tests := map[string]struct {
		call, body string
		status     int
		code       string
	}{
		"not JSON":                       {"heartbeat", `{"stage":`, 400, "agent/malformed-json"},
		"more than JSON":                 {"heartbeat", `{} {}`, 400, "agent/malformed-json"},
		"nothing":                        {"heartbeat", ``, 400, "agent/malformed-json"},
		"the wrong type":                 {"heartbeat", `{"progress":"half"}`, 422, "agent/invalid-message"},
		"a list":                         {"heartbeat", `[]`, 422, "agent/invalid-message"},
		"a number too large for a float": {"heartbeat", `{"progress":1e999}`, 422, "agent/invalid-message"},
		"an unknown stage":               {"heartbeat", `{"stage":"Smart"}`, 422, "agent/unknown-value"},
		"an unknown verdict":             {"result", `{"seq":1,"stage":"SMART","verdict":"ok"}`, 422, "agent/unknown-value"},
		"what makes no sense":            {"heartbeat", `{"progress":7}`, 422, "agent/invalid-message"},
		"a batch without a number":       {"log", `{"lines":[]}`, 422, "agent/invalid-message"},
		"a log batch above 1 MiB":        {"log", `{"seq":1,"lines":[` + lines[:len(lines)-1] + `]}`, 413, "agent/too-large"},
		"a small call above 64 KiB":      {"heartbeat", `{"sub_step":"` + strings.Repeat("a", 70000) + `"}`, 413, "agent/too-large"},
		"a bomb of little elements":      {"result", `{"findings":[` + strings.Repeat("0,", 200000) + `0]}`, 422, "agent/too-many-elements"},
		"a bomb of depth":                {"result", strings.Repeat("[", 200000), 422, "agent/too-many-elements"},
		"a stage that is not the current": {
			"result", `{"seq":1,"stage":"SMART","verdict":"pass"}`, 409, "run/wrong-state",
		},
		"an artifact without a name":     {"artifact?stage=SMART", "x", 422, "agent/artifact-name"},
		"an artifact of no stage":        {"artifact?name=a&stage=Lunch", "x", 422, "agent/unknown-value"},
		"an artifact with an ANSI name":  {"artifact?name=%1b%5b31m", "x", 422, "agent/artifact-name"},
		"a call that does not exist":     {"lunch", `{}`, 404, "agent/no-such-call"},
		"a protocol nobody speaks here":  {"hello", strings.Replace(bodies()["hello"], `n":1`, `n":99`, 1), 422, "agent/protocol-version"},
		"a seed's answer asked of hello": {"hello", `{}`, 422, "agent/invalid-message"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t).claimed(t)

			token := "session 1"
			if tt.call == "hello" {
				token = d.book.BootToken
			}

			got := d.post(tt.call, token, tt.body)
			if code := codeOf(t, got); got.Code != tt.status || code != tt.code {
				t.Errorf("%d %s, want %d %s: %.300s", got.Code, code, tt.status, tt.code, got.Body)
			}

			if got.Header().Get("Cache-Control") != "no-store" || got.Header().Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", got.Header())
			}
		})
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		r := request(string(gatetest.RunID), "hello", "t", nil)
		r.Method = method

		got := newDesk(t).do(r)
		if got.Code != http.StatusMethodNotAllowed || got.Header().Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d %v", method, got.Code, got.Header())
		}
	}
}

// failing is a Runs that ends every heartbeat with err.
type failing struct {
	gate.Runs
	err error
}

func (f failing) Heartbeat(context.Context, core.RunID, string, core.Beat) (core.Order, error) {
	return core.Order{}, f.err
}

func TestEachKindOfErrorHasItsStatus(t *testing.T) {
	tests := map[string]struct {
		err    error
		status int
		code   string
	}{
		"unauthorised":      {core.ErrUnauthorized, 401, "agent/unauthorized"},
		"refused":           {core.ErrRefused, 403, "agent/refused"},
		"not found":         {core.ErrNotFound, 404, "run/not-found"},
		"conflict":          {core.ErrConflict, 409, "run/wrong-state"},
		"expired":           {core.ErrExpired, 410, "run/expired"},
		"invalid":           {core.ErrInvalid, 422, "agent/invalid-message"},
		"full":              {core.ErrFull, 507, "store/full"},
		"wrapped":           {fmt.Errorf("writing to /secret/path: %w", core.ErrFull), 507, "store/full"},
		"of people's words": {core.NewProblem(core.ErrConflict, "run/over", "It is over.").With("state", "Completed"), 409, "run/over"},
		"unknown":           {errors.New("disk on fire at /secret/path"), 500, "agent/internal"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, func(c *gate.Config) { c.Runs = failing{c.Runs, tt.err} })

			got := d.post("heartbeat", "t", `{}`)
			if code := codeOf(t, got); got.Code != tt.status || code != tt.code {
				t.Errorf("%d %s, want %d %s", got.Code, code, tt.status, tt.code)
			}

			if strings.Contains(got.Body.String(), "secret") {
				t.Errorf("the raw error is shown: %s", got.Body)
			}
		})
	}
}

type panicking struct{ gate.Runs }

func (panicking) Heartbeat(context.Context, core.RunID, string, core.Beat) (core.Order, error) {
	panic("an impossible state")
}

func TestAPanicStaysInItsRequest(t *testing.T) {
	d := newDesk(t, func(c *gate.Config) { c.Runs = panicking{c.Runs} })

	got := d.post("heartbeat", "t", `{}`)
	if code := codeOf(t, got); got.Code != 500 || code != "agent/panic" || strings.Contains(got.Body.String(), "impossible") {
		t.Errorf("%d %s", got.Code, got.Body)
	}

	if !strings.Contains(d.log.String(), "an impossible state") {
		t.Error("the log does not have the cause")
	}

	if got := d.claimed(t).post("log", "session 1", bodies()["log"]); got.Code != 200 {
		t.Errorf("the next request: %d", got.Code)
	}
}

func TestAMachineThatAsksTooFastIsToldTo(t *testing.T) {
	d := newDesk(t, func(c *gate.Config) { c.Rate, c.Burst = 2, 5 })

	ask := func(from string) int {
		r := request(string(gatetest.RunID), "heartbeat", "guess", strings.NewReader(`{}`))
		r.RemoteAddr = from

		return d.do(r).Code
	}

	for i := range 5 {
		if got := ask("10.77.0.9:1000"); got != 401 {
			t.Errorf("request %d: %d", i, got)
		}
	}

	r := request(string(gatetest.RunID), "heartbeat", "guess", nil)
	r.RemoteAddr = "10.77.0.9:2000"

	if got := d.do(r); got.Code != 429 || got.Header().Get("Retry-After") != "1" {
		t.Errorf("the sixth at once: %d %v, want 429", got.Code, got.Header())
	}

	if got := ask("10.77.0.10:1000"); got != 401 {
		t.Errorf("another machine pays for it: %d", got)
	}

	d.now = d.now.Add(time.Second)

	if got := ask("10.77.0.9:1000"); got != 401 {
		t.Errorf("a second later: %d", got)
	}
}

func TestManyCallersAreForgottenAgain(t *testing.T) {
	d := newDesk(t)

	for i := range 20000 {
		r := request(string(gatetest.RunID), "heartbeat", "guess", nil)
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:9", i>>16, i>>8&255, i&255)
		d.now = d.now.Add(time.Millisecond)

		if got := d.do(r).Code; got == 429 {
			t.Fatalf("caller %d was turned away", i)
		}
	}
}

// epochs is a LogSink that remembers under which epoch and number lines came.
type epochs struct{ seen []uint64 }

func (e *epochs) AppendLog(_ context.Context, _ core.RunID, epoch int, seq uint64, lines []core.LogLine) (uint64, error) {
	e.seen = append(e.seen, uint64(epoch), seq)

	return uint64(len(lines)), nil
}

func TestLinesAreStoredUnderTheEpochOfTheirSession(t *testing.T) {
	sink := &epochs{}
	d := newDesk(t, func(c *gate.Config) { c.Logs = sink }).claimed(t)

	if got := d.post("log", "session 1", bodies()["log"]); got.Code != 200 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}

	if diff := cmp.Diff([]uint64{1, 1}, sink.seen); diff != "" {
		t.Errorf("epoch and number (-want +got):\n%s", diff)
	}
}

func TestAnArtifactIsKeptByItsContent(t *testing.T) {
	d := newDesk(t).claimed(t)

	got := d.post(target("artifact"), "session 1", "the file itself")

	var reply wire.ArtifactReply
	if err := json.Unmarshal(got.Body.Bytes(), &reply); err != nil || got.Code != 200 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}

	if kept := d.book.Artifact(reply.SHA256); string(kept) != "the file itself" || reply.ID != string(gatetest.RunID)+"-1" {
		t.Errorf("kept %q as %+v", kept, reply)
	}
}

func TestAnArtifactAboveItsLimitIsRefusedWhetherItTellsItsLengthOrNot(t *testing.T) {
	tests := map[string]func(*http.Request){
		"it tells":      func(r *http.Request) { r.ContentLength = wire.MaxArtifactBody + 1 },
		"it does not":   func(r *http.Request) { r.ContentLength = -1 },
		"it tells lies": func(r *http.Request) { r.ContentLength = 10 },
	}

	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t).claimed(t)
			r := request(string(gatetest.RunID), "artifact?name=a", "session 1", io.LimitReader(zeros{}, wire.MaxArtifactBody+1))
			change(r)

			if got := d.do(r); got.Code != http.StatusRequestEntityTooLarge || codeOf(t, got) != "agent/too-large" {
				t.Errorf("%d %s", got.Code, got.Body)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)

	return len(p), nil
}

func TestStringsOfTheMachineAreMadeHarmless(t *testing.T) {
	d := newDesk(t).claimed(t)
	evil := `\u001b[2J\u001b]0;title\u0007a\r\nid: 7\u202e\u0000\u009b31mb`

	d.post("log", "session 1", `{"seq":1,"lines":[{"time":"2026-11-23T12:00:00Z","level":"info","text":"`+evil+`"}]}`)

	if lines := d.book.Lines(); len(lines) != 1 || lines[0].Text != "a id: 731mb" {
		t.Errorf("lines = %+v", lines)
	}

	d.post("result", "session 1", `{"seq":1,"stage":"InventoryCheck","verdict":"pass","coverage":"`+evil+`",
		"inventory":{"disks":[{"model":"`+evil+`","serial":"  S1 "}]},"findings":[{"code":"a/b","severity":"info","evidence":"x\ny\u001b[1m"}]}`)

	results := d.book.Results()
	if len(results) != 1 {
		t.Fatalf("results = %+v", results)
	}

	r := results[0]
	if r.Coverage != "a\nid: 731mb" || r.Inventory.Disks[0].Model != "a id: 731mb" || r.Inventory.Disks[0].Serial != "S1" || r.Findings[0].Evidence != "x\ny" {
		t.Errorf("result = %+v %+v", r, r.Inventory)
	}
}

func TestTheVocabularyIsThatOfCore(t *testing.T) {
	for i, name := range core.Pipeline() {
		if wire.StageNames()[i] != wire.StageName(name) {
			t.Errorf("stage %d is %s in core and %s on the wire", i, name, wire.StageNames()[i])
		}
	}

	for _, state := range []core.State{
		core.StateRegistered, core.StateQueued, core.StateWaitingWoL, core.StateWaitingReboot, core.StateWaitingPower, core.StateBooting,
		core.StateCompleted, core.StateFailed, core.StateFailedHolding, core.StateReleased, core.StateCancelled,
	} {
		if err := new(wire.State).UnmarshalText([]byte(state)); err != nil {
			t.Error(err)
		}
	}

	for _, v := range []core.Verdict{core.Pass, core.Fail, core.Error, core.Skip, core.Unmeasurable} {
		if err := new(wire.Verdict).UnmarshalText([]byte(v)); err != nil {
			t.Error(err)
		}
	}

	for _, s := range []core.Severity{core.Critical, core.Warning, core.Info} {
		if err := new(wire.Severity).UnmarshalText([]byte(s)); err != nil {
			t.Error(err)
		}
	}

	for _, c := range []core.Command{core.CmdContinue, core.CmdShutdown, core.CmdAbort, core.CmdRetryStage} {
		if err := new(wire.Command).UnmarshalText([]byte(c)); err != nil {
			t.Error(err)
		}
	}
}

func TestThePartnerChecksTheFramesItGets(t *testing.T) {
	var sent bytes.Buffer
	if err := wire.WriteFrames(&sent, 7, 3); err != nil {
		t.Fatal(err)
	}

	sent.Bytes()[wire.FrameSize+100] ^= 1

	for name, c := range map[string]struct {
		query, body string
		status      int
		frames, bad int
		back        int
	}{
		"a row with a flipped bit": {"frames=2&seed=7", sent.String(), 200, 3, 1, 2},
		"nothing either way":       {"frames=0&seed=7", "", 200, 0, 0, 0},
		"too many":                 {"frames=1025&seed=7", "", 422, 0, 0, 0},
		"less than none":           {"frames=-1&seed=7", "", 422, 0, 0, 0},
		"no seed":                  {"frames=1", "", 422, 0, 0, 0},
		"half a frame":             {"frames=1&seed=7", sent.String()[:100], 422, 0, 0, 0},
	} {
		d := newDesk(t).claimed(t)

		w := d.post("partner?"+c.query, "session 1", c.body)
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}

		if c.status != 200 {
			continue
		}

		line, rest, _ := bytes.Cut(w.Body.Bytes(), []byte("\n"))

		var reply wire.PartnerReply
		if err := json.Unmarshal(line, &reply); err != nil || reply.Frames != c.frames || reply.Bad != c.bad {
			t.Errorf("%s: %s, %v", name, line, err)
		}

		if n, bad, err := wire.ReadFrames(bytes.NewReader(rest), 7); n != c.back || bad != 0 || err != nil {
			t.Errorf("%s: %d frames came back, %d bad, %v", name, n, bad, err)
		}
	}
}

// An appliance whose partner does not listen says so; it is no fault of the machine's.
func TestWithoutAPartner(t *testing.T) {
	for name, p := range map[string]gate.Partner{"none": nil, "one that does not listen": partner.New(partner.Config{})} {
		d := newDesk(t, func(c *gate.Config) { c.Partner = p }).claimed(t)

		if w := d.post("traffic", "session 1", "{}"); w.Code != http.StatusNotFound || codeOf(t, w) != "agent/no-partner" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
