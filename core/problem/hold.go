package problem

import "vetting/core"

// Codes of holds, of overrides, and of what ends well.
const (
	HoldOpened     = "hold/opened"
	HoldWrongState = "hold/wrong-state"
	HoldBadHostKey = "hold/bad-host-key"
	HoldBadAddress = "hold/bad-address"
	HoldNotOpen    = "hold/not-open"
	HoldKeyTaken   = "hold/key-taken"
	HoldKeyLost    = "hold/key-lost"
	RunCompleted   = "run/completed"
	BatchCompleted = "run/batch-completed"
	RunNotArmed    = "run/not-armed"
	RunNoOverride  = "run/nothing-to-override"
	RunNoReason    = "run/no-reason"
	RunOverridden  = "run/wipe-overridden"
	RunCondemned   = "run/failed-by-operator"
	RunWithdrawn   = "run/withdrawn"
	RunNotPending  = "run/has-begun"

	RunNotConfirmed = "run/not-confirmed"

	WaiverNoReason  = "waiver/no-reason"
	WaiverBadTime   = "waiver/bad-time"
	WaiverNoFinding = "waiver/no-finding"
	WaiverTwice     = "waiver/twice"
	WaiverNone      = "waiver/none"

	HoldBadLight = "hold/bad-light"
	HoldSilent   = "hold/agent-silent"

	UndoOver = "undo/over"
)

func holds() []Entry {
	return []Entry{
		{
			HoldOpened, "Host is held", "The run failed, and its host stays on for you to look inside.",
			"Take the key on the run's page and look; release the host when you are done.", core.Critical,
		},
		{HoldWrongState, "Host is not held", "Only a host whose run has failed is held.", "Look at the run's page for what is possible now.", core.Warning},
		{
			HoldBadHostKey, "Host key makes no sense", "The agent named a host key that cannot be read.",
			"Boot the host again with this appliance's image.", core.Warning,
		},
		{
			HoldBadAddress, "Hold at another address", "The agent named an address that is not its own.",
			"Look for a relay between host and appliance; there should be none.", core.Critical,
		},
		{
			HoldNotOpen, "SSH server is not up", "The host's agent has not said that its SSH server listens.",
			"Wait for the next heartbeat; if none comes, look at the machine's screen.", core.Warning,
		},
		{
			HoldBadLight, "Light makes no sense", "A light is that of one disk, by its serial, or of one network port, by its name, for at most ten minutes.",
			"Take serial or name from the inventory of the run.", core.Warning,
		},
		{
			HoldSilent, "Agent is not heard", "What is asked of a held host comes to it with the answer to its heartbeat.",
			"Wait for the next heartbeat; if none comes, look at the machine's screen.", core.Warning,
		},
		{
			HoldKeyTaken, "Key was handed out", "The key of a hold is shown once and kept nowhere.",
			"Use the copy that was taken, or the web terminal; issuing a new key makes the one that was taken worthless.", core.Warning,
		},
		{
			HoldKeyLost, "Key cannot be made any more", "The appliance's own secret is another than when the hold was opened.",
			"Issue a new key.", core.Warning,
		},
	}
}

// decisions lists the codes of what people decide of a run: its start, an override, its end.
func decisions() []Entry {
	return []Entry{
		{RunCompleted, "Run passed", "Every stage passed or was skipped for a declared reason.", "Put the host to use.", core.Info},
		{
			RunNotArmed, "Disk is not armed", "Only a disk that was armed when the run was started may be overwritten.",
			"Start a new run and arm the disk.", core.Warning,
		},
		{
			RunNoReason, "No reason was given", "Whoever lets data be overwritten, or ends a run as failed, says why; the report keeps it.",
			"Say in a few words why.", core.Warning,
		},
		{
			RunOverridden, "Wipe probe was overridden", "An operator let Storage overwrite disks on which the probe had found data.",
			"Nothing, if you know of it; the evidence names who and why.", core.Info,
		},
		{
			RunCondemned, "Ended as failed by an operator", "Whoever looked into the held host ended its run as failed.",
			"Repair or replace the host; the evidence names who ended the run and why.", core.Critical,
		},
		{
			RunWithdrawn, "The start was withdrawn", "A run that may overwrite disks begins after ten seconds, in which its start can be withdrawn.",
			"Nothing; start another run when the host is to be vetted.", core.Info,
		},
		{
			RunNotConfirmed, "The machine was not named", "Whoever starts a run that overwrites disks types the end of the machine's serial number.",
			"Look at the machine, and type what stands on it.", core.Warning,
		},
		{
			RunNotPending, "The run has begun", "A start can be withdrawn within the ten seconds before the run begins.",
			"Cancel the run.", core.Warning,
		},
		{
			RunNoOverride, "Nothing to override", "Only a run that is held because of its Storage stage has a probe to pass over.",
			"Look at the run's page for why it failed.", core.Warning,
		},
	}
}

// waivers lists the codes of findings that somebody bears with.
func waivers() []Entry {
	return []Entry{
		{
			WaiverNoReason, "No reason was given", "Whoever bears with a finding says why; every report that has it keeps the reason.",
			"Say in a few words why it is borne with.", core.Warning,
		},
		{
			WaiverBadTime, "A waiver that ends at no good time", "A waiver has an end, so that nobody forgets it.",
			"Give a day between now and a year from now.", core.Warning,
		},
		{
			WaiverNoFinding, "No such finding to waive", "A waiver names one critical or warning finding of a run that is held.",
			"Look at the findings of the run; each has an id.", core.Warning,
		},
		{
			WaiverTwice, "The finding is waived already", "One waiver of a finding counts at a time, so that it is clear who bears with it.",
			"Withdraw the waiver that there is, then give another.", core.Warning,
		},
		{
			UndoOver, "It cannot be taken back any more", "What was just done can be taken back for a short while, once, where nobody has changed it since.",
			"Change it where it stands.", core.Warning,
		},
		{
			WaiverNone, "No such waiver", "It may have been withdrawn or have run out.",
			"Look at the waivers of the host.", core.Warning,
		},
	}
}
