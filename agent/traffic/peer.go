package traffic

// Peer is a port of another machine that serves network tests as the appliance does.
type Peer struct {
	Ticket

	Mbps int    // of its link; 0: not known
	Host string // its name
}

// Step is what a machine says that is to be measured with another one; see wire.Pair.
type Step int

// The steps of a meeting.
const (
	Offer  Step = iota // here is our port
	Expect             // the same, and machines that have yet to come are waited for too
	Wait               // what comes next?
	Done               // our turn to measure is over
	Leave              // we do not go on
)

// Moment is where a meeting is.
type Moment int

// The moments of a meeting.
const (
	Alone   Moment = iota // there is nobody to be met
	Waiting               // nobody has come yet
	Turn                  // measure the peer
	Serve                 // be measured by the peer
	Over                  // both have measured
	Gone                  // the peer has left, or the appliance has forgotten
)

// Meeting is the appliance's answer. ID and Peer are set with Turn and Serve.
type Meeting struct {
	ID   string
	At   Moment
	Peer Peer
}
