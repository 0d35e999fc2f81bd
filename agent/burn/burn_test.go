package burn_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"vetting/agent/burn"
	"vetting/agent/cpu/drill"
	"vetting/agent/diskread"
	"vetting/agent/memory"
	"vetting/agent/probe"
	"vetting/agent/worker"
)

// TestMain makes this program the workers that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == worker.Word {
		os.Exit(worker.Main(context.Background(), map[string]worker.Func{
			drill.Kind: drill.Work, drill.BetweenKind: drill.WorkBetween, memory.Kind: memory.Work, diskread.Kind: diskread.Work,
		}, os.Args[2:]))
	}

	os.Exit(m.Run())
}

// image makes a file that is read as a disk is.
func image(t *testing.T) diskread.Target {
	t.Helper()

	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}

	return diskread.Target{Name: "disk", Path: path, Bytes: 64 << 20, Block: 4096}
}

// options burn this machine a little.
func options(t *testing.T) burn.Options {
	t.Helper()

	runner := worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil)))
	root := os.DirFS("/")
	threads := slices.DeleteFunc(probe.Machine{Root: root}.Threads(), func(t probe.Thread) bool { return !t.Online })

	return burn.Options{
		For: 2 * time.Second, Workers: runner, Threads: threads[:min(2, len(threads))],
		Memory: memory.Run, Test: memory.Test{Root: root, Runner: runner, Patterns: memory.Short, Passes: 1, Limit: 32 << 20, Seed: 1},
		Read: func(ctx context.Context, test diskread.Test) diskread.Report {
			test.Workers = runner

			return diskread.Run(ctx, test)
		},
		Targets: []diskread.Target{image(t)}, Mbps: 1000, Seed: 1,
		Partner: func(context.Context, uint64, int) (burn.Exchange, error) {
			return burn.Exchange{Sent: 256, Received: 256, Bytes: 8 << 20, Took: time.Millisecond}, nil
		},
		Heat: func() map[int]float64 { return map[int]float64{0: 45} }, Progress: func(burn.Phase, float64, time.Duration) {},
	}
}

func TestEverythingWorksAtOnce(t *testing.T) {
	var (
		mu     sync.Mutex
		phases []burn.Phase
		last   float64
	)

	o := options(t)
	o.Progress = func(phase burn.Phase, done float64, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()

		if len(phases) == 0 || phases[len(phases)-1] != phase {
			phases = append(phases, phase)
		}

		if done < last-1e-9 || done > 1 {
			t.Errorf("%s: %v done after %v", phase, done, last)
		}

		last = done
	}

	out := burn.Run(t.Context(), o)

	var legs []burn.Phase
	for _, l := range out.Legs {
		legs = append(legs, l.Phase)
	}

	want := []burn.Phase{burn.Rest, burn.Ramp, burn.Steady, burn.Slow, burn.Medium, burn.Fast, burn.Hop, burn.Cool}
	if !slices.Equal(legs, want) {
		t.Errorf("phases %v, want %v", legs, want)
	}

	for n, tally := range out.CPU.Cores {
		if tally.Blocks == 0 || out.CPU.Exits[n].Reason != worker.Done {
			t.Errorf("CPU %d did %d blocks and ended with %+v", n, tally.Blocks, out.CPU.Exits[n])
		}
	}

	if len(out.CPU.Suspects) > 0 || out.MemoryErr != nil || out.Memory.Tested() == 0 || len(out.Memory.Nodes[0].Faults) > 0 {
		t.Errorf("suspects %+v, memory %v %+v", out.CPU.Suspects, out.MemoryErr, out.Memory)
	}

	if disk := out.Disks.Tallies["disk"]; disk.Bytes == 0 || out.Disks.Exit.Reason != worker.Done || len(out.Disks.Wrong) > 0 {
		t.Errorf("disks %+v", out.Disks)
	}

	if out.Net.Exchanges == 0 || out.Net.Bad > 0 || out.Watch.Idle[0] != 45 || out.Watch.Peak[0] != 45 || out.Watch.Gap <= 0 {
		t.Errorf("network %+v, stability %+v", out.Net, out.Watch)
	}
}

func TestABurnThatIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := options(t)
	o.For = time.Hour
	o.Progress = func(phase burn.Phase, _ float64, _ time.Duration) {
		if phase != burn.Rest {
			t.Errorf("phase %s", phase)
		}

		cancel()
	}

	out := burn.Run(ctx, o)
	if out.Took > 30*time.Minute {
		t.Errorf("it took %v", out.Took)
	}
}

func TestCourse(t *testing.T) {
	for _, whole := range []time.Duration{0, time.Second, 10 * time.Minute, 2 * time.Hour, 48 * time.Hour} {
		sum, steady := time.Duration(0), time.Duration(0)

		for _, l := range burn.Course(whole) {
			sum += l.Takes

			if l.Phase == burn.Steady {
				steady = l.Takes
			}
		}

		if sum != whole || steady*10 < whole*6 || steady*10 > whole*8 {
			t.Errorf("%v: %v in all, %v of them steady", whole, sum, steady)
		}
	}
}

func TestPulses(t *testing.T) {
	for _, c := range []struct {
		phase        burn.Phase
		length, want time.Duration
	}{
		{burn.Slow, 30 * time.Second, 5 * time.Second},
		{burn.Medium, 30 * time.Second, 500 * time.Millisecond},
		{burn.Fast, 30 * time.Second, 50 * time.Millisecond},
		{burn.Slow, 8 * time.Second, 2 * time.Second}, // a short phase has two all the same
		{burn.Fast, 400 * time.Millisecond, 50 * time.Millisecond},
		{burn.Steady, time.Hour, 0},
	} {
		if got := burn.Rhythm(c.phase, c.length); got != c.want {
			t.Errorf("%s of %v: %v, want %v", c.phase, c.length, got, c.want)
		}
	}
}

func TestSlope(t *testing.T) {
	for name, c := range map[string]struct {
		celsius func(i int) float64
		want    float64 // in ten minutes
	}{
		"a plateau":              {func(int) float64 { return 80 }, 0},
		"a plateau that jitters": {func(i int) float64 { return 80 + float64(i%2) }, 0},
		"a slow rise":            {func(i int) float64 { return 70 + float64(i)/300 }, 2},
		"a fall":                 {func(i int) float64 { return 70 - float64(i)/600 }, -1},
	} {
		var values []float64
		for i := range 600 {
			values = append(values, c.celsius(i))
		}

		if got := burn.Slope(values); math.Abs(got-c.want) > 0.02 {
			t.Errorf("%s: %.3f °C in ten minutes, want %.3f", name, got, c.want)
		}
	}
}

func TestDrift(t *testing.T) {
	for name, c := range map[string]struct {
		passed, ahead time.Duration
		want          float64
		known         bool
	}{
		"steady":                {2 * time.Hour, 0, 0, true},
		"three seconds an hour": {2 * time.Hour, 6 * time.Second, 3, true},
		"it runs ahead":         {time.Hour, -5 * time.Second, -5, true},
		"too short to tell":     {5 * time.Minute, time.Second, 12, false},
	} {
		if got, known := burn.Drift(c.passed, c.ahead); math.Abs(got-c.want) > 0.01 || known != c.known {
			t.Errorf("%s: %.2f s/h, known %v", name, got, known)
		}
	}
}

// Exchanges must leave the CPUs to the tests, be encryption as slow as it may.
func TestExchangesTakeATenthOfTheCPUs(t *testing.T) {
	for cpus, want := range map[int]time.Duration{1: 10 * time.Second, 4: 2500 * time.Millisecond, 64: 156250 * time.Microsecond} {
		if got := burn.Fair(time.Second, cpus); got != want {
			t.Errorf("%d CPUs: %v for each second of one, want %v", cpus, got, want)
		}
	}

	o := options(t)
	o.Threads, o.Mbps = o.Threads[:1], 100_000
	o.Partner = func(context.Context, uint64, int) (burn.Exchange, error) {
		for begin := burn.Used(); burn.Used()-begin < 100*time.Millisecond; { //nolint:revive // this is the work
		}

		return burn.Exchange{Sent: 256, Received: 256, Took: 100 * time.Millisecond}, nil
	}

	if traffic := burn.TrafficFor(t.Context(), o, 2*time.Second); traffic.Exchanges < 1 || traffic.Exchanges > 4 {
		t.Errorf("%d exchanges of 100 ms in 2 s", traffic.Exchanges)
	}
}

func TestTroubleOnTheNetworkIsCounted(t *testing.T) {
	calls := 0
	o := options(t)
	o.Partner = func(context.Context, uint64, int) (burn.Exchange, error) {
		calls++

		switch calls {
		case 1:
			return burn.Exchange{}, errors.New("calling partner: remote error: tls: bad record MAC")
		case 2:
			return burn.Exchange{Sent: 256, SentBad: 1, Received: 256, ReceivedBad: 2}, nil
		default:
			return burn.Exchange{}, errors.New("connection refused")
		}
	}

	traffic := burn.TrafficFor(t.Context(), o, 5*time.Second)
	if traffic.Damaged != 1 || traffic.Bad != 3 || traffic.Exchanges != 1 || traffic.Failed < 2 {
		t.Errorf("%+v", traffic)
	}
}
