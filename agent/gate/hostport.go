package gate

import (
	"context"

	"vetting/core"
)

// Hosts is who decides about installed machines (core/engine). Errors are those
// of core, as for [Runs]. Whose call it is was checked before it is asked.
type Hosts interface {
	// HostKey finds a key that a host has registered; ErrNotFound.
	HostKey(ctx context.Context, id string) (core.HostKey, error)
	// RegisterSelf makes an installed machine and its key known, and answers as
	// before when both are. key is empty for a machine without one. created says
	// that the host is new.
	RegisterSelf(ctx context.Context, from core.SelfRegistration) (host core.Host, key core.HostKey, created bool, err error)
	// HostBeat takes a sign of life in and says what the machine shall do.
	// HostReboot is given once, and never to a key that is not approved.
	HostBeat(ctx context.Context, host core.MAC, beat core.HostBeat) (core.HostCommand, error)
}
