package problem

import "vetting/core"

// Codes of the Firmware stage.
const (
	FirmwareBelowMinimum = "firmware/below-minimum"
	FirmwareNotExact     = "firmware/not-exact"
	FirmwareDenied       = "firmware/denied"
	FirmwareOffCohort    = "firmware/off-cohort"
	FirmwareFewPeers     = "firmware/few-peers"
	FirmwareUnordered    = "firmware/unordered"
	FirmwareNotReported  = "firmware/not-reported"
	FirmwareVulnerable   = "firmware/vulnerable"
	FirmwareNoBaseline   = "firmware/no-baseline"
	FirmwareBadBaseline  = "firmware/bad-baseline"
	FirmwareNone         = "firmware/none"

	FirmwareMicrocodeLoaded = "firmware/microcode-loaded"
	FirmwarePending         = "firmware/pending-activation"
	FirmwareMETrouble       = "firmware/me-trouble"
)

// firmwares lists the codes of the Firmware stage: what the agent finds, what the
// appliance makes of it, and what is wrong with a baseline.
func firmwares() []Entry {
	return append(firmwareRules(),
		Entry{
			"firmware/microcode-differs", "The CPUs run different microcode",
			"Cores that run different microcode may behave differently.",
			"Update the BIOS; if the difference stays, the CPUs are of different steppings: fit a matching pair.", core.Critical,
		},
		Entry{
			"firmware/versions-differ", "Identical parts run different firmware",
			"Parts of one model should behave alike.",
			"Bring all of them to the same version.", core.Warning,
		},
		Entry{
			FirmwareMicrocodeLoaded, "Newer microcode than the BIOS has was loaded",
			"Something in the image or an overlay brought microcode, so that the machine was tested with another than its BIOS loads. " +
				"The version that the BIOS loads is listed and judged.",
			"Nothing, where the installed system brings the same microcode; else leave it out of the overlay and vet the machine again.", core.Info,
		},
		Entry{
			FirmwarePending, "A disk takes other firmware at its next reset",
			"An update was written and waits for a reset: what runs now, and was tested, is not what will run.",
			"Switch {part} off and on again, then run the stages again from Firmware on.", core.Warning,
		},
		Entry{
			FirmwareMETrouble, "The management engine is not well",
			"It says itself that it had an error, or that it is in recovery. Power and clocks of the machine depend on it.",
			"Take all power from the machine for a minute; update the BIOS if it stays, then replace the board.", core.Warning,
		},
		Entry{
			"firmware/update-failed", "The last firmware update did not succeed",
			"The firmware tried an update and did not finish it.",
			"Repeat the firmware update of this part.", core.Warning,
		},
	)
}

// firmwareRules lists the codes of what is held against a baseline.
func firmwareRules() []Entry {
	return []Entry{
		{
			FirmwareBelowMinimum, "Firmware is older than the baseline allows",
			"A rule of the baseline names a version that this firmware must not be older than.",
			"Update the firmware of {part}, then run the Firmware stage again.", core.Warning,
		},
		{
			FirmwareNotExact, "Firmware is not the version of the baseline",
			"A rule of the baseline names the versions that this firmware may be, and it is none of them.",
			"Bring the firmware of {part} to a version that the baseline names, then run the Firmware stage again.", core.Warning,
		},
		{
			FirmwareDenied, "Firmware is known to be bad",
			"Its maker has published that this version fails or loses data, or the baseline forbids it.",
			"Do not put {part} to use before its firmware is updated; follow the source that the evidence names.", core.Critical,
		},
		{
			FirmwareOffCohort, "Firmware is not that of other hosts of the model",
			"Most hosts of the model that passed have another version.",
			"Bring the firmware of {part} to the version of the others, or the others to this one.", core.Warning,
		},
		{
			FirmwareFewPeers, "Too few hosts of the model to compare firmware with",
			"A rule of the baseline compares with other hosts of the model that passed, and there are not yet enough.",
			"Nothing; vet more hosts of the model, or set the version by an exact rule.", core.Info,
		},
		{
			FirmwareUnordered, "Firmware versions cannot be put in order",
			"The version found and the minimum of the baseline are written in ways that do not tell which is the older, and no guess is made.",
			"Write the versions that are good into an exact rule, or those that are bad into a deny rule.", core.Warning,
		},
		{
			FirmwareNotReported, "Firmware that the baseline requires is not told",
			"A rule of the baseline is required, and the machine tells of no firmware that it matches, so that nothing was judged.",
			"Check that the part is fitted and answers; if it is not to be there, take required from the rule.", core.Critical,
		},
		{
			FirmwareVulnerable, "CPU is vulnerable where others of the model are not",
			"The kernel is the same on all hosts: microcode or a setting of the BIOS is not as it is on the others.",
			"Update the BIOS and load its defaults; compare the settings with those of another host of the model.", core.Warning,
		},
		{
			FirmwareNoBaseline, "Firmware could not be judged",
			"The baseline or the catalogue that was frozen with the run cannot be read by this version of the appliance.",
			"Set the firmware baseline anew and start another run.", core.Critical,
		},
		{
			FirmwareNone, "Run has no firmware to compare",
			"Only a run that came past its Firmware stage knows the firmware of its host.",
			"Choose another run, or wait for this one.", core.Warning,
		},
		{
			FirmwareBadBaseline, "Firmware baseline cannot be read",
			"The text has a key or a value that makes no sense.",
			"Correct the line that the message names, then set the baseline again; vetting firmware baseline check tries it out.", core.Warning,
		},
	}
}
