package initd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes by which the agent tells PID 1 what to do next. Every other end
// (a panic exits with 2, the kernel kills) means: start it again.
const (
	ExitDone   = 0  // nothing is left to do; leave the machine to the operator
	ExitGiveUp = 40 // going on makes no sense (a newer boot has the run, no seed)
)

const (
	firstPause = 500 * time.Millisecond
	longPause  = 30 * time.Second
	steadyTime = time.Minute // a child that lived this long was well
	manyDeaths = 5           // in a row: offer the shell
)

// Supervisor keeps one child running and reaps every orphan of the machine. It
// must run in PID 1, and nothing else in that process may wait for children.
type Supervisor struct {
	// Start starts the child and returns its process id.
	Start func() (pid int, err error)
	// Trouble is called when the child gave up, or died often; at most once each.
	Trouble func(why string)
	Log     *slog.Logger
}

// death is a child that ended.
type death struct {
	pid    int
	status syscall.WaitStatus
}

// Run returns when ctx ends; PID 1 never ends it.
func (s *Supervisor) Run(ctx context.Context) error {
	deaths, born := make(chan death), make(chan struct{}, 1)
	go reap(ctx, deaths, born)

	return s.watch(ctx, deaths, born)
}

// watch starts the child, and starts it again as mourn says. born is told when it
// lives.
func (s *Supervisor) watch(ctx context.Context, deaths <-chan death, born chan<- struct{}) error {
	var (
		pid     int
		started time.Time
		life    = lifeline{pause: firstPause}
		due     = time.After(0)
	)

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()

		case <-due:
			due, started = nil, time.Now()

			var err error
			if pid, err = s.Start(); err != nil {
				s.Log.Error("agent not started", slog.String("error", err.Error()))

				due = time.After(life.next(0))

				continue
			}

			wake(born)

		case d := <-deaths:
			if d.pid != pid {
				continue // an orphan
			}

			pid = 0
			due = s.mourn(&life, d.status, time.Since(started))
		}
	}
}

// mourn decides what follows the end of the child: nil is nothing.
func (s *Supervisor) mourn(life *lifeline, status syscall.WaitStatus, age time.Duration) <-chan time.Time {
	if status.Exited() && status.ExitStatus() == ExitDone {
		s.Log.Info("the agent is done")
		s.Trouble("the agent is done with this machine")

		return nil
	}

	if status.Exited() && status.ExitStatus() == ExitGiveUp {
		s.Trouble("the agent has given up")

		return nil
	}

	pause := life.next(age)
	s.Log.Warn("the agent died and is started again", slog.String("how", describe(status)), slog.Duration("after", age), slog.Duration("in", pause))

	if life.deaths == manyDeaths {
		s.Trouble("the agent dies again and again")
	}

	return time.After(pause)
}

// lifeline counts deaths in a row and doubles the pause between them.
type lifeline struct {
	deaths int
	pause  time.Duration
}

// next returns how long to wait before the next start, given how long the last
// child lived.
func (l *lifeline) next(age time.Duration) time.Duration {
	if age >= steadyTime {
		l.deaths, l.pause = 0, firstPause
	}

	l.deaths++
	pause := l.pause
	l.pause = min(2*l.pause, longPause)

	return pause
}

func describe(status syscall.WaitStatus) string {
	switch {
	case status.Signaled():
		return "signal " + status.Signal().String()
	default:
		return fmt.Sprintf("exit status %d", status.ExitStatus())
	}
}

func wake(born chan<- struct{}) {
	select {
	case born <- struct{}{}:
	default:
	}
}

// reap waits for every child there is; with none left it waits until one is born,
// or a while: orphans arrive unannounced.
func reap(ctx context.Context, deaths chan<- death, born <-chan struct{}) {
	const look = 500 * time.Millisecond

	for ctx.Err() == nil {
		var status unix.WaitStatus

		pid, err := unix.Wait4(-1, &status, 0, nil)

		switch {
		case err == nil && pid > 0:
			select {
			case deaths <- death{pid: pid, status: syscall.WaitStatus(status)}:
			case <-ctx.Done():
			}
		case errors.Is(err, unix.ECHILD):
			select {
			case <-born:
			case <-time.After(look):
			case <-ctx.Done():
			}
		}
	}
}

// StartSelf returns a Start that runs this program again with the arguments, its
// standard output and error going to the file crash: what a dying program says
// last is kept for the next one to report.
func StartSelf(args []string, crash string) func() (int, error) {
	return func() (int, error) {
		if err := os.Rename(crash, crash+".last"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, fmt.Errorf("starting the agent: %w", err)
		}

		out, err := os.OpenFile(crash, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600) //nolint:gosec // a path of our own
		if err != nil {
			return 0, fmt.Errorf("starting the agent: %w", err)
		}

		defer out.Close() //nolint:errcheck // the child has its own

		null, err := os.Open(os.DevNull)
		if err != nil {
			return 0, fmt.Errorf("starting the agent: %w", err)
		}

		defer null.Close() //nolint:errcheck // opened for reading

		pid, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
			Env: os.Environ(), Dir: "/", Files: []uintptr{null.Fd(), out.Fd(), out.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		if err != nil {
			return 0, fmt.Errorf("starting the agent: %w", err)
		}

		return pid, nil
	}
}
