package canned

import (
	"context"
	"io"

	"vetting/core"
)

// Commands is ui.Commands as a struct of funcs: what is nil answers as if it had
// been done.
type Commands struct {
	OnRegister func(core.Host) (core.Host, error)
	OnUpdate   func(mac core.MAC, change func(*core.Host)) (core.Host, error)
	OnDelete   func(core.MAC) error
	OnSpec     func(mac core.MAC, yaml string) (core.Host, error)
	OnTrust    func(core.MAC) (core.Host, error)
	OnUndelete func(core.MAC) (core.Host, error)
	OnSecret   func(core.MAC, core.HostSecret)
	OnStart    func(core.MAC, core.StartRun) (core.Run, error)
	OnImport   func(rows []core.ImportRow, dry bool) ([]core.Imported, error)
	OnClass    func(class core.Class, only []func(*core.Class) error) (core.Class, error)
	OnPower    func(core.MAC, core.PowerOp) (core.PowerState, error)
	OnLook     func(core.MAC) (core.Panel, error)
	OnSerial   func(mac core.MAC, takeOver bool) (io.ReadWriteCloser, error)
	OnLight    func(core.MAC, core.LightWish) (core.Light, error)
	OnKey      func(word, id string) (core.HostKey, error)
	OnBaseline func(text string) (core.FirmwareBaseline, error)
	Baseline   *core.FirmwareBaseline // that is on record; nil: a new one is held against none
	OnRun      func(order string, run core.RunID) (core.Run, error)
	Who        *string        // set to whoever asked last
	More       []core.Profile // beside those of every scene
}

func (c *Commands) asked(who string) {
	if c.Who != nil {
		*c.Who = who
	}
}

// RegisterHost is of ui.Commands.
func (c *Commands) RegisterHost(_ context.Context, who string, host core.Host) (core.Host, error) {
	c.asked(who)

	if c.OnRegister == nil {
		return host, nil
	}

	return c.OnRegister(host)
}

// UpdateHost is of ui.Commands.
func (c *Commands) UpdateHost(_ context.Context, who string, mac core.MAC, change func(*core.Host), only ...func(*core.Host) error) (core.Host, error) {
	c.asked(who)

	if c.OnUpdate == nil {
		host := core.Host{MAC: mac}
		change(&host)

		if c.OnSpec != nil && host.SpecYAML != "" {
			return c.OnSpec(mac, host.SpecYAML)
		}

		return host, nil
	}

	var refused error

	host, err := c.OnUpdate(mac, func(h *core.Host) {
		if refused = Against(h, only); refused == nil {
			change(h)
		}
	})
	if refused != nil {
		return core.Host{}, refused
	}

	return host, err
}

// Against is what the checks of a write have against a record; nil: nothing.
func Against[T any](record *T, only []func(*T) error) error {
	for _, check := range only {
		if err := check(record); err != nil {
			return err
		}
	}

	return nil
}

// DeleteHost is of ui.Commands.
func (c *Commands) DeleteHost(_ context.Context, who string, mac core.MAC) error {
	c.asked(who)

	if c.OnDelete == nil {
		return nil
	}

	return c.OnDelete(mac)
}

// ClearQuarantine is of ui.Commands.
func (c *Commands) ClearQuarantine(_ context.Context, who string, mac core.MAC) (core.Host, error) {
	c.asked(who)

	if c.OnTrust == nil {
		return core.Host{MAC: mac}, nil
	}

	return c.OnTrust(mac)
}

// StartRun is of ui.Commands.
func (c *Commands) StartRun(_ context.Context, mac core.MAC, wish core.StartRun) (core.Run, error) {
	c.asked(wish.Who)

	if c.OnStart == nil {
		return core.Run{ID: Run, Host: mac, Profile: core.Profile{Name: wish.Profile, Scale: wish.Scale}, Armed: wish.Armed}, nil
	}

	return c.OnStart(mac, wish)
}

// TryRun is of ui.Commands.
func (c *Commands) TryRun(ctx context.Context, mac core.MAC, wish core.StartRun) error {
	_, err := c.StartRun(ctx, mac, wish)

	return err
}

// CancelRun is of ui.Commands.
func (c *Commands) CancelRun(_ context.Context, who string, run core.RunID) (core.Run, error) {
	return c.order(who, "cancel", run)
}

// ReleaseRun is of ui.Commands.
func (c *Commands) ReleaseRun(_ context.Context, who string, run core.RunID) (core.Run, error) {
	return c.order(who, "release", run)
}

// RetryStage is of ui.Commands.
func (c *Commands) RetryStage(_ context.Context, who string, run core.RunID) (core.Run, error) {
	return c.order(who, "retry", run)
}

func (c *Commands) order(who, word string, run core.RunID) (core.Run, error) {
	c.asked(who)

	if c.OnRun == nil {
		return core.Run{ID: run}, nil
	}

	return c.OnRun(word, run)
}

// Profiles is of ui.Commands.
func (c *Commands) Profiles() []core.Profile { return append(Profiles(), c.More...) }
