package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vetting/agent/worker"
	"vetting/core"
	"vetting/core/problem"
)

// TestMain makes this program the worker that the tests start.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == worker.Word:
		os.Exit(worker.Main(context.Background(), kinds(), os.Args[2:]))
	case len(os.Args) == 3 && os.Args[1] == "parent":
		parent(os.Args[2])
	}

	os.Exit(m.Run())
}

// runner starts workers whose kernel log is a file of the test's own.
func runner(t *testing.T) worker.Runner {
	t.Helper()

	r := worker.Self(slog.New(slog.NewTextHandler(t.Output(), nil)))
	r.Kmsg, r.Vmstat = filepath.Join(t.TempDir(), "kmsg"), "/dev/null"

	if err := os.WriteFile(r.Kmsg, []byte("6,1,1,-;Out of memory: Killed process 4194303 (before the worker)\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	return r
}

// patient gives a worker all the time that it may need on a machine with much else
// to do.
func patient(spec worker.Spec) worker.Spec {
	spec.Silence, spec.Patience = 5*time.Minute, 5*time.Minute

	return spec
}

// kinds are workers that end in all the ways there are.
func kinds() map[string]worker.Func {
	ready := func(c *worker.Child) {
		c.Ready("set up")
		c.Canary(true, "a flipped bit")
	}
	after := func(fate func()) worker.Func {
		return func(context.Context, *worker.Child) error {
			fate()

			return nil
		}
	}

	return map[string]worker.Func{
		"good": good,
		"blind": func(ctx context.Context, c *worker.Child) error {
			c.Canary(false, "a flipped bit")
			<-ctx.Done()
			return nil
		},
		"unproven":  func(context.Context, *worker.Child) error { return nil },
		"hasty":     func(ctx context.Context, c *worker.Child) error { c.Progress(0.1, ""); <-ctx.Done(); return nil },
		"unable":    func(context.Context, *worker.Child) error { return errors.New("no such CPU") },
		"panic":     after(func() { panic("a bug of ours") }),
		"exit":      after(func() { os.Exit(7) }),
		"nil":       after(func() { *nowhere() = 1 }),
		"poisoned":  after(func() { raise(unix.SIGBUS, 4, 0x7f12_3456_7000) }),
		"truncated": after(touchBeyondTheEnd),
		"astray":    after(touchNothing),
		"illegal":   after(func() { raise(unix.SIGILL, 2, 0x1234) }),
		"waits":     func(ctx context.Context, c *worker.Child) error { ready(c); <-ctx.Done(); return nil },
		"deaf":      func(_ context.Context, c *worker.Child) error { ready(c); time.Sleep(time.Hour); return nil }, // select {} would be a deadlock to the runtime
		"stands": func(_ context.Context, c *worker.Child) error {
			ready(c)

			if err := unix.Kill(os.Getpid(), unix.SIGSTOP); err != nil {
				return err
			}

			time.Sleep(time.Hour) // another thread may be the one that takes the signal

			return nil
		},
		"idle": func(ctx context.Context, c *worker.Child) error {
			ready(c)
			c.Lane("cpu3").Rest(time.Hour)
			<-ctx.Done()

			return nil
		},
		"babbles": func(ctx context.Context, _ *worker.Child) error {
			_, err := os.NewFile(4, "messages").WriteString("not JSON\n")
			<-ctx.Done()

			return err
		},
		"foreign": func(ctx context.Context, _ *worker.Child) error {
			_, err := os.NewFile(4, "messages").WriteString(`{"type":"from-the-future"}` + "\n")
			<-ctx.Done()

			return err
		},
		"family": func(ctx context.Context, c *worker.Child) error {
			sleep := exec.CommandContext(ctx, "sleep", "600")
			if err := sleep.Start(); err != nil {
				return err
			}

			ready(c)
			c.Say("child", sleep.Process.Pid)
			<-ctx.Done()

			return nil
		},
	}
}

// nowhere is nil, which the linter must not know.
func nowhere() *int {
	if os.Getpid() > 0 {
		return nil
	}

	return new(int)
}

type job struct{ Blocks int }

type block struct {
	Number int
	CPU    string
}

// good does what a worker should.
func good(ctx context.Context, c *worker.Child) error {
	var j job
	if err := c.Config(&j); err != nil {
		return err
	}

	c.Ready(c.Name())
	c.Canary(true, "a flipped bit")

	lane := c.Lane("first")
	defer lane.End()

	for i := range j.Blocks {
		lane.Tick()
		c.Progress(float64(i)/float64(j.Blocks), "blocks")
		c.Say("block", block{Number: i, CPU: allowed()})
	}

	for {
		select {
		case <-ctx.Done():
			return errors.New("stopped before the last command")
		case order, open := <-c.Commands():
			if !open || string(order) == `"end"` {
				return nil
			}
		}
	}
}

func allowed() string {
	return field("/proc/self/status", "Cpus_allowed_list:")
}

func field(file, name string) string {
	text, _ := os.ReadFile(file)
	_, rest, _ := strings.Cut(string(text), name)
	value, _, _ := strings.Cut(rest, "\n")

	return strings.TrimSpace(value)
}

// raise sends this very thread a signal as the kernel would: with its own code. A
// process may do so to itself only.
func raise(signal unix.Signal, code int32, addr uint64) {
	info := struct {
		signo, errno, code, _ int32
		addr                  uint64
		_                     [104]byte
	}{signo: int32(signal), code: code, addr: addr}

	_, _, _ = syscall.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(unix.Gettid()), uintptr(signal),
		uintptr(unsafe.Pointer(&info)), 0, 0)
}

// touchBeyondTheEnd gets the kernel's own SIGBUS, which is not about bad memory.
func touchBeyondTheEnd() {
	fd, err := unix.MemfdCreate("short", 0)
	if err != nil {
		panic(err)
	}

	page, err := unix.Mmap(fd, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}

	os.Exit(int(page[0]))
}

// touchNothing gets the kernel's own SIGSEGV, at an address that nobody maps.
func touchNothing() {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		panic(err)
	}

	os.Exit(int(page[0]))
}

func TestAWorkerIsToldWhatToDoAndTellsHowItGoes(t *testing.T) {
	var (
		got    []worker.Message
		blocks []block
		p      *worker.Process
		born   = make(chan struct{})
	)

	p = runner(t).Start(t.Context(), patient(worker.Spec{Kind: "good", Name: "cpu0", Config: job{Blocks: 3}, CPUs: []int{0}}), func(m worker.Message) {
		<-born

		if m.Type == worker.Event {
			var b block
			if err := m.Decode(&b); err != nil || m.Kind != "block" {
				t.Errorf("event %s: %v", m.Kind, err)
			}

			blocks = append(blocks, b)

			if b.Number == 2 {
				if err := p.Send("end"); err != nil {
					t.Error(err)
				}
			}
		}

		got = append(got, m)
	})
	close(born)

	exit := p.Wait()
	if exit.Reason != worker.Done || exit.Worker != "cpu0" || exit.Findings(core.Part{}) != nil {
		t.Fatalf("exit %+v", exit)
	}

	if diff := cmp.Diff([]block{{0, "0"}, {1, "0"}, {2, "0"}}, blocks); diff != "" {
		t.Errorf("blocks, each with the CPUs allowed (-want +got):\n%s", diff)
	}

	if len(got) != 8 || got[0].Type != worker.Ready || got[0].Text != "cpu0" || got[1].Type != worker.Canary || !got[1].Caught {
		t.Errorf("messages %+v", got)
	}

	if err := p.Send("more"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a worker that has ended takes a command: %v", err)
	}
}

// The ways in which a worker ends by itself, as its stage is told.
func TestEveryEndHasItsReason(t *testing.T) {
	t.Parallel()

	for kind, want := range map[string]worker.Exit{
		"blind":     {Reason: worker.CanaryMissed, Detail: "a flipped bit"},
		"unproven":  {Reason: worker.ProtocolViolation, Detail: "without proof"},
		"hasty":     {Reason: worker.ProtocolViolation, Detail: "before it proved"},
		"unable":    {Reason: worker.Broken, Detail: "no such CPU"},
		"panic":     {Reason: worker.Crashed, Tail: "a bug of ours"},
		"exit":      {Reason: worker.Crashed, Detail: "exit status 7"},
		"nil":       {Reason: worker.Crashed, Signal: syscall.SIGSEGV, Code: 1},
		"poisoned":  {Reason: worker.MemoryPoisoned, Signal: syscall.SIGBUS, Code: 4, Addr: 0x7f12_3456_7000},
		"truncated": {Reason: worker.Crashed, Signal: syscall.SIGBUS, Code: 2},
		"astray":    {Reason: worker.ControlFlow, Signal: syscall.SIGSEGV, Code: 2},
		"illegal":   {Reason: worker.ControlFlow, Signal: syscall.SIGILL, Code: 2},
		"stands":    {Reason: worker.Hung, Detail: "not heard of"},
		"idle":      {Reason: worker.Hung, Detail: "cpu3 has not moved"},
		"babbles":   {Reason: worker.ProtocolViolation, Detail: "no message"},
		"foreign":   {Reason: worker.ProtocolViolation, Detail: "from-the-future"},
		"unheard":   {Reason: worker.Crashed, Detail: "exit status 64"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()

			spec := patient(worker.Spec{Kind: kind, Name: kind})
			if kind == "stands" {
				spec.Silence = 2 * time.Second
			}

			exit := runner(t).Run(t.Context(), spec, nil)

			if exit.Reason != want.Reason || !strings.Contains(exit.Detail, want.Detail) || !strings.Contains(exit.Tail, want.Tail) {
				t.Errorf("exit %+v", exit)
			}

			if exit.Signal != want.Signal || exit.Code != want.Code || want.Addr != 0 && exit.Addr != want.Addr {
				t.Errorf("signal %v, code %d, address %#x", exit.Signal, exit.Code, exit.Addr)
			}

			findings := exit.Findings(core.Part{Kind: "cpu", Slot: "CPU1"})
			if len(findings) != 1 || findings[0].Code != "worker/"+string(want.Reason) || !strings.Contains(findings[0].Evidence, exit.Detail) {
				t.Errorf("findings %+v", findings)
			}
		})
	}
}

// A signal from outside says nothing about the machine, unless the kernel sent it.
func TestAKilledWorker(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		signal  syscall.Signal
		kernel  string // what its log says; %d is the process
		vmstat  string
		reason  worker.Reason
		verdict core.Verdict
	}{
		"by somebody":               {syscall.SIGKILL, "", "", worker.Killed, core.Error},
		"by somebody, with SIGSEGV": {syscall.SIGSEGV, "", "", worker.Killed, core.Error},
		"by the kernel, for its memory": {
			syscall.SIGKILL, "3,900,5,-;Out of memory: Killed process %d (vetting-agent) total-vm:1kB\n", "", worker.OutOfMemory, core.Error,
		},
		"by the kernel, for its cgroup's memory": {
			syscall.SIGKILL, "6,900,5,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=agent,pid=%d,uid=0\n", "", worker.OutOfMemory, core.Error,
		},
		"by the kernel, whose log nobody may read": {syscall.SIGKILL, "", "oom_kill 8\n", worker.OutOfMemory, core.Error},
		"while another was out of memory": {
			syscall.SIGKILL, "3,900,5,-;Out of memory: Killed process 1%d (other)\n", "oom_kill 7\n", worker.Killed, core.Error,
		},
		"by the kernel, for a poisoned page": {
			syscall.SIGKILL, "3,900,5,-;Memory failure: 0x1234: forcibly killing agent:%d because of failure to unmap corrupted page\n", "",
			worker.MemoryPoisoned, core.Fail,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := runner(t)
			r.Vmstat = filepath.Join(t.TempDir(), "vmstat")
			write(t, r.Vmstat, "oom_kill 7\n")

			ready := make(chan struct{})
			p := r.Start(t.Context(), patient(worker.Spec{Kind: "waits"}), func(m worker.Message) {
				if m.Type == worker.Canary {
					close(ready)
				}
			})
			<-ready

			if c.kernel != "" {
				write(t, r.Kmsg, strings.ReplaceAll(c.kernel, "%d", strconv.Itoa(p.PID())))
			}

			if c.vmstat != "" {
				if err := os.WriteFile(r.Vmstat, []byte(c.vmstat), 0o600); err != nil {
					t.Fatal(err)
				}
			}

			if err := syscall.Kill(p.PID(), c.signal); err != nil {
				t.Fatal(err)
			}

			if exit := p.Wait(); exit.Reason != c.reason || exit.Reason.Verdict() != c.verdict {
				t.Errorf("exit %+v", exit)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()

	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}

	if err != nil {
		t.Fatal(err)
	}
}

func TestAWorkerThatIsToldToStop(t *testing.T) {
	t.Parallel()

	for kind, want := range map[string]worker.Reason{"waits": worker.Done, "deaf": worker.Stopped} {
		for _, way := range []string{"stop", "context"} {
			t.Run(kind+" "+way, func(t *testing.T) {
				t.Parallel()

				ctx, cancel := context.WithCancel(t.Context())
				ready := make(chan struct{})
				spec := patient(worker.Spec{Kind: kind})
				if kind == "deaf" {
					spec.Patience = time.Second
				}

				p := runner(t).Start(ctx, spec, func(m worker.Message) {
					if m.Type == worker.Canary {
						close(ready)
					}
				})
				<-ready

				if way == "stop" {
					p.Stop()
				}

				if way == "context" {
					cancel()
				}

				if exit := p.Wait(); exit.Reason != want {
					t.Errorf("exit %+v", exit)
				}

				cancel()
			})
		}
	}
}

func TestAWorkerThatCannotBeKilledIsLeftBehind(t *testing.T) {
	p := runner(t).Immortal().Start(t.Context(), worker.Spec{Kind: "stands", Name: "disks", Silence: time.Second}, nil)
	t.Cleanup(func() { _ = syscall.Kill(p.PID(), syscall.SIGKILL) })

	if exit := p.Wait(); exit.Reason != worker.Hung || !strings.Contains(exit.Detail, "cannot be killed") {
		t.Errorf("exit %+v", exit)
	}
}

// A process whose memory the kernel takes back says nothing, and yet it does not hang:
// how it ends tells what became of it.
func TestAWorkerThatDiesSlowlyIsNotHung(t *testing.T) {
	asked := 0
	r := runner(t).Dying(func(pid int) bool {
		asked++

		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}

		return true
	})

	exit := r.Run(t.Context(), worker.Spec{Kind: "stands", Name: "node0", Silence: time.Second}, nil)
	if exit.Reason != worker.Killed || asked != 1 {
		t.Errorf("exit %+v, asked %d times", exit, asked)
	}
}

// One that never comes to its end does hang.
func TestAWorkerThatDiesForEverIsHung(t *testing.T) {
	p := runner(t).Immortal().Dying(func(int) bool { return true }).Start(t.Context(), worker.Spec{Kind: "stands", Name: "node0", Silence: time.Second}, nil)
	t.Cleanup(func() { _ = syscall.Kill(p.PID(), syscall.SIGKILL) })

	if exit := p.Wait(); exit.Reason != worker.Hung {
		t.Errorf("exit %+v", exit)
	}
}

func TestAProcessOnItsWayOutIsSeen(t *testing.T) {
	if worker.Exiting(os.Getpid()) || worker.Exiting(os.Getppid()) {
		t.Error("this process is at work")
	}

	// A process that has ended and was not waited for.
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^$")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	for end := time.Now().Add(time.Minute); !worker.Exiting(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a process that has ended seems to be at work")
		}
	}

	_ = cmd.Wait() // it is not about how it ended

	if !worker.Exiting(cmd.Process.Pid) {
		t.Error("a process that is gone seems to be at work")
	}
}

func TestAWorkerWithMuchMemoryHasLongerToEnd(t *testing.T) {
	const tib = 1 << 40

	for _, c := range []struct {
		spec            worker.Spec
		patience, grave time.Duration
	}{
		{worker.Spec{}, 5 * time.Second, 30 * time.Second},
		{worker.Spec{Memory: 4 << 30}, 6 * time.Second, 31 * time.Second},
		{worker.Spec{Memory: 6 * tib}, 5*time.Second + 1536*time.Second, 30*time.Second + 1536*time.Second},
		{worker.Spec{Memory: tib, Patience: time.Minute}, 5*time.Minute + 16*time.Second, 4*time.Minute + 46*time.Second},
	} {
		patience, grave := worker.Allowances(c.spec)
		if patience.Round(time.Second) != c.patience || grave.Round(time.Second) != c.grave {
			t.Errorf("%+v: %v to end and %v to be gone, want %v and %v", c.spec, patience, grave, c.patience, c.grave)
		}
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	r := runner(t)
	r.Program = "/no/such/program"

	exit := r.Run(t.Context(), worker.Spec{Kind: "good", Name: "x"}, nil)
	if exit.Reason != worker.NotStarted || exit.Reason.Verdict() != core.Error || len(exit.Findings(core.Part{})) != 1 {
		t.Errorf("exit %+v", exit)
	}
}

func TestWhatAWorkerHasStartedEndsWithIt(t *testing.T) {
	var grandchild int

	born := make(chan struct{})
	p := runner(t).Start(t.Context(), patient(worker.Spec{Kind: "family"}), func(m worker.Message) {
		if m.Type == worker.Event {
			_ = json.Unmarshal(m.Data, &grandchild)
			close(born)
		}
	})

	select {
	case <-born:
	case <-p.Over():
		t.Fatalf("exit %+v", p.Wait())
	}

	if score := field("/proc/"+strconv.Itoa(p.PID())+"/oom_score_adj", ""); score != "500" {
		t.Errorf("oom_score_adj %s, want 500", score)
	}

	if nice := strings.Fields(field("/proc/"+strconv.Itoa(p.PID())+"/stat", ") "))[16]; nice != "10" {
		t.Errorf("niceness %s, want 10", nice)
	}

	p.Stop()
	p.Wait()

	if grandchild == 0 || !ends(grandchild) {
		t.Errorf("process %d is still there", grandchild)
	}
}

// ends waits until a process is gone or a zombie.
func ends(pid int) bool {
	for range 12_000 {
		stat := field("/proc/"+strconv.Itoa(pid)+"/stat", ") ")
		if stat == "" || stat[0] == 'Z' {
			return true
		}

		time.Sleep(10 * time.Millisecond)
	}

	return false
}

// parent starts a worker and is killed by the test.
func parent(kind string) {
	r := worker.Self(slog.New(slog.DiscardHandler))
	r.Start(context.Background(), patient(worker.Spec{Kind: kind}), func(m worker.Message) {
		if m.Type == worker.Canary {
			os.Stdout.WriteString("up\n")
		}
	})

	select {}
}

func TestAWorkerDiesWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "parent", "deaf")

	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}

	kids := strings.Fields(childrenOf(cmd.Process.Pid))
	if len(kids) != 1 {
		t.Fatalf("the parent has the children %v, want one", kids)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	_ = cmd.Wait()

	if pid, _ := strconv.Atoi(kids[0]); !ends(pid) {
		t.Errorf("worker %s lives on", kids[0])
	}
}

func childrenOf(pid int) (children string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		if f := strings.Fields(field(stat, ") ")); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			children += " " + strings.Split(stat, "/")[2]
		}
	}

	return children
}

func TestEveryReasonIsExplained(t *testing.T) {
	for _, reason := range worker.Reasons() {
		exit := worker.Exit{Reason: reason}
		found := exit.Findings(core.Part{Kind: "cpu"})

		quiet := slices.Contains([]worker.Reason{worker.Done, worker.Stopped}, reason)
		if quiet != (len(found) == 0) {
			t.Errorf("%s: %d findings", reason, len(found))
		}

		for _, f := range found {
			if _, ok := problem.Lookup(f.Code); !ok {
				t.Errorf("%s is not listed", f.Code)
			}
		}
	}
}

func TestManyWorkersAtOnce(t *testing.T) {
	var work sync.WaitGroup

	r := runner(t)

	for i := range 8 {
		work.Go(func() {
			p := r.Start(t.Context(), patient(worker.Spec{Kind: "good", Name: strconv.Itoa(i), Config: job{Blocks: 50}}), nil)
			_ = p.Send("go on")
			_ = p.Send("end")

			if exit := p.Wait(); exit.Reason != worker.Done {
				t.Errorf("worker %d: %+v", i, exit)
			}
		})
	}

	work.Wait()
}
