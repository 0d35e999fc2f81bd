package network

// The parts that tests look at alone.
var (
	LeaseOf   = leaseOf
	Broadcast = broadcast
	Fetch     = fetch

	SameNetwork = sameNetwork
)

// Quiet has f called in place of what changes the kernel's settings.
func (a *Addresses) Quiet(f func() error) { a.quiet = f }
