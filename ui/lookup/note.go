package lookup

import (
	"errors"
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

// Note finds one of a host, by any of its addresses. Notes about runs stay when their host
// is deleted, so that a host need not be there.
func Note(r core.Reader, mac core.MAC, id string) (core.Note, error) {
	note, err := noteAt(r, mac, id)
	if !errors.Is(err, core.ErrNotFound) {
		return note, err
	}

	host, err := Host(r, mac)
	if err != nil {
		return core.Note{}, err
	}

	return noteAt(r, host.MAC, id)
}

func noteAt(r core.Reader, host core.MAC, id string) (core.Note, error) {
	all, err := Notes(r, host)
	if err != nil {
		return core.Note{}, err
	}

	if i := slices.IndexFunc(all, func(n core.Note) bool { return n.ID == id }); i >= 0 {
		return all[i], nil
	}

	return core.Note{}, core.NewProblem(core.ErrNotFound, problem.NoteNone, "The host has no such note.")
}

// Photo finds a photo of a note; ErrNotFound when there is none, or not any more.
func Photo(r core.Reader, mac core.MAC, id, sum string) (core.Photo, error) {
	note, err := Note(r, mac, id)
	if err != nil {
		return core.Photo{}, err
	}

	if photo, ok := note.Photo(sum); ok {
		return photo, nil
	}

	return core.Photo{}, core.NewProblem(core.ErrNotFound, problem.NoteNone, "There is no such photo; it may have gone for its age.")
}

// NotesOf lists those about a run, the oldest first.
func NotesOf(r core.Reader, run *core.Run) ([]core.Note, error) {
	all, err := Notes(r, run.Host)

	return slices.DeleteFunc(all, func(n core.Note) bool { return n.Run != run.ID }), err
}
