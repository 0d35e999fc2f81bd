package view

import (
	"slices"
	"strconv"
	"strings"

	"vetting/core"
)

// presenceWord is what the tile of a host adds about its installed system.
func (h *HostRow) presenceWord() string {
	if h.Presence != nil && h.Presence.Online {
		return "online"
	}

	return "offline"
}

// usesAgent reports whether a host may be rebooted by its installed agent.
func usesAgent(h *core.Host) bool { return slices.Contains(h.Power.Ways(), core.PowerAgent) }

// switchable reports whether the appliance can switch the host itself.
func switchable(h *core.Host) bool {
	return slices.ContainsFunc(h.Power.Ways(), core.PowerMethod.Remote)
}

// wakeable reports whether the appliance can at least wake it.
func wakeable(h *core.Host) bool {
	return switchable(h) || slices.Contains(h.Power.Ways(), core.PowerWoL)
}

// working reports whether a run may not be disturbed by switching the host.
func (h *Host) working() bool {
	run := h.Row.Run
	if run == nil || run.State.Over() {
		return false
	}

	return !slices.Contains([]core.State{core.StateRegistered, core.StateQueued, core.StateFailedHolding}, run.State)
}

// morePower reports whether a host has more than one plain way to be switched.
func morePower(h *core.Host) bool {
	p := &h.Power

	return p.BMC.Address != "" || p.Webhook.URL != "" || len(p.Then) > 0
}

// thenWays are the further ways as the form shows them, with room for another.
func thenWays(h *core.Host) []core.PowerMethod {
	ways := append(slices.Clone(h.Power.Then), "")
	for len(ways) < 2 {
		ways = append(ways, "")
	}

	return ways[:min(len(ways), len(core.PowerMethods())-1)]
}

func thenLabel(i int) string {
	if i == 0 {
		return "When that does not work"
	}

	return "And then, as number " + strconv.Itoa(i+2)
}

// ways writes how a host is switched, in order.
func ways(h *core.Host) string {
	words := make([]string, 0, len(h.Power.Ways()))
	for _, m := range h.Power.Ways() {
		words = append(words, powerWord(m))
	}

	return strings.Join(words, ", then ")
}
