package engine

import (
	"errors"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// join adds a run to the batch of a name, which is made if there is none; no name: it
// joins none.
func (c *change) join(name string, run core.RunID, who string) error {
	if name == "" {
		return nil
	}

	var batch core.Batch

	err := c.Get(core.TableBatch, name, &batch)

	switch {
	case errors.Is(err, core.ErrNotFound):
		batch = core.Batch{Name: name, CreatedAt: c.now, By: clip(who, maxWord)}
	case err != nil:
		return err
	case len(batch.Runs) >= core.MostBatchRuns:
		return core.NewProblem(core.ErrConflict, problem.RunBadBatch, fmt.Sprintf(
			"The batch %s has %d runs, as many as one may have; give these another name.", name, len(batch.Runs)))
	}

	batch.Runs = append(batch.Runs, run)

	return c.Put(core.TableBatch, name, batch)
}

// batchWords says in the audit trail which batch a run joins.
func batchWords(name string) string {
	if name == "" {
		return ""
	}

	return " in batch " + name
}
