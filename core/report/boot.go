package report

import (
	"fmt"
	"strconv"

	"vetting/core"
)

// PlainHTTP is the note on how the image reached the host, unless the appliance
// knows better.
const PlainHTTP = "Kernel and image came over plain HTTP, which a machine on the same network segment could have altered; " +
	"the agent checked the image's manifest before it started, and from then on spoke TLS pinned to this appliance's key."

// bootIntegrity says how far the booted software can be trusted.
func bootIntegrity(in *Input) string {
	note := in.Appliance.TransportNote
	if note == "" {
		note = PlainHTTP
	}

	if in.Run.Epoch == 0 {
		return "The agent never reported from this host in this run, so nothing is known about what it booted."
	}

	switch in.Run.Agent.ImageID {
	case "":
		note += " The agent did not report which image it runs."
	case in.Appliance.ImageID:
		note += " The image it reports is the one this appliance serves."
	default:
		note += " The image it reports differs from the one this appliance serves now."
	}

	if in.Run.Agent.SecureBoot {
		note += " Secure Boot was on."
	} else {
		note += " Secure Boot was off."
	}

	return note
}

// softwareOf lists what took part, with digests where they are known.
func softwareOf(in *Input) []Digest {
	a, ag := in.Appliance, in.Run.Agent
	list := []Digest{{Name: "vetting appliance", Version: a.Version, SHA256: a.BinarySHA256}}

	if ag.Version != "" {
		version := ag.Version
		if ag.Protocol > 0 {
			version += ", protocol " + strconv.Itoa(ag.Protocol)
		}

		list = append(list, Digest{Name: "vetting agent", Version: version})
	}

	if id := firstOf(ag.ImageID, a.ImageID); id != "" {
		list = append(list, Digest{Name: "boot image manifest", SHA256: id})
	}

	if kernel := firstOf(ag.Kernel, a.KernelVersion); kernel != "" || a.KernelSHA256 != "" {
		list = append(list, Digest{Name: "kernel", Version: kernel, SHA256: a.KernelSHA256})
	}

	if a.InitrdSHA256 != "" {
		list = append(list, Digest{Name: "initramfs", SHA256: a.InitrdSHA256})
	}

	for i := range in.Run.Overlays {
		list = append(list, Digest{Name: "overlay " + in.Run.Overlays[i].Name, SHA256: in.Run.Overlays[i].SHA256})
	}

	return list
}

func scaleNote(scale float64) string {
	if scale == 1 {
		return ""
	}

	text := strconv.FormatFloat(scale, 'g', -1, 64)
	if scale > 1 {
		return fmt.Sprintf("durations were scaled by %s: longer than the profile documents", text)
	}

	return fmt.Sprintf("durations were scaled by %s: shorter than the profile documents, meant for virtual hosts only", text)
}

func firstOf(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}

	return ""
}

// Worst returns the severity that colours the whole report: critical for a fail
// or an error, warning for warnings, empty for a clean pass.
func (r *Report) Worst() core.Severity {
	switch {
	case r.Verdict.Kind == core.Fail || r.Verdict.Kind == core.Error:
		return core.Critical
	case r.Verdict.Warnings > 0:
		return core.Warning
	default:
		return ""
	}
}
