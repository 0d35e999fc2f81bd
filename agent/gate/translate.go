package gate

import (
	"errors"
	"net/http"
	"strings"

	"vetting/agent/wire"
	"vetting/core"
)

// each translates every element of a list; an absent list stays absent.
func each[From, To any](list []From, translate func(From) To) []To {
	if list == nil {
		return nil
	}

	out := make([]To, len(list))
	for i := range list {
		out[i] = translate(list[i])
	}

	return out
}

func asTooLarge(err error) (*http.MaxBytesError, bool) {
	return errors.AsType[*http.MaxBytesError](err)
}

func claimReply(r core.ClaimReply) wire.ClaimReply {
	return wire.ClaimReply{
		SessionToken: r.SessionToken, Epoch: r.Epoch, State: wire.State(r.State),
		Profile: r.Profile.Name, Scale: r.Profile.Scale, Config: r.Profile.Config,
		Stages: each(r.Stages, func(n core.StageName) wire.Stage {
			return wire.Stage{Name: wire.StageName(n), Config: settings(r.Profile.Config, n)}
		}),
		ExpectedDisks: each(r.Disks, func(d core.ExpectedDisk) wire.ExpectedDisk {
			return wire.ExpectedDisk{Serial: d.Serial, WWN: d.WWN, Model: d.Model, SizeBytes: d.SizeBytes, Armed: d.Armed, Known: d.Known}
		}),
		HeartbeatIntervalS: wire.InSeconds(r.HeartbeatInterval),
		OverrideFlags:      r.Overrides,
		OverrideUntil:      wire.At(r.OverrideUntil),
		HostName:           r.HostName,
		Overlays: each(r.Overlays, func(o core.Overlay) wire.Overlay {
			return wire.Overlay{Name: o.Name, Manifest: o.Manifest, Scripts: each(o.Scripts, func(s core.Script) wire.Script {
				return wire.Script{Name: s.Name, File: s.File, Stage: wire.StageName(s.Stage), TimeoutS: wire.InSeconds(s.Timeout)}
			})}
		}),
	}
}

// settings are those of one stage, by their own names.
func settings(all map[string]string, of core.StageName) map[string]string {
	own := map[string]string{}

	for key, value := range all {
		if name, found := strings.CutPrefix(key, string(of)+"."); found {
			own[name] = value
		}
	}

	return own
}

func breach(e core.Evaluation) wire.Breach {
	return wire.Breach{
		Rule: e.Rule, Key: e.Key, Value: wire.Measured(e.Value), Limit: e.Limit,
		Verdict: wire.Verdict(e.Verdict), Severity: wire.Severity(e.Severity),
	}
}

func sample(s wire.Sample) core.Sample {
	return core.Sample{
		Time: s.Time.Time, Key: s.Key, Value: wire.Value(s.Value),
		Unit: text(s.Unit, wire.MaxName), Stage: core.StageName(s.Stage),
	}
}

func result(r wire.Result) core.Result {
	return core.Result{
		Seq: r.Seq, Stage: core.StageName(r.Stage), Verdict: core.Verdict(r.Verdict),
		SkipReason: prose(r.SkipReason, wire.MaxText), Coverage: prose(r.Coverage, wire.MaxText),
		Findings: each(r.Findings, finding), SubSteps: each(r.SubSteps, subStep),
		Measurements: each(r.Measurements, sample),
		Inventory:    inventory(r.Inventory), Firmware: each(r.Firmware, firmware),
		Settings: each(r.Settings, setting),
	}
}

func finding(f wire.Finding) core.Finding {
	return core.Finding{
		Code: text(f.Code, wire.MaxName), Severity: core.Severity(f.Severity), Title: text(f.Title, wire.MaxText),
		Stage: core.StageName(f.Stage), Part: part(f.Part),
		Evidence: prose(f.Evidence, wire.MaxText), Next: prose(f.Next, wire.MaxText),
	}
}

func part(p wire.Part) core.Part {
	return core.Part{Kind: name(p.Kind), Slot: name(p.Slot), Model: name(p.Model), Serial: name(p.Serial)}
}

func meter(m wire.Meter) core.Meter {
	return core.Meter{
		Part: part(m.Part), Step: name(m.Step), Done: m.Done, Rate: m.Rate, LeftLow: m.LeftLowS.Duration(), LeftHigh: m.LeftHighS.Duration(),
		Errors: m.Errors, Over: m.Over,
		Walks: each(m.Walks, func(w wire.Walk) core.Walk { return core.Walk{Name: name(w.Name), Pass: w.Pass, Done: w.Done} }),
	}
}

func subStep(s wire.SubStep) core.SubStep {
	return core.SubStep{
		Name: name(s.Name), Part: part(s.Part), Verdict: core.Verdict(s.Verdict),
		Summary: prose(s.Summary, wire.MaxText), Progress: s.Progress,
	}
}

func setting(s wire.FirmwareSetting) core.FirmwareSetting {
	return core.FirmwareSetting{Part: part(s.Part), Group: name(s.Group), Name: name(s.Name), Value: name(s.Value)}
}

func firmware(f wire.FirmwareItem) core.FirmwareItem {
	return core.FirmwareItem{Part: part(f.Part), Name: name(f.Name), Version: name(f.Version), Date: name(f.Date)}
}

// name makes a short string of the machine fit to be shown.
func name(s string) string { return strings.TrimSpace(text(s, wire.MaxName)) }
