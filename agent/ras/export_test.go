package ras

import "vetting/core"

// Judge makes findings of what grew between two snapshots.
func Judge(before, after Snapshot, stage core.StageName, used bool) (found []core.Finding) {
	grown := after.steady(before).Since(before)
	for i := range grown {
		if f, ok := grown[i].judge(stage, used); ok {
			found = append(found, f)
		}
	}

	return append(found, narrowed(before, after, stage, false)...)
}

// Steady takes back that a counter fell for a question of our own.
func (s Snapshot) Steady(before Snapshot) Snapshot { return s.steady(before) }

// JudgeSEL makes a finding of a record of the BMC's log.
func JudgeSEL(raw []byte, used bool) (core.Finding, bool) {
	e, ok := ParseSEL(raw)
	if !ok {
		return core.Finding{}, false
	}

	return e.judge(core.Memory, used)
}

// SplitRecords parts the records of a copy of the kernel's log.
func SplitRecords(raw []byte) [][]byte { return splitRecords(raw) }
