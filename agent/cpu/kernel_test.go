package cpu_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/agent/cpu"
)

var update = flag.Bool("update", false, "compute the known answers anew, in plain Go")

// plain is a kernel's reference.
func plain(k cpu.Kernel) cpu.Block {
	list := k.Variants(cpu.Features{})

	return list[len(list)-1].New()
}

func TestMain(m *testing.M) {
	flag.Parse()

	if *update {
		if err := os.WriteFile("known.txt", []byte(compute()), 0o644); err != nil {
			panic(err)
		}

		return // the answers of this program are the old ones
	}

	os.Exit(m.Run())
}

func compute() string {
	kernels := cpu.Kernels()
	rows := make([]string, len(kernels))

	var work sync.WaitGroup

	for i, k := range kernels {
		work.Go(func() {
			var row strings.Builder

			row.WriteString(k.Name)

			run := plain(k)
			for n := range cpu.Seeds {
				fmt.Fprintf(&row, " %016x", cpu.Digest(run(cpu.Seed(n))))
			}

			rows[i] = row.String() + "\n"
		})
	}

	work.Wait()

	return strings.Join(rows, "")
}

// The known answers are a promise of the reference; one of them a kernel is enough to
// see whether the work has changed, and which one changes from run to run.
func TestThePlainVariantGivesTheKnownAnswers(t *testing.T) {
	for _, k := range cpu.Kernels() {
		want, err := cpu.Known(k.Name)
		if err != nil {
			t.Error(err)

			continue
		}

		n := int(time.Now().UnixNano()/1000) % cpu.Seeds
		if got := cpu.Digest(plain(k)(cpu.Seed(n))); got != want[n] {
			t.Errorf("%s, seed %d: %016x, known is %016x", k.Name, n, got, want[n])
		}
	}
}

func TestEveryVariantGivesEveryKnownAnswer(t *testing.T) {
	seeds := cpu.Seeds
	if slowly {
		seeds = 1 // all of them were compared without the race detector
	}

	for _, k := range cpu.Kernels() {
		want, err := cpu.Known(k.Name)
		if err != nil {
			t.Error(err)

			continue
		}

		list := k.Variants(cpu.Detect())
		for _, v := range list[:len(list)-1] {
			run := v.New()

			for n := range seeds {
				if got := cpu.Digest(run(cpu.Seed(n))); got != want[n] {
					t.Errorf("%s by %s, seed %d: %016x, known is %016x", k.Name, v.Name, n, got, want[n])
				}
			}
		}
	}
}

func TestABlockDependsOnItsSeedAloneAndOnAllOfIt(t *testing.T) {
	for _, k := range cpu.Kernels() {
		one, other := k.Best(cpu.Detect()).New(), k.Best(cpu.Detect()).New()
		first, second := cpu.Digest(one(1)), cpu.Digest(one(2))

		if first == second || first == cpu.Digest(one(1<<63|1)) {
			t.Errorf("%s gives one answer for different seeds", k.Name)
		}

		if got := cpu.Digest(one(1)); got != first {
			t.Errorf("%s: a block changes the next one: %016x, then %016x", k.Name, first, got)
		}

		if got := cpu.Digest(other(2)); got != second {
			t.Errorf("%s: two blocks differ: %016x, %016x", k.Name, second, got)
		}
	}
}

func TestKernelsAreListedOnceAndExplained(t *testing.T) {
	seen := map[string]bool{}

	for _, k := range cpu.Kernels() {
		if seen[k.Name] || k.Name == "" || k.What == "" {
			t.Errorf("%+v", k)
		}

		seen[k.Name] = true

		if found, ok := cpu.Find(k.Name); !ok || found.Name != k.Name {
			t.Errorf("%s is not found", k.Name)
		}
	}

	if _, ok := cpu.Find("no such"); ok {
		t.Error("found what is not there")
	}

	if _, err := cpu.Known("no such"); err == nil {
		t.Error("known what is not there")
	}
}
