package problem

import (
	"slices"

	"vetting/core"
)

// Codes of the life of a run.
const (
	RunNotFound          = "run/not-found"
	ReportImport         = "report/not-taken-over"
	ReportStranger       = "report/unknown-key"
	RunWrongState        = "run/wrong-state"
	RunNothingToRetry    = "run/nothing-to-retry"
	RunOver              = "run/over"
	RunOldEpoch          = "run/old-epoch"
	RunBadToken          = "run/bad-token"
	RunSeqReused         = "run/seq-reused"
	RunBadResult         = "run/bad-result"
	RunBadWish           = "run/bad-wish"
	RunBadBatch          = "run/bad-batch"
	RunNoBatch           = "run/no-batch"
	RunBadVerdict        = "run/bad-verdict"
	RunBadMove           = "run/bad-move"
	RunNotQueued         = "run/not-queued"
	RunTooLarge          = "run/too-large"
	RunTooManyFiles      = "run/too-many-files"
	RunLostContact       = "run/lost-contact"
	RunOtherStage        = "run/other-stage"
	RunNoProgress        = "run/no-progress"
	RunStageUnmeasurable = "run/stage-unmeasurable"
	RunNothingTested     = "run/nothing-tested"
	StageNoReason        = "stage/skip-without-reason"
	StageSkipRefused     = "stage/skip-refused"
	StageNoInventory     = "stage/no-inventory"
	StagePassRefused     = "stage/pass-refused"
	StageErrorUnsaid     = "stage/error-unexplained"
	StageTrimmed         = "stage/result-trimmed"
	StageStopped         = "stage/stopped"
	ThresholdBreach      = "threshold/breach"
	ThresholdNoMetric    = "threshold/no-metric"
	ThresholdBadRule     = "threshold/bad-rule"
	ThresholdUnknownKey  = "threshold/unknown-key"
	ProfileInvalid       = "profile/invalid"
	ProfileUnknown       = "profile/unknown"
	ProfileTaken         = "profile/name-taken"
	ProfileChanged       = "profile/changed-meanwhile"
	ProfileUsed          = "profile/in-use"
)

func runs() []Entry {
	return slices.Concat(runCalls(), profileCalls(), runEnds(), stageEnds())
}

func runCalls() []Entry {
	return []Entry{
		{
			ReportImport, "The report was not taken over", "A report that is brought from another appliance must be whole, of a run that is over, and of a run that is not here.",
			"Take the file report.json as the other appliance has written it last.", core.Warning,
		},
		{
			ReportStranger, "The report is signed with an unknown key", "Whoever signs a report vouches for it, and of this key none was taken over yet.",
			"Compare the key with what vetting report keys shows on the other appliance; where it is the same, say vetting import --trust.", core.Warning,
		},
		{RunNotFound, "No such run", "No run has this number.", "Look the run up in the list of runs.", core.Warning},
		{
			RunWrongState, "Not possible in this state", "The run is in a state that does not allow this.",
			"Look at the run's page: it shows the state and what is possible now.", core.Warning,
		},
		{
			RunNothingToRetry, "No stage to run again", "The run failed outside its stages, so there is none to run again.",
			"Release the run and start a new one.", core.Warning,
		},
		{RunOver, "Run is over", "The run has ended and its tokens are dead.", "Start a new run.", core.Info},
		{
			RunOldEpoch, "An older boot is talking", "The host was booted again since this agent claimed the run; the older boot may do nothing more.",
			"Nothing, if you restarted the host; otherwise look for a second machine with this address.", core.Warning,
		},
		{
			RunBadToken, "Token refused", "The token does not belong to this run.",
			"Boot the host from the network again, so that it gets a fresh one.", core.Warning,
		},
		{
			RunSeqReused, "Number used twice", "The agent sent another result under a number it had used.",
			"Restart the agent; if it happens again, report a bug with the run's log.", core.Warning,
		},
		{
			RunBadResult, "Result makes no sense", "The agent's message has a field outside its limits.",
			"See the message for the field; agent and appliance may be of different versions.", core.Warning,
		},
		{RunBadBatch, "Batch cannot be used", "The name of a batch stands in addresses and names of files, and a batch has a largest size.", "Give it another name.", core.Warning},
		{RunNoBatch, "No such batch", "No batch has this name; one comes into being with the first run that is started in it.", "Look it up in the list of batches.", core.Warning},
		{RunBadVerdict, "No such verdict", "A run ends with pass, fail or error, or it is cancelled.", "Ask for one of these.", core.Warning},
		{RunBadMove, "No such place in the queue", "A run is moved to the first or last place, up, down, or before another run that waits.", "Name one of these places.", core.Warning},
		{RunNotQueued, "Run waits no more", "Only runs that wait for their turn have a place in the queue.", "Look at the queue again: the run may have got its turn.", core.Warning},
		{RunBadWish, "Run cannot be started like this", "Profile, scale or armed disks make no sense.", "Correct the field named in the message.", core.Warning},
		{
			RunTooLarge, "More than a run can hold", "What the host sent is larger than the record of a run may be.",
			"Look at the log for what it sent; a machine with so many parts is not supported.", core.Warning,
		},
		{RunTooManyFiles, "Too many files", "The agent may leave only so many files with a run.", "Look at the files that are there.", core.Warning},
	}
}

// profileCalls are of what is asked of profiles.
func profileCalls() []Entry {
	return []Entry{
		{ProfileInvalid, "Profile makes no sense", "A profile has a stage, rule or setting that cannot work.", "Correct the field named in the message.", core.Critical},
		{ProfileUnknown, "No such profile", "No profile has this name.", "Choose one of the profiles listed.", core.Warning},
		{
			ProfileTaken, "The name is taken", "Profiles that are shipped and those of the configuration file are not changed in the console.",
			"Save a copy under another name, or change the file.", core.Warning,
		},
		{
			ProfileChanged, "Changed meanwhile", "Somebody has saved another version of the profile since it was opened.",
			"Look at the version that there is now, and save yours again.", core.Warning,
		},
		{
			ProfileUsed, "The profile is in use", "A run that is not over has the profile, or another profile extends it.",
			"Wait for the run or cancel it; let the other profile extend another one.", core.Warning,
		},
	}
}

func runEnds() []Entry {
	return []Entry{
		{BatchCompleted, "Batch completed", "The last run of a batch is over.", "Look at the page of the batch; hosts that did not pass are named there.", core.Info},
		{
			RunLostContact, "Contact lost", "The agent was not heard for too long; whether the machine hung or the network failed cannot be told from here.",
			"Look at the machine's screen; if it hangs, power it off and on, then run the stage again.", core.Critical,
		},
		{
			RunOtherStage, "The agent is not in the stage of its run", "The agent was heard, but for too long it named another stage than the one it was to run, or none.",
			"Look at the run's log for why it did not begin; restart the host if it hangs, then run the stage again.", core.Critical,
		},
		{
			RunNoProgress, "A stage makes no progress", "The agent is heard, but its stage has got no further for six hours. It is not ended for that.",
			"Look at the run's log and at the part named; if nothing moves, cancel the run or restart the host.", core.Warning,
		},
		{
			RunStageUnmeasurable, "A stage could not be measured", "The platform could not tell what the stage asks, so the run cannot pass.",
			"See the stage for what was missing; leave it out of the profile if this machine can never tell.", core.Critical,
		},
		{
			RunNothingTested, "Nothing was tested", "Every stage was skipped, so nothing is known about this machine.",
			"Choose a profile with stages that this machine can run.", core.Critical,
		},
		{
			ThresholdBreach, "Threshold broken", "A value left the limits of the profile.",
			"Compare the value with the limit, then look at cooling, cables and the part named.", core.Critical,
		},
		{
			ThresholdNoMetric, "Required metric missing", "A rule asks for a value that was never measured, so the stage proves nothing.",
			"See whether the part that should tell it is there; run the stage again.", core.Critical,
		},
		{ThresholdBadRule, "Threshold makes no sense", "A rule has a field that cannot work.", "Correct the rule named in the message.", core.Critical},
		{ThresholdUnknownKey, "Unknown sample key", "A rule names a sample key that nothing measures.", "Choose a key of the catalogue.", core.Critical},
	}
}

func stageEnds() []Entry {
	return []Entry{
		{
			StageNoReason, "Skipped without a reason", "A stage may only be skipped for a reason that the report can print.",
			"Run the stage again; if it happens again, report a bug with the run's log.", core.Critical,
		},
		{
			StageSkipRefused, "Skip was refused", "The stage says that it has nothing to test, and the inventory does not bear it out.",
			"Compare the evidence with the inventory and run the stage again; what is not to be tested, declare when starting the run.", core.Critical,
		},
		{
			StageNoInventory, "No inventory came", "InventoryCheck said pass, but brought no inventory.",
			"Run the stage again; if it happens again, report a bug with the run's log.", core.Critical,
		},
		{
			StagePassRefused, "Pass was refused", "The stage said pass, or that there was nothing to say, but a critical finding or a failed part stands against it.",
			"See the other findings of the stage.", core.Critical,
		},
		{
			StageErrorUnsaid, "The test could not be carried out", "The stage broke off and did not say why; the hardware is not judged.",
			"Look at the log of the stage, then run it again.", core.Critical,
		},
		{
			StageTrimmed, "Part of the result was left out", "The stage brought more than the record of a run can hold; the gravest findings were kept.",
			"Look at the run's log and files for the rest.", core.Warning,
		},
		{StageStopped, "Stopped before its end", "The run was called off while the stage worked.", "Start a new run to test this.", core.Info},
	}
}
