package hostmode

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
)

const (
	callTimeout = 20 * time.Second
	maxAnswer   = 64 << 10 // bytes
)

// refusalError is an answer of the appliance that is no success.
type refusalError struct {
	status        int
	code, message string
	serverTime    time.Time // zero: not told
}

// Error says what was refused in the appliance's words.
func (r *refusalError) Error() string {
	return fmt.Sprintf("refused with %d %s: %s", r.status, r.code, r.message)
}

// client makes signed calls. It is used by one goroutine.
type client struct {
	base string
	key  ed25519.PrivateKey
	http *http.Client
	now  func() time.Time

	off  time.Duration // what the appliance's clock is ahead of ours
	last time.Time     // of the last signature: times must grow
}

func newClient(c Config, key ed25519.PrivateKey, dial agent.Dial, now func() time.Time) (*client, error) {
	config, err := agent.PinnedTLS(c.SPKISHA256)
	if err != nil {
		return nil, err
	}

	return &client{base: c.Appliance, key: key, now: now, http: &http.Client{
		Timeout: callTimeout,
		// A redirect would carry the enrolment key to somewhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, DialContext: dial, TLSClientConfig: config, TLSHandshakeTimeout: callTimeout,
			IdleConnTimeout: time.Minute, DisableCompression: true,
		},
	}}, nil
}

func (c *client) register(ctx context.Context, in wire.HostRegister) (wire.HostRegistered, error) {
	return call(ctx, c, wire.CallHostRegister(), wire.CallHostRegister().Path, in)
}

func (c *client) beat(ctx context.Context, mac string, in wire.HostHeartbeat) (wire.HostOrder, error) {
	return call(ctx, c, wire.CallHostHeartbeat(), wire.HostTarget(mac), in)
}

// call makes a call, and once more by the appliance's clock where it says that
// ours is wrong: this machine's clock is its own business.
func call[Request, Response wire.Message](
	ctx context.Context, c *client, route wire.Call[Request, Response], path string, in Request,
) (out Response, err error) {
	out, err = attempt(ctx, c, route, path, in)

	refusal, ok := errors.AsType[*refusalError](err)
	if !ok || refusal.code != wire.CodeClock || refusal.serverTime.IsZero() {
		return out, err
	}

	c.off = refusal.serverTime.Sub(c.now())
	c.last = time.Time{}

	return attempt(ctx, c, route, path, in)
}

func attempt[Request, Response wire.Message](
	ctx context.Context, c *client, route wire.Call[Request, Response], path string, in Request,
) (out Response, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("writing %s: %w", route.Name, err)
	}

	req, err := http.NewRequestWithContext(ctx, route.Method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("writing %s: %w", route.Name, err)
	}

	signature := wire.Sign(c.key, route.Method, path, c.moment(), body)
	req.Header.Set(wire.HeaderKey, signature.Key)
	req.Header.Set(wire.HeaderTime, signature.Time)
	req.Header.Set(wire.HeaderSignature, signature.Value)
	req.Header.Set("Content-Type", "application/json")

	resp, err := c.http.Do(req)
	if err != nil {
		return out, fmt.Errorf("calling %s: %w", route.Name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is left to be learnt from it

	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return out, fmt.Errorf("calling %s: %w", route.Name, refusal(resp.StatusCode, answer))
	}

	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	if err := out.Validate(); err != nil {
		return out, fmt.Errorf("reading the answer to %s: %w", route.Name, err)
	}

	return out, nil
}

// moment is when the next call is signed: by the appliance's clock, and later
// than the one before, as they travel.
func (c *client) moment() time.Time {
	at := wire.At(c.now().Add(c.off)).Time
	if !at.After(c.last) {
		at = c.last.Add(time.Millisecond)
	}

	c.last = at

	return at
}

func refusal(status int, body []byte) *refusalError {
	var fault wire.Fault
	if err := json.Unmarshal(body, &fault); err != nil || fault.Error.Code == "" {
		fault.Error = wire.FaultBody{Code: "unknown", Message: http.StatusText(status)}
	}

	r := &refusalError{status: status, code: line(fault.Error.Code, 64), message: line(fault.Error.Message, 512)}

	if told, ok := fault.Error.Details[wire.DetailServerTime].(string); ok {
		r.serverTime, _ = time.Parse(time.RFC3339, told) // one that cannot be read is none
	}

	return r
}

// line makes a string from outside fit for a log: printable, at most limit bytes.
func line(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}

		return r
	}, strings.ToValidUTF8(s, "\ufffd"))

	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
