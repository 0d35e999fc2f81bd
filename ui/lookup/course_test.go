package lookup_test

import (
	"fmt"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/ui/lookup"
	"vetting/ui/plot"
)

const hottest = "disk/sda/temperature_celsius"

// batchOf writes n samples a second apart, from the first-th second on, as one batch.
func batchOf(t *testing.T, ledger core.Ledger, seq uint64, first, n int) {
	t.Helper()

	batch := core.SampleBatch{Run: "RUN", Epoch: 1, Seq: seq, Stage: core.SMART}
	for i := range n {
		batch.Samples = append(batch.Samples, core.Sample{Time: coretest.Start().Add(time.Duration(first+i) * time.Second), Key: hottest, Value: float64(first + i)})
	}

	_, err := ledger.Update(t.Context(), func(tx core.Txn) error {
		return tx.Put(core.TableSamples, fmt.Sprintf("RUN/000001/%012d", seq), batch)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func courseOf(t *testing.T, c *lookup.Courses, ledger core.Ledger, state core.State) (found plot.Series) {
	t.Helper()

	err := ledger.View(t.Context(), func(r core.Reader) error {
		all, err := c.Of(r, &core.Run{ID: "RUN", State: state})
		if len(all) == 1 {
			found = all[0]
		}

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	return found
}

func sum(s plot.Series) (low, high float64, n int) {
	low = s.Points[0].Min
	for _, p := range s.Points {
		low, high = min(low, p.Min), max(high, p.Max)
	}

	return low, high, len(s.Points)
}

// However long a run is, its course stays small and loses no peak; who follows it
// reads only what is new, and once the run is over also what came late.
func TestTheCourseOfARunGrowsWithIt(t *testing.T) {
	t.Parallel()

	ledger, courses := coretest.NewLedger(), &lookup.Courses{}

	batchOf(t, ledger, 5, 0, 100)

	if low, high, n := sum(courseOf(t, courses, ledger, core.State(core.SMART))); low != 0 || high != 99 || n != 100 {
		t.Errorf("100 samples make %d points from %v to %v", n, low, high)
	}

	batchOf(t, ledger, 6, 100, 3000)
	batchOf(t, ledger, 1, 5000, 1) // late: its key is before those that were read

	low, high, n := sum(courseOf(t, courses, ledger, core.State(core.SMART)))
	if low != 0 || high != 3099 || n > 240 || n < 120 {
		t.Errorf("3100 samples make %d points from %v to %v", n, low, high)
	}

	if low, high, n := sum(courseOf(t, courses, ledger, core.StateCompleted)); low != 0 || high != 5000 || n > 240 {
		t.Errorf("when the run is over: %d points from %v to %v", n, low, high)
	}
}

// slow is a ledger that takes its time over what was measured.
type slow struct {
	core.Reader

	reading, goOn chan struct{}
}

// Scan is of core.Reader.
func (s slow) Scan(table core.Table, q core.Query, each func(string, func(any) error) error) error {
	s.reading <- struct{}{}
	<-s.goOn

	return s.Reader.Scan(table, q, each)
}

// Whoever waits for the ledger keeps nobody waiting who looks at another run.
func TestNobodyWaitsForTheCourseOfAnotherRun(t *testing.T) {
	t.Parallel()

	ledger, courses := coretest.NewLedger(), &lookup.Courses{}
	batchOf(t, ledger, 1, 0, 10)

	reading, goOn, over := make(chan struct{}), make(chan struct{}), make(chan error, 1)

	go func() {
		over <- ledger.View(t.Context(), func(r core.Reader) error {
			_, err := courses.Of(slow{r, reading, goOn}, &core.Run{ID: "SLOW", State: core.StateBooting})

			return err
		})
	}()

	<-reading

	seen := make(chan int, 1)

	go func() {
		_, _, n := sum(courseOf(t, courses, ledger, core.StateBooting))
		seen <- n
	}()

	select {
	case n := <-seen:
		if n != 10 {
			t.Errorf("%d points", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("the course of one run waits for that of another")
	}

	go func() {
		for range reading {
		}
	}()

	close(goOn)

	if err := <-over; err != nil {
		t.Error(err)
	}

	close(reading)
}
