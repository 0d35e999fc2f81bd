package gatetest

import (
	"context"
	"crypto/ed25519"
	"sync"

	"vetting/core"
)

// Roster is a gate.Hosts in memory: it knows one host at most for each key, and
// tells a host to reboot once after Order. Safe for concurrent use.
type Roster struct {
	mu     sync.Mutex
	hosts  map[core.MAC]core.Host            // guarded by mu
	keys   map[string]core.HostKey           // guarded by mu
	beats  []core.HostBeat                   // guarded by mu
	selves []core.SelfRegistration           // guarded by mu
	orders map[core.MAC]core.HostCommand     // guarded by mu
	judge  func(core.SelfRegistration) error // guarded by mu
}

// NewRoster returns one that knows nobody.
func NewRoster() *Roster {
	return &Roster{hosts: map[core.MAC]core.Host{}, keys: map[string]core.HostKey{}, orders: map[core.MAC]core.HostCommand{}}
}

// HostKey implements gate.Hosts.
func (r *Roster) HostKey(_ context.Context, id string) (core.HostKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	key, ok := r.keys[id]
	if !ok {
		return key, core.ErrNotFound
	}

	return key, nil
}

// RegisterSelf implements gate.Hosts.
func (r *Roster) RegisterSelf(_ context.Context, from core.SelfRegistration) (core.Host, core.HostKey, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.selves = append(r.selves, from)

	if r.judge != nil {
		if err := r.judge(from); err != nil {
			return core.Host{}, core.HostKey{}, false, err
		}
	}

	host, known := r.hosts[from.MAC]
	if !known {
		host = core.Host{MAC: from.MAC, Name: from.HostName}
		r.hosts[from.MAC] = host
	}

	if len(from.PublicKey) == 0 {
		return host, core.HostKey{}, !known, nil
	}

	id := core.KeyID(ed25519.PublicKey(from.PublicKey))

	key, ok := r.keys[id]
	if !ok {
		key = core.HostKey{
			ID: id, Host: host.MAC, Public: from.PublicKey, Fingerprint: core.KeyFingerprint(from.PublicKey), State: core.HostKeyPending,
		}
		r.keys[id] = key
	}

	return host, key, !known, nil
}

// HostBeat implements gate.Hosts. It obeys Order whatever the key is worth: the
// gate must hold by itself.
func (r *Roster) HostBeat(_ context.Context, host core.MAC, beat core.HostBeat) (core.HostCommand, error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.beats = append(r.beats, beat)

	if command, told := r.orders[host]; told {
		delete(r.orders, host)

		return command, nil
	}

	return core.HostContinue, nil
}

// Judge has registrations refused as check says.
func (r *Roster) Judge(check func(core.SelfRegistration) error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.judge = check
}

// Decide sets the state of every key.
func (r *Roster) Decide(state core.HostKeyState) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for id, key := range r.keys {
		key.State = state
		r.keys[id] = key
	}
}

// Order has a host told to reboot at its next beat.
func (r *Roster) Order(host core.MAC) {
	r.mu.Lock()
	defer r.mu.Unlock()

	r.orders[host] = core.HostReboot
}

// Forget loses every host and key, as an appliance that was set up anew.
func (r *Roster) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()

	clear(r.hosts)
	clear(r.keys)
}

// Beats returns the signs of life that were taken in.
func (r *Roster) Beats() []core.HostBeat {
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]core.HostBeat(nil), r.beats...)
}

// Selves returns the registrations that came.
func (r *Roster) Selves() []core.SelfRegistration {
	r.mu.Lock()
	defer r.mu.Unlock()

	return append([]core.SelfRegistration(nil), r.selves...)
}
