package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

// caller is one request: who says to be asking, and for which run.
type caller struct {
	run   core.RunID
	token string
	from  netip.Addr // zero: not known
	epoch int        // of the session; 0 where the route is not authorised early
	body  io.Reader
	size  int64 // of body, as its sender told it; negative: not told
	limit int64
	query map[string]string
}

// guard does for every route what must not be forgotten for any: panics stay
// inside the request, requests are counted, tokens demanded, bodies bounded and
// refused before they are read.
func (g *gate) guard(b binding) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log := func() *slog.Logger { return g.logger(r, b.route) }
		defer g.recoverPanic(w, log)

		status, answer, err := g.serve(w, r, b)
		if err != nil {
			g.refuse(w, r, log, err)

			return
		}

		if row, ok := answer.(*frames); ok {
			row.send(w)

			return
		}

		writeJSON(w, status, answer)
	})
}

// logger names the call. It is made only when there is something to say.
func (g *gate) logger(r *http.Request, route wire.Route) *slog.Logger {
	return g.Log.With(slog.String("run", text(r.PathValue("run"), 32)), slog.String("call", route.Name))
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request, b binding) (int, any, error) {
	c, err := admit(r, b.route)
	if err != nil {
		return 0, nil, err
	}

	done, err := g.limiter.enter(string(c.run) + " " + remoteAddr(r))
	if err != nil {
		return 0, nil, err
	}
	defer done()

	if b.early {
		if c.epoch, err = g.Runs.Authorise(r.Context(), c.run, c.token); err != nil {
			return 0, nil, err
		}
	}

	if r.ContentLength > b.route.MaxBody {
		return 0, nil, &http.MaxBytesError{Limit: b.route.MaxBody}
	}

	// Without this a machine could hold a connection for good by sending its
	// body a byte at a time. A writer without deadlines is a test's recorder.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience(b.route.MaxBody)))
	c.body = http.MaxBytesReader(w, r.Body, b.route.MaxBody)

	answer, err := b.answer(r.Context(), c)

	return http.StatusOK, answer, err
}

// patience is how long a body may take: 10 s, and a second for every 256 KiB.
func patience(limit int64) time.Duration {
	return 10*time.Second + time.Duration(limit/(256<<10))*time.Second
}

// admit reads who is asking from the head of the request.
func admit(r *http.Request, route wire.Route) (*caller, error) {
	run := r.PathValue("run")
	if !wire.ValidRun(run) {
		return nil, core.NewProblem(core.ErrNotFound, "run/not-found", "There is no such run.")
	}

	token, ok := bearer(r.Header)
	if !ok {
		return nil, core.NewProblem(core.ErrUnauthorized, "agent/no-token",
			"This call needs the run's token in the header \"Authorization: Bearer …\".")
	}

	c := &caller{run: core.RunID(run), token: token, from: addrOf(r), size: r.ContentLength, limit: route.MaxBody}

	if len(route.Query) > 0 {
		c.query = map[string]string{}
		query := r.URL.Query()

		for _, q := range route.Query {
			c.query[q.Name] = query.Get(q.Name)
		}
	}

	return c, nil
}

// bearer returns the token of an Authorization header (RFC 6750 §2.1).
func bearer(h http.Header) (string, bool) {
	scheme, token, found := strings.Cut(h.Get("Authorization"), " ")
	token = strings.TrimSpace(token)

	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > wire.MaxToken {
		return "", false
	}

	return token, true
}

func remoteAddr(r *http.Request) string {
	if addr := addrOf(r); addr.IsValid() {
		return addr.String()
	}

	return r.RemoteAddr
}

// addrOf returns the address that a request came from; zero when it has none.
func addrOf(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}

	return addr.Addr().Unmap()
}

// buffers are reused between requests; nothing that is decoded lies in them.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }} //nolint:gochecknoglobals // a pool

// maxKept is how large a buffer may be to be kept, in bytes, and how much memory a
// sender gets on its word alone.
const maxKept = 64 << 10

// decode reads the body as JSON. A body that would cost far more to decode than
// it costs to send ("[0,0,0,…") is refused unread.
func (c *caller) decode(into any) error {
	buffer, _ := buffers.Get().(*bytes.Buffer)
	buffer.Reset()

	defer func() {
		if buffer.Cap() <= maxKept {
			buffers.Put(buffer)
		}
	}()

	if c.size > 0 {
		buffer.Grow(int(min(c.size+bytes.MinRead, maxKept)))
	}

	if _, err := buffer.ReadFrom(c.body); err != nil {
		return fmt.Errorf("reading request body: %w", err)
	}

	body := buffer.Bytes()

	if batch, ok := into.(*wire.SensorBatch); ok && wire.ReadPlain(body, batch) {
		return nil
	}

	if elements(body) > wire.MaxElements {
		return core.NewProblem(core.ErrInvalid, "agent/too-many-elements",
			fmt.Sprintf("The message has more than %d elements.", wire.MaxElements))
	}

	return unmarshal(body, into)
}

// unmarshal decodes JSON and says what is wrong with it.
func unmarshal(body []byte, into any) error {
	err := json.Unmarshal(body, into)

	var (
		syntax  *json.SyntaxError
		unknown *wire.UnknownValueError
	)

	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return malformedError{err}
	case errors.As(err, &unknown):
		return core.NewProblem(core.ErrInvalid, "agent/unknown-value", sentence(unknown))
	default:
		return nonsense(err)
	}
}

// elements counts commas, braces and brackets outside of strings.
func elements(body []byte) (n int) {
	inString := false

	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			inString = !inString
		case '\\':
			if inString {
				i++
			}
		case ',', '{', '[':
			if !inString {
				n++
			}
		}
	}

	return n
}

func (g *gate) recoverPanic(w http.ResponseWriter, log func() *slog.Logger) {
	cause := recover()
	if cause == nil {
		return
	}

	// net/http's own way of ending a request must pass.
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}

	log().Error("answering the agent panicked", slog.String("code", "agent/panic"),
		slog.String("cause", text(fmt.Sprint(cause), wire.MaxName)), slog.String("stack", string(debug.Stack())))
	writeFault(w, http.StatusInternalServerError, core.NewProblem(nil, "agent/panic",
		"The appliance met a fault of its own; its log has the details. Ask again."))
}
