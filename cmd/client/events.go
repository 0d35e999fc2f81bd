package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vetting/core"
)

// Frame is one message of the live stream.
type Frame struct {
	ID   uint64 // sequence number in the ledger; 0: a frame of samples or of a log
	Kind string // "run", "stage", "log", "resync", …
	Data []byte // JSON
}

// Event reads the frame as an event of the ledger.
func (f *Frame) Event() (event core.Event, err error) {
	if err := json.Unmarshal(f.Data, &event); err != nil {
		return event, fmt.Errorf("reading an event: %w", err)
	}

	return event, nil
}

// LogFrame is the data of a frame of kind log in the stream of one run.
type LogFrame struct {
	Run   core.RunID     `json:"run"`
	Lines []core.LogLine `json:"lines"`
	After uint64         `json:"after"`
}

// ErrEnough ends Follow without an error when a hearer returns it.
var ErrEnough = errors.New("heard enough")

// again is how long Follow waits before it goes back to an appliance that went away.
const again = time.Second

// Follow tells hear every frame of the live stream. query chooses as the route
// "events" does. A stream that breaks is taken up again where it was, as long as
// ctx lives; lost is told of it (nil: nobody is). It ends with ErrEnough of hear, an
// error of hear, or an answer that is not good.
//
// hear is told a frame of kind "open" each time the stream has begun: what is read
// from then on is followed without a gap.
func (c *Client) Follow(ctx context.Context, query url.Values, hear func(Frame) error, lost func(error)) error {
	follower := follower{client: c, query: url.Values{}, hear: hear}
	maps.Copy(follower.query, query)

	for {
		err := follower.once(ctx)

		var (
			fault *Fault
			heard *hearError
		)

		switch {
		case errors.As(err, &heard):
			if errors.Is(heard.err, ErrEnough) {
				return nil
			}

			return heard.err
		case ctx.Err() != nil:
			return fmt.Errorf("following the live stream: %w", context.Cause(ctx))
		case errors.As(err, &fault) && fault.Status != 503:
			return err
		}

		if lost != nil {
			lost(err)
		}

		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}

		timer.Stop()
	}
}

// hearError is an error of whoever listens, not of the stream.
type hearError struct{ err error }

func (h *hearError) Error() string { return h.err.Error() }

type follower struct {
	client *Client
	query  url.Values
	hear   func(Frame) error
}

// once follows one connection to its end, and remembers where it was.
func (f *follower) once(ctx context.Context) error {
	stream, err := f.client.Stream(ctx, Request{Route: "events", Query: f.query})
	if err != nil {
		return err
	}

	defer stream.Close() //nolint:errcheck // only read

	if err := f.hear(Frame{Kind: "open"}); err != nil {
		return &hearError{err}
	}

	return f.read(stream)
}

// maxFrame bounds one line of the stream.
const maxFrame = 4 << 20

func (f *follower) read(stream io.Reader) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxFrame)

	var frame Frame

	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")

		switch {
		case lines.Text() == "":
			if err := f.take(frame); err != nil {
				return err
			}

			frame = Frame{}
		case name == "id":
			id, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return fmt.Errorf("reading the live stream: the id %.40q is no number", value)
			}

			frame.ID = id
		case name == "event":
			frame.Kind = value
		case name == "data":
			if frame.Data != nil {
				frame.Data = append(frame.Data, '\n')
			}

			frame.Data = append(frame.Data, value...)
		}
	}

	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the live stream: %w", err)
	}

	return fmt.Errorf("reading the live stream: %w", io.ErrUnexpectedEOF)
}

// take hands a frame on. Where it stands in the ledger is where the stream goes on
// after a break.
func (f *follower) take(frame Frame) error {
	if frame.ID > 0 {
		f.query.Set("after", strconv.FormatUint(frame.ID, 10))
	}

	if frame.Kind == "" {
		return nil // a comment, or how long to wait
	}

	if err := f.hear(frame); err != nil {
		return &hearError{err}
	}

	return nil
}
