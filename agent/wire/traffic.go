package wire

// Traffic asks for a ticket for the throughput partner, which speaks without TLS, so
// that what the network alters is seen and not mended: see package load. A ticket
// takes the place of the one before and ends with the session.
type Traffic struct{}

// Validate accepts it: there is nothing in it.
func (Traffic) Validate() error { return nil }

// TrafficReply is the ticket. The key never travels outside of this answer.
type TrafficReply struct {
	Ticket string `json:"ticket"` // names it; 32 hexadecimal digits
	Key    string `json:"key"`    // proves that it is ours; 64 hexadecimal digits
	Port   int    `json:"port"`   // of the appliance's address, TCP
}

// Validate checks shape and limits.
func (t TrafficReply) Validate() error {
	var f faults

	f.ticket(t.Ticket, t.Key, t.Port)

	return f.err()
}

// CallTraffic asks for a ticket.
func CallTraffic() Call[Traffic, TrafficReply] {
	return call[Traffic, TrafficReply]("traffic",
		"Asks for a ticket for the throughput partner: TCP and UDP without TLS, each byte verified.", AuthSession, MaxSmallBody)
}
