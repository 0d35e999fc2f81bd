package problem

import "vetting/core"

// Codes of overlays and of the custom stages in them. The findings of a custom stage
// itself have codes of its own: "custom/NAME-CODE".
const (
	OverlayUnknown    = "overlay/unknown"
	OverlayClash      = "overlay/clash"
	OverlayIncomplete = "overlay/incomplete"

	CustomFailed    = "custom/failed"
	CustomUnheard   = "custom/not-run"
	CustomNoVerdict = "custom/no-verdict"
	CustomCrashed   = "custom/crashed"
	CustomStopped   = "custom/stopped"
	CustomTimeout   = "custom/time-out"
	CustomGarbled   = "custom/bad-output"
)

func overlays() []Entry {
	return []Entry{
		{
			OverlayUnknown, "No such overlay", "A profile, class, host or run names an overlay that the appliance does not have.",
			"Add it with vetting overlay add, or take its name out of the setting Boot.overlays.", core.Warning,
		},
		{
			OverlayClash, "Overlays that do not go together",
			"Two custom stages have one name, or the overlays are too large for the memory of a machine.",
			"Leave one of them out of the setting Boot.overlays.", core.Warning,
		},
		{
			OverlayIncomplete, "An overlay did not arrive as it was sent",
			"A file of the overlay is missing or another one: the machine ran out of memory while it unpacked it, or it was altered on its way. The hardware is not judged.",
			"Look whether the machine has memory enough for the overlay; boot it again.", core.Critical,
		},
		{
			CustomFailed, "A custom stage found a fault", "The operator's own test says that the machine fails, without a finding that says why.",
			"Look at the sub-step and the log for what it saw.", core.Critical,
		},
		{
			CustomUnheard, "A custom stage was not run",
			"An overlay of the run has a custom stage for this stage, and the result does not speak of it. The hardware is not judged.",
			"Boot the host again, so that it has the appliance's own image; look into the log.", core.Critical,
		},
		{
			CustomNoVerdict, "A custom stage ended without a verdict",
			"A custom stage must say in its last line what came of it; an exit status alone proves nothing. The hardware is not judged.",
			"Have the script write a line of the type verdict; see docs/overlays.md.", core.Critical,
		},
		{
			CustomCrashed, "A custom stage broke", "It could not be started, or ended with an exit status other than 0, or by a signal. The hardware is not judged.",
			"Look at the evidence, which has its last words, and mend the script.", core.Critical,
		},
		{
			CustomStopped, "A custom stage was stopped with its stage", "It was killed while it ran, since something else ended the stage. The hardware is not judged by it.",
			"Look at the other findings of the stage, or at who stopped the run.", core.Critical,
		},
		{
			CustomTimeout, "A custom stage took too long", "It was killed when its time was over. The hardware is not judged.",
			"Give it more time in its header (timeout), or find out what it waits for.", core.Critical,
		},
		{
			CustomGarbled, "A custom stage wrote what cannot be read",
			"A line is no JSON, has an unknown type or key, or there were too many. The hardware is not judged.",
			"Mend the line that the evidence names; see docs/overlays.md.", core.Critical,
		},
	}
}
