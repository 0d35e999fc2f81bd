// Package client calls the appliance's operator API from outside, by the names
// of the one route table. The command line and the lab share it.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vetting/core/route"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// Client calls one appliance. Safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client
	wires *http.Transport // of http, for connections that are more than a call
}

// Fault is an answer that is not good.
type Fault struct {
	Status int
	route.ErrorDetail

	Body []byte // as it came
}

// Error returns status, code and sentence.
func (f *Fault) Error() string { return fmt.Sprintf("%d %s: %s", f.Status, f.Code, f.Message) }

// New returns a client for the appliance at base ("https://127.0.0.1:8443") that
// shows token ("" shows none). certFile names the console's certificate (PEM)
// and is then the only one trusted; "" trusts the system's authorities.
func New(base, token, certFile string) (*Client, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}

	if certFile != "" {
		text, err := os.ReadFile(certFile) //nolint:gosec // the caller names the certificate to trust
		if err != nil {
			return nil, fmt.Errorf("reading the console's certificate: %w", err)
		}

		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("reading the console's certificate: %s is no PEM file", certFile)
		}

		known, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading the console's certificate: %w", err)
		}

		transport.TLSClientConfig = pinned(known)
	}

	return &Client{
		base: strings.TrimRight(base, "/"), token: token,
		http: &http.Client{Transport: transport}, wires: transport,
	}, nil
}

// pinned trusts the key of a certificate alone: an appliance that renews its own stays
// the one that it was.
func pinned(known *x509.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // the key itself is compared below, which is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].RawSubjectPublicKeyInfo, known.RawSubjectPublicKeyInfo) {
				return errors.New("whoever answers does not have the key of the certificate that was asked for")
			}

			return nil
		},
	}
}

// Request is one call: the route's name and parameters, the query, and a body:
// nil for none, a string to be sent as it is (YAML), anything else as JSON.
type Request struct {
	Route  string
	Params []string
	Query  url.Values
	Body   any
}

// Call carries out a request and reads the answer into out: nil drops it, a
// *[]byte takes it as it came, anything else is decoded from JSON. An answer
// that is not good is a *Fault.
func (c *Client) Call(ctx context.Context, ask Request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()

	answer, err := c.do(ctx, ask)
	if err != nil {
		return err
	}

	defer answer.Body.Close() //nolint:errcheck // read to its end, or useless

	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", ask.Route, err)
	}

	switch out := out.(type) {
	case nil:
		return nil
	case *[]byte:
		*out = text

		return nil
	}

	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", ask.Route, err)
	}

	return nil
}

// Stream opens a request whose answer does not end by itself (the live events).
// The caller closes it.
func (c *Client) Stream(ctx context.Context, ask Request) (io.ReadCloser, error) {
	answer, err := c.do(ctx, ask)
	if err != nil {
		return nil, err
	}

	return answer.Body, nil
}

// do sends the request; the answer is good, or an error.
func (c *Client) do(ctx context.Context, ask Request) (*http.Response, error) {
	request, err := c.build(ctx, ask)
	if err != nil {
		return nil, err
	}

	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreached(err)
	}

	if answer.StatusCode < http.StatusBadRequest {
		return answer, nil
	}

	return nil, faultOf(answer, ask.Route)
}

// faultOf reads an answer that is not good, and closes it.
func faultOf(answer *http.Response, name string) error {
	defer answer.Body.Close() //nolint:errcheck // the answer is bad already

	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the answer to %s: %w", name, err)
	}

	var sad route.ErrorBody
	if err := json.Unmarshal(text, &sad); err != nil || sad.Error.Message == "" {
		sad.Error.Message = string(text[:min(len(text), 300)])
	}

	return &Fault{Status: answer.StatusCode, ErrorDetail: sad.Error, Body: text}
}

// unreached says why there was no answer, and what to do.
func (c *Client) unreached(err error) error {
	var (
		sent     *url.Error
		stranger *tls.CertificateVerificationError
		plain    tls.RecordHeaderError
		nobody   *net.OpError
		noName   *net.DNSError
	)

	if errors.As(err, &sent) {
		err = sent.Err
	}

	advice := ""

	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
	case errors.As(err, &stranger):
		advice = "; name its certificate with --cert (console.crt in its data directory)"
	case errors.As(err, &plain):
		advice = "; it does not speak TLS: write http://"
	case errors.As(err, &noName), errors.As(err, &nobody):
		advice = "; is it running there? Name another place with --server"
	}

	return fmt.Errorf("calling the appliance at %s: %w%s", c.base, err, advice)
}

func (c *Client) build(ctx context.Context, ask Request) (*http.Request, error) {
	r, ok := route.Find(ask.Route)
	if !ok {
		return nil, fmt.Errorf("calling the appliance: no route is called %q", ask.Route)
	}

	path, err := route.Path(ask.Route, ask.Params...)
	if err != nil {
		return nil, err
	}

	if len(ask.Query) > 0 {
		path += "?" + ask.Query.Encode()
	}

	content, err := encode(ask.Body)
	if err != nil {
		return nil, fmt.Errorf("writing the request for %s: %w", ask.Route, err)
	}

	request, err := http.NewRequestWithContext(ctx, r.Method, c.base+path, content)
	if err != nil {
		return nil, fmt.Errorf("writing the request for %s: %w", ask.Route, err)
	}

	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}

	if r.ReqType != "" {
		request.Header.Set("Content-Type", r.ReqType)
	}

	return request, nil
}

func encode(body any) (io.Reader, error) {
	switch body := body.(type) {
	case nil:
		return http.NoBody, nil
	case string:
		return strings.NewReader(body), nil
	default:
		text, err := json.Marshal(body)

		return bytes.NewReader(text), err
	}
}
