package engine

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

// Bounds of what strangers on the network can make us remember.
const (
	maxPendingKeys = 256 // of all hosts
	maxStrangers   = 256 // hosts that registered themselves and that no operator has touched
	maxHostKeys    = 8   // pending, of one host; the oldest goes
)

// RegisterSelf takes an installed host's word that it is there, makes a host of
// it if none has its address, and keeps its key for an operator to approve. The
// caller has checked that the host holds the key. key is zero for a host without
// one.
func (e *Engine) RegisterSelf(ctx context.Context, reg core.SelfRegistration) (host core.Host, key core.HostKey, created bool, err error) {
	if err := e.mayRegister(&reg); err != nil {
		return core.Host{}, core.HostKey{}, false, err
	}

	err = e.write(ctx, func(c *change) error {
		created = false

		host, err = c.host(reg.MAC)
		if errors.Is(err, core.ErrNotFound) {
			host, err = c.welcome(&reg)
			created = err == nil
		}

		if err != nil || len(reg.PublicKey) == 0 {
			return err
		}

		key, err = c.keepKey(&host, &reg)

		return err
	})
	if err != nil {
		return core.Host{}, core.HostKey{}, false, err
	}

	return host, key, created, nil
}

func (e *Engine) mayRegister(reg *core.SelfRegistration) error {
	if parsed, err := core.ParseMAC(string(reg.MAC)); err != nil || parsed != reg.MAC {
		return core.NewProblem(core.ErrInvalid, problem.HostBadMAC, fmt.Sprintf("%.40q is not a MAC address.", string(reg.MAC)))
	}

	switch {
	case e.EnrolKey != "" && !same(digest(e.EnrolKey), digest(reg.EnrolKey)):
		return core.NewProblem(core.ErrRefused, problem.HostEnrolKey, "This appliance takes only hosts that know its enrolment key.")
	case len(reg.PublicKey) == 0 && !e.TrustLAN:
		return core.NewProblem(core.ErrUnauthorized, problem.HostKeyRefused, "A host registers with a key of its own; update the installed agent.")
	case len(reg.PublicKey) != 0 && len(reg.PublicKey) != ed25519.PublicKeySize:
		return core.NewProblem(core.ErrInvalid, problem.HostKeyRefused, "The key is no Ed25519 key.")
	default:
		return nil
	}
}

// welcome makes a host of one that made itself known. One that an operator deleted
// is not taken: it would destroy what can be brought back.
func (c *change) welcome(reg *core.SelfRegistration) (core.Host, error) {
	if err := c.roomForStranger(); err != nil {
		return core.Host{}, err
	}

	trashed, err := c.trashed()
	if err != nil {
		return core.Host{}, err
	}

	if trashed[reg.MAC] {
		return core.Host{}, core.NewProblem(core.ErrRefused, problem.HostDeleted,
			"An operator deleted this host; it is taken again once one brings it back or registers it.")
	}

	host := core.Host{
		MAC: reg.MAC, Stranger: true, Name: clampName(reg.HostName, reg.MAC), Power: core.Power{Method: core.PowerAgent, Then: []core.PowerMethod{core.PowerManual}},
	}

	for _, mac := range reg.Aliases[:min(len(reg.Aliases), maxAliases)] {
		parsed, err := core.ParseMAC(string(mac))
		if err != nil || parsed == host.MAC || slices.Contains(host.Aliases, parsed) || c.free(parsed, "") != nil || trashed[parsed] {
			continue // another host's, one that can come back, or no address
		}

		host.Aliases = append(host.Aliases, parsed)
	}

	if err := c.engine.check(&host); err != nil {
		return core.Host{}, err
	}

	if err := c.addHost(&host); err != nil {
		return core.Host{}, err
	}

	return host, c.notice(host.MAC, "", problem.HostKeyNew, host.Name+" registered itself")
}

func tooManyWaiting() error {
	return core.NewProblem(core.ErrConflict, problem.HostTooMany, fmt.Sprintf(
		"%d hosts or host keys wait for approval already; approve, change or delete some first.", maxPendingKeys))
}

// roomForStranger refuses another host that registers itself while too many wait
// for an operator: for a key to be approved, or, of those that need none, for a
// change or a run.
func (c *change) roomForStranger() error {
	if pending, err := c.pendingKeys(""); err != nil || len(pending) >= maxPendingKeys {
		return cmpErr(err, tooManyWaiting)
	}

	strangers := 0

	err := c.Scan(core.TableHost, core.Query{}, func(_ string, decode func(any) error) error {
		var host core.Host
		if err := decode(&host); err != nil {
			return err
		}

		if host.Stranger && host.CurrentRun == "" && host.LastRun == "" {
			strangers++
		}

		return nil
	})
	if err == nil && strangers >= maxStrangers {
		err = tooManyWaiting()
	}

	return err
}

// keepKey records a key that is not known yet, and returns it as it stands.
func (c *change) keepKey(host *core.Host, reg *core.SelfRegistration) (core.HostKey, error) {
	key := core.HostKey{
		ID: core.KeyID(reg.PublicKey), Host: host.MAC, Public: slices.Clone(reg.PublicKey), Fingerprint: core.KeyFingerprint(reg.PublicKey),
		State: core.HostKeyPending, HostName: clip(reg.HostName, maxWord), CreatedAt: c.now,
	}

	var known core.HostKey

	switch err := c.Get(core.TableHostKey, key.ID, &known); {
	case err == nil && known.Host != host.MAC:
		return key, core.NewProblem(core.ErrConflict, problem.HostKeyRefused, "This key belongs to another host; make a new one.")
	case err == nil:
		return known, nil // as it was decided
	case !errors.Is(err, core.ErrNotFound):
		return key, err
	}

	if err := c.roomForKey(host.MAC); err != nil {
		return key, err
	}

	if err := c.Put(core.TableHostKey, key.ID, key); err != nil {
		return key, err
	}

	text := fmt.Sprintf("%s has a new key that waits for approval: %s", host.Name, key.Fingerprint)

	return key, cmpErr(c.notice(host.MAC, "", problem.HostKeyNew, text), func() error { return c.tellHost(host) })
}

// roomForKey forgets the oldest of a host's pending keys when it has too many.
func (c *change) roomForKey(host core.MAC) error {
	all, err := c.pendingKeys("")
	if err != nil {
		return err
	}

	own := slices.DeleteFunc(slices.Clone(all), func(k core.HostKey) bool { return k.Host != host })

	switch {
	case len(own) >= maxHostKeys:
		return c.Delete(core.TableHostKey, own[0].ID)
	case len(all) >= maxPendingKeys:
		return tooManyWaiting()
	default:
		return nil
	}
}

// pendingKeys lists keys that wait for approval, the oldest first; host "" is any.
func (c *change) pendingKeys(host core.MAC) (keys []core.HostKey, err error) {
	keys, err = c.keys(func(k *core.HostKey) bool { return k.State == core.HostKeyPending && (host == "" || k.Host == host) })
	slices.SortFunc(keys, func(a, b core.HostKey) int {
		if order := a.CreatedAt.Compare(b.CreatedAt); order != 0 {
			return order
		}

		return strings.Compare(a.ID, b.ID)
	})

	return keys, err
}

func (c *change) keys(want func(*core.HostKey) bool) (keys []core.HostKey, err error) {
	err = c.Scan(core.TableHostKey, core.Query{}, func(_ string, decode func(any) error) error {
		var key core.HostKey
		if err := decode(&key); err != nil {
			return err
		}

		if want(&key) {
			keys = append(keys, key)
		}

		return nil
	})

	return keys, err
}

// approved reports whether a host has a key that an operator approved.
func (c *change) approved(host core.MAC) (bool, error) {
	keys, err := c.keys(func(k *core.HostKey) bool { return k.Host == host && k.State == core.HostKeyApproved })

	return len(keys) > 0, err
}

// forgetKeys forgets all keys of a host.
func (c *change) forgetKeys(host core.MAC) error {
	keys, err := c.keys(func(k *core.HostKey) bool { return k.Host == host })
	if err != nil {
		return err
	}

	for i := range keys {
		if err := c.Delete(core.TableHostKey, keys[i].ID); err != nil {
			return err
		}
	}

	return nil
}

// HostKey returns a key by its name, for a signature to be checked against.
func (e *Engine) HostKey(ctx context.Context, id string) (core.HostKey, error) {
	var key core.HostKey

	err := e.Ledger.View(ctx, func(r core.Reader) (err error) {
		key, err = readKey(r, id)

		return err
	})

	return key, err
}

func readKey(r core.Reader, id string) (key core.HostKey, err error) {
	err = core.ErrNotFound
	if len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" {
		err = r.Get(core.TableHostKey, id, &key)
	}

	if errors.Is(err, core.ErrNotFound) {
		err = core.NewProblem(core.ErrNotFound, problem.HostKeyUnknown, "No host has registered this key; register the host again.")
	}

	return key, err
}

// ApproveHostKey lets a host be told to reboot with this key; the key that it had
// before is revoked.
func (e *Engine) ApproveHostKey(ctx context.Context, who, id string) (core.HostKey, error) {
	return e.decideKey(ctx, who, id, core.HostKeyApproved, "approved")
}

// RevokeHostKey makes a key worthless.
func (e *Engine) RevokeHostKey(ctx context.Context, who, id string) (core.HostKey, error) {
	return e.decideKey(ctx, who, id, core.HostKeyRevoked, "revoked")
}

func (e *Engine) decideKey(ctx context.Context, who, id string, state core.HostKeyState, did string) (core.HostKey, error) {
	var key core.HostKey

	err := e.write(ctx, func(c *change) (err error) {
		if key, err = readKey(c, id); err != nil {
			return err
		}

		host, err := c.host(key.Host)
		if err != nil {
			return err
		}

		if state == core.HostKeyApproved {
			if err := c.revokeOthers(who, &key); err != nil {
				return err
			}
		}

		before := core.Digest(key)
		key.State, key.DecidedAt, key.DecidedBy = state, c.now, clip(who, maxWord)

		if err := c.Put(core.TableHostKey, id, key); err != nil {
			return err
		}

		if err := c.audit(deed{
			who: who, action: "hostkey." + did, object: "hostkey/" + id, host: key.Host, before: before, after: core.Digest(key),
			text: fmt.Sprintf("%s the key %s of %s", did, key.Fingerprint, host.Name),
		}); err != nil {
			return err
		}

		if state == core.HostKeyApproved && host.Stranger {
			host.Stranger = false

			return c.saveHost(&host)
		}

		return c.tellHost(&host)
	})

	return key, err
}

func (c *change) revokeOthers(who string, key *core.HostKey) error {
	others, err := c.keys(func(k *core.HostKey) bool {
		return k.Host == key.Host && k.ID != key.ID && k.State == core.HostKeyApproved
	})
	if err != nil {
		return err
	}

	for i := range others {
		others[i].State, others[i].DecidedAt, others[i].DecidedBy = core.HostKeyRevoked, c.now, clip(who, maxWord)
		if err := c.Put(core.TableHostKey, others[i].ID, others[i]); err != nil {
			return err
		}
	}

	return nil
}
