package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/store"
	"vetting/store/backup"
)

// Names of backups that the appliance puts somewhere by itself.
const (
	backupPrefix = "vetting-"
	backupSuffix = ".backup"
	backupTime   = "20060102T150405Z"
	backupHalf   = ".part" // behind the name of one that is being written
)

// longestSending bounds how long a backup of the moment is sent. All that time the ledger
// keeps what is old for it.
const longestSending = 4 * time.Hour

// keepBackups makes backups as the configuration says, until ctx ends.
func (a *appliance) keepBackups(ctx context.Context) error {
	plan := a.config.Backup
	if plan.Dir == "" {
		return nil
	}

	a.removeHalves(plan.Dir)

	for {
		due := time.Until(nextBackup(plan, backupsIn(plan.Dir)))

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(due, 0)):
		}

		a.saving.Lock()
		name, err := a.backUpTo(ctx, plan, time.Now())
		a.saving.Unlock()

		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}

		if err == nil {
			a.log.Info("backup made", slog.String("file", name))
			a.warnings.settle("backup")

			continue
		}

		a.log.Error("no backup was made", slog.String("error", err.Error()))
		a.warnings.warn("backup", core.Critical, "The backup that was due could not be made: "+firstLine(err.Error())+". It is tried again in an hour.")

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
	}
}

// removeHalves removes what is left of backups that were being written when an appliance
// was killed.
func (a *appliance) removeHalves(dir string) {
	a.saving.Lock()
	defer a.saving.Unlock()

	halves, err := filepath.Glob(filepath.Join(dir, backupPrefix+"*"+backupSuffix+backupHalf))
	if err != nil {
		return // of the pattern
	}

	for _, half := range halves {
		if _, own := madeAt(strings.TrimSuffix(half, backupHalf)); !own {
			continue
		}

		if err := os.Remove(half); err != nil {
			a.log.Warn("half a backup stays", slog.String("file", half), slog.String("error", err.Error()))
		}
	}
}

// madeAt is when the appliance made a backup by itself, by its name; ok is false for any
// other file, such as a backup that a person put there.
func madeAt(path string) (at time.Time, ok bool) {
	name, prefixed := strings.CutPrefix(filepath.Base(path), backupPrefix)
	name, suffixed := strings.CutSuffix(name, backupSuffix)

	at, err := time.Parse(backupTime, name)

	return at, prefixed && suffixed && err == nil
}

// backupsIn lists the backups in a folder that the appliance made by itself, the oldest
// first. Those of people are theirs.
func backupsIn(dir string) []string {
	names, err := filepath.Glob(filepath.Join(dir, backupPrefix+"*"+backupSuffix))
	if err != nil {
		return nil
	}

	names = slices.DeleteFunc(names, func(name string) bool {
		_, ok := madeAt(name)

		return !ok
	})
	slices.Sort(names)

	return names
}

// nextBackup is when the next one is due. One of the future, from a clock that was ahead,
// says nothing.
func nextBackup(plan BackupConfig, have []string) time.Time {
	for _, name := range slices.Backward(have) {
		if at, ok := madeAt(name); ok && !at.After(time.Now()) {
			return at.Add(time.Duration(plan.Interval))
		}
	}

	return time.Time{}
}

// backUpTo makes the backup that is due.
func (a *appliance) backUpTo(ctx context.Context, plan BackupConfig, now time.Time) (string, error) {
	path, _, err := a.backUp(ctx, plan, now, "appliance")

	return path, err
}

// backUp makes a backup in the plan's folder, reads it again, and only then removes
// those that are too many. One at a time; see saving.
func (a *appliance) backUp(ctx context.Context, plan BackupConfig, now time.Time, who string) (path string, s backup.Summary, err error) {
	path = filepath.Join(plan.Dir, backupPrefix+now.UTC().Format(backupTime)+backupSuffix)

	s, err = keepBackup(ctx, path, func(w io.Writer) error {
		return a.writeBackup(ctx, w, plan.Keys, who)
	})
	if err != nil {
		return "", s, err
	}

	// The one that was just made stays, whatever the clock said when others were. Those of
	// the future were made before it, by a clock that was ahead, and would never grow old.
	others := slices.DeleteFunc(backupsIn(plan.Dir), func(name string) bool { return name == path })
	slices.SortStableFunc(others, func(x, y string) int { return cmp.Compare(rank(x, now), rank(y, now)) })

	for _, old := range others[:max(0, len(others)+1-plan.Keep)] {
		err = errors.Join(err, os.Remove(old))
	}

	return path, s, err
}

// rank is 0 for a backup of the future, which goes before the others, and else 1.
func rank(name string, now time.Time) int {
	if at, _ := madeAt(name); at.After(now) {
		return 0
	}

	return 1
}

// keepBackup writes a file by write, reads it again from the beginning to the end, and
// gives it its name only then. Only its owner may read it.
func keepBackup(ctx context.Context, path string, write func(io.Writer) error) (s backup.Summary, err error) {
	half := path + backupHalf

	file, err := os.OpenFile(half, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return s, fmt.Errorf("making the backup: %w", err)
	}

	err = write(file)
	if err == nil {
		err = file.Sync()
	}

	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}

	if err == nil {
		s, err = backup.Verify(ctx, file)
	}

	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(half, path)
	}

	if err != nil {
		return s, errors.Join(err, os.Remove(half))
	}

	return s, nil
}

// vault makes backups for people who ask over the console (ui.Backups). What it returns
// ends when the appliance does.
type vault struct{ *appliance }

// alone reserves the disk (saving) for one backup that a person asked for, or for the one
// that was due, or the network (sending) for one that is taken away; give it back by done.
func alone(lock *sync.Mutex) (done func(), err error) {
	if !lock.TryLock() {
		return nil, core.NewProblem(core.ErrConflict, problem.BackupUnderWay, "A backup is written or read at the moment; try again once it is done.")
	}

	return lock.Unlock, nil
}

// Kept lists the backups in the folder.
func (v vault) Kept(context.Context) (route.BackupList, error) {
	plan := v.config.Backup
	list := route.BackupList{
		Folder: plan.Dir, Interval: int64(time.Duration(plan.Interval) / time.Second), Keep: plan.Keep, Keys: plan.Keys, Backups: []route.Backup{},
	}

	if plan.Dir == "" {
		return list, nil
	}

	have := backupsIn(plan.Dir)

	next := nextBackup(plan, have)
	if now := time.Now(); next.Before(now) {
		next = now
	}

	next = next.UTC()
	list.Next = &next

	for _, path := range slices.Backward(have) {
		if b, err := fileOf(path); err == nil {
			list.Backups = append(list.Backups, b) // others have gone meanwhile
		}
	}

	return list, nil
}

// fileOf says of a backup what can be said without reading it.
func fileOf(path string) (route.Backup, error) {
	at, err := os.Stat(path)
	if err != nil {
		return route.Backup{}, fmt.Errorf("looking at the backup: %w", err)
	}

	made, _ := madeAt(path)

	return route.Backup{Name: filepath.Base(path), Made: made, Bytes: at.Size()}, nil
}

// find returns the path of a backup that the appliance made. A name is looked for among
// those that there are, so that it leads nowhere else.
func (v vault) find(name string) (string, error) {
	if v.config.Backup.Dir != "" {
		for _, path := range backupsIn(v.config.Backup.Dir) {
			if filepath.Base(path) == name {
				return path, nil
			}
		}
	}

	return "", core.NewProblem(core.ErrNotFound, problem.BackupUnknown, "There is no such backup in the folder for them.")
}

// Make makes a backup in the folder now.
func (v vault) Make(ctx context.Context, who string) (route.BackupProof, error) {
	if v.config.Backup.Dir == "" {
		return route.BackupProof{}, core.NewProblem(core.ErrConflict, problem.BackupNoFolder,
			"The configuration names no folder for backups: set backup.dir and restart, or download a backup of this moment.")
	}

	done, err := alone(&v.saving)
	if err != nil {
		return route.BackupProof{}, err
	}

	defer done()

	path, s, err := v.backUp(ctx, v.config.Backup, time.Now(), who)
	if err != nil {
		return route.BackupProof{}, err
	}

	v.log.Info("backup made", slog.String("file", path), slog.String("for", who))
	v.warnings.settle("backup")

	return proof(path, &s)
}

func proof(path string, s *backup.Summary) (route.BackupProof, error) {
	file, err := fileOf(path)

	return route.BackupProof{
		Backup: file, Appliance: s.Appliance, Program: s.Program, Keys: s.Keys,
		Commits: s.Ledger.Commits, Events: s.Ledger.Events, Files: s.Files, Content: s.Bytes,
	}, err
}

// Verify reads a backup in the folder to its end.
func (v vault) Verify(ctx context.Context, name string) (route.BackupProof, error) {
	path, err := v.find(name)
	if err != nil {
		return route.BackupProof{}, err
	}

	done, err := alone(&v.saving)
	if err != nil {
		return route.BackupProof{}, err
	}

	defer done()

	file, err := os.Open(path) //nolint:gosec // found among those that there are
	if err != nil {
		return route.BackupProof{}, fmt.Errorf("opening the backup: %w", err)
	}

	s, err := backup.Verify(ctx, file)
	err = errors.Join(err, file.Close())

	if p, known := errors.AsType[*core.Problem](err); known && errors.Is(err, store.ErrDamaged) {
		// Of the file that was asked for, not of the appliance.
		err = core.NewProblem(core.ErrInvalid, p.Code, p.Message)
	}

	if err != nil {
		return route.BackupProof{}, err
	}

	return proof(path, &s)
}

// Open opens a backup in the folder for somebody who takes it away.
func (v vault) Open(ctx context.Context, name, who string) (io.ReadCloser, error) {
	path, err := v.find(name)
	if err != nil {
		return nil, err
	}

	file, err := os.Open(path) //nolint:gosec // found among those that there are
	if errors.Is(err, fs.ErrNotExist) {
		return nil, core.NewProblem(core.ErrNotFound, problem.BackupUnknown, "The backup has just made room for a newer one.")
	}

	if err != nil {
		return nil, fmt.Errorf("opening the backup: %w", err)
	}

	_, err = v.store.Update(ctx, func(txn core.Txn) error {
		return core.WriteAudit(txn, core.Audit{Time: time.Now(), Who: who, Action: "backup.download", Object: "backup/" + name, Text: "downloaded the backup " + name})
	})
	if err != nil && !errors.Is(err, core.ErrFull) { // see writeBackup
		return nil, errors.Join(err, file.Close())
	}

	return file, nil
}

// Begin returns what writes a backup of this moment. However slowly it is taken, those
// that are due are made meanwhile.
func (v vault) Begin(keys bool, who string) (func(context.Context, io.Writer) error, error) {
	done, err := alone(&v.sending)
	if err != nil {
		return nil, err
	}

	return func(ctx context.Context, w io.Writer) error {
		defer done()

		ctx, cancel := context.WithTimeout(ctx, longestSending)
		defer cancel()

		return v.writeBackup(ctx, w, keys, who)
	}, nil
}
