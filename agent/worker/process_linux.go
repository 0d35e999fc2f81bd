package worker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startAllowance = time.Minute // until the first word
	usualSilence   = 30 * time.Second
	usualPatience  = 5 * time.Second
	beatsInSilence = 10
	graveTime      = 30 * time.Second // a process that waits inside the kernel for a device dies no sooner
	longestBeat    = 2 * time.Second
)

// Runner starts workers: this program again, or another that knows Main.
type Runner struct {
	Program string   // what is executed
	Args    []string // the program's own name first, the kind is put behind them
	Kmsg    string   // the kernel's log
	Vmstat  string   // the kernel's counters
	Log     *slog.Logger

	kill  func(pid int)      // with all that it started; nil: as the kernel does
	dying func(pid int) bool // nil: as the kernel tells
	grave time.Duration      // from the kill to the end; 0: as the spec has it
}

// Self returns a Runner of this very program. log takes what workers have to say
// for the run's log.
func Self(log *slog.Logger) Runner {
	return Runner{
		Program: "/proc/self/exe", Args: []string{os.Args[0], Word}, Kmsg: "/dev/kmsg", Vmstat: "/proc/vmstat", Log: log,
	}
}

// Spec says which worker to start.
type Spec struct {
	Kind   string // of the table given to Main
	Name   string // tells it from its siblings: "cpu3", "node0"
	Config any    // what it is to do, fit for JSON
	// CPUs are the logical CPUs it may run on; empty: any. It runs as many threads.
	CPUs []int
	// Silence is how long the worker, or a lane of it, may not be heard of before it
	// counts as hung; 0: 30 s.
	Silence time.Duration
	// Patience is how long it may take to end when told to; 0: 5 s.
	Patience time.Duration
	// Memory is how many bytes it may come to hold. The kernel takes them back page by
	// page before the process is gone, which for terabytes takes minutes in which
	// nothing is heard of it: it has so much longer to end, and to be dead.
	Memory uint64
}

// reclaimed is how many bytes a second the kernel takes back at least from a process
// that ends: small pages that are locked, on a slow machine.
const reclaimed = 4 << 30

// reclaim is how long it takes until all memory of the worker is free again.
func (s *Spec) reclaim() time.Duration {
	return time.Duration(float64(s.Memory) / reclaimed * float64(time.Second))
}

// buried is how long a process may take from its death to its end.
func (s *Spec) buried() time.Duration { return graveTime + s.reclaim() }

func (s *Spec) fill() {
	if s.Silence == 0 {
		s.Silence = usualSilence
	}

	if s.Patience == 0 {
		s.Patience = usualPatience
	}

	s.Patience += s.reclaim()
}

// Run starts a worker and waits for its end. See Start.
func (r Runner) Run(ctx context.Context, spec Spec, hear func(Message)) Exit {
	return r.Start(ctx, spec, hear).Wait()
}

// Start starts a worker; what keeps it from starting is told by Wait. When ctx ends
// it is told to stop and then killed with all that it started. hear, which may be
// nil, gets its messages in order, from one goroutine, and must not block.
func (r Runner) Start(ctx context.Context, spec Spec, hear func(Message)) *Process {
	spec.fill()

	if hear == nil {
		hear = func(Message) {}
	}

	p := &Process{
		spec: spec, hear: hear, log: r.Log, started: make(chan struct{}), over: make(chan struct{}), stop: make(chan struct{}),
		dying: make(chan struct{}), kill: r.kill, ends: r.dying, grave: r.grave,
	}

	if p.kill == nil {
		p.kill = func(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) } // it may have ended just now
	}

	if p.ends == nil {
		p.ends = exiting
	}

	if p.grave == 0 {
		p.grave = spec.buried()
	}

	// The goroutine is never untied: its thread has the worker's CPUs and niceness,
	// which the worker inherits, and must live as long as the worker does, since
	// that dies with it (PDEATHSIG is about the thread, not the process).
	go func() {
		runtime.LockOSThread()
		defer close(p.over)

		begin := time.Now()

		exit := p.live(ctx, r)
		exit.Worker, exit.Took = spec.Name, time.Since(begin)
		p.exit = exit
	}()

	<-p.started

	return p
}

// Process is a worker that was started. Safe for concurrent use.
type Process struct {
	spec    Spec
	hear    func(Message)
	log     *slog.Logger
	started chan struct{}
	over    chan struct{}
	exit    Exit // once over is closed
	pid     int  // once started is closed; 0: never started

	stop     chan struct{}
	stopOnce sync.Once

	kill  func(pid int)
	ends  func(pid int) bool
	grave time.Duration
	dying chan struct{} // closed when it is killed

	mu    sync.Mutex
	pipe  *os.File // guarded by mu: commands; nil when shut
	state ending   // guarded by mu
}

// PID is the worker's process id, 0 if it could not be started.
func (p *Process) PID() int { return p.pid }

// Stop tells the worker to end, as the end of its context does.
func (p *Process) Stop() { p.stopOnce.Do(func() { close(p.stop) }) }

// Wait waits for the end of the worker.
func (p *Process) Wait() Exit {
	<-p.over

	return p.exit
}

// Over is closed when the worker has ended.
func (p *Process) Over() <-chan struct{} { return p.over }

// Send sends a command, which the worker gets from Child.Commands. The error says
// that it has ended or was told to stop.
func (p *Process) Send(data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("writing a command to %s: %w", p.spec.Name, err)
	}

	return p.write(command{Data: raw})
}

func (p *Process) write(line any) error {
	raw, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("writing to %s: %w", p.spec.Name, err)
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	if p.pipe == nil {
		return fmt.Errorf("writing to %s: %w", p.spec.Name, os.ErrClosed)
	}

	if _, err := p.pipe.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("writing to %s: %w", p.spec.Name, err)
	}

	return nil
}

// hangUp shuts the pipe of commands, by which the worker is told to stop.
func (p *Process) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.pipe != nil {
		p.pipe.Close()
		p.pipe = nil
	}
}

// live is the worker's life, from its start to its exit.
func (p *Process) live(ctx context.Context, r Runner) Exit {
	seen := newWitness(r.Kmsg, r.Vmstat)
	defer seen.close()

	out := &tail{}

	cmd, messages, err := p.fork(r, out)
	if err != nil {
		close(p.started)

		return Exit{Reason: NotStarted, Detail: err.Error()}
	}

	heard := make(chan Message)
	go p.read(messages, heard)

	p.greet()
	close(p.started) // no command can get ahead of the greeting
	p.attend(ctx, heard)

	gone := p.await(cmd)
	p.hangUp()
	p.kill(p.pid) // whatever it has started ends too

	p.mu.Lock()
	defer p.mu.Unlock()

	if !gone {
		return Exit{Reason: Hung, Detail: p.state.why + ", and it cannot be killed: it waits inside the kernel for a device", Tail: out.String()}
	}

	p.state.tail, p.state.evidence, p.state.ooms = out.String(), seen.about(p.pid), seen.killed()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		p.state.status = status
	}

	return p.state.judge()
}

// await waits for the process to be gone; false: it never will be, as far as
// anybody can tell.
func (p *Process) await(cmd *exec.Cmd) bool {
	late := time.AfterFunc(max(p.spec.Patience, p.spec.Silence), func() { p.end(Hung, "it said its last word and did not end") })
	defer late.Stop()

	waited := make(chan struct{})

	go func() {
		_ = cmd.Wait() // the state says more

		close(waited)
	}()

	select {
	case <-waited:
		return true
	case <-p.dying:
	}

	select {
	case <-waited:
		return true
	case <-time.After(p.grave):
		return false
	}
}

// greet tells the worker what to do.
func (p *Process) greet() {
	config, err := json.Marshal(p.spec.Config)
	if err == nil {
		err = p.write(setup{
			Name: p.spec.Name, Beat: min(longestBeat, p.spec.Silence/beatsInSilence), Threads: len(p.spec.CPUs), Config: config,
		})
	}

	if err != nil { // a worker that is gone already tells more by its end
		p.log.Warn("the worker was not told what to do", slog.String("worker", p.spec.Name), slog.String("error", err.Error()))
		p.hangUp()
	}
}

// fork starts the process on a thread that is set up as the process is to be.
func (p *Process) fork(r Runner, out io.Writer) (*exec.Cmd, *os.File, error) {
	theirCommands, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("starting the worker: %w", err)
	}

	defer theirCommands.Close()

	messages, theirMessages, err := os.Pipe()
	if err != nil {
		ours.Close()

		return nil, nil, fmt.Errorf("starting the worker: %w", err)
	}

	defer theirMessages.Close()

	cmd := &exec.Cmd{
		Path: r.Program, Args: append(append([]string{}, r.Args...), p.spec.Kind),
		Env: append(os.Environ(), "GOGC=off", "GOTRACEBACK=single"), Dir: "/",
		Stdout: out, Stderr: out, ExtraFiles: []*os.File{theirCommands, theirMessages},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
		WaitDelay:   time.Second, // for grandchildren that hold the output open
	}

	if err = p.prepareThread(); err == nil {
		err = cmd.Start()
	}

	if err != nil {
		ours.Close()
		messages.Close()

		return nil, nil, fmt.Errorf("starting the worker: %w", err)
	}

	p.pid, p.pipe = cmd.Process.Pid, ours

	return cmd, messages, nil
}

// prepareThread gives the calling thread what the worker is to inherit.
func (p *Process) prepareThread() error {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("setting the niceness: %w", err)
	}

	if len(p.spec.CPUs) == 0 {
		return nil
	}

	if err := unix.SchedSetaffinity(0, cpuSet(p.spec.CPUs)); err != nil {
		return fmt.Errorf("pinning to CPU %v: %w", p.spec.CPUs, err)
	}

	return nil
}

func cpuSet(cpus []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}

	return &set
}

// read turns lines into messages until the worker shuts its pipe. A line that is
// none ends it.
func (p *Process) read(messages *os.File, heard chan<- Message) {
	defer messages.Close()
	defer close(heard)

	lines := bufio.NewScanner(messages)
	lines.Buffer(nil, maxLine)

	for lines.Scan() {
		var m Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			p.end(ProtocolViolation, "it wrote a line that is no message: "+err.Error())

			return
		}

		heard <- m
	}

	if err := lines.Err(); err != nil && !errors.Is(err, os.ErrClosed) {
		p.end(ProtocolViolation, "its messages cannot be read: "+err.Error())
	}
}

// attend hears the worker until it shuts its pipe, and ends it when it must.
func (p *Process) attend(ctx context.Context, heard <-chan Message) {
	silence := time.NewTimer(startAllowance)
	defer silence.Stop()

	told, stop, dying := ctx.Done(), (<-chan struct{})(p.stop), (<-chan struct{})(p.dying)

	var (
		grave <-chan time.Time
		ends  bool // it was seen to
	)

	for {
		select {
		case m, ok := <-heard:
			if !ok {
				return
			}

			p.take(&m)
			silence.Reset(p.spec.Silence)
		case <-silence.C:
			if !ends && p.ends(p.pid) { // it is no more at work; its memory is being taken back
				ends = true

				silence.Reset(p.grave)

				continue
			}

			p.end(Hung, fmt.Sprintf("the process was not heard of for %v", p.spec.Silence))
		case <-told:
			told = nil

			p.dismiss("the stage is over")
		case <-stop:
			stop = nil

			p.dismiss("it was told to stop")
		case <-dying:
			dying, told, stop = nil, nil, nil
			grave = time.After(p.grave)
		case <-grave:
			go drain(heard) // so that its reader ends with it, should it ever

			return
		}
	}
}

func drain(heard <-chan Message) {
	for range heard { //nolint:revive // nobody wants them any more
	}
}

// dismiss asks the worker to end, and kills it when that takes too long.
func (p *Process) dismiss(why string) {
	p.hangUp()

	time.AfterFunc(p.spec.Patience, func() {
		select {
		case <-p.over:
		default:
			p.end(Stopped, why)
		}
	})
}

// end kills the worker. The first reason counts.
func (p *Process) end(why Reason, detail string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.state.ours == "" {
		p.state.ours, p.state.why = why, detail
		close(p.dying)
	}

	p.kill(p.pid)
}

// exiting reports whether a process is on its way out, or gone: its threads do nothing
// any more, and the kernel takes back what it had.
func exiting(pid int) bool {
	const (
		flagsField = 6   // of /proc/PID/stat, behind the name
		flag       = 0x4 // PF_EXITING of <linux/sched.h>
	)

	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true // nothing is left to be waited for but our own ears
	}

	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= flagsField {
		return false
	}

	flags, err := strconv.ParseUint(fields[flagsField], 10, 32)

	return fields[0] == "Z" || err == nil && flags&flag != 0
}
