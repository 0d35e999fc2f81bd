package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/wire"
)

func TestUnknownValuesOfEnumerationsAreRefused(t *testing.T) {
	tests := map[string]struct {
		raw  string
		into any
	}{
		"a stage that is not in the pipeline": {`{"seq":1,"stage":"Smart","verdict":"pass"}`, new(wire.Result)},
		"a verdict that is none":              {`{"seq":1,"stage":"SMART","verdict":"ok"}`, new(wire.Result)},
		"a verdict of runs only":              {`{"seq":1,"stage":"SMART","verdict":"cancelled"}`, new(wire.Result)},
		"a severity that is none":             {`{"findings":[{"severity":"bad"}]}`, new(wire.Result)},
		"a command that is none":              {`{"cmd":"reboot","state":"SMART"}`, new(wire.Order)},
		"a state that is none":                {`{"next_state":"Sleeping"}`, new(wire.ResultReply)},
		"a level that is none":                {`{"lines":[{"level":"fatal"}]}`, new(wire.LogBatch)},
		"a firmware mode that is none":        {`{"firmware":"coreboot"}`, new(wire.Hello)},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var unknown *wire.UnknownValueError
			if err := json.Unmarshal([]byte(tt.raw), tt.into); !errors.As(err, &unknown) {
				t.Errorf("error = %v, want an UnknownValueError", err)
			}
		})
	}
}

func TestValidateRefusesWhatMakesNoSense(t *testing.T) {
	infinite, many := math.Inf(1), make([]wire.Sample, wire.MaxSamples+1)
	for i := range many {
		many[i] = wire.Sample{Time: moment, Key: "a"}
	}

	ok := func(name string) wire.Message { return messages()[name] }
	seed := func(change func(*wire.Seed)) wire.Message {
		s := ok("seed").(wire.Seed)
		change(&s)

		return s
	}

	tests := map[string]struct {
		message wire.Message
		says    string
	}{
		"a batch without a number":              {wire.LogBatch{}, "seq is missing"},
		"a sample batch that is too long":       {wire.SensorBatch{Seq: 1, Samples: many}, "1001, 1000 at most"},
		"a sample key with capitals":            {sensor(wire.Sample{Time: moment, Key: "CPU"}), "must match"},
		"a sample key that is too long":         {sensor(wire.Sample{Time: moment, Key: strings.Repeat("a", 97)}), "must match"},
		"an infinite sample":                    {sensor(wire.Sample{Time: moment, Key: "a", Value: &infinite}), "finite"},
		"a sample without a time":               {sensor(wire.Sample{Key: "a"}), "time is missing"},
		"a line that is too long":               {wire.LogBatch{Seq: 1, Lines: []wire.Line{{Level: "info", Text: strings.Repeat("a", 8193)}}}, "8193, 8192 at most"},
		"a silent skip":                         {wire.Result{Seq: 1, Stage: "SMART", Verdict: "skip"}, "skip_reason"},
		"progress beyond the end":               {wire.Heartbeat{Progress: 1.01}, "progress"},
		"progress that is no number":            {wire.Heartbeat{Progress: math.NaN()}, "progress"},
		"an uptime before the boot":             {wire.Heartbeat{UptimeS: -1}, "uptime_s"},
		"an uptime of 300 years":                {wire.Heartbeat{UptimeS: 1e10}, "uptime_s"},
		"a retry of nothing":                    {wire.Order{Cmd: wire.CmdRetryStage, State: "SMART"}, "needs one"},
		"a light of nothing":                    {wire.Order{Cmd: wire.CmdAbort, State: "SMART", Locate: &wire.Locate{Kind: "disk"}}, "locate.name is missing"},
		"a light without end":                   {wire.Order{Cmd: wire.CmdAbort, State: "SMART", Locate: &wire.Locate{Kind: "disk", Name: "S"}}, "locate.until"},
		"less than no findings":                 {wire.Order{Cmd: wire.CmdContinue, State: "SMART", Outlook: &wire.Outlook{Critical: -1}}, "below 0"},
		"a QR code larger than any":             {wire.ClaimReply{QR: []string{strings.Repeat("#", 178)}}, "178, 177 at most"},
		"more meters than there may be":         {wire.Heartbeat{Meters: make([]wire.Meter, 49)}, "49, 48 at most"},
		"a meter beyond its end":                {wire.Heartbeat{Meters: []wire.Meter{{Done: 2}}}, "meters.done"},
		"a walk beyond its end":                 {wire.Heartbeat{Meters: []wire.Meter{{Walks: []wire.Walk{{Done: math.NaN()}}}}}, "meters.walks.done"},
		"a speed below nothing":                 {wire.Heartbeat{Meters: []wire.Meter{{Rate: -1}}}, "below 0"},
		"a hello from no MAC":                   {wire.Hello{AgentVersion: "1", BootID: "1", Firmware: "bios", MAC: "52-54-00-12-34-56"}, "MAC"},
		"a hello from nowhere":                  {wire.Hello{AgentVersion: "1", BootID: "1", Firmware: "bios", MAC: "52:54:00:12:34:56", IP: "home"}, "IP address"},
		"a claim without a boot":                {wire.Claim{}, "boot_id is missing"},
		"a claim answered without a token":      {wire.ClaimReply{Epoch: 1, State: "SMART"}, "session_token"},
		"a claim answered with no heartbeat":    {wire.ClaimReply{SessionToken: "t", Epoch: 1, State: "SMART"}, "heartbeat_interval_s"},
		"a seed with a name for a server":       {seed(func(s *wire.Seed) { s.Server = "https://vetting.lan" }), "IP address"},
		"a seed without TLS":                    {seed(func(s *wire.Seed) { s.Server = "http://10.77.0.1" }), "https"},
		"a seed with a path on the server":      {seed(func(s *wire.Seed) { s.Server = "https://10.77.0.1/x" }), "https"},
		"a seed with half a pin":                {seed(func(s *wire.Seed) { s.SPKISHA256 = "3b0c" }), "64 hexadecimal"},
		"a seed without a token":                {seed(func(s *wire.Seed) { s.BootToken = "" }), "boot_token"},
		"a seed of another protocol":            {seed(func(s *wire.Seed) { s.Version = 99 }), "version 99"},
		"a seed whose run climbs out of a path": {seed(func(s *wire.Seed) { s.Run = "../../01JD8WVZ6T0000000001" }), "ULID"},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.message.Validate()
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Validate() = %v, want something with %q", err, tt.says)
			}
		})
	}
}

func sensor(s wire.Sample) wire.Message {
	return wire.SensorBatch{Seq: 1, Samples: []wire.Sample{s}}
}

func TestWhatIsNotMeasuredTravelsAsNullAndComesBackAsNaN(t *testing.T) {
	for name, v := range map[string]float64{"NaN": math.NaN(), "infinite": math.Inf(-1)} {
		t.Run(name, func(t *testing.T) {
			raw, err := json.Marshal(wire.Sample{Time: moment, Key: "a", Value: wire.Measured(v)})
			if err != nil || !strings.Contains(string(raw), `"value":null`) {
				t.Errorf("written as %s, %v", raw, err)
			}
		})
	}

	for name, raw := range map[string]string{"null": `{"value":null}`, "absent": `{}`} {
		t.Run(name, func(t *testing.T) {
			var s wire.Sample
			if err := json.Unmarshal([]byte(raw), &s); err != nil || !math.IsNaN(wire.Value(s.Value)) {
				t.Errorf("read as %v, %v", wire.Value(s.Value), err)
			}
		})
	}
}

func TestTimesTravelInUTCWithMilliseconds(t *testing.T) {
	east := time.FixedZone("east", 5*3600+1800)

	raw, err := json.Marshal(wire.At(time.Date(2026, 1, 2, 3, 4, 5, 6_789_000, east)))
	if err != nil || string(raw) != `"2026-01-01T21:34:05.006Z"` {
		t.Errorf("written as %s, %v", raw, err)
	}

	for _, bad := range []string{`"yesterday"`, `17`, `"2026-13-01T00:00:00Z"`, `""`, `"`} {
		var into wire.Time
		if err := into.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was read as %v", bad, into)
		}
	}

	if _, err := json.Marshal(wire.At(time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Error("the year 12026 was written although RFC 3339 has four digits")
	}
}

func TestTheSeedKeepsItsTokenToItself(t *testing.T) {
	seed := messages()["seed"].(wire.Seed)
	seed.BootToken = "very-secret"

	var b strings.Builder

	slog.New(slog.NewJSONHandler(&b, nil)).Info("seed read", slog.Any("seed", seed))

	for _, shown := range []string{b.String(), fmt.Sprint(seed), fmt.Sprintf("%v", &seed), fmt.Sprintf("%+v", seed)} {
		if strings.Contains(shown, "very-secret") {
			t.Errorf("shown: %s", shown)
		}
	}
}

func TestEachRouteIsNamedOnceAndWhole(t *testing.T) {
	seen := map[string]bool{}

	for _, r := range wire.Routes() {
		if seen[r.Name] || r.Name == "" || r.Summary == "" || r.MaxBody <= 0 || r.Auth == "" || r.Response == nil {
			t.Errorf("route %+v is doubled or lacks something", r)
		}

		seen[r.Name] = true

		if got, want := r.Target("R"), "/api/v1/runs/R/"+r.Name; got != want {
			t.Errorf("Target() = %s, want %s", got, want)
		}
	}

	if len(seen) != 11 {
		t.Errorf("%d routes, want 11", len(seen))
	}
}

// PROTOCOL.md is written from the table, so that it cannot lag behind.
func TestProtocolDocument(t *testing.T) {
	var b strings.Builder

	fmt.Fprintf(&b, "# The agent's protocol, %s\n\n", wire.Versions())
	b.WriteString("Written from the route table by `go test ./agent/wire -update`; do not edit.\n" +
		"Each call is answered with JSON; a refusal with `fault`. One example of each message is in `testdata/v1`.\n\n" +
		"| call | token | body at most | request | answer | what for |\n|---|---|---|---|---|---|\n")

	for _, r := range append(wire.Routes(), wire.HostRoutes()...) {
		request := "raw body"
		if r.Request != nil {
			request = fmt.Sprintf("`%T`", r.Request)
		}

		for i, q := range r.Query {
			request += fmt.Sprintf("%c%s=", "?&"[min(i, 1)], q.Name)
		}

		fmt.Fprintf(&b, "| `%s %s` | %s | %d KiB | %s | `%T` | %s |\n",
			r.Method, r.Path, r.Auth, r.MaxBody>>10, request, r.Response, r.Summary)
	}

	if *update {
		if err := os.WriteFile("PROTOCOL.md", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("PROTOCOL.md (-file +table):\n%s", diff)
	}
}
