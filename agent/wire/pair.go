package wire

import (
	"encoding/hex"
	"net/netip"
	"slices"
)

// The steps of a machine that is to be measured with another one.
const (
	// PairOffer offers a port and waits for another machine.
	PairOffer = "offer"
	// PairWait waits for what comes next in a meeting.
	PairWait = "wait"
	// PairDone says that our turn to measure is over.
	PairDone = "done"
	// PairLeave ends the meeting, or takes the offer back.
	PairLeave = "leave"
)

// Where a meeting is, in the answer.
const (
	// PairAlone: no other machine is there that could be met.
	PairAlone = "alone"
	// PairWaiting: nothing has happened yet; ask again.
	PairWaiting = "waiting"
	// PairTurn: measure the peer now.
	PairTurn = "turn"
	// PairServe: the peer measures us; go on serving it, and ask again.
	PairServe = "serve"
	// PairOver: both have had their turn.
	PairOver = "over"
	// PairGone: the peer has left, or the meeting is not known.
	PairGone = "gone"
)

// Pair brings two machines together whose ports the appliance is too slow for, so that
// they measure each other, one after the other. Each listens for the other before it
// offers its port.
type Pair struct {
	Step    string `json:"step"`
	Meeting string `json:"meeting,omitempty"` // of the answer to the offer; empty with an offer
	Mine    *Peer  `json:"mine,omitempty"`    // with an offer
	// Patient waits for machines too that have yet to come to the stage.
	Patient bool `json:"patient,omitempty"`
}

// Peer is a port that serves network tests, as the appliance's throughput partner does.
type Peer struct {
	Address string `json:"address"` // IPv4, on the test network
	Port    int    `json:"port"`
	Ticket  string `json:"ticket"`         // 32 hexadecimal digits
	Key     string `json:"key"`            // 64 hexadecimal digits
	Mbps    int    `json:"mbps,omitempty"` // of its link; 0: not known
	Host    string `json:"host,omitempty"` // its name; the appliance fills it in
}

// PairReply says where the meeting is. Peer comes with PairTurn and PairServe.
type PairReply struct {
	State   string `json:"state"`
	Meeting string `json:"meeting,omitempty"`
	Peer    *Peer  `json:"peer,omitempty"`
}

// maxLinkMbps bounds what a port may say of its link.
const maxLinkMbps = 10_000_000

func (f *faults) peer(p *Peer) {
	addr, err := netip.ParseAddr(p.Address)
	if err != nil || !addr.Is4() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback() {
		f.add("address %.64q is no IPv4 address of a machine", p.Address)
	}

	f.ticket(p.Ticket, p.Key, p.Port)

	if p.Mbps < 0 || p.Mbps > maxLinkMbps {
		f.add("mbps must be between 0 and %d", maxLinkMbps)
	}

	f.atMost("host", len(p.Host), MaxName)
}

// ticket checks what admits to a throughput partner.
func (f *faults) ticket(ticket, key string, port int) {
	for _, field := range []struct {
		name, value string
		bytes       int
	}{{"ticket", ticket, 16}, {"key", key, 32}} {
		if raw, err := hex.DecodeString(field.value); err != nil || len(raw) != field.bytes {
			f.add("%s must be %d hexadecimal digits", field.name, 2*field.bytes)
		}
	}

	if port < 1 || port > 65535 {
		f.add("port must be between 1 and 65535")
	}
}

// Validate checks shape and limits.
func (p Pair) Validate() error {
	var f faults

	if !slices.Contains([]string{PairOffer, PairWait, PairDone, PairLeave}, p.Step) {
		f.add("step %.32q is none of offer, wait, done and leave", p.Step)
	}

	f.atMost("meeting", len(p.Meeting), MaxName)

	if offers := p.Step == PairOffer; offers != (p.Mine != nil) {
		f.add("mine belongs to an offer, and to nothing else")
	}

	if p.Mine != nil {
		f.peer(p.Mine)
	}

	return f.err()
}

// Validate checks shape and limits.
func (p PairReply) Validate() error {
	var f faults

	f.need("state", p.State, MaxName)
	f.atMost("meeting", len(p.Meeting), MaxName)

	if meets := p.State == PairTurn || p.State == PairServe; meets != (p.Peer != nil) {
		f.add("peer comes with a turn and with serving, and with nothing else")
	}

	if p.Peer != nil {
		f.peer(p.Peer)
	}

	return f.err()
}

// CallPair offers a port for a test with another machine.
func CallPair() Call[Pair, PairReply] {
	return call[Pair, PairReply]("pair",
		"Offers a port to be measured with another machine in the same stage; the answer says whose turn it is. It may take five seconds.", AuthSession, MaxSmallBody)
}
