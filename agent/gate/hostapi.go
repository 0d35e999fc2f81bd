package gate

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// HostConfig is what the side of installed machines needs. Hosts, Log and SPKI
// must be given.
type HostConfig struct {
	Hosts Hosts
	Log   *slog.Logger
	// SPKI is the fingerprint ([SPKI]) of the key of the listener that this is
	// served on: installed machines trust it alone.
	SPKI string
	// Agent is the program for installed machines (linux/amd64, static); nil: this
	// appliance has none to give, and says so.
	Agent *Program
	// TrustLAN takes unsigned calls too, and tells unknown machines to reboot.
	TrustLAN bool
	// Now tells the time; nil is time.Now.
	Now func() time.Time
	// Rate is how many requests a second one address may make, and Burst how many
	// at once; 0 is 5 and 50: several machines may come through one router.
	Rate  float64
	Burst int
}

// hostGate answers installed machines. Safe for concurrent use.
type hostGate struct {
	*gate    // log, clock, limiter; refusals and panics are the same
	hosts    Hosts
	trustLAN bool
	replay   *replay
	shelf    *shelf
}

// NewHosts returns the appliance's side for installed machines: the calls of
// [wire.HostRoutes], /register/quick.sh and the agent's program. It may be
// mounted beside [New] and on the console, where [IsHostCall] tells its calls
// from an operator's. The handler is safe for concurrent use and starts nothing.
func NewHosts(c HostConfig) http.Handler {
	if c.Now == nil {
		c.Now = time.Now
	}

	if c.Rate == 0 {
		c.Rate = 5
	}

	if c.Burst == 0 {
		c.Burst = 50
	}

	g := &hostGate{
		hosts: c.Hosts, trustLAN: c.TrustLAN, replay: newReplay(c.Now()), shelf: &shelf{program: c.Agent, spki: c.SPKI},
		gate: &gate{Config: Config{Log: c.Log, Now: c.Now}, limiter: newLimiter(c.Rate, float64(c.Burst), c.Now)},
	}
	mux := http.NewServeMux()

	register, beat := wire.CallHostRegister().Route, wire.CallHostHeartbeat().Route
	mux.Handle(register.Method+" "+register.Path, g.answering(register, g.register))
	mux.Handle(beat.Method+" "+beat.Path, g.answering(beat, g.beat))
	mux.Handle("GET "+QuickPath, g.serving(g.shelf.quick))
	mux.Handle("GET "+AgentPath, g.serving(g.shelf.agent))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeFault(w, http.StatusNotFound, core.NewProblem(core.ErrNotFound, "agent/no-such-call",
			"There is no such call; protocol "+wire.Versions()+" is spoken here."))
	})

	return mux
}

// IsHostCall reports whether a request is one of an installed machine, where the
// same address serves operators too: it is signed, or asks for what installs the
// agent. It says nothing of whether the signature is good.
func IsHostCall(method, path, signature string) bool {
	switch path {
	case QuickPath, AgentPath:
		return method == http.MethodGet || method == http.MethodHead
	default:
		return method == http.MethodPost && signature != ""
	}
}

// answering does for both calls what must not be forgotten for any.
func (g *hostGate) answering(route wire.Route, answer func(*http.Request, *signed) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log := func() *slog.Logger {
			return g.Log.With(slog.String("host", text(r.PathValue("mac"), 32)), slog.String("call", route.Name))
		}
		defer g.recoverPanic(w, log)

		status, reply, err := g.take(w, r, route, answer)
		if err != nil {
			g.refuse(w, r, log, err)

			return
		}

		writeJSON(w, status, reply)
	})
}

func (g *hostGate) take(
	w http.ResponseWriter, r *http.Request, route wire.Route, answer func(*http.Request, *signed) (int, any, error),
) (int, any, error) {
	done, err := g.limiter.enter(remoteAddr(r))
	if err != nil {
		return 0, nil, err
	}
	defer done()

	// A writer without deadlines is a test's recorder.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience(route.MaxBody)))

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, route.MaxBody))
	if err != nil {
		return 0, nil, fmt.Errorf("reading request body: %w", err)
	}

	return answer(r, &signed{
		method: r.Method, path: r.URL.EscapedPath(), body: body,
		Signature: wire.Signature{
			Key: r.Header.Get(wire.HeaderKey), Time: r.Header.Get(wire.HeaderTime), Value: r.Header.Get(wire.HeaderSignature),
		},
	})
}

// read reads a body as JSON that makes sense.
func read[Request wire.Message](body []byte) (request Request, err error) {
	if err := (&caller{body: bytes.NewReader(body)}).decode(&request); err != nil {
		return request, err
	}

	if err := request.Validate(); err != nil {
		return request, nonsense(err)
	}

	return request, nil
}

// register takes a machine's word for who it is: the key is worth nothing until
// an operator has approved it.
func (g *hostGate) register(r *http.Request, call *signed) (int, any, error) {
	in, err := read[wire.HostRegister](call.body)
	if err != nil {
		return 0, nil, err
	}

	public, err := g.ownKey(call, in.PublicKey)
	if err != nil {
		return 0, nil, err
	}

	host, key, created, err := g.hosts.RegisterSelf(r.Context(), core.SelfRegistration{
		MAC: core.MAC(in.MAC), Aliases: each(in.MACs, func(m string) core.MAC { return core.MAC(m) }),
		HostName: name(in.Hostname), PublicKey: public, AgentVersion: name(in.AgentVersion), EnrolKey: in.EnrolKey,
	})
	if err != nil {
		return 0, nil, err
	}

	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}

	return status, wire.HostRegistered{Host: wire.HostInfo{
		MAC: string(host.MAC), Name: host.Name, KeyID: key.ID, KeyState: wire.KeyState(key.State), Fingerprint: key.Fingerprint,
	}}, nil
}

// ownKey returns the key that a registration names, once the machine has shown
// that it holds it. A registration that comes again changes nothing, so that its
// time is bounded but not counted.
func (g *hostGate) ownKey(call *signed, told string) (ed25519.PublicKey, error) {
	if told == "" {
		if g.trustLAN && !call.present() {
			return nil, nil
		}

		return nil, unsigned("The registration names no key.")
	}

	public, err := base64.StdEncoding.DecodeString(told)
	if err != nil || call.Key != wire.KeyID(public) {
		return nil, unsigned("The registration is not signed with the key that it names.")
	}

	at, err := call.verify(public)
	if err != nil {
		return nil, err
	}

	return public, inTime(at, g.Now())
}

func (g *hostGate) beat(r *http.Request, call *signed) (int, any, error) {
	mac, err := core.ParseMAC(r.PathValue("mac"))
	if err != nil {
		return 0, nil, err
	}

	in, err := read[wire.HostHeartbeat](call.body)
	if err != nil {
		return 0, nil, err
	}

	key, err := g.whose(r.Context(), call, mac)
	if err != nil {
		return 0, nil, err
	}

	command, err := g.hosts.HostBeat(r.Context(), mac, core.HostBeat{
		KeyID: key.ID, AgentVersion: name(in.AgentVersion), BootID: name(in.BootID), Uptime: in.UptimeS.Duration(),
		Refusal: text(in.Refusal, wire.MaxText),
	})
	if err != nil {
		return 0, nil, err
	}

	// Whatever was decided: a machine is never told to reboot on the word of a
	// stranger.
	if command == core.HostReboot && key.State != core.HostKeyApproved && !g.trustLAN {
		g.Log.LogAttrs(r.Context(), slog.LevelError, "reboot withheld from a key that is not approved",
			slog.String("host", string(mac)), slog.String("key", key.ID))

		command = core.HostContinue
	}

	return http.StatusOK, wire.HostOrder{
		Cmd: wire.HostCommand(command), KeyState: wire.KeyState(key.State), ServerTime: wire.At(g.Now()),
	}, nil
}

// whose finds the key that signed a heartbeat; an empty one for an unsigned call
// where those are taken.
func (g *hostGate) whose(ctx context.Context, call *signed, mac core.MAC) (core.HostKey, error) {
	if !call.present() {
		if g.trustLAN {
			return core.HostKey{}, nil
		}

		return core.HostKey{}, unsigned("The call is not signed.")
	}

	key, err := g.hosts.HostKey(ctx, text(call.Key, wire.MaxName))
	if errors.Is(err, core.ErrNotFound) {
		return key, core.NewProblem(core.ErrUnauthorized, wire.CodeKeyUnknown,
			"No host has registered the key of this signature; register again.")
	}

	if err != nil {
		return key, err
	}

	at, err := call.verify(key.Public)

	switch {
	case err != nil:
		return key, err
	case key.State == core.HostKeyRevoked:
		return key, core.NewProblem(core.ErrRefused, wire.CodeKeyRefused, "This key was revoked; remove it, and register again.")
	case key.Host != mac:
		return key, core.NewProblem(core.ErrRefused, wire.CodeKeyRefused, "This key is that of another host.")
	}

	return key, g.replay.admit(key.ID, at, g.Now())
}
