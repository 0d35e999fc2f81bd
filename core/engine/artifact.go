package engine

import (
	"context"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// maxArtifacts bounds the files of one run.
const maxArtifacts = 256

// Kept announces an artifact that was stored, and returns its record. The same
// file under the same name is recorded once.
func (e *Engine) Kept(ctx context.Context, artifact core.Artifact) (core.Artifact, error) {
	artifact.Name = clip(artifact.Name, maxWord)

	err := e.write(ctx, func(c *change) error {
		var run core.Run
		if err := readRun(c, artifact.Run, &run); err != nil {
			return err
		}

		known, number, err := c.artifactLike(artifact)
		if err != nil {
			return err
		}

		if known != nil {
			artifact = *known

			return errNothing
		}

		if number > maxArtifacts {
			return core.NewProblem(core.ErrConflict, problem.RunTooManyFiles, fmt.Sprintf("A run keeps %d files at most.", maxArtifacts))
		}

		artifact.ID, artifact.Time = fmt.Sprintf("%s/%04d", artifact.Run, number), c.now

		if err := c.Put(core.TableArtifact, artifact.ID, artifact); err != nil {
			return err
		}

		return c.emit(core.EventRun, run.Host, run.ID, core.RunChange{State: run.State, Verdict: run.Verdict, Stale: run.Stale, Artifact: artifact.ID})
	})

	return artifact, err
}

// artifactLike finds the record of the same file, or the next free number.
func (c *change) artifactLike(like core.Artifact) (known *core.Artifact, number int, err error) {
	number = 1

	err = c.Scan(core.TableArtifact, core.Query{Prefix: string(like.Run) + "/"}, func(_ string, decode func(any) error) error {
		var a core.Artifact
		if err := decode(&a); err != nil {
			return err
		}

		if a.SHA256 == like.SHA256 && a.Name == like.Name && a.Stage == like.Stage {
			known = &a
		}

		number++

		return nil
	})

	return known, number, err
}
