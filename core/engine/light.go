package engine

import (
	"context"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// LightPart has a disk or a network port of a held host found by its light, or no more:
// the host's agent is told with its next heartbeat. ErrConflict where the host is not
// held, since a light may disturb what a stage measures.
func (e *Engine) LightPart(ctx context.Context, who string, mac core.MAC, wish core.LightWish) (core.Light, error) {
	light, err := lightOf(&wish)
	if err != nil {
		return light, err
	}

	_, p := e.index.find(mac)

	switch {
	case p == nil:
		return light, noHost(mac)
	case p.run == nil:
		return light, core.NewProblem(core.ErrConflict, problem.HoldWrongState,
			"No run is under way on this host; only the agent of a held host switches lights of its parts. Vet the host: a run that fails holds it.")
	}

	_, err = e.decree(ctx, p.run.id, func(c *change, l *life) (deed, error) {
		if err := lightable(l); err != nil {
			return deed{}, err
		}

		light.Until, light.By = c.now.Add(wish.For), clip(who, maxWord)
		hold := *l.run.Hold
		d := deed{who: who, action: "hold.light"}

		if hold.Light = &light; wish.Off {
			hold.Light, light.Until = nil, c.now
			d.text = fmt.Sprintf("asked for no light of a part of %s any more (run %s)", l.run.HostName, l.run.ID)
		} else {
			d.text = fmt.Sprintf("asked %s to show %s %s by its light for %s (run %s)", l.run.HostName, light.Kind, light.Name, wish.For, l.run.ID)
		}

		l.run.Hold = &hold

		return d, nil
	})

	return light, err
}

// lightOf reads a wish, and completes it.
func lightOf(wish *core.LightWish) (light core.Light, err error) {
	if wish.For == 0 {
		wish.For = core.LightFor
	}

	light = core.Light{Kind: wish.Kind, Name: wish.Name}

	switch {
	case wish.Off:
	case wish.Kind != core.LightDisk && wish.Kind != core.LightNIC, wish.Name == "", wish.Name != clip(wish.Name, maxWord):
		err = core.NewProblem(core.ErrInvalid, problem.HoldBadLight, "Name one disk by its serial, or one network port as the inventory does.")
	case wish.For < time.Second || wish.For > core.LightMost:
		err = core.NewProblem(core.ErrInvalid, problem.HoldBadLight, fmt.Sprintf("A light is on for 1 to %d seconds.", int(core.LightMost.Seconds())))
	}

	return light, err
}

// lightable refuses a run whose agent would not switch a light now.
func lightable(l *life) error {
	switch {
	case l.run.State != core.StateFailedHolding:
		return core.NewProblem(core.ErrConflict, problem.HoldWrongState, fmt.Sprintf(
			"The run is in %s; a light of a disk or port is switched only while the host is held, so that it disturbs no measurement. Wait, or use the light of the machine.",
			l.run.State)).With("state", string(l.run.State))
	case l.run.Stale:
		return core.NewProblem(core.ErrConflict, problem.HoldSilent,
			"The host's agent is not heard, and would not hear of this; wait for its next heartbeat, or look at the machine's screen.")
	default:
		return openDoor(l)
	}
}

// light is the part of a held host that is to be found by its light, or was: the agent puts out
// what is on though its time is over.
func (l *life) light() *core.Light {
	if h := l.run.Hold; l.run.State == core.StateFailedHolding && h != nil {
		return h.Light
	}

	return nil
}
