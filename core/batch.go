package core

import (
	"fmt"
	"strings"
	"time"
)

// MostBatchRuns bounds the runs of a batch.
const MostBatchRuns = 2000

// Batch is runs that are looked at together: whoever starts them gives them one name.
// It is kept as long as its runs, for good.
type Batch struct {
	Name      string    `json:"name"` // the key
	CreatedAt time.Time `json:"created_at"`
	By        string    `json:"created_by,omitempty"` // who started the first of its runs
	Runs      []RunID   `json:"runs"`                 // in the order in which they were started
	Told      int       `json:"told,omitempty"`       // of how many of its runs, all over, people were told last
}

// Last is what a batch comes to: of each host the newest of its runs. A start that was
// withdrawn stands for a host only if there is nothing else of it.
type Last struct {
	Runs   []*Run
	Before int // further runs, that do not stand for their hosts

	taken map[MAC]int // the place of a host in Runs
}

// Add takes a run in. They are to come in the order of their starts, the newest first.
func (l *Last) Add(run *Run) {
	if l.taken == nil {
		l.taken = map[MAC]int{}
	}

	at, taken := l.taken[run.Host]

	switch {
	case !taken:
		l.taken[run.Host] = len(l.Runs)
		l.Runs = append(l.Runs, run)

		return
	case l.Runs[at].Withdrawn() && !run.Withdrawn():
		l.Runs[at] = run
	}

	l.Before++
}

// ParseBatch checks the name of a batch, which stands in addresses and names of files:
// 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or a digit.
func ParseBatch(name string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

	if name == "" || len(name) > 64 || strings.Trim(name, letters+".-_") != "" || !strings.Contains(letters, name[:1]) {
		return "", NewProblem(ErrInvalid, "run/bad-batch", fmt.Sprintf(
			"%.80q cannot name a batch: write 1 to 64 letters, digits, dots, hyphens and underscores, the first a letter or a digit.", name))
	}

	return name, nil
}
