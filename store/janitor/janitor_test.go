package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/core/retention"
	"vetting/store/artifact"
	"vetting/store/janitor"
	"vetting/store/runlog"
)

const day = 24 * time.Hour

// now is when all sweeps happen; runs ended some days before it.
func now() time.Time { return coretest.Start() }

// yard is a data directory with runs of several ages.
type yard struct {
	t         *testing.T
	dir       string
	ledger    core.Ledger
	logs      *runlog.Log
	artifacts *artifact.Shelf
}

func newYard(t *testing.T) *yard {
	t.Helper()

	y := &yard{t: t, dir: t.TempDir(), ledger: coretest.NewLedger()}

	var err error
	if y.logs, err = runlog.Open(runlog.Config{Dir: filepath.Join(y.dir, "logs")}); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = y.logs.Close() })

	if y.artifacts, err = artifact.Open(artifact.Config{Dir: filepath.Join(y.dir, "artifacts")}); err != nil {
		t.Fatal(err)
	}

	return y
}

// run makes a run that ended so many days ago, with a log and files.
func (y *yard) run(id core.RunID, state core.State, verdict core.Verdict, days int, files ...string) {
	y.t.Helper()

	end := now().Add(-time.Duration(days) * day)

	if _, err := y.logs.AppendLog(y.t.Context(), id, 1, 1, []core.LogLine{{Text: "said by " + string(id)}}); err != nil {
		y.t.Fatal(err)
	}

	_, err := y.ledger.Update(y.t.Context(), func(tx core.Txn) error {
		for i, content := range files {
			sum, size, err := y.artifacts.KeepArtifact(y.t.Context(), strings.NewReader(content), 1<<20)
			if err != nil {
				return err
			}

			y.age(sum, end)

			key := fmt.Sprintf("%s/%04d", id, i+1)
			if err := tx.Put(core.TableArtifact, key, core.Artifact{ID: key, Run: id, Name: content + ".txt", Size: size, SHA256: sum}); err != nil {
				return err
			}
		}

		return tx.Put(core.TableRun, string(id), core.Run{ID: id, State: state, Verdict: verdict, EndedAt: end})
	})
	if err != nil {
		y.t.Fatal(err)
	}
}

// stray leaves a file that nothing names.
func (y *yard) stray(content string, age time.Duration) {
	y.t.Helper()

	sum, _, err := y.artifacts.KeepArtifact(y.t.Context(), strings.NewReader(content), 1<<20)
	if err != nil {
		y.t.Fatal(err)
	}

	y.age(sum, now().Add(-age))
}

func (y *yard) age(sum string, at time.Time) {
	y.t.Helper()

	if err := os.Chtimes(filepath.Join(y.dir, "artifacts", sum[:2], sum), at, at); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) ports() janitor.Ports {
	return janitor.Ports{Ledger: y.ledger, Logs: y.logs, Shelf: y.artifacts, Now: now}
}

func (y *yard) janitor(ports janitor.Ports) *janitor.Janitor {
	y.t.Helper()

	j, err := janitor.New(janitor.Config{Policy: retention.Default()}, ports)
	if err != nil {
		y.t.Fatal(err)
	}

	return j
}

// left tells what there is, in words.
func (y *yard) left() string {
	y.t.Helper()

	var words []string

	logs, err := y.logs.List(y.t.Context())
	if err != nil {
		y.t.Fatal(err)
	}

	for _, l := range logs {
		words = append(words, "log:"+string(l.Run))
	}

	files, err := y.artifacts.List(y.t.Context())
	if err != nil {
		y.t.Fatal(err)
	}

	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(y.dir, "artifacts", f.SHA256[:2], f.SHA256))
		if err != nil {
			y.t.Fatal(err)
		}

		words = append(words, "file:"+string(text))
	}

	err = y.ledger.View(y.t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableArtifact, core.Query{}, func(_ string, decode func(any) error) error {
			var a core.Artifact
			if err := decode(&a); err != nil {
				return err
			}

			words = append(words, "row:"+string(a.Run)+"/"+strings.TrimSuffix(a.Name, ".txt"))

			return nil
		})
	})
	if err != nil {
		y.t.Fatal(err)
	}

	slices.Sort(words)

	return strings.Join(words, " ")
}

// settled is what is left of it.
const settled = "file:c file:d file:evidence file:shared file:young log:FAILED log:HELD log:NEW row:FAILED/evidence row:HELD/c row:NEW/d row:NEW/shared"

func TestWhatIsOldGoesWithItsRows(t *testing.T) {
	t.Parallel()

	y := filled(t)
	j := y.janitor(y.ports())

	planned, err := j.DryRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	before := y.left()
	if again, err := j.DryRun(t.Context()); err != nil || fmt.Sprint(again) != fmt.Sprint(planned) || y.left() != before {
		t.Errorf("a dry run changed something: %v %v", again, err)
	}

	done, err := j.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if fmt.Sprint(done) != fmt.Sprint(planned) {
		t.Errorf("planned %+v\ndone %+v", planned, done)
	}

	if got := y.left(); got != settled {
		t.Errorf("left is %s", got)
	}

	var e core.Expiry

	err = y.ledger.View(t.Context(), func(r core.Reader) error { return r.Get(core.TableExpiry, "OLD", &e) })
	if err != nil || !e.LogAt.Equal(now()) || !e.FilesAt.Equal(now()) || e.Artifacts != 4 {
		t.Errorf("%+v %v", e, err)
	}

	if again, err := j.Sweep(t.Context()); err != nil || len(again.Items) != 0 {
		t.Errorf("a second sweep removed %+v, %v", again, err)
	}
}

func filled(t *testing.T) *yard {
	t.Helper()

	y := newYard(t)
	y.run("OLD", core.StateCompleted, core.Pass, 31, "a", "shared", "twin", "twin")
	y.run("FAILED", core.StateReleased, core.Fail, 31, "evidence")
	y.run("LONGAGO", core.StateReleased, core.Fail, 181, "b")
	y.run("HELD", core.StateFailedHolding, core.Fail, 400, "c")
	y.run("NEW", core.StateCompleted, core.Pass, 29, "d", "shared")
	y.stray("lost", 2*day)
	y.stray("young", time.Hour)

	return y
}

var errCut = errors.New("the power is gone")

// cut ends everything at the n-th effect, before it happens or just after.
type cut struct {
	left  int
	after bool
}

func (c *cut) at(act func() error) error {
	if c.left == 0 {
		return errCut
	}

	c.left--

	if c.left > 0 {
		return act()
	}

	if c.after {
		if err := act(); err != nil {
			return err
		}
	}

	return errCut
}

type cutLedger struct {
	core.Ledger
	*cut
}

func (l cutLedger) Update(ctx context.Context, change func(core.Txn) error) (seq uint64, err error) {
	err = l.at(func() error {
		seq, err = l.Ledger.Update(ctx, change)

		return err
	})

	return seq, err
}

type cutLogs struct {
	janitor.Logs
	*cut
}

func (l cutLogs) Forget(ctx context.Context, run core.RunID) error {
	return l.at(func() error { return l.Logs.Forget(ctx, run) })
}

type cutShelf struct {
	janitor.Shelf
	*cut
}

func (s cutShelf) Forget(ctx context.Context, sum string, before time.Time) (gone bool, err error) {
	err = s.at(func() error {
		gone, err = s.Shelf.Forget(ctx, sum, before)

		return err
	})

	return gone, err
}

// The power fails at each effect of a sweep in turn, before and after it. At no
// moment is there a row without its file, or a log missing without a word; and
// the next sweep leaves what an undisturbed one leaves.
func TestThePowerMayFailAtAnyMoment(t *testing.T) {
	t.Parallel()

	const effects = 12 // of an undisturbed sweep, and some more

	reached := 0

	for n := range effects {
		for _, after := range []bool{false, true} {
			y := filled(t)
			c := &cut{left: n + 1, after: after}
			ports := y.ports()
			ports.Ledger, ports.Logs, ports.Shelf = cutLedger{y.ledger, c}, cutLogs{y.logs, c}, cutShelf{y.artifacts, c}

			_, err := y.janitor(ports).Sweep(t.Context())
			if errors.Is(err, errCut) {
				reached++
			}

			y.explained(fmt.Sprintf("effect %d, after %v", n+1, after))

			if _, err := y.janitor(y.ports()).Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}

			if got := y.left(); got != settled {
				t.Errorf("effect %d, after %v: left is %s", n+1, after, got)
			}
		}
	}

	if reached < 18 || reached == 2*effects {
		t.Errorf("%d cuts were reached", reached)
	}
}

// explained checks that every row has its file, and every log that is missing its
// word.
func (y *yard) explained(when string) {
	y.t.Helper()

	left := y.left()

	for word := range strings.FieldsSeq(left) {
		if name, row := strings.CutPrefix(word, "row:"); row && !strings.Contains(left, "file:"+name[strings.Index(name, "/")+1:]) {
			y.t.Errorf("%s: %s has no file", when, word)
		}
	}

	err := y.ledger.View(y.t.Context(), func(r core.Reader) error {
		return r.Scan(core.TableRun, core.Query{}, func(key string, _ func(any) error) error {
			var e core.Expiry
			if err := r.Get(core.TableExpiry, key, &e); err != nil && !errors.Is(err, core.ErrNotFound) {
				return err
			}

			if e.LogAt.IsZero() && !strings.Contains(left, "log:"+key) {
				y.t.Errorf("%s: the log of %s is gone without a word", when, key)
			}

			return nil
		})
	})
	if err != nil {
		y.t.Fatal(err)
	}
}

// The same content comes again while the sweep is about to remove it: the file
// must be there when its row is.
func TestAFileThatIsBroughtAgainStays(t *testing.T) {
	t.Parallel()

	y := newYard(t)
	y.run("OLD", core.StateCompleted, core.Pass, 31, "same")

	ports := y.ports()
	ports.Shelf = again{y.artifacts, func() {
		if _, _, err := y.artifacts.KeepArtifact(t.Context(), strings.NewReader("same"), 1<<20); err != nil {
			t.Error(err)
		}
	}}

	if _, err := y.janitor(ports).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got := y.left(); got != "file:same" {
		t.Errorf("left is %s", got)
	}
}

// again does something between the look and the removal.
type again struct {
	*artifact.Shelf

	meanwhile func()
}

func (a again) Forget(ctx context.Context, sum string, before time.Time) (bool, error) {
	a.meanwhile()

	return a.Shelf.Forget(ctx, sum, before)
}

func TestALogThatIsOpenIsRemovedAndBegunAnew(t *testing.T) {
	t.Parallel()

	y := filled(t)
	if _, err := y.janitor(y.ports()).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}

	if lines, err := y.logs.ReadLog(t.Context(), "OLD", 0, 10); err != nil || len(lines) != 0 {
		t.Errorf("%v %v", lines, err)
	}

	if last, err := y.logs.AppendLog(t.Context(), "OLD", 2, 1, []core.LogLine{{Text: "late"}}); err != nil || last != 1 {
		t.Errorf("%d %v", last, err)
	}
}

// clock is a wall that may be set, and an uptime that may not.
type clock struct {
	skew  atomic.Int64
	start time.Time
}

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.skew.Load())) }
func (c *clock) uptime() time.Duration { return time.Since(c.start) }

// counting is a shelf without files that counts how often it is looked at.
type counting struct{ looks atomic.Int32 }

func (c *counting) List(context.Context) ([]artifact.Kept, error) {
	c.looks.Add(1)

	return nil, nil
}

func (*counting) Forget(context.Context, string, time.Time) (bool, error) { return false, nil }

// empty is logs that there are none of.
type empty struct{}

func (empty) List(context.Context) ([]runlog.Kept, error) { return nil, nil }
func (empty) Forget(context.Context, core.RunID) error    { return nil }
func (empty) Collect(context.Context) error               { return nil }

func TestAClockThatWasSetRemovesNothingForADay(t *testing.T) {
	for name, c := range map[string]struct {
		last  time.Duration // before the start, of the last sweep; 0: there was none
		jump  time.Duration // three and a half hours after the start
		want  int           // sweeps in three hours
		after int           // in the day and a half after that
	}{
		"an even clock":                           {0, 0, 3, 36},
		"a clock that goes a day forward":         {0, day, 3, 12},
		"a clock that goes ten years forward":     {0, 3650 * day, 3, 12},
		"a clock that goes a day back":            {0, -day, 3, 12},
		"a clock that is adjusted":                {0, time.Minute, 3, 36},
		"switched off for a weekend":              {2 * day, 0, 3, 36},
		"switched off for ten years, so it seems": {3650 * day, 0, 0, 16},
		"a clock from before the last sweep":      {-day, 0, 0, 16},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ledger, shelf := coretest.NewLedger(), &counting{}
				wall := &clock{start: time.Now()}

				if c.last != 0 {
					_, err := ledger.Update(t.Context(), func(tx core.Txn) error {
						return tx.Put(core.TableSetting, "janitor-swept", time.Now().Add(-c.last))
					})
					if err != nil {
						t.Fatal(err)
					}
				}

				j, err := janitor.New(janitor.Config{Policy: retention.Default()}, janitor.Ports{
					Ledger: ledger, Logs: empty{}, Shelf: shelf, Collector: empty{}, Now: wall.now, Uptime: wall.uptime,
				})
				if err != nil {
					t.Fatal(err)
				}

				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)

				go func() { ended <- j.Run(ctx) }()

				time.Sleep(3*time.Hour + 30*time.Minute) // of the bubble

				if got := int(shelf.looks.Swap(0)) / 2; got != c.want {
					t.Errorf("%d sweeps at first", got)
				}

				wall.skew.Store(int64(c.jump))

				time.Sleep(36 * time.Hour)

				if got := int(shelf.looks.Load()) / 2; got != c.after {
					t.Errorf("%d sweeps afterwards", got)
				}

				cancel()

				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

func TestAConfigurationThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()

	for _, c := range []janitor.Config{
		{Interval: time.Second}, {Interval: -time.Hour}, {Policy: retention.Policy{Logs: time.Minute}},
	} {
		if _, err := janitor.New(c, janitor.Ports{}); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

func TestAnotherConfigurationCountsFromTheNextSweepOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shelf := &counting{}

		j, err := janitor.New(janitor.Config{Interval: 24 * time.Hour}, janitor.Ports{
			Ledger: coretest.NewLedger(), Logs: empty{}, Shelf: shelf, Collector: empty{},
		})
		if err != nil {
			t.Fatal(err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)

		go func() { ended <- j.Run(ctx) }()

		time.Sleep(time.Hour) // of the bubble

		if err := j.Reload(janitor.Config{Interval: time.Second}); err == nil {
			t.Error("an interval of a second was taken")
		}

		if err := j.Reload(janitor.Config{Interval: time.Hour}); err != nil {
			t.Fatal(err)
		}

		time.Sleep(150 * time.Minute)

		if got := int(shelf.looks.Load()) / 2; got != 2 {
			t.Errorf("%d sweeps in two and a half hours", got)
		}

		cancel()
		<-ended
	})
}
