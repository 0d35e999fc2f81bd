package canned

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
)

// BackupName is a backup that there is.
const BackupName = "vetting-20261123T030000Z.backup"

// Backups is ui.Backups: two files, of which one is damaged. Broken has the next one
// break off.
type Backups struct{ Broken bool }

// Kept is of ui.Backups.
func (Backups) Kept(context.Context) (route.BackupList, error) {
	next := Now().Add(6 * time.Hour)

	return route.BackupList{Folder: "/srv/backups", Interval: 86400, Keep: 7, Next: &next, Backups: []route.Backup{
		{Name: BackupName, Made: Now().Add(-10 * time.Hour), Bytes: 48 << 20},
		{Name: "vetting-20261122T030000Z.backup", Made: Now().Add(-34 * time.Hour), Bytes: 47 << 20},
	}}, nil
}

// Make is of ui.Backups.
func (b Backups) Make(ctx context.Context, _ string) (route.BackupProof, error) {
	return b.Verify(ctx, BackupName)
}

// Verify is of ui.Backups.
func (Backups) Verify(_ context.Context, name string) (route.BackupProof, error) {
	switch name {
	case BackupName:
		return route.BackupProof{
			Backup:    route.Backup{Name: name, Made: Now().Add(-10 * time.Hour), Bytes: 48 << 20},
			Appliance: Appliance().ID, Program: Appliance().Version, Commits: 90210, Events: 4711, Files: 312, Content: 131 << 20,
		}, nil
	case "vetting-20261122T030000Z.backup":
		return route.BackupProof{}, core.NewProblem(core.ErrInvalid, "backup/damaged", "The end of the backup is damaged.")
	default:
		return route.BackupProof{}, core.NewProblem(core.ErrNotFound, problem.BackupUnknown, "There is no such backup.")
	}
}

// Open is of ui.Backups.
func (b Backups) Open(ctx context.Context, name, _ string) (io.ReadCloser, error) {
	if _, err := b.Verify(ctx, name); err != nil {
		return nil, err
	}

	return io.NopCloser(strings.NewReader("a kept backup")), nil
}

// Begin is of ui.Backups.
func (b Backups) Begin(keys bool, who string) (func(context.Context, io.Writer) error, error) {
	return func(_ context.Context, w io.Writer) error {
		text := "a backup for " + who
		if keys {
			text += " with keys"
		}

		if _, err := io.WriteString(w, text); err != nil {
			return err
		}

		if b.Broken {
			return errors.New("the disk is gone")
		}

		return nil
	}, nil
}
