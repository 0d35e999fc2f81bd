package simhost

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"

	"vetting/agent"
	"vetting/core/sshkey"
)

// Door is the SSH server that a held machine pretends to have: it has a host key
// and takes note of who may come in, and nobody can. Safe for concurrent use.
type Door struct {
	key string

	mu       sync.Mutex
	admitted []string // guarded by mu
	shut     bool     // guarded by mu
}

// HostKey implements agent.Door.
func (d *Door) HostKey() string { return d.key }

// Admit implements agent.Door.
func (d *Door) Admit(keys []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.admitted = keys

	return nil
}

// Run implements agent.Door.
func (d *Door) Run(ctx context.Context) error {
	<-ctx.Done()

	d.mu.Lock()
	defer d.mu.Unlock()

	d.shut = true

	return ctx.Err()
}

// Admitted returns the keys that may come in, and whether the door is open.
func (d *Door) Admitted() (keys []string, open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()

	return d.admitted, !d.shut
}

// openDoor makes a door and keeps it where Door finds it.
func (h *Host) openDoor(context.Context, *slog.Logger) (agent.Door, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a host key: %w", err)
	}

	door := &Door{key: sshkey.Line(public, "")}
	h.door.Store(door)

	return door, nil
}

// Door returns the door that was opened last; nil when none was.
func (h *Host) Door() *Door { return h.door.Load() }
