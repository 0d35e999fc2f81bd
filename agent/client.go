package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"vetting/agent/traffic"
	"vetting/agent/wire"
)

const (
	callTimeout = 30 * time.Second // one request with its answer
	maxAnswer   = 1 << 20          // bytes of an answer
)

// Client makes the calls of one run. Safe for concurrent use.
type Client struct {
	server string
	run    string
	http   *http.Client
}

// NewClient returns a client for the run and the appliance of a seed; it dials
// nothing yet. dial must not be nil.
func NewClient(seed wire.Seed, dial Dial) (*Client, error) {
	config, err := pinned(seed.SPKISHA256)
	if err != nil {
		return nil, err
	}

	return &Client{server: seed.Server, run: seed.Run, http: &http.Client{
		Timeout: callTimeout,
		// A redirect would carry the token to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                 nil,
			DialContext:           dial,
			TLSClientConfig:       config,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: callTimeout,
			IdleConnTimeout:       60 * time.Second, // less than the appliance's, so that it is never the one to hang up
			MaxIdleConnsPerHost:   4,
			DisableCompression:    true,
		},
	}}, nil
}

// Close hangs up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Hello makes the call of that name; token is the boot token.
func (c *Client) Hello(ctx context.Context, token string, in wire.Hello) (wire.HelloReply, error) {
	return send(ctx, c, wire.CallHello(), token, in)
}

// Claim makes the call of that name; token is the boot token.
func (c *Client) Claim(ctx context.Context, token string, in wire.Claim) (wire.ClaimReply, error) {
	return send(ctx, c, wire.CallClaim(), token, in)
}

// Heartbeat makes the call of that name; token is the session token.
func (c *Client) Heartbeat(ctx context.Context, token string, in wire.Heartbeat) (wire.Order, error) {
	return send(ctx, c, wire.CallHeartbeat(), token, in)
}

// Log makes the call of that name; token is the session token.
func (c *Client) Log(ctx context.Context, token string, in wire.LogBatch) (wire.LogReply, error) {
	return send(ctx, c, wire.CallLog(), token, in)
}

// Sensor makes the call of that name; token is the session token.
func (c *Client) Sensor(ctx context.Context, token string, in wire.SensorBatch) (wire.SensorReply, error) {
	return send(ctx, c, wire.CallSensor(), token, in)
}

// Result makes the call of that name; token is the session token.
func (c *Client) Result(ctx context.Context, token string, in wire.Result) (wire.ResultReply, error) {
	return send(ctx, c, wire.CallResult(), token, in)
}

// Ticket asks for a ticket for the appliance's throughput partner.
func (c *Client) Ticket(ctx context.Context, token string) (t traffic.Ticket, err error) {
	reply, err := send(ctx, c, wire.CallTraffic(), token, wire.Traffic{})
	if err != nil {
		return t, err
	}

	server, err := url.Parse(c.server)
	if err != nil {
		return t, fmt.Errorf("reading the appliance's address: %w", err)
	}

	addr, err := netip.ParseAddr(server.Hostname())
	if err != nil {
		return t, fmt.Errorf("reading the appliance's address: %w", err)
	}

	return traffic.Ticket{ID: reply.Ticket, Key: reply.Key, Server: netip.AddrPortFrom(addr, uint16(reply.Port))}, nil //nolint:gosec // checked by Validate
}

// send makes one call of the contract. The error is a *Refusal where the
// appliance answered, and says that it did not otherwise.
func send[Request, Response wire.Message](
	ctx context.Context, c *Client, call wire.Call[Request, Response], token string, in Request,
) (out Response, err error) {
	body, err := encode(in)
	if err != nil {
		return out, fmt.Errorf("writing %s: %w", call.Name, err)
	}

	return post[Response](ctx, c, call.Route, c.server+call.Target(c.run), "application/json", token, body)
}

// Artifact makes the call of that name with the content of a file.
func (c *Client) Artifact(ctx context.Context, token, name string, stage wire.StageName, content []byte) (wire.ArtifactReply, error) {
	route := wire.RouteArtifact()
	query := url.Values{"name": {name}, "stage": {string(stage)}}

	return post[wire.ArtifactReply](ctx, c, route, c.server+route.Target(c.run)+"?"+query.Encode(), "application/octet-stream", token, content)
}

// post sends a body and reads the answer.
func post[Response wire.Message](
	ctx context.Context, c *Client, route wire.Route, target, kind, token string, body []byte,
) (out Response, err error) {
	req, err := http.NewRequestWithContext(ctx, route.Method, target, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("writing %s: %w", route.Name, err)
	}

	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)

	resp, err := c.http.Do(req)
	if err != nil {
		return out, fmt.Errorf("calling %s: %w", route.Name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is left to be learnt from it

	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	if resp.StatusCode != http.StatusOK {
		return out, refusal(route.Name, resp, answer)
	}

	if err := decode(answer, &out); err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	if err := out.Validate(); err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	return out, nil
}

// encode leaves "<" and "&" alone, so that text never grows sixfold.
func encode(message any) ([]byte, error) {
	var b bytes.Buffer

	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(message)

	return b.Bytes(), err
}

func decode(raw []byte, into any) error { return json.Unmarshal(raw, into) }

// Refusal is an answer of the appliance that is not 200.
type Refusal struct {
	Call       string
	Status     int
	Code       string
	Message    string
	State      wire.State // the run's, where a 409 tells it
	RetryAfter time.Duration
}

// Error says what was refused and why, in the appliance's words.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s refused with %d %s: %s", r.Call, r.Status, r.Code, r.Message)
}

func refusal(call string, resp *http.Response, body []byte) *Refusal {
	var fault wire.Fault

	if err := json.Unmarshal(body, &fault); err != nil || fault.Error.Code == "" {
		fault.Error = wire.FaultBody{Code: "unknown", Message: http.StatusText(resp.StatusCode)}
	}

	r := &Refusal{
		Call: call, Status: resp.StatusCode,
		Code: oneLine(fault.Error.Code, wire.MaxName), Message: oneLine(fault.Error.Message, wire.MaxName*4),
	}

	if told, ok := fault.Error.Details[wire.DetailState].(string); ok {
		// A state this version does not know is as good as none told.
		_ = r.State.UnmarshalText([]byte(told))
	}

	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 && s <= 300 {
		r.RetryAfter = time.Duration(s) * time.Second
	}

	return r
}
