package janitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vetting/core"
	"vetting/core/retention"
)

// album is what goes of the photos of one note. The note stays, and says when.
type album struct {
	key   string
	items []Item
}

// seeNotes finds the photos that are too old: those of a note about a run with the run's
// files, the others by the age of the note.
func (f *found) seeNotes(ages *ages, r core.Reader) error {
	return r.Scan(core.TableNote, core.Query{}, func(key string, decode func(any) error) error {
		var n core.Note
		if err := decode(&n); err != nil {
			return err
		}

		due := ages.policy.Photos(n.At)

		if n.Run != "" {
			of, err := ages.of(n.Run)
			if err != nil {
				return err
			}

			due = of.Artifacts
		}

		old := album{key: key}

		for i := range n.Photos {
			switch p := &n.Photos[i]; {
			case !p.GoneAt.IsZero():
			case retention.Past(due, f.now):
				old.items = append(old.items, Item{What: ItemPhoto, Run: n.Run, Name: n.ID, SHA256: p.SHA256, Due: due})
			default:
				f.named[p.SHA256] = true
			}
		}

		if len(old.items) > 0 {
			f.albums = append(f.albums, old)
		}

		return nil
	})
}

// dropPhotos writes down in a note that its photos go; their files go with the last row
// that names them.
func (j *Janitor) dropPhotos(ctx context.Context, old album, now time.Time) error {
	_, err := j.ports.Ledger.Update(ctx, func(tx core.Txn) error {
		var n core.Note

		err := tx.Get(core.TableNote, old.key, &n)
		if errors.Is(err, core.ErrNotFound) {
			return nil // somebody removed it meanwhile
		}

		if err != nil {
			return err
		}

		for i := range n.Photos {
			if old.has(n.Photos[i].SHA256) && n.Photos[i].GoneAt.IsZero() {
				n.Photos[i].GoneAt = now
			}
		}

		return tx.Put(core.TableNote, old.key, n)
	})
	if err != nil {
		return fmt.Errorf("removing the photos of note %s: %w", old.key, err)
	}

	return nil
}

func (a *album) has(sum string) bool {
	for i := range a.items {
		if a.items[i].SHA256 == sum {
			return true
		}
	}

	return false
}
