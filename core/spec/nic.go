package spec

import (
	"fmt"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

func (r *Result) nics(want []NIC, got *core.Inventory) {
	var slots []slot

	for i := range want {
		w := &want[i]
		slots = append(slots, expand(fmt.Sprintf("nics[%d]", i), &w.Count, len(got.NICs), slot{
			want: nicWords(w), part: core.Part{Kind: "nic", Model: w.Model.String(), Serial: w.MAC.String()},
			compare: func(i int) []field { return nicFields(w, &got.NICs[i]) },
		})...)
	}

	k := kind{missing: problem.SpecNICMissing, extra: problem.SpecNICExtra, path: "nics", asked: len(want) > 0}
	for i := range got.NICs {
		k.parts = append(k.parts, nicPart(&got.NICs[i]))
	}

	r.pair(k, slots)
}

func nicFields(w *NIC, n *core.NIC) []field {
	mac := Want{Severity: w.MAC.Severity}

	for _, text := range w.MAC.Any {
		if parsed, err := core.ParseMAC(text); err == nil {
			text = string(parsed)
		}

		mac.Any = append(mac.Any, text)
	}

	return []field{
		text("mac", problem.SpecNIC, mac, string(n.MAC), core.Critical),
		text("model", problem.SpecNIC, w.Model, n.Model, core.Critical),
		text("driver", problem.SpecNIC, w.Driver, n.Driver, core.Warning),
		text("firmware", problem.SpecFirmware, w.Firmware, n.Firmware, core.Warning),
		flag("link", problem.SpecNICLink, w.Link, n.Link, core.Critical),
		atLeast("speed_mbps", problem.SpecNICSpeed, w.SpeedMbps, n.SpeedMbps, core.Critical),
		text("fec", problem.SpecNICFEC, w.FEC, n.FEC, core.Critical),
	}
}

func nicPart(n *core.NIC) core.Part {
	return core.Part{Kind: "nic", Slot: n.Name, Model: n.Model, Serial: string(n.MAC)}
}

func nicWords(w *NIC) string {
	words := []string{"a network port"}

	for _, s := range []string{w.Model.String(), w.MAC.String()} {
		if s != "" {
			words = append(words, s)
		}
	}

	if w.SpeedMbps.asked() {
		words = append(words, fmt.Sprintf("at %s Mb/s", w.SpeedMbps.say(numberWords)))
	}

	return strings.Join(words, " ")
}
