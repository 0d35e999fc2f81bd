package memory_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vetting/agent/memory"
	"vetting/agent/worker"
)

// Variables that make the workers of these tests what they are to be.
const (
	rootVar   = "VETTING_TEST_ROOT"   // where a worker reads how much memory is free
	lockVar   = "VETTING_TEST_LOCK"   // it may not lock memory
	groupVar  = "VETTING_TEST_GROUP"  // control group that it goes into
	spaceVar  = "VETTING_TEST_SPACE"  // bytes of address space it gets
	poisonVar = "VETTING_TEST_POISON" // file with the address that is poisoned when SIGUSR1 comes
)

const testLimit = 32 << 20

// TestMain makes this program the worker that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == worker.Word {
		if err := circumstances(); err != nil {
			panic(err)
		}

		os.Exit(worker.Main(context.Background(), map[string]worker.Func{memory.Kind: work}, os.Args[2:]))
	}

	os.Exit(m.Run())
}

// circumstances gives the process what a test asks for.
func circumstances() error {
	if group := os.Getenv(groupVar); group != "" {
		if err := os.WriteFile(group, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return err
		}
	}

	if space := os.Getenv(spaceVar); space != "" {
		n, err := strconv.ParseUint(space, 10, 64)
		if err != nil {
			return err
		}

		if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}

	if os.Getenv(lockVar) != "" {
		return unlock()
	}

	return nil
}

// unlock begins this program anew without the right to lock memory.
func unlock() error {
	runtime.LockOSThread() // the right is a thread's own until then

	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{}); err != nil {
		return err
	}

	if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0); err != nil {
		return err
	}

	if err := os.Unsetenv(lockVar); err != nil {
		return err
	}

	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}

// work is the worker, with what a test does to it.
func work(ctx context.Context, c *worker.Child) error {
	if name := os.Getenv(poisonVar); name != "" {
		usr := make(chan os.Signal, 1)
		signal.Notify(usr, unix.SIGUSR1)

		go func() {
			<-usr
			text, _ := os.ReadFile(name)
			address, _ := strconv.ParseUint(string(text), 10, 64)
			poison(address)
		}()
	}

	root := os.Getenv(rootVar)
	if root == "" {
		return memory.Work(ctx, c)
	}

	return memory.WorkAt(ctx, c, os.DirFS(root))
}

// poison raises the signal of a page that memory cannot give back (BUS_MCEERR_AR).
func poison(address uint64) {
	info := struct {
		signo, errno, code, _ int32
		addr                  uint64
		_                     [104]byte
	}{signo: int32(unix.SIGBUS), code: 4, addr: address}

	runtime.LockOSThread()

	_, _, _ = unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(unix.Gettid()), uintptr(unix.SIGBUS),
		uintptr(unsafe.Pointer(&info)), 0, 0)
}

// small is a test of some of this machine's memory.
func small(t *testing.T) memory.Test {
	t.Helper()

	return memory.Test{
		Root: os.DirFS("/"), Runner: worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil))),
		Limit: testLimit, Patterns: memory.Short, Passes: 1, Seed: 1,
	}
}

// run runs a test to its end and returns what came of this machine's only node.
func run(t *testing.T, test memory.Test) *memory.NodeReport {
	t.Helper()

	report, err := memory.Run(t.Context(), test)
	if err != nil {
		t.Fatal(err)
	}

	if len(report.Nodes) != 1 {
		t.Skipf("this machine has %d nodes; the test looks at one", len(report.Nodes))
	}

	return &report.Nodes[0]
}

func TestMemoryThatIsGood(t *testing.T) {
	for kind, want := range map[memory.Patterns]struct{ verified, written uint64 }{
		memory.Short: {8, 8}, memory.Full: {41, 40},
	} {
		test := small(t)
		test.Patterns, test.Stream = kind, true

		var (
			last   float64
			states []memory.State
		)

		test.Progress = func(what string, done float64, _ time.Duration) {
			if done < last || done > 1 || what == "" {
				t.Errorf("progress %v after %v: %q", done, last, what)
			}

			last = done
		}
		test.Saved = func(s memory.State) { states = append(states, s) }

		n := run(t, test)

		if n.Exit.Reason != worker.Done || !n.Ended || len(n.Faults) != 0 || n.Tally.Faults != 0 {
			t.Fatalf("%s: %+v", kind, n)
		}

		if n.Taken.Bytes != testLimit || n.Taken.Unlocked != 0 && os.Geteuid() == 0 {
			t.Errorf("%s: took %+v", kind, n.Taken)
		}

		if got := n.Tally; got.Passes != 1 || got.Steps != 0 || got.Verified < want.verified*testLimit || got.Written < want.written*testLimit {
			t.Errorf("%s: %+v, want %d and %d times %d bytes", kind, got, want.verified, want.written, testLimit)
		}

		if n.Tested() != testLimit {
			t.Errorf("%s: %d bytes tested, %+v", kind, n.Tested(), n.Tally.Pages)
		}

		if n.Stream.Copy < 1e8 || n.Stream.Triad < 1e8 || n.Kernel == "" {
			t.Errorf("%s: %+v, %q", kind, n.Stream, n.Kernel)
		}

		for i, s := range states {
			if s[n.ID].Steps != i+1 || s[n.ID].Passes != 0 {
				t.Errorf("%s: state %d is %+v", kind, i, s)
			}
		}
	}
}

func TestATestGoesOnWhereItWasInterrupted(t *testing.T) {
	test := small(t)
	test.Patterns, test.Passes = memory.Full, 2

	var steps []int

	test.Saved = func(s memory.State) {
		for _, at := range s {
			if at.Passes != 1 {
				t.Errorf("pass %d, want 1", at.Passes)
			}

			steps = append(steps, at.Steps)
		}
	}

	// Behind both moves: what they left cannot be made again, and what was before is.
	test.State = memory.State{0: {Passes: 1, Steps: 36}}

	n := run(t, test)
	if n.Exit.Reason != worker.Done || n.Tally.Passes != 2 || n.Tally.Faults != 0 {
		t.Errorf("%+v", n)
	}

	if want := []int{36, 37, 38, 39, 40, 41, 42}; !slices.Equal(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}

func TestATestThatIsToGoOnDoes(t *testing.T) {
	test := small(t)
	test.Limit, test.Duration = 4<<20, time.Second

	if n := run(t, test); n.Tally.Passes < 2 || n.Exit.Took < time.Second {
		t.Errorf("%d passes in %s", n.Tally.Passes, n.Exit.Took)
	}
}

// Within a step that lasts it is told how far the test is, and for how long it goes on
// already, so that neither who looks at it nor who comes after it loses a minute.
func TestALongStepIsFollowed(t *testing.T) {
	var (
		mu     sync.Mutex
		states = map[int][]memory.Position{} // by node
		taking bool
		idle   = map[string][]float64{} // progress while memory is left alone, by step
	)

	test := small(t)
	test.Patterns, test.Retention, test.SaveEvery, test.Limit = memory.Full, 2*time.Second, time.Millisecond, 8<<20
	test.Saved = func(s memory.State) {
		mu.Lock()
		defer mu.Unlock()

		for node, at := range s {
			states[node] = append(states[node], at)
		}
	}
	test.Progress = func(what string, done float64, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()

		taking = taking || strings.Contains(what, "taking memory, ") && strings.HasSuffix(what, " of about 8 MiB")

		if strings.Contains(what, "after 2s") {
			idle[what] = append(idle[what], done)
		}
	}

	if _, err := memory.Run(t.Context(), test); err != nil {
		t.Fatal(err)
	}

	within := 0

	for _, list := range states {
		for i := 1; i < len(list); i++ {
			was, is := list[i-1], list[i]
			if was.Passes == is.Passes && was.Steps == is.Steps && is.Spent > was.Spent {
				within++
			}

			if is.Spent < was.Spent || is.Passes == was.Passes && is.Steps < was.Steps {
				t.Errorf("it goes from %+v to %+v", was, is)
			}
		}
	}

	if within == 0 {
		t.Errorf("nothing is kept within a step: %+v", states)
	}

	moves := false
	for _, done := range idle {
		moves = moves || slices.IsSorted(done) && done[0] < done[len(done)-1]
	}

	if !moves || !taking {
		t.Errorf("progress stands still while memory is left alone: %v; taking %v", idle, taking)
	}
}

// A CPU that is switched off in the midst of a step, and is back at the next, is seen.
func TestAStepThatIsMovedIsTold(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two CPUs")
	}

	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}

	own := 0
	for !allowed.IsSet(own) {
		own++
	}

	left, err := memory.StepThatIsMoved(own)
	if err != nil || len(left) != 1 || left[0].CPU != own || left[0].On == own {
		t.Errorf("%+v, %v", left, err)
	}
}

// To ask for more than there is is no limit: huge pages of the kernel's pool are taken.
func TestALimitBeyondAllMemoryIsNone(t *testing.T) {
	test := small(t)
	total, err := memory.Total(test.Root)
	if err != nil {
		t.Fatal(err)
	}

	for asked, none := range map[uint64]bool{0: true, 64 << 40: true, total / 2: false} {
		test.Limit = asked

		limit, holds, err := memory.Asked(test)
		if err != nil || (limit == 0) != none || holds == 0 || holds > total || !none && limit > asked {
			t.Errorf("asked for %d MiB: told to take %d MiB, may hold %d MiB, %v", asked>>20, limit>>20, holds>>20, err)
		}
	}
}

func TestATestThatIsStopped(t *testing.T) {
	test := small(t)
	test.Duration = time.Hour

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	test.Saved = func(memory.State) { cancel() }

	report, err := memory.Run(ctx, test)
	if err != nil || report.Tested() != 0 && report.Nodes[0].Tally.Passes == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// victim is a worker that is at work, its first step done, and stands still.
type victim struct {
	t    *testing.T
	pid  int
	word uint64 // address of one of its words under test
	file *os.File
}

// attack runs a test, has its worker seen to while that stands still, and ends it
// two passes later.
func attack(t *testing.T, test memory.Test, do func(v *victim)) *memory.NodeReport {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	last := 0

	test.Duration = time.Hour
	test.Saved = func(s memory.State) {
		if last == 0 {
			last = s[0].Passes + 2

			if v := stop(t); v != nil {
				do(v)
			}
		}

		if s[0].Passes == last {
			cancel()
		}
	}

	report, err := memory.Run(ctx, test)
	if err != nil {
		t.Fatal(err)
	}

	if len(report.Nodes) != 1 {
		t.Skipf("this machine has %d nodes; the test looks at one", len(report.Nodes))
	}

	return &report.Nodes[0]
}

// stop finds the worker of this process and halts it; nil, with an error of the
// test, when it cannot. It is called from other goroutines than the test's.
func stop(t *testing.T) *victim {
	t.Helper()

	v := &victim{t: t, pid: child()}

	err := unix.Kill(v.pid, unix.SIGSTOP)
	if err == nil {
		t.Cleanup(func() { _ = unix.Kill(v.pid, unix.SIGCONT) })

		v.word, err = v.find()
	}

	if err == nil {
		v.file, err = os.OpenFile(v.proc("mem"), os.O_RDWR, 0)
	}

	if err != nil {
		t.Errorf("halting the worker, process %d: %v", v.pid, err)

		return nil
	}

	t.Cleanup(func() { v.file.Close() })

	return v
}

// child is the process id of the worker.
func child() (pid int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, _ := os.ReadFile(stat)
		_, after, _ := strings.Cut(string(text), ") ")

		if words := strings.Fields(after); len(words) > 1 && words[0] != "Z" && words[1] == strconv.Itoa(os.Getpid()) {
			pid, _ = strconv.Atoi(strings.Split(stat, "/")[2])
		}
	}

	return pid
}

func (v *victim) proc(name string) string { return fmt.Sprintf("/proc/%d/%s", v.pid, name) }

// gone is closed when the process has ended, or is a zombie.
func (v *victim) gone() <-chan struct{} {
	over := make(chan struct{})

	go func() {
		defer close(over)

		for range 1000 {
			stat, err := os.ReadFile(v.proc("stat"))
			if err != nil || strings.Contains(string(stat), ") Z ") {
				return
			}

			time.Sleep(10 * time.Millisecond)
		}
	}()

	return over
}

func (v *victim) goOn() {
	if err := unix.Kill(v.pid, unix.SIGCONT); err != nil {
		v.t.Error(err)
	}
}

// find returns the address of a word in the middle of locked memory, all of which
// is under test.
func (v *victim) find() (uint64, error) {
	text, err := os.ReadFile(v.proc("smaps"))
	if err != nil {
		return 0, err
	}

	var start, end uint64

	for line := range strings.Lines(string(text)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			start, end = from, to

			continue
		}

		if kib := strings.Fields(line); kib[0] == "Locked:" && kib[1] != "0" {
			return start + (end-start)/2 + 0x1238, nil
		}
	}

	return 0, errors.New("it has locked no memory")
}

func (v *victim) read() uint64 {
	var raw [8]byte
	if _, err := v.file.ReadAt(raw[:], int64(v.word)); err != nil {
		v.t.Error(err)
	}

	return binary.LittleEndian.Uint64(raw[:])
}

func (v *victim) write(value uint64) error {
	_, err := v.file.WriteAt(binary.LittleEndian.AppendUint64(nil, value), int64(v.word))

	return err
}

// physical reads where the word is; 0 when it cannot.
func (v *victim) physical() uint64 {
	file, err := os.Open(v.proc("pagemap"))
	if err != nil {
		return 0
	}

	defer file.Close()

	var raw [8]byte

	page := uint64(os.Getpagesize())
	if _, err := file.ReadAt(raw[:], int64(v.word/page*8)); err != nil {
		v.t.Error(err)
	}

	return binary.LittleEndian.Uint64(raw[:])&(1<<55-1)*page + v.word%page
}

func needsRoot(t *testing.T) {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("needs root: it writes to another process's memory, or limits it")
	}
}

// A bit that is flipped from outside is found, whenever that happens, with its
// address and the very bit.
func TestAFlippedBit(t *testing.T) {
	needsRoot(t)

	for _, bit := range []int{0, 17, 63} {
		var want memory.Fault

		n := attack(t, small(t), func(v *victim) {
			want.Virtual, want.Physical, want.Expected = v.word, v.physical(), v.read()
			want.Got = want.Expected ^ 1<<bit

			if err := v.write(want.Got); err != nil {
				t.Error(err)
			}

			v.goOn()
		})

		if len(n.Faults) != 1 || n.Tally.Faults != 1 || n.Tally.Bits != 1<<bit || n.Exit.Reason != worker.Done {
			t.Fatalf("bit %d: %+v", bit, n)
		}

		f := n.Faults[0]
		if f.Virtual != want.Virtual || f.Physical != want.Physical || f.Expected != want.Expected || f.Got != want.Got || f.Bits() != 1<<bit {
			t.Errorf("bit %d: %s, want %+v", bit, f.Evidence(), want)
		}

		if f.Same != f.Reads || f.Reads == 0 || f.Failed != 0 || f.Tries == 0 || f.CPU < 0 || f.Step == "" {
			t.Errorf("bit %d: a bit that flipped once: %s", bit, f.Evidence())
		}
	}
}

// A word that is overwritten again and again is found again and again, at the same
// place.
func TestAWordThatDoesNotKeepWhatIsWritten(t *testing.T) {
	needsRoot(t)

	test := small(t)

	var (
		word uint64
		stop = make(chan struct{})
		poke sync.WaitGroup
	)

	n := attack(t, test, func(v *victim) {
		word = v.word

		poke.Go(func() {
			for v.write(0x1234567890abcdef) == nil {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		v.goOn()
	})

	close(stop)
	poke.Wait()

	if len(n.Faults) < 3 {
		t.Fatalf("%d faults: %+v", len(n.Faults), n)
	}

	for _, f := range n.Faults {
		if f.Virtual != word || f.Got != 0x1234567890abcdef {
			t.Errorf("%s", f.Evidence())
		}
	}
}

// Thousands of wrong words are counted, and the first told.
func TestMemoryThatIsBadAllOver(t *testing.T) {
	needsRoot(t)

	n := attack(t, small(t), func(v *victim) {
		if _, err := v.file.WriteAt(make([]byte, 1<<19), int64(v.word)); err != nil {
			t.Error(err)
		}

		v.goOn()
	})

	if n.Tally.Faults < 1<<16-64 || len(n.Faults) == 0 || len(n.Faults) > 1000 || n.Exit.Reason != worker.Done {
		t.Errorf("%d wrong words, %d told, %+v", n.Tally.Faults, len(n.Faults), n.Exit)
	}
}

func TestAWorkerThatIsKilled(t *testing.T) {
	n := attack(t, small(t), func(v *victim) {
		if err := unix.Kill(v.pid, unix.SIGKILL); err != nil {
			t.Error(err)
		}
	})

	if n.Exit.Reason != worker.Killed || n.Tested() != 0 || n.Ended {
		t.Errorf("%+v", n)
	}
}

// A poisoned page ends the worker with a signal that no program of Go survives; here
// it comes as the kernel sends it.
func TestAPoisonedPage(t *testing.T) {
	needsRoot(t)

	var (
		word uint64
		name = filepath.Join(t.TempDir(), "address")
	)

	t.Setenv(poisonVar, name)

	n := attack(t, small(t), func(v *victim) {
		word = v.word

		if err := os.WriteFile(name, []byte(strconv.FormatUint(v.word, 10)), 0o600); err != nil {
			t.Error(err)
		}

		if err := unix.Kill(v.pid, unix.SIGUSR1); err != nil {
			t.Error(err)
		}

		v.goOn()
		<-v.gone()
	})

	if n.Exit.Reason != worker.MemoryPoisoned || n.Exit.Addr != word || n.Ended {
		t.Errorf("%+v, want address %#x", n.Exit, word)
	}
}

// The kernel kills a worker that takes more than its control group may have.
func TestAWorkerThatTheKernelKillsForLackOfMemory(t *testing.T) {
	needsRoot(t)

	group := controlGroup(t, 64<<20)
	t.Setenv(groupVar, group)

	test := small(t)
	test.Limit = 160 << 20

	n := run(t, test)
	if n.Exit.Reason != worker.OutOfMemory || n.Tested() != 0 || n.Ended {
		t.Errorf("%+v", n.Exit)
	}
}

// controlGroup makes one with so much memory and returns its list of processes.
func controlGroup(t *testing.T, bytes int) string {
	t.Helper()

	for _, c := range []struct{ dir, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(c.dir, fmt.Sprintf("vetting-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o700) != nil {
			continue
		}

		t.Cleanup(func() { _ = os.Remove(dir) })

		if os.WriteFile(filepath.Join(dir, c.limit), []byte(strconv.Itoa(bytes)), 0) == nil {
			return filepath.Join(dir, "cgroup.procs")
		}
	}

	t.Skip("no control group can limit memory here")

	return ""
}

// Where memory cannot be had the test is broken, never passed.
func TestMemoryThatCannotBeHad(t *testing.T) {
	t.Run("a limit of address space", func(t *testing.T) {
		t.Setenv(spaceVar, strconv.Itoa(1<<20))

		n := run(t, small(t))
		if n.Exit.Reason == worker.Done || n.Tested() != 0 || n.Exit.Reason.Verdict() != "error" {
			t.Errorf("%+v", n)
		}
	})

	t.Run("a machine that has none to spare", func(t *testing.T) {
		dir := fakeRoot(t, 100<<10)
		t.Setenv(rootVar, dir)

		n := run(t, small(t))
		if n.Exit.Reason != worker.Broken || !strings.Contains(n.Exit.Detail, "none to be had") || n.Tested() != 0 {
			t.Errorf("%+v", n.Exit)
		}
	})
}

// fakeRoot is a file system whose machine has so many KiB available.
func fakeRoot(t *testing.T, kib int) string {
	t.Helper()

	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "proc"), 0o700); err != nil {
		t.Fatal(err)
	}

	setAvailable(t, dir, kib)

	return dir
}

func setAvailable(t *testing.T, dir string, kib int) {
	t.Helper()

	name := filepath.Join(dir, "proc", "meminfo")
	if err := os.WriteFile(name+".new", fmt.Appendf(nil, "MemTotal: 1 kB\nMemAvailable: %d kB\n", kib), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// A machine that runs short of memory gets some back, and the report says so.
func TestMemoryIsGivenBack(t *testing.T) {
	var n memory.NodeReport

	// On a machine with much else to do the worker may not look for a while.
	for short := 600 * time.Millisecond; n.Tally.Released == 0 && short < time.Minute; short *= 3 {
		n = runShort(t, short)
	}

	if n.Exit.Reason != worker.Done || n.Tally.Released == 0 || n.Tested() != n.Taken.Bytes-n.Tally.Released {
		t.Errorf("%+v", n)
	}
}

// runShort runs a test on a machine that is short of memory for a while.
func runShort(t *testing.T, short time.Duration) memory.NodeReport {
	t.Helper()

	const plenty = 64 << 20 // KiB

	dir := fakeRoot(t, plenty)
	t.Setenv(rootVar, dir)

	total, err := memory.Total(os.DirFS("/"))
	if err != nil {
		t.Fatal(err)
	}

	test := small(t)
	test.Patterns, test.Retention = memory.Full, short

	var once sync.Once

	test.Saved = func(memory.State) { // after the first step
		once.Do(func() {
			setAvailable(t, dir, int(memory.Reserve(total)>>10)/2-1)
			time.AfterFunc(short, func() { setAvailable(t, dir, plenty) })
		})
	}

	return *run(t, test)
}

// What could not be locked is told.
func TestMemoryThatCannotBeLocked(t *testing.T) {
	needsRoot(t)
	t.Setenv(lockVar, "0")

	n := run(t, small(t))
	if n.Exit.Reason != worker.Done || n.Taken.Unlocked != testLimit || n.Taken.LockErr == "" || n.Tested() != testLimit {
		t.Errorf("%+v, tested %d", n.Taken, n.Tested())
	}
}

// stuck is a cell with bits that do not change.
type stuck struct{ value, ones, zeros uint64 }

func (s *stuck) Read() uint64       { return s.value }
func (s *stuck) Write(value uint64) { s.value = value&^s.zeros | s.ones }

// glitch is a cell that is read wrong once.
type glitch struct{ value uint64 }

func (g *glitch) Read() uint64       { return g.value }
func (g *glitch) Write(value uint64) { g.value = value }

func TestAWordIsLookedAtClosely(t *testing.T) {
	const right = 0xaaaaaaaaaaaaaaaa

	for name, c := range map[string]struct {
		cell   memory.Cell
		fault  memory.Fault
		same   bool
		failed bool
		word   string
	}{
		"a bit that is stuck at one":  {&stuck{value: right | 1, ones: 1}, memory.Fault{Expected: right, Got: right | 1}, true, true, "the cell is bad"},
		"a bit that is stuck at zero": {&stuck{value: right &^ 2, zeros: 2}, memory.Fault{Expected: right, Got: right &^ 2}, true, true, "the cell is bad"},
		"a bit that flipped":          {&glitch{right ^ 4}, memory.Fault{Expected: right, Got: right ^ 4}, true, false, "while it was stored"},
		"a read that went wrong":      {&glitch{right}, memory.Fault{Expected: right, Got: right ^ 4}, false, false, "misread once"},
		"a comparison that did":       {&glitch{right}, memory.Fault{Expected: right, Got: right, Compared: true}, true, false, "points to the CPU"},
	} {
		memory.Examine(c.cell, &c.fault)

		if (c.fault.Same == c.fault.Reads) != c.same || (c.fault.Failed > 0) != c.failed || !strings.Contains(c.fault.Evidence(), c.word) {
			t.Errorf("%s: %s", name, c.fault.Evidence())
		}

		if cell, ok := c.cell.(*glitch); ok && cell.value != right {
			t.Errorf("%s: the word is left as %x", name, cell.value)
		}
	}
}

func TestOnlyTheCPUsThatAreGivenAreUsed(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}

	last := 0

	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			last = cpu
		}
	}

	test := small(t)
	test.CPUs = []int{last, 100000}

	if n := run(t, test); !slices.Equal(n.CPUs, []int{last}) || n.Tested() != testLimit {
		t.Errorf("%v were used, want %d; %d bytes tested", n.CPUs, last, n.Tested())
	}

	test.CPUs = []int{100000}

	if _, err := memory.Run(t.Context(), test); err == nil {
		t.Error("no CPU may be used, and the test began")
	}
}

// What a CPU that went away was to test is not tested, and said to be so.
func TestAStepOnACPUThatIsGoneBreaksTheTest(t *testing.T) {
	if err := memory.RemoteStepOn(t.Context(), 4095); err == nil {
		t.Error("the step counts as done")
	}
}
