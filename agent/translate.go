package agent

import (
	"math"
	"slices"
	"time"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/core/catalogue"
)

// each translates every element of a list, limit at most.
func each[From, To any](list []From, limit int, translate func(From) To) []To {
	list = list[:min(len(list), limit)]
	out := make([]To, len(list))

	for i := range list {
		out[i] = translate(list[i])
	}

	return out
}

// name cuts a short string of the machine to what may travel.
func name(s string) string { return cut(s, wire.MaxName) }

// prose cuts a longer one.
func prose(s string) string { return cut(s, wire.MaxText) }

func identity(i core.Identity) wire.Identity {
	return wire.Identity{
		SMBIOSUUID: name(i.SMBIOSUUID), BoardSerial: name(i.BoardSerial),
		MACs: slices.DeleteFunc(each(i.MACs, wire.MaxName, mac), func(m string) bool { return m == "" }),
	}
}

// mac leaves out what is no EUI-48 (InfiniBand ports have 20 bytes).
func mac(m core.MAC) string {
	if !wire.ValidMAC(string(m)) {
		return ""
	}

	return string(m)
}

func expectedDisk(d wire.ExpectedDisk) core.ExpectedDisk {
	return core.ExpectedDisk{Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, Armed: d.Armed, Known: d.Known}
}

func overlayOf(o wire.Overlay) core.Overlay {
	return core.Overlay{Name: o.Name, Manifest: o.Manifest, Scripts: each(o.Scripts, wire.MaxScripts, func(s wire.Script) core.Script {
		return core.Script{Name: s.Name, File: s.File, Stage: core.StageName(s.Stage), Timeout: s.TimeoutS.Duration()}
	})}
}

func sample(s core.Sample) wire.Sample {
	return wire.Sample{
		Time: wire.At(s.Time), Key: s.Key, Value: wire.Measured(s.Value), Unit: name(s.Unit), Stage: wire.StageName(s.Stage),
	}
}

// result translates what a stage said, cut to what may travel. left says how
// much was cut off; it is 0 for every sensible stage.
func result(r core.Result) (out wire.Result, left int) {
	samples := slices.DeleteFunc(slices.Clone(r.Measurements), func(s core.Sample) bool {
		return !wire.ValidKey(s.Key) || catalogue.Check(s.Key, s.Unit) != nil
	})
	left = max(0, len(r.Findings)-wire.MaxFindings) + max(0, len(r.SubSteps)-wire.MaxSubSteps) +
		max(0, len(samples)-wire.MaxMeasurements) + len(r.Measurements) - len(samples)

	return wire.Result{
		Stage: wire.StageName(r.Stage), Verdict: wire.Verdict(r.Verdict),
		SkipReason: prose(r.SkipReason), Coverage: prose(r.Coverage),
		Findings: each(r.Findings, wire.MaxFindings, finding), SubSteps: each(r.SubSteps, wire.MaxSubSteps, subStep),
		Measurements: each(samples, wire.MaxMeasurements, sample),
		Inventory:    inventory(r.Inventory), Firmware: each(r.Firmware, wire.MaxParts, firmware),
		Settings: each(r.Settings, wire.MaxParts, setting),
	}, left
}

func finding(f core.Finding) wire.Finding {
	return wire.Finding{
		Code: name(f.Code), Severity: wire.Severity(f.Severity), Title: prose(f.Title), Stage: wire.StageName(f.Stage),
		Part: part(f.Part), Evidence: prose(f.Evidence), Next: prose(f.Next),
	}
}

func part(p core.Part) wire.Part {
	return wire.Part{Kind: name(p.Kind), Slot: name(p.Slot), Model: name(p.Model), Serial: name(p.Serial)}
}

func subStep(s core.SubStep) wire.SubStep {
	return wire.SubStep{
		Name: name(s.Name), Part: part(s.Part), Verdict: wire.Verdict(s.Verdict),
		Summary: prose(s.Summary), Progress: ratio(s.Progress),
	}
}

// meter keeps all of them together far below what a heartbeat may have.
func meter(m core.Meter) wire.Meter {
	word := func(s string) string { return cut(s, core.MaxMeterWord) }

	return wire.Meter{
		Part: wire.Part{Kind: word(m.Part.Kind), Slot: word(m.Part.Slot), Model: word(m.Part.Model), Serial: word(m.Part.Serial)},
		Step: word(m.Step), Done: ratio(m.Done), Rate: max(0, m.Rate), LeftLowS: atLeastZero(m.LeftLow), LeftHighS: atLeastZero(m.LeftHigh),
		Errors: max(0, m.Errors), Over: m.Over,
		Walks: each(m.Walks, wire.MaxWalks, func(w core.Walk) wire.Walk { return wire.Walk{Name: word(w.Name), Pass: w.Pass, Done: ratio(w.Done)} }),
	}
}

func setting(s core.FirmwareSetting) wire.FirmwareSetting {
	return wire.FirmwareSetting{Part: part(s.Part), Group: name(s.Group), Name: name(s.Name), Value: name(s.Value)}
}

func firmware(f core.FirmwareItem) wire.FirmwareItem {
	return wire.FirmwareItem{Part: part(f.Part), Name: name(f.Name), Version: name(f.Version), Date: name(f.Date)}
}

// ratio forces a part of one into its bounds.
func ratio(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}

	return min(1, max(0, v))
}

// atLeastZero forces a length of time into its bounds.
func atLeastZero(d time.Duration) wire.Seconds { return wire.Bounded(d) }
