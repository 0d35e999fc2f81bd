package janitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vetting/core"
	"vetting/core/retention"
	"vetting/store/artifact"
	"vetting/store/runlog"
)

// The kinds of item.
const (
	ItemLog      = "log"
	ItemArtifact = "artifact" // a row; its file goes with the last row that names it
	ItemPhoto    = "photo"    // of a note, which stays; its file goes as that of a row does
	ItemStray    = "stray"    // a file that nothing in the ledger names
	ItemSamples  = "samples"  // raw samples, which rollups take the place of
)

// Item is one thing that goes.
type Item struct {
	What   string     `json:"what"`
	Run    core.RunID `json:"run,omitempty"`
	Name   string     `json:"name,omitempty"`
	SHA256 string     `json:"sha256,omitempty"`
	Bytes  int64      `json:"bytes"` // 0 for a file that another row still names
	Due    time.Time  `json:"due,omitzero"`
}

// Swept is what a sweep removed, or would remove.
type Swept struct {
	Items []Item `json:"items"`
	Bytes int64  `json:"bytes"`
}

func (s *Swept) add(i Item) {
	s.Items = append(s.Items, i)
	s.Bytes += i.Bytes
}

// DryRun lists what Sweep would remove now. It changes nothing.
func (j *Janitor) DryRun(ctx context.Context) (Swept, error) {
	found, err := j.look(ctx)
	if err != nil {
		return Swept{}, err
	}

	var all Swept

	for _, l := range found.logs {
		all.add(l)
	}

	for _, row := range found.rows {
		for _, item := range row.items {
			all.add(item)
		}
	}

	for _, old := range found.albums {
		for _, item := range old.items {
			all.add(item)
		}
	}

	for _, f := range found.unnamed() {
		all.credit(f)
	}

	for _, s := range found.series {
		all.add(s)
	}

	return all, nil
}

// Sweep removes what is due. What could not be removed is in the error, and the
// rest is removed all the same; Swept is what was.
func (j *Janitor) Sweep(ctx context.Context) (Swept, error) {
	found, err := j.look(ctx)
	if err != nil {
		return Swept{}, err
	}

	var (
		all    Swept
		faults []error
	)

	for _, l := range found.logs {
		if err := j.dropLog(ctx, l, found.now); err != nil {
			faults = append(faults, err)

			continue
		}

		all.add(l)
	}

	for _, row := range found.rows {
		if err := j.dropRows(ctx, row, found.now); err != nil {
			faults = append(faults, err)

			continue
		}

		for _, item := range row.items {
			all.add(item)
		}
	}

	for _, old := range found.albums {
		if err := j.dropPhotos(ctx, old, found.now); err != nil {
			faults = append(faults, err)

			continue
		}

		for _, item := range old.items {
			all.add(item)
		}
	}

	for _, s := range found.series {
		if err := j.sumUp(ctx, s.Run, found.step, found.now); err != nil {
			faults = append(faults, err)

			continue
		}

		all.add(s)
	}

	faults = append(faults, j.dropFiles(ctx, &all), j.note(ctx, found.now))

	return all, errors.Join(faults...)
}

// dropLog writes down that a log goes, and then removes it.
func (j *Janitor) dropLog(ctx context.Context, item Item, now time.Time) error {
	_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
		return expire(tx, item.Run, func(e *core.Expiry) { e.LogAt = now })
	})
	if err != nil {
		return fmt.Errorf("writing down that the log of %s goes: %w", item.Run, err)
	}

	if err := j.ports.Logs.Forget(ctx, item.Run); err != nil {
		return fmt.Errorf("removing the log of %s: %w", item.Run, err)
	}

	return nil
}

// dropRows removes the rows of a run's files, and writes it down with them.
func (j *Janitor) dropRows(ctx context.Context, row rows, now time.Time) error {
	_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
		for _, key := range row.keys {
			if err := tx.Delete(core.TableArtifact, key); err != nil {
				return err
			}
		}

		return expire(tx, row.run, func(e *core.Expiry) { e.FilesAt, e.Artifacts = now, e.Artifacts+len(row.keys) })
	})
	if err != nil {
		return fmt.Errorf("removing the files of %s: %w", row.run, err)
	}

	return nil
}

func expire(tx core.Txn, run core.RunID, change func(*core.Expiry)) error {
	var e core.Expiry
	if err := tx.Get(core.TableExpiry, string(run), &e); err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	e.Run = run
	change(&e)

	return tx.Put(core.TableExpiry, string(run), e)
}

// dropFiles removes the files that no row names any more. It looks again, after
// the rows are gone: another run may have left the same content meanwhile.
func (j *Janitor) dropFiles(ctx context.Context, all *Swept) error {
	found, err := j.look(ctx)
	if err != nil {
		return err
	}

	var faults []error

	for _, f := range found.unnamed() {
		gone, err := j.ports.Shelf.Forget(ctx, f.SHA256, found.now.Add(-retention.Strays))
		if err != nil {
			faults = append(faults, err)
		}

		if gone {
			all.credit(f)
		}
	}

	return errors.Join(faults...)
}

// credit adds the bytes of a file to the last row that named it; a file that no
// row named is a stray.
func (s *Swept) credit(f artifact.Kept) {
	for i := range slices.Backward(s.Items) {
		if s.Items[i].SHA256 == f.SHA256 && (s.Items[i].What == ItemArtifact || s.Items[i].What == ItemPhoto) {
			s.Items[i].Bytes = f.Bytes
			s.Bytes += f.Bytes

			return
		}
	}

	s.add(Item{What: ItemStray, SHA256: f.SHA256, Bytes: f.Bytes})
}

// note keeps the time of the sweep, by which a later start judges its clock.
func (j *Janitor) note(ctx context.Context, now time.Time) error {
	_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error { return tx.Put(core.TableSetting, sweptKey, now) })

	return err
}

// found is what a look at disk and ledger shows.
type found struct {
	now    time.Time
	logs   []Item
	rows   []rows
	albums []album
	files  []artifact.Kept // all that lie on the shelf
	named  map[string]bool // by a row that stays

	series []Item        // raw samples
	step   time.Duration // that they are summed up in
}

// rows is what goes of the files of one run.
type rows struct {
	run   core.RunID
	keys  []string
	items []Item
}

// unnamed returns the files that no row that stays names, and that are old
// enough not to be about to get one.
func (f *found) unnamed() []artifact.Kept {
	var all []artifact.Kept

	for _, file := range f.files {
		if !f.named[file.SHA256] && file.Modified.Before(f.now.Add(-retention.Strays)) {
			all = append(all, file)
		}
	}

	return all
}

// look compares disk and ledger. The disk comes first: a file that comes later is
// not seen, and one that was seen has its row in the ledger by then or is young.
func (j *Janitor) look(ctx context.Context) (*found, error) {
	f := &found{now: j.ports.Now(), named: map[string]bool{}}

	logs, err := j.ports.Logs.List(ctx)
	if err != nil {
		return nil, err
	}

	if f.files, err = j.ports.Shelf.List(ctx); err != nil {
		return nil, err
	}

	err = j.ports.Ledger.View(ctx, func(r core.Reader) error {
		ages := ages{reader: r, policy: j.config.Load().Policy, known: map[core.RunID]retention.Due{}}

		return errors.Join(f.seeLogs(&ages, logs), f.seeRows(&ages, r), f.seeNotes(&ages, r), f.seeSamples(&ages, r))
	})
	if err != nil {
		return nil, fmt.Errorf("looking for what is old: %w", err)
	}

	return f, nil
}

func (f *found) seeLogs(ages *ages, logs []runlog.Kept) error {
	for _, l := range logs {
		due, err := ages.of(l.Run)
		if err != nil {
			return err
		}

		if retention.Past(due.Log, f.now) {
			f.logs = append(f.logs, Item{What: ItemLog, Run: l.Run, Bytes: l.Bytes, Due: due.Log})
		}
	}

	return nil
}

// seeRows relies on the order of the keys: those of a run stand together.
func (f *found) seeRows(ages *ages, r core.Reader) error {
	return r.Scan(core.TableArtifact, core.Query{}, func(key string, decode func(any) error) error {
		var a core.Artifact
		if err := decode(&a); err != nil {
			return err
		}

		due, err := ages.of(a.Run)
		if err != nil {
			return err
		}

		if !retention.Past(due.Artifacts, f.now) {
			f.named[a.SHA256] = true

			return nil
		}

		if n := len(f.rows); n == 0 || f.rows[n-1].run != a.Run {
			f.rows = append(f.rows, rows{run: a.Run})
		}

		last := &f.rows[len(f.rows)-1]
		last.keys = append(last.keys, key)
		last.items = append(last.items, Item{What: ItemArtifact, Run: a.Run, Name: a.Name, SHA256: a.SHA256, Due: due.Artifacts})

		return nil
	})
}

// ages remembers when things of a run are due.
type ages struct {
	reader core.Reader
	policy retention.Policy
	known  map[core.RunID]retention.Due
}

// of keeps what belongs to a run that the ledger does not know: nobody can say
// how old it is.
func (a *ages) of(id core.RunID) (retention.Due, error) {
	if due, ok := a.known[id]; ok {
		return due, nil
	}

	var (
		run core.Run
		due retention.Due
	)

	err := a.reader.Get(core.TableRun, string(id), &run)
	if err != nil && !errors.Is(err, core.ErrNotFound) {
		return due, err
	}

	if err == nil {
		due = a.policy.Of(&run)
	}

	a.known[id] = due

	return due, nil
}
