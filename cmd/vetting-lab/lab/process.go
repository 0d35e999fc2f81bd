//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec" //nolint:depguard // the lab's work is to start virtual machines, the appliance and its rivals
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a program in a namespace. It dies with the lab.
type Process struct {
	Output  *Transcript // standard output and error
	Started time.Time
	name    string
	cmd     *exec.Cmd
	input   io.WriteCloser
	done    chan struct{} // closed when it has ended
	err     error         // read after done
}

// Command is a program to start.
type Command struct {
	Program string
	Args    []string
	Env     []string // added to the lab's own
	Dir     string
	Log     string // file to which the output is appended; empty: none
	CPUs    []int  // processors it may use; nil: all
}

// Start starts a program inside the namespace. The end of ctx terminates it
// (SIGTERM, and SIGKILL ten seconds later).
func (n *Namespace) Start(ctx context.Context, command Command) (*Process, error) {
	var log *os.File

	if command.Log != "" {
		var err error
		if log, err = os.OpenFile(command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return nil, fmt.Errorf("opening the log of %s: %w", command.Program, err)
		}
	}

	p := &Process{Output: transcriptTo(log), name: command.Program, done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, command.Program, command.Args...) //nolint:gosec // the lab's own command lines
	p.cmd.Env = append(os.Environ(), command.Env...)
	p.cmd.Dir = command.Dir
	p.cmd.Stdout, p.cmd.Stderr = p.Output, p.Output

	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Program, err)
	}

	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(unix.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	// Own process group: Ctrl-C is for the lab, which then ends things in order.
	// The parent-death signal follows the namespace's thread, which lives as long.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}

	if err := n.Do(func() error { return p.launch(command.CPUs) }); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Program, err)
	}

	go p.reap(log)

	return p, nil
}

// transcriptTo returns a transcript with a copy in log, unless that is nil.
func transcriptTo(log *os.File) *Transcript {
	if log == nil {
		return NewTranscript(nil)
	}

	return NewTranscript(log)
}

// launch starts the program from this thread, on the given processors: a child
// inherits them, as it inherits the namespace.
func (p *Process) launch(cpus []int) error {
	p.Started = time.Now()

	if len(cpus) == 0 {
		return p.cmd.Start()
	}

	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("reading the processors in use: %w", err)
	}

	for _, cpu := range cpus {
		wanted.Set(cpu)
	}

	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return fmt.Errorf("choosing processors %v: %w", cpus, err)
	}

	return errors.Join(p.cmd.Start(), unix.SchedSetaffinity(0, &before))
}

func (p *Process) reap(log *os.File) {
	p.err = p.cmd.Wait()
	p.Output.finish()

	if log != nil {
		p.err = errors.Join(p.err, log.Close())
	}

	close(p.done)
}

// Type writes text to the program's standard input, the keyboard of a machine's
// serial console: a key at a time, since a boot ROM on a busy machine loses some of
// what comes at once.
func (p *Process) Type(text string) error {
	const pause = 60 * time.Millisecond

	for _, key := range []byte(text) {
		if _, err := p.input.Write([]byte{key}); err != nil {
			return fmt.Errorf("typing to %s: %w", p.name, err)
		}

		time.Sleep(pause)
	}

	return nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the program has ended; the error is how.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", p.name, ctx.Err())
	}
}

// Stop asks the program to end (SIGTERM), insists after ten seconds, and returns
// when it is gone.
func (p *Process) Stop() {
	p.signal(unix.SIGTERM)

	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Kill ends the program where it stands (SIGKILL), and returns when it is gone.
func (p *Process) Kill() {
	p.signal(unix.SIGKILL)
	<-p.done
}

// signal sends sig; a program that is already gone needs none.
func (p *Process) signal(sig os.Signal) {
	_ = p.cmd.Process.Signal(sig) //nolint:errcheck // os.ErrProcessDone, which is as good
}
