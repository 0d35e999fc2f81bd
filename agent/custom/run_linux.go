package custom

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// Word is the argument by which the program is asked to put a script behind the fence;
// the script's file follows.
const Word = "custom-stage-fence"

// grave is how long a process that was killed may take to be gone: one that waits inside
// the kernel for a device dies no sooner.
const grave = 30 * time.Second

// Job is a script to be run.
type Job struct {
	Script  core.Script
	Overlay string
	Environ []string
}

// file is the script's, as an absolute path.
func (j *Job) file() string { return path.Join("/overlay", j.Overlay, j.Script.File) }

// Run runs a script to its end, or to the end of its time, and returns what it said. It
// never takes longer than the script's time and half a minute.
type Run func(ctx context.Context, job Job, progress func(done float64), log *slog.Logger) (*said, ended)

// Fenced runs scripts behind the fence: program is this very program, which is asked to
// build it by args.
func Fenced(program string, args ...string) Run {
	return func(ctx context.Context, job Job, progress func(float64), log *slog.Logger) (*said, ended) {
		cmd := exec.Command(program) //nolint:noctx // it is killed below, and waited for no longer than makes sense
		cmd.Args = append(append([]string{}, args...), Word, job.file())
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC |
				syscall.CLONE_NEWNET, // whoever speaks from the machine's address is taken for the machine
		}

		return attend(ctx, cmd, job, progress, log)
	}
}

// attend starts cmd and hears it.
func attend(ctx context.Context, cmd *exec.Cmd, job Job, progress func(float64), log *slog.Logger) (*said, ended) {
	heard, errs := &said{script: job.Script, now: time.Now}, &words{log: log}
	cmd.Env, cmd.Dir, cmd.Stderr, cmd.WaitDelay = job.Environ, "/", errs, time.Second

	runtime.LockOSThread() // the kernel ends the process with the thread that began it
	defer runtime.UnlockOSThread()

	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}

	if err != nil {
		return heard, ended{fault: problem.CustomCrashed, why: "it could not be started: " + err.Error()}
	}

	ctx, cancel := context.WithTimeout(ctx, job.Script.Timeout)
	defer cancel()

	listened := make(chan error, 1)

	go func() { listened <- listen(out, heard, progress, log) }()

	end := ended{}

	select {
	case err := <-listened:
		listened <- nil // for whoever asks again

		if err != nil {
			end = ended{fault: problem.CustomGarbled, why: err.Error()}
		}
	case <-ctx.Done():
		end = over(ctx, job, "it was killed")
	}

	end, gone := settle(ctx, cmd, job, end)
	if !gone {
		return &said{script: job.Script, now: time.Now}, end // what it said may still be written to
	}

	<-listened // the pipe is shut

	end.tail = errs.String()

	return heard, end
}

// over says why a script is ended.
func over(ctx context.Context, job Job, what string) ended {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ended{fault: problem.CustomTimeout, why: fmt.Sprintf("%s after %v", what, job.Script.Timeout)}
	}

	return ended{fault: problem.CustomStopped, why: what + ", since the stage was stopped"}
}

// settle waits for the end of a process that has said all, and kills one that is to be
// ended, with all that it has started: it is the first of its namespace. gone is false
// when it cannot be killed.
func settle(ctx context.Context, cmd *exec.Cmd, job Job, end ended) (_ ended, gone bool) {
	waited := make(chan error, 1)

	go func() { waited <- cmd.Wait() }()

	if end.fault == "" {
		select {
		case err := <-waited:
			if err != nil {
				end.exit = err.Error() // "exit status 3", "signal: killed"
			}

			return end, true
		case <-ctx.Done():
			end = over(ctx, job, "it shut its output, did not end and was killed")
		}
	}

	_ = cmd.Process.Kill()

	if attr := cmd.SysProcAttr; attr != nil && attr.Setsid { // behind no fence its children outlive it
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}

	select {
	case <-waited:
		return end, true
	case <-time.After(grave):
		end.why += ", and it cannot be killed: it waits inside the kernel for a device"

		return end, false
	}
}

// listen takes lines in until the script shuts its output or writes what cannot be taken.
func listen(out io.Reader, heard *said, progress func(float64), log *slog.Logger) error {
	lines := bufio.NewScanner(io.LimitReader(out, maxBytes))
	lines.Buffer(nil, maxLine)

	total := 0

	for lines.Scan() {
		total += len(lines.Bytes()) + 1

		if err := heard.hear(lines.Bytes()); err != nil {
			return fmt.Errorf("line %d, %.120q: %w", heard.lines, lines.Text(), err)
		}

		for _, text := range heard.log {
			log.Info("custom stage says", slog.String("script", heard.script.Name), slog.String("text", text))
		}

		heard.log = nil

		progress(heard.done)
	}

	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("a line is longer than %d bytes", maxLine)
	case total >= maxBytes:
		return fmt.Errorf("it wrote more than %d bytes", maxBytes)
	default:
		return nil // that the pipe broke is told by the process's end
	}
}

// words keeps the last of what a script writes to stderr, and puts the first lines into
// the log. Safe for concurrent use.
type words struct {
	log *slog.Logger

	mu    sync.Mutex
	last  []byte // guarded by mu
	lines int    // guarded by mu: of the log
}

// Write never fails.
func (w *words) Write(p []byte) (int, error) {
	const tail, most = 600, 200

	w.mu.Lock()
	defer w.mu.Unlock()

	w.last = append(w.last, p...)
	w.last = w.last[max(0, len(w.last)-tail):]

	for line := range strings.Lines(string(p)) {
		if w.lines++; w.lines <= most {
			w.log.Info("custom stage writes", slog.String("text", clip(strings.TrimSpace(line), maxProse)))
		}
	}

	return len(p), nil
}

// String returns the last words as one line.
func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()

	return strings.Join(strings.Fields(strings.ToValidUTF8(string(w.last), "")), " ")
}
