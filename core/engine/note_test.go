package engine_test

import (
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/coretest"
)

func (r *rig) audited(action string) (list []core.Audit) {
	r.t.Helper()

	if err := r.ledger.View(r.t.Context(), func(rd core.Reader) error {
		return rd.Scan(core.TableAudit, core.Query{}, func(_ string, decode func(any) error) error {
			var a core.Audit

			err := decode(&a)
			if a.Action == action {
				list = append(list, a)
			}

			return err
		})
	}); err != nil {
		r.t.Fatal(err)
	}

	return list
}

func TestANoteStandsOnTheReportOfAHeldRun(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		r.host(2)
		id := r.finds(pendingOn("HDD0001", "38 sectors"))
		mac := coretest.MAC(1)

		note, err := r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Run: id, Text: " The fan rattles.\r\nBay 5 is dark. ", Photos: []core.Photo{{SHA256: "ab"}}})
		if err != nil || note.Text != "The fan rattles.\nBay 5 is dark." || note.By != "ann" || note.At != r.clock.Now().UTC() || note.Host != mac {
			t.Fatalf("%+v %v", note, err)
		}

		if _, err := r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Text: "about the host alone"}); err != nil {
			t.Fatal(err)
		}

		got := r.reportOf(id).Notes
		if len(got) != 1 || got[0].By != "ann" || got[0].Text != note.Text || len(got[0].Photos) != 1 {
			t.Errorf("on the report: %+v", got)
		}

		if note, err = r.AddPhoto(t.Context(), "ann", mac, note.ID, core.Photo{SHA256: "cd"}); err != nil || len(note.Photos) != 2 || len(r.reportOf(id).Notes[0].Photos) != 2 {
			t.Errorf("a second photo: %+v %v", note, err)
		}

		if note, err = r.AddPhoto(t.Context(), "ann", mac, note.ID, core.Photo{SHA256: "cd"}); err != nil || len(note.Photos) != 2 {
			t.Errorf("the same photo again: %+v %v", note, err)
		}

		for name, err := range map[string]error{
			"somebody else adds a photo":    second(r.AddPhoto(t.Context(), "bob", mac, note.ID, core.Photo{SHA256: "ef"})),
			"somebody else removes it":      r.RemoveNote(t.Context(), "bob", false, mac, note.ID),
			"of another host":               r.RemoveNote(t.Context(), "ann", false, coretest.MAC(2), note.ID),
			"another note":                  r.RemoveNote(t.Context(), "ann", true, mac, "nonsense/../"),
			"a run of another host":         second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: coretest.MAC(2), Run: id, Text: "x"})),
			"no such host":                  second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: coretest.MAC(3), Text: "x"})),
			"no such run":                   second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Run: "nonsense", Text: "x"})),
			"nothing at all":                second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Text: " \n "})),
			"too much":                      second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Text: strings.Repeat("x", core.MaxNote+1)})),
			"what steers a terminal":        second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Text: "a\x1b[2Jb"})),
			"more photos than a note takes": second(r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Photos: make([]core.Photo, core.MaxNotePhotos+1)})),
		} {
			want := map[string]string{
				"somebody else adds a photo": "note/not-yours", "somebody else removes it": "note/not-yours", "of another host": "note/not-found",
				"another note": "note/not-found", "a run of another host": "note/not-found", "no such host": "host/not-found", "no such run": "run/not-found",
				"more photos than a note takes": "note/too-many",
			}[name]
			if want == "" {
				want = "note/text"
			}

			if codeOf(err) != want {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}

		if err := r.RemoveNote(t.Context(), "eve", true, mac, note.ID); err != nil {
			t.Fatal(err)
		}

		if got := r.reportOf(id).Notes; len(got) != 0 {
			t.Errorf("it is still on the report: %+v", got)
		}

		wrote, removed := r.audited("note.write"), r.audited("note.remove")
		if len(wrote) != 3 || len(removed) != 1 || removed[0].Who != "eve" || removed[0].Before == "" || !strings.Contains(removed[0].Text, "ann") || !strings.Contains(wrote[0].Text, "a photo") {
			t.Errorf("the audit trail tells %+v and %+v", wrote, removed)
		}
	})
}

// The runs of a deleted host stay, and what was written about them; what was written about
// the host itself is not to be read as being about the next one with its address.
func TestTheNotesOfADeletedHost(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)
		id, mac := r.finds(pendingOn("HDD0001", "38 sectors")), coretest.MAC(1)

		write := func(run core.RunID) core.Note {
			note, err := r.AddNote(t.Context(), "ann", core.NoteWish{Host: mac, Run: run, Text: "x"})
			if err != nil {
				t.Fatal(err)
			}

			return note
		}

		ofHost, ofRun, another := write(""), write(id), write(id)

		if _, err := r.ReleaseRun(t.Context(), "ann", id); err != nil {
			t.Fatal(err)
		}

		if err := r.DeleteHost(t.Context(), "ann", mac); err != nil {
			t.Fatal(err)
		}

		if err := r.RemoveNote(t.Context(), "ann", false, mac, ofRun.ID); err != nil {
			t.Errorf("removing one of a run without its host: %v", err)
		}

		r.host(1)

		err := r.RemoveNote(t.Context(), "ann", false, mac, ofHost.ID)
		if codeOf(err) != "note/not-found" {
			t.Errorf("the next host has the note of the one before: %v", err)
		}

		if err := r.RemoveNote(t.Context(), "ann", false, mac, another.ID); err != nil {
			t.Errorf("the note of the run went with the host: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestTheNotesOfAHostAreBounded(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.host(1)

		for range core.MaxHostNotes {
			if _, err := r.AddNote(t.Context(), "ann", core.NoteWish{Host: coretest.MAC(1), Text: "x"}); err != nil {
				t.Fatal(err)
			}
		}

		if _, err := r.AddNote(t.Context(), "ann", core.NoteWish{Host: coretest.MAC(1), Text: "x"}); codeOf(err) != "note/too-many" {
			t.Errorf("one more: %v", err)
		}
	})
}
