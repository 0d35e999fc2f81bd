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
