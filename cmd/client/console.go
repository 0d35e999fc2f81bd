package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
)

// Bounds of a serial console.
const (
	consoleStall  = 15 * time.Second // until the appliance has taken what is typed
	consoleSilent = 90 * time.Second // without a word of it, which asks every 20 s whether we are there
	mostTyped     = 8 << 10          // bytes at once
)

// Console is the serial console of a host, through the appliance. One may read and another type at
// the same time.
type Console struct{ wire *websocket.Conn }

// ConsoleSaid is what comes of a console: bytes of the machine, or what the appliance says.
type ConsoleSaid struct {
	Bytes []byte `json:"-"`    // nil: the appliance said something
	Role  string `json:"role"` // "driver": what is typed goes to the host; "viewer": it does not
	Who   string `json:"who"`  // types instead
	End   string `json:"end"`  // why it is over; nothing more comes
	Code  string `json:"code"` // of the reason
}

// HostConsole opens the serial console of a host. takeOver ends the session that somebody else has
// at the controller; readOnly types nothing. ctx bounds the opening only; the caller closes it. A
// refusal is a *Fault, or the End that is said first.
func (c *Client) HostConsole(ctx context.Context, mac string, takeOver, readOnly bool) (*Console, error) {
	request, err := c.build(ctx, Request{Route: "hosts.console", Params: []string{mac}, Query: url.Values{
		"take_over": {strconv.FormatBool(takeOver)}, "read_only": {strconv.FormatBool(readOnly)},
	}})
	if err != nil {
		return nil, err
	}

	request.URL.Scheme = strings.Replace(request.URL.Scheme, "http", "ws", 1)

	dialer := websocket.Dialer{NetDialContext: c.wires.DialContext, TLSClientConfig: c.wires.TLSClientConfig.Clone(), HandshakeTimeout: consoleStall}

	wire, answer, err := dialer.DialContext(ctx, request.URL.String(), request.Header)

	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && answer.StatusCode >= http.StatusBadRequest:
		return nil, faultOf(answer, "the serial console")
	case err != nil:
		return nil, c.unreached(err)
	}

	one := &Console{wire}
	ping := wire.PingHandler()

	wire.SetPingHandler(func(data string) error { return errors.Join(one.await(), ping(data)) })

	return one, one.await()
}

// await gives the appliance time for another word.
func (c *Console) await() error { return c.wire.SetReadDeadline(time.Now().Add(consoleSilent)) }

// Next waits for what comes.
func (c *Console) Next() (said ConsoleSaid, err error) {
	kind, message, err := c.wire.ReadMessage()
	if err != nil {
		return said, fmt.Errorf("reading the serial console: %w", err)
	}

	if err := c.await(); err != nil {
		return said, err
	}

	if kind == websocket.BinaryMessage {
		return ConsoleSaid{Bytes: message}, nil
	}

	if err := json.Unmarshal(message, &said); err != nil {
		return said, fmt.Errorf("reading the serial console: %w", err)
	}

	return said, nil
}

// Type sends keys to the machine.
func (c *Console) Type(keys []byte) error {
	for len(keys) > 0 {
		n := min(len(keys), mostTyped)

		err := c.wire.SetWriteDeadline(time.Now().Add(consoleStall))
		if err == nil {
			err = c.wire.WriteMessage(websocket.BinaryMessage, keys[:n])
		}

		if err != nil {
			return fmt.Errorf("typing at the serial console: %w", err)
		}

		keys = keys[n:]
	}

	return nil
}

// Close ends it.
func (c *Console) Close() error { return c.wire.Close() }

// ConsoleDriver is the role of whoever types.
const ConsoleDriver = "driver"
