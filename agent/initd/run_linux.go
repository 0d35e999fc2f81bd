package initd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// StateDir holds what must outlive the agent's process but not the machine's boot.
const StateDir = "/run/vetting"

// CrashFile takes what the agent says on standard error; CrashFile + ".last" is
// that of the process before.
const CrashFile = StateDir + "/agent.stderr"

// Run is PID 1's life. args are those of the agent proper, the program's name
// first. It does not return while the kernel runs.
func Run(ctx context.Context, args []string) error {
	// Ctrl-Alt-Del and stray signals must not end the first process.
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)

	mountErr := mountAll(firstMounts())
	root := os.DirFS("/")
	log := slog.New(NewLines(OpenScreen(root), slog.LevelInfo))

	if mountErr != nil {
		log.Error("mounting", slog.String("error", mountErr.Error()))
	}

	_, id, err := CheckImage(root)
	if err != nil {
		return halt(ctx, log, err)
	}

	log.Info("boot image is whole", slog.String("image", id[:12]))

	if err := prepare(); err != nil {
		log.Error("preparing", slog.String("error", err.Error()))
	}

	helper := &shells{root: root, log: log}
	if slices.Contains(strings.Fields(cmdline(root)), "vetting.rescue") {
		helper.offer(ctx, "vetting.rescue is on the kernel's command line")
	}

	supervisor := Supervisor{Start: StartSelf(args, CrashFile), Trouble: func(why string) { helper.offer(ctx, why) }, Log: log}

	for {
		if err := guarded(func() error { return supervisor.Run(ctx) }); ctx.Err() != nil {
			return err
		} else if err != nil {
			log.Error("supervisor starts again", slog.String("error", err.Error()))
		}
	}
}

// guarded turns a panic into an error: a panic of PID 1 is one of the kernel's.
func guarded(run func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()

	return run()
}

// prepare makes the state folder, and sees to it that the kernel kills anything
// before the first process when memory runs out.
func prepare() error {
	return errors.Join(
		os.MkdirAll(StateDir, 0o700),
		os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0),
		unix.Sethostname([]byte("vetting")),
		nameSelf("/init", "/bin/vetting-agent"),
	)
}

// nameSelf lets people call the program by its name, who are let in or stand at a
// console.
func nameSelf(program, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // programs are for all
		return fmt.Errorf("giving the agent its name: %w", err)
	}

	if err := os.Symlink(program, name); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("giving the agent its name: %w", err)
	}

	return nil
}

// halt says what is wrong, again and again, and does nothing else: a system of
// which a part is missing must not test anything.
func halt(ctx context.Context, log *slog.Logger, err error) error {
	const again = time.Minute

	for {
		log.Error("this boot image cannot be used, nothing was started", slog.String("error", err.Error()))

		if errors.Is(err, ErrTruncated) {
			log.Error("the machine needs at least 512 MiB of memory; with that, boot it again")
		}

		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}

func cmdline(root fs.FS) string {
	text, err := fs.ReadFile(root, "proc/cmdline")
	if err != nil {
		return ""
	}

	return string(text)
}

// shells offers the rescue shell once.
type shells struct {
	once sync.Once
	root fs.FS
	log  *slog.Logger
}

func (s *shells) offer(ctx context.Context, why string) {
	s.once.Do(func() {
		terminals := []string{"tty1"}
		if slices.Contains(consoles(s.root), "ttyS0") {
			terminals = append(terminals, "ttyS0")
		}

		for _, terminal := range terminals {
			go rescue(ctx, terminal, why, s.log)
		}
	})
}
