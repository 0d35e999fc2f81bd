package store

import (
	"errors"
	"fmt"
	"strings"

	"vetting/core"
)

// ErrDamaged is the kind of every Problem that says: what is on the disk is not
// what was written there.
var ErrDamaged = errors.New("the ledger is damaged")

func closedProblem() *core.Problem {
	return core.NewProblem(core.ErrConflict, "store/closed", "The ledger is closed because the appliance is stopping. Try again once it runs.")
}

func damaged(format string, args ...any) *core.Problem {
	return core.NewProblem(ErrDamaged, "store/damaged",
		fmt.Sprintf(format, args...)+whatToDo)
}

// whatToDo is said of every damage of an appliance's own ledger.
const whatToDo = " Copy the directory away and restore the newest backup."

// Damage says what is damaged, in words, without what to do where the ledger is an
// appliance's own.
func Damage(err error) string {
	text := err.Error()
	if p, ok := errors.AsType[*core.Problem](err); ok {
		text = p.Message
	}

	return strings.TrimSuffix(text, whatToDo)
}

func lockedProblem(dir, pid string) *core.Problem {
	return core.NewProblem(core.ErrConflict, "store/locked", fmt.Sprintf(
		"Another process%s uses the directory %s. Stop it, or give this one a directory of its own.", pid, dir)).With("dir", dir)
}

func newerSchema(dir string, has, knows uint16) *core.Problem {
	return core.NewProblem(core.ErrConflict, "store/newer-schema", fmt.Sprintf(
		"The ledger in %s was written by a newer vetting (schema %d; this program knows up to %d). Run that version, or restore a backup made with this one.",
		dir, has, knows)).With("schema", has)
}

func lostProblem(dir string, stood, found mark) *core.Problem {
	return core.NewProblem(ErrDamaged, "store/writes-lost", fmt.Sprintf(
		"The ledger in %s ends at commit %d (event %d), but commit %d (event %d) was acknowledged: the end of its log is damaged. "+
			"Restore the newest backup, or accept the loss of the last %d commits to go on with what is there.",
		dir, found.commit, found.seq, stood.commit, stood.seq, stood.commit-found.commit)).
		With("lost_commits", stood.commit-found.commit)
}

func fullProblem(dir string, space Space, reserve int64) *core.Problem {
	return core.NewProblem(core.ErrFull, "store/full", fmt.Sprintf(
		"The disk under %s has %d MiB left and the ledger needs %d MiB to stay safe. Free some space; nothing was written and nothing is lost.",
		dir, space.Free>>20, reserve>>20)).With("free_bytes", space.Free)
}
