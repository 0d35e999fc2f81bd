package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"vetting/core/route"
)

// Tunnel is a connection through the appliance to the SSH server of a held host.
type Tunnel struct {
	net.Conn

	read *bufio.Reader // the answer's head was read from it, and perhaps more
}

// Read reads what the host sent.
func (t *Tunnel) Read(p []byte) (int, error) { return t.read.Read(p) }

// CloseWrite says that nothing more will be sent; what the host still sends can be
// read.
func (t *Tunnel) CloseWrite() error {
	half, ok := t.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("closing one direction of the tunnel: %w", errors.ErrUnsupported)
	}

	return half.CloseWrite()
}

// HoldTunnel opens the way to the SSH server of the host that a run holds. ctx
// bounds the opening only; the caller closes the tunnel. A refusal is a *Fault.
func (c *Client) HoldTunnel(ctx context.Context, run string) (*Tunnel, error) {
	const name = "runs.hold-tunnel"

	request, err := c.build(ctx, Request{Route: name, Params: []string{run}})
	if err != nil {
		return nil, err
	}

	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", route.TunnelProtocol)

	conn, err := c.dial(ctx, request.URL)
	if err != nil {
		return nil, c.unreached(err)
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	tunnel, err := upgrade(conn, request)

	if !stop() && err == nil {
		err = ctx.Err()
	}

	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	return tunnel, nil
}

// upgrade sends the request and reads the head of the answer.
func upgrade(conn net.Conn, request *http.Request) (*Tunnel, error) {
	if err := request.Write(conn); err != nil {
		return nil, fmt.Errorf("asking for the tunnel: %w", err)
	}

	tunnel := &Tunnel{Conn: conn, read: bufio.NewReader(conn)}

	answer, err := http.ReadResponse(tunnel.read, request)
	if err != nil {
		return nil, fmt.Errorf("reading the answer to the tunnel: %w", err)
	}

	switch {
	case answer.StatusCode >= http.StatusBadRequest:
		return nil, faultOf(answer, "the tunnel")
	case answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != route.TunnelProtocol:
		return nil, errors.Join(fmt.Errorf("opening the tunnel: the appliance answered %s", answer.Status), answer.Body.Close())
	default:
		return tunnel, nil
	}
}

// dial connects to where a call would go.
func (c *Client) dial(ctx context.Context, to *url.URL) (net.Conn, error) {
	address, dial := to.Host, c.wires.DialContext

	if to.Port() == "" {
		address = net.JoinHostPort(to.Hostname(), map[bool]string{true: "80", false: "443"}[to.Scheme == "http"])
	}

	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}

	conn, err := dial(ctx, "tcp", address)
	if err != nil || to.Scheme == "http" {
		return conn, err
	}

	config := c.wires.TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = to.Hostname(), []string{"http/1.1"}

	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}

	return secured, nil
}
