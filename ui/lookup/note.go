package lookup

import (
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

// Notes lists those of a host and its runs, the oldest first.
func Notes(r core.Reader, host core.MAC) (list []core.Note, err error) {
	err = r.Scan(core.TableNote, core.Query{Prefix: core.NoteKey(host, "")}, func(_ string, decode func(any) error) error {
		var n core.Note

		if err := decode(&n); err != nil {
			return err
		}

		list = append(list, n)

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the notes of %s: %w", host, err)
	}

	return list, nil
}

// Photo finds a photo of a note; ErrNotFound when there is none, or not any more.
func Photo(r core.Reader, host core.MAC, id, sum string) (core.Photo, error) {
	all, err := Notes(r, host)
	if err != nil {
		return core.Photo{}, err
	}

	for i := range all {
		if photo, ok := all[i].Photo(sum); ok && all[i].ID == id {
			return photo, nil
		}
	}

	return core.Photo{}, core.NewProblem(core.ErrNotFound, problem.NoteNone, "There is no such photo; it may have gone for its age.")
}

// HasNote returns ErrNotFound when a host has no such note.
func HasNote(r core.Reader, host core.MAC, id string) error {
	all, err := Notes(r, host)
	if err != nil || slices.ContainsFunc(all, func(n core.Note) bool { return n.ID == id }) {
		return err
	}

	return core.NewProblem(core.ErrNotFound, problem.NoteNone, "The host has no such note.")
}

// NotesOf lists those about a run, the oldest first.
func NotesOf(r core.Reader, run *core.Run) ([]core.Note, error) {
	all, err := Notes(r, run.Host)

	return slices.DeleteFunc(all, func(n core.Note) bool { return n.Run != run.ID }), err
}
