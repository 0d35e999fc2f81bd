package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"vetting/core"
	"vetting/store"
)

// The process that is killed is this test binary, run again as a writer.
const (
	childVar = "VETTING_STORE_CHILD" // directory the child writes in
	fromVar  = "VETTING_STORE_FROM"  // number of its first write
	killsVar = "VETTING_STORE_KILLS" // rounds of the campaign; 5 without it
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVar); dir != "" {
		os.Exit(writeForever(dir))
	}

	os.Exit(m.Run())
}

// writeForever prints the number of each write once it is acknowledged, until it
// is killed. Every sixteenth is large, so that logs are rotated and tables
// written and compacted under the kill.
func writeForever(dir string) int {
	first, err := strconv.ParseUint(os.Getenv(fromVar), 10, 64)
	if err != nil {
		return 2
	}

	ctx := context.Background()

	s, err := store.Open(ctx, small(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)

		return 1
	}

	var (
		mu   sync.Mutex // guards next and the output
		next = first
		wg   sync.WaitGroup
	)

	for range 16 {
		wg.Go(func() {
			for {
				mu.Lock()
				n := next
				next++
				mu.Unlock()

				if _, err := s.Update(ctx, write(n)); err != nil {
					fmt.Fprintln(os.Stderr, err)

					return
				}

				mu.Lock()
				fmt.Println(n)
				mu.Unlock()
			}
		})
	}

	wg.Wait()

	return 1
}

func write(n uint64) func(core.Txn) error {
	return func(txn core.Txn) error {
		size := 40
		if n%16 == 0 {
			size = 100_000
		}

		return errors.Join(
			txn.Put(core.TableSetting, keyOf(n), note{N: n, Pad: strings.Repeat("x", size)}),
			txn.Emit(core.Event{Kind: core.EventNotice, Run: core.RunID(fmt.Sprintf("R%d", n%3)), Data: fmt.Appendf(nil, "%d", n)}))
	}
}

type note struct {
	N   uint64 `json:"n"`
	Pad string `json:"pad"`
}

func keyOf(n uint64) string { return fmt.Sprintf("%012d", n) }

// TestKillLosesNothing kills a writer with SIGKILL at moments of a fixed seed,
// again and again on one directory. After each kill the ledger opens, proves
// whole, and every write that was acknowledged is there, with its event. It does
// not run beside others: a process that is about to become the child holds their
// locks for a moment.
func TestKillLosesNothing(t *testing.T) {
	rounds := 5
	if text := os.Getenv(killsVar); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}

	var (
		dir   = t.TempDir()
		rng   = rand.New(rand.NewPCG(20261123, 1))
		acked = map[uint64]bool{}
		next  = uint64(0)
	)

	for round := range rounds {
		for _, n := range killAfter(t, dir, next, 1+rng.IntN(600)) {
			acked[n] = true
			next = max(next, n+1)
		}

		// What the child had under way and did not print may be there or not;
		// no later child may write the same numbers.
		next += 100

		events := expectWrites(t, dir, acked)
		t.Logf("round %d: %d acknowledged so far, %d in the ledger", round, len(acked), events)
	}
}

// killAfter runs a writer and kills it after so many acknowledgements. It
// returns all that were acknowledged.
func killAfter(t *testing.T, dir string, from uint64, count int) (acked []uint64) {
	t.Helper()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childVar+"="+dir, fmt.Sprintf("%s=%d", fromVar, from))

	var complaints strings.Builder
	child.Stderr = &complaints

	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := child.Start(); err != nil {
		t.Fatal(err)
	}

	lines := bufio.NewReader(out)

	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a torn line was not acknowledged
		}

		if err != nil {
			t.Fatal(err)
		}

		n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatalf("the child said %q", line)
		}

		if acked = append(acked, n); len(acked) == count {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}

	_ = child.Wait()

	if len(acked) < count {
		t.Fatalf("the child ended by itself after %d: %s", len(acked), complaints.String())
	}

	return acked
}

// expectWrites opens the ledger and looks for all of acked.
func expectWrites(t *testing.T, dir string, acked map[uint64]bool) (events int) {
	t.Helper()

	s, err := store.Open(t.Context(), small(dir))
	if err != nil {
		t.Fatalf("after the kill: %v", err)
	}
	defer s.Close()

	if _, err := s.Verify(t.Context()); err != nil {
		t.Errorf("after the kill: %v", err)
	}

	err = s.View(t.Context(), func(r core.Reader) error {
		told := map[string]bool{}

		all, err := r.Events(0, 0)
		for _, e := range all {
			told[string(e.Data)] = true
		}

		events = len(all)

		for n := range acked {
			var got note
			if err := r.Get(core.TableSetting, keyOf(n), &got); err != nil || got.N != n || !told[strconv.FormatUint(n, 10)] {
				t.Errorf("write %d was acknowledged and is lost: %v", n, err)
			}
		}

		return err
	})
	if err != nil {
		t.Error(err)
	}

	return events
}
