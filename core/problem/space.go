package problem

import "vetting/core"

// Codes of the space on the appliance's disk.
const (
	StoreSheddingSamples = "store/shedding-samples"
	StoreKeepingSamples  = "store/keeping-samples"
)

func spaces() []Entry {
	return []Entry{
		{
			StoreSheddingSamples, "Raw samples are not kept for want of space",
			"The appliance's disk is nearly full. Verdicts are judged of all samples, but only those that a verdict depends on are stored, so charts have holes.",
			"Free space on the appliance's disk, or give it a larger one.", core.Warning,
		},
		{
			StoreKeepingSamples, "Raw samples are kept again", "There is room on the appliance's disk again.",
			"Nothing is to be done; runs of the time between say on their reports what was not kept.", core.Info,
		},
	}
}
