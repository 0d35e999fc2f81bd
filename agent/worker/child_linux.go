package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Word is the argument by which the program is asked to be a worker; the kind
// follows it.
const Word = "worker"

// Where the parent puts the pipes.
const (
	commandFD = 3
	messageFD = 4
)

// What a worker gives up for the sake of the agent.
const (
	niceness   = 10
	oomScore   = "500"
	laneMemory = 16 << 20  // of garbage for each thread, before it is collected
	baseMemory = 128 << 20 // and for the process
)

// Exit codes of a worker. Go's runtime ends with 2.
const (
	codeDone   = 0
	codeFailed = 1
	codeNoKind = 64
)

// Func is a kind of worker. It returns nil when the test was done, whatever it
// found, and an error when it could not be done. It returns soon when ctx ends.
type Func func(ctx context.Context, c *Child) error

// Main is the life of a worker; args are what follows Word. It returns the exit
// code.
func Main(ctx context.Context, kinds map[string]Func, args []string) int {
	if len(args) != 1 || kinds[args[0]] == nil {
		fmt.Fprintln(os.Stderr, "a worker is started by the agent, with its kind")

		return codeNoKind
	}

	if err := yieldToAll(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}

	commands, messages := os.NewFile(commandFD, "commands"), os.NewFile(messageFD, "messages")
	if commands == nil || messages == nil {
		return codeNoKind
	}

	// What the worker starts must not hold the pipes open when it has ended: it would
	// be waited for, and then count as hung.
	unix.CloseOnExec(commandFD)
	unix.CloseOnExec(messageFD)

	return work(ctx, kinds[args[0]], commands, messages)
}

// yieldToAll makes the process the first to be killed when memory runs out.
func yieldToAll() error {
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0); err != nil {
		return fmt.Errorf("offering this process to the kernel: %w", err)
	}

	return nil
}

func work(ctx context.Context, kind Func, commands io.Reader, messages io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	c := &Child{lanes: newLanes(), messages: messages, commands: make(chan json.RawMessage, 16)}

	lines := bufio.NewScanner(commands)
	lines.Buffer(nil, maxLine)

	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &c.setup) != nil {
		c.send(&Message{Type: failed, Text: "the worker was not told what to do"})

		return codeFailed
	}

	runtime.GOMAXPROCS(max(2, c.setup.Threads+1))
	debug.SetMemoryLimit(baseMemory + int64(c.setup.Threads)*laneMemory)

	go c.listen(ctx, lines, cancel)
	go c.live(ctx)

	if err := kind(ctx, c); err != nil {
		c.send(&Message{Type: failed, Text: err.Error()})

		return codeFailed
	}

	c.send(&Message{Type: done})

	return codeDone
}

// Child is a worker's end of the conversation. Safe for concurrent use.
type Child struct {
	setup    setup
	lanes    *lanes
	commands chan json.RawMessage

	mu       sync.Mutex
	messages io.Writer // guarded by mu
}

// listen hands commands on until the parent shuts the pipe, by which it says that
// the worker is to stop, or is gone.
func (c *Child) listen(ctx context.Context, lines *bufio.Scanner, stop context.CancelFunc) {
	defer stop()
	defer close(c.commands)

	for lines.Scan() {
		var order command
		if json.Unmarshal(lines.Bytes(), &order) != nil {
			return
		}

		select {
		case c.commands <- order.Data:
		case <-ctx.Done():
			return
		}
	}
}

// live says again and again that the worker lives, and how its lanes are.
func (c *Child) live(ctx context.Context) {
	ticker := time.NewTicker(c.setup.Beat)
	defer ticker.Stop()

	for {
		name, age := c.lanes.slowest()
		c.send(&Message{Type: beat, Lane: name, Age: age})

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// send writes a message. A parent that does not listen any more is gone, and so
// is the reason to go on.
func (c *Child) send(m *Message) {
	text, err := json.Marshal(m)
	if err != nil {
		text = fmt.Appendf(nil, `{"type":"failed","text":%q}`, err.Error())
	}

	if err := c.write(append(text, '\n')); errors.Is(err, unix.EPIPE) {
		os.Exit(codeFailed) //nolint:revive // nobody is left to tell
	}
}

func (c *Child) write(line []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	_, err := c.messages.Write(line)

	return err
}

// Name is what the parent calls this worker.
func (c *Child) Name() string { return c.setup.Name }

// Config reads what the worker is to do.
func (c *Child) Config(into any) error {
	if err := json.Unmarshal(c.setup.Config, into); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}

	return nil
}

// Commands hands over what the parent sends meanwhile, and is closed when the
// worker is to stop.
func (c *Child) Commands() <-chan json.RawMessage { return c.commands }

// Ready says that everything is set up.
func (c *Child) Ready(what string) { c.send(&Message{Type: Ready, Text: what}) }

// Canary says whether the planted fault was found. A worker that did not find it
// is ended by its parent.
func (c *Child) Canary(caught bool, what string) {
	c.send(&Message{Type: Canary, Caught: caught, Text: what})
}

// Progress says how far the worker is, 0 to 1, and with what.
func (c *Child) Progress(part float64, what string) {
	c.send(&Message{Type: Progress, Done: min(1, max(0, part)), Text: what})
}

// Say sends an event of the worker's own kind; data must be fit for JSON.
func (c *Child) Say(kind string, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		c.send(&Message{Type: failed, Text: "writing the event " + kind + ": " + err.Error()})

		return
	}

	c.send(&Message{Type: Event, Kind: kind, Data: raw})
}

// Log writes a line into the log of the run.
func (c *Child) Log(text string) { c.send(&Message{Type: Log, Text: text}) }

// Lane opens a lane for a thread of work; it must tick from now on.
func (c *Child) Lane(name string) *Lane { return c.lanes.open(name) }

// Pin ties the calling goroutine to its thread and the thread to CPUs. The
// goroutine should end without untying it, which ends the thread too.
func Pin(cpus ...int) error {
	runtime.LockOSThread()

	if err := unix.SchedSetaffinity(0, cpuSet(cpus)); err != nil {
		return fmt.Errorf("pinning to CPU %v: %w", cpus, err)
	}

	return nil
}

// Here returns the CPU that the calling thread runs on now; -1 where the kernel does
// not tell. It differs from that of Pin once the CPU was switched off: the kernel then
// moves the thread without a word, and lets it run anywhere.
func Here() int {
	var cpu uint32

	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 { //nolint:gosec // alive over the call
		return -1
	}

	return int(cpu)
}
