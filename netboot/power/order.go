package power

import (
	"context"
	"errors"
	"fmt"

	"vetting/core"
)

// Switch carries the engine's orders out (engine.Power), one way at a time. Safe
// for concurrent use.
type Switch struct{ Tools Tools }

// Do carries one order out and returns every attempt it took; settings that
// cannot work are one attempt that failed. It never takes longer than a few
// times Tools.Timeout.
func (s Switch) Do(ctx context.Context, order core.PowerOrder) core.PowerAnswer {
	way, err := New(TargetOf(order), s.Tools)
	if err != nil {
		return core.PowerAnswer{State: core.PowerUnknown, Attempts: []core.PowerAttempt{
			{Way: order.Way, Action: string(order.Op), Code: Failed.Code(), Detail: err.Error()},
		}}
	}

	var (
		all   []Attempt
		state State
	)

	switch order.Op {
	case core.PowerLook, core.PowerLocate, core.PowerLocateOff:
		return s.look(ctx, way, order.Op)
	case core.PowerBoot:
		all = boot(ctx, way)
	case core.PowerOn:
		all = []Attempt{try(ctx, way, "on", way.On)}
	case core.PowerOff:
		all = []Attempt{try(ctx, way, "off", way.Off)}
	case core.PowerCycle:
		all = []Attempt{try(ctx, way, "cycle", way.Cycle)}
	default:
		all = []Attempt{try(ctx, way, "state", func(ctx context.Context) (err error) {
			state, err = way.State(ctx)

			return err
		})}
	}

	return answer(all, state)
}

// look asks a controller what it tells, or for its light.
func (s Switch) look(ctx context.Context, way Way, op core.PowerOp) core.PowerAnswer {
	var panel *core.Panel

	near, able := way.(bounded)
	one := try(ctx, way, string(op), func(ctx context.Context) error {
		if !able {
			return outcome(Unsupported, "")
		}

		if op != core.PowerLook {
			return near.locate(ctx, op == core.PowerLocate)
		}

		found, err := near.look(ctx)
		if err == nil {
			panel = &found
		}

		return err
	})

	told := answer([]Attempt{one}, Unknown)
	told.Panel = panel

	return told
}

func answer(all []Attempt, state State) core.PowerAnswer {
	a := core.PowerAnswer{State: core.PowerUnknown}

	if state != Unknown {
		a.State = core.PowerState(state)
	}

	for _, one := range all {
		a.Attempts = append(a.Attempts, core.PowerAttempt{
			Way: core.PowerMethod(one.Method), Action: one.Action, Address: one.Address, Code: one.Code, Detail: one.Detail, Took: one.Took,
		})
	}

	return a
}

// TargetOf returns where an order goes. A way that this room does not have (an
// installed agent) gives a target that Validate refuses.
func TargetOf(order core.PowerOrder) Target {
	h := &order.Host

	return Target{
		Method: Method(order.Way), Host: h.Name, MACs: append([]core.MAC{h.MAC}, h.Aliases[:min(len(h.Aliases), maxMACs-1)]...),
		Address: h.Power.BMC.Address, User: h.Power.BMC.User, Password: Secret(order.Secret.BMCPassword),
		Pin: h.Power.BMC.Pin, Insecure: h.Power.BMC.Insecure, System: h.Power.BMC.System,
		URL: h.Power.Webhook.URL, Secret: Secret(order.Secret.WebhookSecret),
	}
}

// CheckHost names what is wrong with the power settings of a host, joined, each
// fault with its way and field; secrets that the host lacks as yet are no fault.
// nil: they can work.
func CheckHost(host core.Host, secret core.HostSecret) error {
	var faults []error

	for _, method := range host.Power.Ways() {
		if method == core.PowerAgent {
			continue
		}

		target := TargetOf(core.PowerOrder{Host: host, Secret: secret, Way: method})
		check := target.Validate

		if method == core.PowerWebhook && secret.WebhookSecret == "" {
			check = target.checkSettings
		}

		if err := check(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", method, err))
		}
	}

	return errors.Join(faults...)
}
