package network

// The parts that tests look at alone.
var (
	LeaseOf   = leaseOf
	Broadcast = broadcast
	Fetch     = fetch

	SameNetwork = sameNetwork
)
