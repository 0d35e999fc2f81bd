package engine

import (
	"strings"
	"sync"

	"vetting/core"
	"vetting/core/threshold"
)

// judges watch the samples of runs as they come, to stop a stage in time. They
// are a convenience: what counts in the end is judged anew from the ledger.
type judges struct {
	mu    sync.Mutex // guards byRun
	byRun map[core.RunID]*runJudge
}

// runJudge watches one run.
type runJudge struct {
	mu    sync.Mutex // guards the rest, and keeps the batches of a run in a row
	at    standing
	judge *threshold.Judge // nil: has seen nothing yet
	next  uint64           // above every batch that judge has taken in as it came
	shaky bool             // a batch that it had taken in was not kept: be careful with the next
}

// maxJudges bounds what is remembered; any of them can be made anew.
const maxJudges = 1024

func newJudges() *judges { return &judges{byRun: map[core.RunID]*runJudge{}} }

func (j *judges) of(run core.RunID) *runJudge {
	j.mu.Lock()
	defer j.mu.Unlock()

	found := j.byRun[run]
	if found == nil {
		if len(j.byRun) >= maxJudges {
			clear(j.byRun)
		}

		found = &runJudge{}
		j.byRun[run] = found
	}

	return found
}

// partOf reads the part out of a sample key: disk/sda/temperature_celsius.
func partOf(key string) core.Part {
	kind, rest, _ := strings.Cut(key, "/")
	slot, _, _ := strings.Cut(rest, "/")

	return core.Part{Kind: kind, Slot: slot}
}
