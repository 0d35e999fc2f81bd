package gate

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// Config is what the gate needs. Runs, Logs, Artifacts and Log must not be nil.
type Config struct {
	Runs      Runs
	Logs      LogSink
	Artifacts ArtifactSink
	Log       *slog.Logger
	// Partner hands out tickets for network tests; nil: there is none.
	Partner Partner
	// Meetings bring two machines together; nil: everyone is alone.
	Meetings Meetings
	// Screen tells what the screens of machines under test show; nil: nothing.
	Screen Screen
	// Now tells the time; nil is time.Now.
	Now func() time.Time
	// Rate is how many requests a second one machine may make for one run, and
	// Burst how many at once; 0 is 20 and 100.
	Rate  float64
	Burst int
}

// gate answers the agent's calls. Safe for concurrent use.
type gate struct {
	Config
	limiter *limiter
}

// New returns the appliance's side of the conversation: the calls of
// [wire.Routes] under /api/v1/runs/, everything else gets 404. The handler is
// safe for concurrent use and starts nothing.
func New(c Config) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}

	if c.Rate == 0 {
		c.Rate = 20
	}

	if c.Burst == 0 {
		c.Burst = 100
	}

	g := &gate{Config: c, limiter: newLimiter(c.Rate, float64(c.Burst), c.Now)}
	mux := http.NewServeMux()

	for _, b := range g.bindings() {
		mux.Handle(b.route.Method+" "+b.route.Path, g.guard(b))
		mux.HandleFunc(b.route.Path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", b.route.Method)
			writeFault(w, http.StatusMethodNotAllowed, core.NewProblem(core.ErrInvalid, "agent/method",
				"This address takes "+b.route.Method+" only."))
		})
	}

	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeFault(w, http.StatusNotFound, core.NewProblem(core.ErrNotFound, "agent/no-such-call",
			"There is no such call; protocol "+wire.Versions()+" is spoken here."))
	})

	return mux
}

// binding is a route of the contract with what answers it. early routes have
// bodies too large to be read before the caller is known to be of the run.
type binding struct {
	route  wire.Route
	early  bool
	answer func(ctx context.Context, c *caller) (any, error)
}

// bindings pairs every route of the contract with its answer.
func (g *gate) bindings() []binding {
	return []binding{
		bind(wire.CallHello(), false, g.hello),
		bind(wire.CallClaim(), false, g.claim),
		bind(wire.CallHeartbeat(), false, g.heartbeat),
		bind(wire.CallLog(), true, g.log),
		bind(wire.CallSensor(), true, g.sensor),
		bind(wire.CallResult(), true, g.result),
		{route: wire.RouteArtifact(), early: true, answer: g.artifact},
		{route: wire.RoutePartner(), early: true, answer: g.partner},
		bind(wire.CallTraffic(), false, g.traffic),
		bind(wire.CallPair(), true, g.pair),
		bind(wire.CallHold(), false, g.hold),
	}
}

// bind puts decoding in front of an answer.
func bind[Request, Response wire.Message](
	c wire.Call[Request, Response], early bool, answer func(context.Context, *caller, Request) (Response, error),
) binding {
	return binding{route: c.Route, early: early, answer: func(ctx context.Context, from *caller) (any, error) {
		var request Request
		if err := from.decode(&request); err != nil {
			return nil, err
		}

		if err := request.Validate(); err != nil {
			return nil, nonsense(err)
		}

		return answer(ctx, from, request)
	}}
}
