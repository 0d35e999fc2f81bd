package power

import (
	"context"

	"vetting/core"
	"vetting/netboot/wol"
)

// magic is a machine whose NIC listens for magic packets. Nobody answers them:
// that one was sent is all that can be known.
type magic struct {
	target *Target
	nic    string
}

func (m magic) on(ctx context.Context) error {
	if m.nic == "" { // a socket that is bound to nothing sends anywhere
		return outcome(Unsupported, "there is no test NIC to send packets by")
	}

	for _, mac := range m.target.MACs {
		if err := (wol.Waker{Interface: m.nic}).Wake(ctx, core.Host{MAC: mac, Name: m.target.Host}); err != nil {
			return err
		}
	}

	return nil
}

func (magic) off(context.Context) error   { return outcome(Unsupported, "a magic packet only wakes") }
func (magic) cycle(context.Context) error { return outcome(Unsupported, "a magic packet only wakes") }
func (magic) pxe(context.Context) error   { return outcome(Unsupported, "a magic packet only wakes") }

func (magic) state(context.Context) (State, error) {
	return Unknown, outcome(Unsupported, "nobody answers a magic packet")
}
