package agent

import (
	"context"
	"fmt"
	"net/netip"

	"vetting/agent/traffic"
	"vetting/agent/wire"
)

// Pair takes a step in a meeting with another machine. id is that of the meeting, and mine
// the port that an offer offers.
func (c *Client) Pair(ctx context.Context, token string, step traffic.Step, id string, mine traffic.Peer) (out traffic.Meeting, err error) {
	ask := wire.Pair{Step: pairSteps()[step], Meeting: id}
	if ask.Step == wire.PairOffer {
		ask.Patient = step == traffic.Expect
		ask.Mine = &wire.Peer{
			Address: mine.Server.Addr().String(), Port: int(mine.Server.Port()), Ticket: mine.ID, Key: mine.Key, Mbps: mine.Mbps,
		}
	}

	reply, err := send(ctx, c, wire.CallPair(), token, ask)
	if err != nil {
		return out, err
	}

	at, known := pairStates()[reply.State]
	if !known {
		return out, fmt.Errorf("reading the answer to pair: there is no state %.32q", reply.State)
	}

	out = traffic.Meeting{ID: reply.Meeting, At: at}

	if p := reply.Peer; p != nil {
		addr, err := netip.ParseAddr(p.Address)
		if err != nil {
			return out, fmt.Errorf("reading the answer to pair: %w", err)
		}

		out.Peer = traffic.Peer{
			Ticket: traffic.Ticket{ID: p.Ticket, Key: p.Key, Server: netip.AddrPortFrom(addr, uint16(p.Port))}, //nolint:gosec // checked by Validate
			Mbps:   p.Mbps, Host: p.Host,
		}
	}

	return out, nil
}

func pairSteps() map[traffic.Step]string {
	return map[traffic.Step]string{
		traffic.Offer: wire.PairOffer, traffic.Expect: wire.PairOffer, traffic.Wait: wire.PairWait, traffic.Done: wire.PairDone, traffic.Leave: wire.PairLeave,
	}
}

func pairStates() map[string]traffic.Moment {
	return map[string]traffic.Moment{
		wire.PairAlone: traffic.Alone, wire.PairWaiting: traffic.Waiting, wire.PairTurn: traffic.Turn,
		wire.PairServe: traffic.Serve, wire.PairOver: traffic.Over, wire.PairGone: traffic.Gone,
	}
}
