package initd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	shellPath = "/bin/sh"
	greeting  = "\r\nvetting: %s.\r\nPress Enter for a rescue shell on this console.\r\n"
)

// rescue offers a shell on a terminal to whoever presses Enter there, again and
// again. It is meant for people who stand before the machine; nothing on the
// network reaches it.
func rescue(ctx context.Context, terminal, why string, log *slog.Logger) {
	offered := offerFile(terminal)
	if err := os.WriteFile(offered, nil, 0o600); err != nil {
		log.Debug("the offer of a rescue shell may be painted over", slog.String("error", err.Error()))
	}
	defer os.Remove(offered) //nolint:errcheck // nobody is offered anything else there

	for ctx.Err() == nil {
		if err := oneShell(ctx, terminal, why, log); err != nil {
			log.Debug("no rescue shell", slog.String("terminal", terminal), slog.String("error", err.Error()))

			return
		}
	}
}

func oneShell(ctx context.Context, terminal, why string, log *slog.Logger) error {
	tty, err := os.OpenFile(path.Join("/dev", terminal), os.O_RDWR|unix.O_NOCTTY, 0) //nolint:gosec // a name of our own
	if err != nil {
		return err
	}

	defer tty.Close() //nolint:errcheck // a terminal keeps nothing

	if _, err := fmt.Fprintf(tty, greeting, why); err != nil {
		return err
	}

	if _, err := bufio.NewReader(tty).ReadString('\n'); err != nil {
		return err
	}

	// Nothing is painted where somebody works, and all of the screen is theirs.
	taken := takenFile(terminal)
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		log.Debug("the screen may be painted over", slog.String("error", err.Error()))
	}
	defer os.Remove(taken) //nolint:errcheck // the next shell makes it anew

	_, _ = io.WriteString(tty, "\x1b[0m\x1b[r\x1b[2J\x1b[H")

	fd := tty.Fd()

	pid, err := syscall.ForkExec(shellPath, []string{"sh"}, &syscall.ProcAttr{
		Env: []string{"PATH=/bbin:/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/root", "TERM=linux", "USER=root"}, Dir: "/",
		Files: []uintptr{fd, fd, fd}, Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0},
	})
	if err != nil {
		return fmt.Errorf("starting the rescue shell: %w", err)
	}

	// The supervisor reaps it; here it is enough to see it go.
	for ctx.Err() == nil && unix.Kill(pid, 0) == nil {
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}

	return ctx.Err()
}
