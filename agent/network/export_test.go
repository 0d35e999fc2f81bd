package network

import "net"

// The parts that tests look at alone.
var (
	LeaseOf   = leaseOf
	Broadcast = broadcast
	Fetch     = fetch

	SameNetwork = sameNetwork
)

// Quiet has f called in place of what changes the kernel's settings.
func (a *Addresses) Quiet(f func() error) { a.quiet = f }

// NewLoop opens a loop with other patience than a machine has, whatever it booted from.
var NewLoop = newLoop

// Rooms has f run in a network namespace of its own that has a /sys.
func Rooms(f func()) error {
	n, err := openNamespace()
	if err != nil {
		return err
	}
	defer n.close()

	return n.do(func() error { f(); return nil })
}

// ParseCall parses a frame to one of several ports.
func ParseCall(b, nonce []byte, mac net.HardwareAddr, own, count int) (int, bool) {
	return parseCall(b, nonce, mac, own, count)
}

// CallFrame makes one.
func CallFrame(from, to net.HardwareAddr, nonce []byte, i, j int) []byte {
	return callFrame(from, to, nonce, i, j)
}
