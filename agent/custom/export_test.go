package custom

import (
	"context"
	"log/slog"
	"os/exec"
	"syscall"
	"time"

	"vetting/core"
)

// Shell runs a script without the fence, for tests of what it says. It is not executed
// itself: a process that another test is just starting may still have it open for writing.
func Shell(file string) Run { return Bare("/bin/sh", file) }

// Bare runs a program without the fence, in a session of its own.
func Bare(file string, args ...string) Run {
	return func(ctx context.Context, job Job, progress func(float64), log *slog.Logger) (*said, ended) {
		cmd := exec.Command(file, args...) //nolint:noctx // attend ends it
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

		return attend(ctx, cmd, job, progress, log)
	}
}

// Judge is what comes of lines and an end.
func Judge(script string, lines []string, fault, exit string) (core.Verdict, string, []core.Finding, error) {
	s := &said{script: core.Script{Name: script}, now: time.Now}

	for _, line := range lines {
		if err := s.hear([]byte(line)); err != nil {
			return "", "", nil, err
		}
	}

	verdict, summary, trouble := s.judge(ended{fault: fault, exit: exit})

	return verdict, summary, append(s.findings, trouble...), nil
}

// Said and Ended are what a Run returns.
type (
	Said  = said
	Ended = ended
)
