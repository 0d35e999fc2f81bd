package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// maxAliases bounds the further NICs of a host, maxSpec the bytes of its spec.
const (
	maxAliases = 64
	maxSpec    = 64 << 10
	maxTags    = 64
	maxTag     = 64
)

// host reads a host by any of its MACs.
func (c *change) host(mac core.MAC) (host core.Host, err error) {
	if parsed, bad := core.ParseMAC(string(mac)); bad != nil || parsed != mac {
		return host, noHost(mac)
	}

	err = c.Get(core.TableHost, string(mac), &host)
	if errors.Is(err, core.ErrNotFound) {
		var primary core.MAC
		if err = c.Get(core.TableAlias, string(mac), &primary); err == nil {
			err = c.Get(core.TableHost, string(primary), &host)
		}
	}

	if errors.Is(err, core.ErrNotFound) {
		return host, noHost(mac)
	}

	return host, err
}

func noHost(mac core.MAC) error {
	return core.NewProblem(core.ErrNotFound, problem.HostNotFound,
		fmt.Sprintf("There is no host %.40q; register it first.", string(mac)))
}

func (c *change) saveHost(host *core.Host) error {
	host.UpdatedAt = c.now

	if err := c.Put(core.TableHost, string(host.MAC), host); err != nil {
		return err
	}

	c.touch(host.MAC)

	return c.tellHost(host)
}

func (c *change) tellHost(host *core.Host) error {
	return c.emit(core.EventHost, host.MAC, "", core.HostChange{Name: host.Name, Quarantine: host.Quarantine})
}

// RegisterHost records a new host; ErrConflict when one of its MACs is taken.
func (e *Engine) RegisterHost(ctx context.Context, who string, host core.Host) (core.Host, error) {
	return e.register(ctx, who, host, false)
}

// AdoptHost records a machine that was heard on the test network and is not
// registered; ErrNotFound when it was never heard.
func (e *Engine) AdoptHost(ctx context.Context, who string, host core.Host) (core.Host, error) {
	return e.register(ctx, who, host, true)
}

func (e *Engine) register(ctx context.Context, who string, host core.Host, adopt bool) (core.Host, error) {
	fresh, err := e.freshHost(&host)
	if err != nil {
		return core.Host{}, err
	}

	err = e.write(ctx, func(c *change) error {
		did := "registered "

		if adopt {
			did = "adopted "

			if err := c.sighted(fresh.MAC); err != nil {
				return err
			}
		}

		if err := c.addHost(&fresh); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "host.register", host: fresh.MAC, after: core.Digest(fresh), text: did + fresh.Name,
		})
	})
	if err != nil {
		return core.Host{}, err
	}

	return fresh, nil
}

// sighted refuses to adopt what was never seen.
func (c *change) sighted(mac core.MAC) error {
	var s core.Sighting

	err := c.Get(core.TableSighting, string(mac), &s)
	if errors.Is(err, core.ErrNotFound) {
		return core.NewProblem(core.ErrNotFound, problem.HostNotSeen,
			fmt.Sprintf("No machine with the address %s was heard on the test network; register it by hand.", mac))
	}

	return err
}

// freshHost returns a new host as it is recorded, checked.
func (e *Engine) freshHost(host *core.Host) (core.Host, error) {
	fresh := core.Host{MAC: host.MAC}
	fresh = edited(&fresh, host)

	if fresh.Power.Method == "" {
		fresh.Power.Method = core.PowerManual
	}

	return fresh, e.check(&fresh)
}

// edited returns the host with all that people may change of it taken from
// another.
func edited(host, from *core.Host) core.Host {
	h := *host
	h.Aliases, h.Tags = slices.Clone(from.Aliases), slices.Clone(from.Tags)
	h.Name, h.AssetTag, h.Rack, h.Class, h.Notes = from.Name, from.AssetTag, from.Rack, from.Class, from.Notes
	h.Loader, h.BootURL, h.Home = from.Loader, from.BootURL, from.Home
	h.SpecYAML, h.Overrides = from.SpecYAML, from.Overrides
	h.Power = from.Power
	h.Power.Then = slices.Clone(from.Power.Then)
	h.Power.BMC.PasswordSet, h.Power.Webhook.SecretSet = host.Power.BMC.PasswordSet, host.Power.Webhook.SecretSet

	return h
}

// addHost records a host that is not there yet. One that was deleted and had the
// same address is gone for good then.
func (c *change) addHost(fresh *core.Host) error {
	fresh.CreatedAt = c.now

	for _, mac := range macsOf(fresh) {
		if err := c.free(mac, ""); err != nil {
			return err
		}
	}

	if err := c.moveAliases(fresh.MAC, nil, fresh.Aliases); err != nil {
		return err
	}

	if err := c.Delete(core.TableSighting, string(fresh.MAC)); err != nil {
		return err
	}

	if err := c.purge(fresh.MAC); err != nil {
		return err
	}

	if err := c.checkPower(fresh); err != nil {
		return err
	}

	return c.saveHost(fresh)
}

// UpdateHost applies change to the host and records it; MAC, identity,
// quarantine and run fields stay as they are. A secret is forgotten when what it
// was given for changes. The change must be a plain function of its argument, and so must only,
// which refuses the host as it is on record in the same write.
func (e *Engine) UpdateHost(ctx context.Context, who string, mac core.MAC, edit func(*core.Host), only ...func(*core.Host) error) (core.Host, error) {
	var host core.Host

	err := e.write(ctx, func(c *change) error {
		old, err := c.host(mac)
		if err != nil {
			return err
		}

		if err := holds(&old, only); err != nil {
			return err
		}

		host = edited(&old, &old)
		edit(&host)
		host = edited(&old, &host)
		host.Stranger = false // an operator knows of it

		if err := e.check(&host); err != nil {
			return err
		}

		forgotten, err := c.forgetSecrets(&old, &host)
		if err != nil {
			return err
		}

		if err := c.checkPower(&host); err != nil {
			return err
		}

		if err := c.moveAliases(host.MAC, old.Aliases, host.Aliases); err != nil {
			return err
		}

		if err := c.saveHost(&host); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "host.update", host: host.MAC, text: "changed " + host.Name + forgotten,
			before: core.Digest(old), after: core.Digest(host),
		})
	})
	if err != nil {
		return core.Host{}, err
	}

	e.panels.forgive(host.MAC)

	return host, nil
}

// holds reports what speaks against a change of a record as it is; nil: nothing does.
func holds[T any](record *T, only []func(*T) error) error {
	for _, check := range only {
		if err := check(record); err != nil {
			return err
		}
	}

	return nil
}

// forgetSecrets forgets a secret of the host that was given for another address,
// user or certificate than the host has now: whoever may edit a host must not be
// able to have its password sent to a server of their own. It returns what the
// audit trail shall say of that.
func (c *change) forgetSecrets(old, host *core.Host) (said string, err error) {
	was, now := &old.Power, &host.Power

	if was.BMC.PasswordSet && (was.BMC.Address != now.BMC.Address || was.BMC.User != now.BMC.User ||
		was.BMC.Pin != now.BMC.Pin || was.BMC.Insecure != now.BMC.Insecure) {
		now.BMC.PasswordSet = false
		said += "; the controller's password must be given again"
	}

	if was.Webhook.SecretSet && was.Webhook.URL != now.Webhook.URL {
		now.Webhook.SecretSet = false
		said += "; the webhook's secret must be given again"
	}

	if said == "" {
		return "", nil
	}

	var secret core.HostSecret

	if err := c.Get(core.TableHostSecret, string(host.MAC), &secret); err != nil && !errors.Is(err, core.ErrNotFound) {
		return "", err
	}

	if !now.BMC.PasswordSet {
		secret.BMCPassword = ""
	}

	if !now.Webhook.SecretSet {
		secret.WebhookSecret = ""
	}

	return said, c.Put(core.TableHostSecret, string(host.MAC), secret)
}

// SetHostSecret keeps what a host's controller and webhook want to hear; an empty
// field forgets it. Nobody is ever shown it again.
func (e *Engine) SetHostSecret(ctx context.Context, who string, mac core.MAC, secret core.HostSecret) (core.Host, error) {
	if len(secret.BMCPassword) > maxWord || len(secret.WebhookSecret) > maxWord {
		return core.Host{}, core.NewProblem(core.ErrInvalid, problem.HostInvalid,
			fmt.Sprintf("A password or secret can have %d bytes at most.", maxWord))
	}

	var host core.Host

	err := e.write(ctx, func(c *change) (err error) {
		if host, err = c.host(mac); err != nil {
			return err
		}

		if err := c.engine.checkPower(&host, secret); err != nil {
			return err
		}

		host.Power.BMC.PasswordSet, host.Power.Webhook.SecretSet = secret.BMCPassword != "", secret.WebhookSecret != ""

		if err := c.Put(core.TableHostSecret, string(host.MAC), secret); err != nil {
			return err
		}

		if err := c.audit(deed{
			who: who, action: "host.secret", host: host.MAC, text: "set the power secrets of " + host.Name,
		}); err != nil {
			return err
		}

		return c.saveHost(&host)
	})
	if err != nil {
		return core.Host{}, err
	}

	e.panels.forgive(host.MAC)

	return host, nil
}

// SetSpec checks and records the expected spec; empty text takes it away. It
// counts from the next run on.
func (e *Engine) SetSpec(ctx context.Context, who string, mac core.MAC, yaml string) (core.Host, error) {
	return e.UpdateHost(ctx, who, mac, func(host *core.Host) { host.SpecYAML = yaml })
}

// ClearQuarantine lets a host be vetted again. It also forgets the identity on
// record: whoever lifts a quarantine has looked at the machine, and the next
// claim records what it is now.
func (e *Engine) ClearQuarantine(ctx context.Context, who string, mac core.MAC) (core.Host, error) {
	var host core.Host

	err := e.write(ctx, func(c *change) (err error) {
		if host, err = c.host(mac); err != nil {
			return err
		}

		if host.Quarantine == "" {
			return core.NewProblem(core.ErrConflict, problem.HostInvalid, host.Name+" is not in quarantine; there is nothing to lift.")
		}

		text := fmt.Sprintf("lifted the quarantine of %s (%s); its next boot records its identity anew", host.Name, host.Quarantine)
		before := core.Digest(host)
		host.Quarantine, host.Identity = "", core.Identity{}

		if err := c.audit(deed{
			who: who, action: "host.clear-quarantine", host: host.MAC, text: text, before: before, after: core.Digest(host),
		}); err != nil {
			return err
		}

		return c.saveHost(&host)
	})
	if err != nil {
		return core.Host{}, err
	}

	return host, nil
}

func macsOf(host *core.Host) []core.MAC {
	return append([]core.MAC{host.MAC}, host.Aliases...)
}

// free refuses a MAC that belongs to another host than owner.
func (c *change) free(mac, owner core.MAC) error {
	holder, err := c.host(mac)
	if errors.Is(err, core.ErrNotFound) || err == nil && holder.MAC == owner {
		return nil
	}

	if err != nil {
		return err
	}

	return core.NewProblem(core.ErrConflict, problem.HostTaken, fmt.Sprintf(
		"The address %s belongs to %s; take it from that host first.", mac, holder.Name)).With("host", string(holder.MAC))
}

// moveAliases makes the alias table say what a host's aliases are now.
func (c *change) moveAliases(owner core.MAC, old, now []core.MAC) error {
	for _, mac := range old {
		if slices.Contains(now, mac) {
			continue
		}

		if err := c.Delete(core.TableAlias, string(mac)); err != nil {
			return err
		}
	}

	for _, mac := range now {
		if err := c.free(mac, owner); err != nil {
			return err
		}

		if err := c.Put(core.TableAlias, string(mac), owner); err != nil {
			return err
		}

		if err := c.Delete(core.TableSighting, string(mac)); err != nil {
			return err
		}
	}

	return nil
}
