package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
)

func errNote(sentence string) error {
	return core.NewProblem(core.ErrInvalid, problem.NoteEmpty, sentence)
}

func noNote() error {
	return core.NewProblem(core.ErrNotFound, problem.NoteNone, "The host has no such note.")
}

// AddNote keeps what somebody wrote about a host or one of its runs. The report of a run
// that is held is written anew.
func (e *Engine) AddNote(ctx context.Context, who string, wish core.NoteWish) (core.Note, error) {
	said, err := core.NoteText(wish.Text)
	if err != nil {
		return core.Note{}, err
	}

	if said == "" && len(wish.Photos) == 0 {
		return core.Note{}, errNote("Write a few words, or add a photo.")
	}

	id, err := e.ids.next(e.Clock.Now())
	if err != nil {
		return core.Note{}, err
	}

	note := core.Note{ID: string(id), Run: wish.Run, By: clip(who, maxWord), Text: said, Photos: slices.Clone(wish.Photos)}

	err = e.write(ctx, func(c *change) error {
		host, err := c.host(wish.Host)
		if err != nil {
			return err
		}

		note.Host, note.At = host.MAC, c.now

		if err := c.roomForNote(&note, len(wish.Photos)); err != nil {
			return err
		}

		if err := c.noteRun(&note); err != nil {
			return err
		}

		return c.keepNote(who, &note, "", fmt.Sprintf("wrote a note about %s%s%s", host.Name, ofRun(note.Run), withPhotos(len(note.Photos))))
	})
	if err != nil {
		return core.Note{}, err
	}

	return note, nil
}

// AddPhoto adds a photo, which is stored already, to a note of the same person.
func (e *Engine) AddPhoto(ctx context.Context, who string, host core.MAC, id string, photo core.Photo) (core.Note, error) {
	var note core.Note

	err := e.write(ctx, func(c *change) (err error) {
		if note, err = c.note(host, id); err != nil {
			return err
		}

		if note.By != clip(who, maxWord) {
			return core.NewProblem(core.ErrRefused, problem.NoteOther, "Only who wrote a note adds photos to it; write another.")
		}

		if _, there := note.Photo(photo.SHA256); there {
			return errNothing
		}

		if len(note.Photos) >= core.MaxNotePhotos {
			return tooManyPhotos()
		}

		before := core.Digest(note)
		note.Photos = append(note.Photos, photo)

		return c.keepNote(who, &note, before, "added a photo to a note about "+string(note.Host)+ofRun(note.Run))
	})

	return note, err
}

// RemoveNote forgets a note; its photos go at the next sweep. Who did not write it may not,
// unless others says that they may remove those of others.
func (e *Engine) RemoveNote(ctx context.Context, who string, others bool, host core.MAC, id string) error {
	return e.write(ctx, func(c *change) error {
		note, err := c.note(host, id)
		if err != nil {
			return err
		}

		if note.By != clip(who, maxWord) && !others {
			return core.NewProblem(core.ErrRefused, problem.NoteOther, "This note is of "+note.By+"; they remove it, or an administrator.")
		}

		if err := c.Delete(core.TableNote, core.NoteKey(note.Host, note.ID)); err != nil {
			return err
		}

		if err := c.rewriteNoted(&note); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "note.remove", object: "note/" + id, host: note.Host, run: note.Run, before: core.Digest(note),
			text: fmt.Sprintf("removed a note of %s about %s%s", note.By, note.Host, ofRun(note.Run)),
		})
	})
}

// keepNote writes a note down, with the deed that it is.
func (c *change) keepNote(who string, note *core.Note, before, did string) error {
	if err := c.Put(core.TableNote, core.NoteKey(note.Host, note.ID), note); err != nil {
		return err
	}

	if err := c.rewriteNoted(note); err != nil {
		return err
	}

	return c.audit(deed{who: who, action: "note.write", object: "note/" + note.ID, host: note.Host, run: note.Run, before: before, after: core.Digest(note), text: did})
}

// rewriteNoted writes the report anew that a note stands on, while its run is held.
func (c *change) rewriteNoted(note *core.Note) error {
	if note.Run == "" {
		return nil
	}

	return c.rewriteHeld(note.Host)
}

// note reads one of a host, by any of its addresses. Notes about runs stay when their host
// is deleted, so that a host need not be there.
func (c *change) note(mac core.MAC, id string) (note core.Note, err error) {
	if parsed, bad := core.ParseMAC(string(mac)); bad != nil || parsed != mac {
		return note, noHost(mac)
	}

	if _, ok := decode(core.RunID(id)); !ok {
		return note, noNote()
	}

	if err = c.Get(core.TableNote, core.NoteKey(mac, id), &note); !errors.Is(err, core.ErrNotFound) {
		return note, err
	}

	host, err := c.host(mac)
	if err != nil {
		return note, err
	}

	err = c.Get(core.TableNote, core.NoteKey(host.MAC, id), &note)
	if errors.Is(err, core.ErrNotFound) {
		return note, noNote()
	}

	return note, err
}

// forgetNotes removes what was written about a host itself: it must not be read as being
// about the next one with that address. What was written about its runs stays with them.
func (c *change) forgetNotes(host core.MAC) error {
	all, err := c.notes(host)
	if err != nil {
		return err
	}

	for i := range all {
		if all[i].Run != "" {
			continue
		}

		if err := c.Delete(core.TableNote, core.NoteKey(host, all[i].ID)); err != nil {
			return err
		}
	}

	return nil
}

// notes lists those of a host, the oldest first.
func (c *change) notes(host core.MAC) (list []core.Note, err error) {
	err = c.Scan(core.TableNote, core.Query{Prefix: core.NoteKey(host, "")}, func(_ string, decode func(any) error) error {
		var n core.Note

		if err := decode(&n); err != nil {
			return err
		}

		list = append(list, n)

		return nil
	})

	return list, err
}

// roomForNote refuses what would be too many.
func (c *change) roomForNote(note *core.Note, photos int) error {
	if photos > core.MaxNotePhotos {
		return tooManyPhotos()
	}

	there, err := c.notes(note.Host)
	if err == nil && len(there) >= core.MaxHostNotes {
		err = core.NewProblem(core.ErrConflict, problem.NoteMany, fmt.Sprintf("A host has %d notes at most.", core.MaxHostNotes))
	}

	return err
}

func tooManyPhotos() error {
	return core.NewProblem(core.ErrConflict, problem.NoteMany, fmt.Sprintf("A note has %d photos at most; write another for the next.", core.MaxNotePhotos))
}

// noteRun refuses a run that is not the host's.
func (c *change) noteRun(note *core.Note) error {
	if note.Run == "" {
		return nil
	}

	var run core.Run

	if err := readRun(c, note.Run, &run); err != nil {
		return err
	}

	if run.Host != note.Host {
		return core.NewProblem(core.ErrNotFound, problem.NoteNone, "The run is another host's.")
	}

	return nil
}

func ofRun(run core.RunID) string {
	if run == "" {
		return ""
	}

	return " in run " + string(run)
}

func withPhotos(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return ", with a photo"
	default:
		return fmt.Sprintf(", with %d photos", n)
	}
}
