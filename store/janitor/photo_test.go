package janitor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
)

// note keeps a note, so many days old, with a photo.
func (y *yard) note(id string, run core.RunID, days int, content string) {
	y.t.Helper()

	at := now().Add(-time.Duration(days) * day)

	sum, size, err := y.artifacts.KeepArtifact(y.t.Context(), strings.NewReader(content), 1<<20)
	if err != nil {
		y.t.Fatal(err)
	}

	y.age(sum, at)

	if _, err := y.ledger.Update(y.t.Context(), func(tx core.Txn) error {
		return tx.Put(core.TableNote, core.NoteKey(coretest.MAC(1), id), core.Note{
			ID: id, Host: coretest.MAC(1), Run: run, At: at, By: "ann", Text: "x", Photos: []core.Photo{{SHA256: sum, Size: size}},
		})
	}); err != nil {
		y.t.Fatal(err)
	}
}

// Photos of a run go with its files, those of a host as the evidence of a failure; the note
// stays and says so. A photo that another note has, too, stays.
func TestPhotosGoAndTheirNotesStay(t *testing.T) {
	t.Parallel()

	y := newYard(t)
	y.run("OLD", core.StateCompleted, core.Pass, 31)
	y.run("HELD", core.StateFailedHolding, core.Fail, 400)
	y.note("N1", "OLD", 32, "of an old run")
	y.note("N2", "HELD", 400, "of a held run")
	y.note("N3", "", 31, "of a host")
	y.note("N4", "", 181, "long ago")
	y.note("N5", "OLD", 32, "shared")
	y.note("N6", "", 3, "shared")
	y.note("N7", "GONE", 900, "of a run that nobody knows")

	j := y.janitor(y.ports())

	planned, err := j.DryRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	done, err := j.Sweep(t.Context())
	if err != nil || fmt.Sprint(done) != fmt.Sprint(planned) || len(done.Items) != 4 || done.Bytes-done.Items[0].Bytes != int64(len("of an old run")+len("long ago")) {
		t.Errorf("%v\nplanned %+v\ndone %+v", err, planned, done)
	}

	if got := y.left(); got != "file:of a held run file:of a host file:of a run that nobody knows file:shared log:HELD" {
		t.Errorf("left is %s", got)
	}

	for id, gone := range map[string]bool{"N1": true, "N2": false, "N3": false, "N4": true, "N5": true, "N6": false, "N7": false} {
		var n core.Note

		err := y.ledger.View(t.Context(), func(r core.Reader) error { return r.Get(core.TableNote, core.NoteKey(coretest.MAC(1), id), &n) })
		if err != nil || n.Text != "x" || len(n.Photos) != 1 || n.Photos[0].GoneAt.IsZero() == gone {
			t.Errorf("%s: %+v %v", id, n, err)
		}
	}

	if again, err := j.Sweep(t.Context()); err != nil || len(again.Items) != 0 {
		t.Errorf("a second sweep removed %+v, %v", again, err)
	}
}
