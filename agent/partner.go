package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"vetting/agent/stage"
	"vetting/agent/wire"
)

// Exchange sends frames to the appliance and gets as many back, and says what came
// of both rows.
func (c *Client) Exchange(ctx context.Context, token string, seed uint64, count int) (out stage.Exchange, err error) {
	route := wire.RoutePartner()
	query := url.Values{"frames": {strconv.Itoa(count)}, "seed": {strconv.FormatUint(seed, 10)}}
	begin := time.Now()
	body, sender := io.Pipe()

	go func() { _ = sender.CloseWithError(wire.WriteFrames(sender, seed, count)) }() // ends with the request's body

	req, err := http.NewRequestWithContext(ctx, route.Method, c.server+route.Target(c.run)+"?"+query.Encode(), body)
	if err != nil {
		return out, fmt.Errorf("writing %s: %w", route.Name, err)
	}

	req.ContentLength = int64(count) * wire.FrameSize
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/octet-stream")

	resp, err := c.http.Do(req)
	if err != nil {
		return out, fmt.Errorf("calling %s: %w", route.Name, err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is left to be learnt from it

	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status says enough

		return out, refusal(route.Name, resp, answer)
	}

	return c.readExchange(resp.Body, seed, count, begin)
}

func (c *Client) readExchange(body io.Reader, seed uint64, count int, begin time.Time) (out stage.Exchange, err error) {
	in := bufio.NewReader(body)

	line, err := in.ReadSlice('\n')
	if err != nil {
		return out, fmt.Errorf("reading the answer to partner: %w", err)
	}

	var reply wire.PartnerReply
	if err := errors.Join(decode(line, &reply), reply.Validate()); err != nil {
		return out, fmt.Errorf("reading the answer to partner: %w", err)
	}

	answered := time.Now()

	received, bad, err := wire.ReadFrames(in, seed)
	if err != nil {
		return out, fmt.Errorf("reading the answer to partner: %w", err)
	}

	return stage.Exchange{
		Sent: count, SentBad: reply.Bad + count - reply.Frames, Received: received, ReceivedBad: bad + count - received,
		Bytes: uint64(count+received) * wire.FrameSize, //nolint:gosec // bounded by the contract
		Took:  time.Since(begin), ServerTime: reply.ServerTime.Time, At: answered,
	}, nil
}
