//go:build linux

package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// Await looks at the run, again after every event of the live stream about it,
// until good says so. When the stream breaks (the appliance was restarted) it is
// taken up again.
func (a *API) Await(ctx context.Context, id core.RunID, good func(route.Run) bool) (route.Run, error) {
	look := func(ctx context.Context) (route.Run, error) { return a.Run(ctx, id) }

	run, err := await(ctx, a, url.Values{"run": {string(id)}}, look, good)
	if err != nil {
		return run, fmt.Errorf("awaiting run %s, which is %q: %w", id, run.State, err)
	}

	return run, nil
}

// AwaitHost does the same for a host.
func (a *API) AwaitHost(ctx context.Context, mac string, good func(core.Host) bool) (core.Host, error) {
	look := func(ctx context.Context) (core.Host, error) { return a.Host(ctx, mac) }

	host, err := await(ctx, a, url.Values{"host": {mac}}, look, good)
	if err != nil {
		return host, fmt.Errorf("awaiting host %s: %w", mac, err)
	}

	return host, nil
}

func await[T any](
	ctx context.Context, a *API, about url.Values, look func(context.Context) (T, error), good func(T) bool,
) (T, error) {
	for {
		thing, err := follow(ctx, a, about, look, good)
		if err == nil {
			return thing, nil
		}

		select {
		case <-ctx.Done():
			return thing, fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-time.After(500 * time.Millisecond): // the appliance may be coming up again
		}
	}
}

// follow opens the live stream and looks now and after each frame, until good
// says so or the stream ends.
func follow[T any](
	ctx context.Context, a *API, about url.Values, look func(context.Context) (T, error), good func(T) bool,
) (thing T, err error) {
	events, err := a.client.Stream(ctx, client.Request{Route: "events", Query: about})
	if err != nil {
		return thing, err
	}
	defer events.Close() //nolint:errcheck // no longer needed

	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 4<<20)

	for {
		if thing, err = look(ctx); err != nil || good(thing) {
			return thing, err
		}

		if !frame(lines) {
			return thing, errors.Join(errors.New("the live stream ended"), lines.Err())
		}
	}
}

// frame skips to the next data or comment line (one comes every 15 s, and is a
// reason to look as well); false at the end.
func frame(lines *bufio.Scanner) bool {
	for lines.Scan() {
		if text := lines.Text(); strings.HasPrefix(text, "data:") || strings.HasPrefix(text, ":") {
			return true
		}
	}

	return false
}
