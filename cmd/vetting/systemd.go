package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"vetting/core"
)

// supervisor is the service manager that has started us, as sd_notify(3) has it: a
// datagram socket that takes lines such as READY=1. The zero value is none.
type supervisor struct{ socket string }

// managed is what the service manager gave us at the start, for whoever starts us anew.
var managed []string //nolint:gochecknoglobals // it is the environment's, which is the process's

// newSupervisor finds the service manager. Programs that we start must not speak for
// us, so its address is taken out of the environment.
func newSupervisor() (supervisor, time.Duration, error) {
	s := supervisor{socket: os.Getenv("NOTIFY_SOCKET")}
	every := watchdog(os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"), os.Getpid())

	var faults []error
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if value, ok := os.LookupEnv(name); ok {
			managed = append(managed, name+"="+value)
		}

		faults = append(faults, os.Unsetenv(name))
	}

	return s, every, errors.Join(faults...)
}

// watchdog returns how often the service manager wants to hear that we live: twice in
// the time that it waits (sd_watchdog_enabled(3)). 0: never.
func watchdog(usec, pid string, own int) time.Duration {
	n, err := strconv.ParseInt(usec, 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) || pid != "" && pid != strconv.Itoa(own) {
		return 0
	}

	return time.Duration(n) * time.Microsecond / 2
}

// tell sends lines to the service manager; without one, nothing.
func (s supervisor) tell(ctx context.Context, lines string) error {
	if s.socket == "" {
		return nil
	}

	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", s.socket)
	if err != nil {
		return fmt.Errorf("reaching the service manager: %w", err)
	}

	_, err = conn.Write([]byte(lines))

	if err = errors.Join(err, conn.Close()); err != nil {
		return fmt.Errorf("telling the service manager: %w", err)
	}

	return nil
}

// reporter tells the service manager that we started, what we are at, and, as often as
// it wants to hear it, that we live.
type reporter struct {
	to    supervisor
	every time.Duration // between signs of life; 0: none are wanted
	log   *slog.Logger
	ready <-chan struct{}                 // closed once machines are answered; nil: never
	state func() string                   // one line for people
	alive func(ctx context.Context) error // nil where we live
	again func() bool                     // we end to be started anew; nil: never
}

// patience is how long a start may fail at once: another DHCP server or a port that is
// taken end it, and the service manager should know before it hears that we started.
// A test NIC without a cable is no failure.
const patience = 10 * time.Second

// look is how often the state for people is told anew.
const look = 15 * time.Second

// longestStart is how long who comes after us in the same process may take until it is
// ready, as the unit has it for every other start: a large ledger is read from end to end.
const longestStart = 15 * time.Minute

// within has the service manager wait so long for signs of life from now on.
func (r *reporter) within(d time.Duration) string {
	if r.every <= 0 {
		return ""
	}

	return "\nWATCHDOG_USEC=" + strconv.FormatInt(d.Microseconds(), 10)
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) error {
	if r.to.socket == "" {
		return nil
	}

	started, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	select {
	case <-ctx.Done():
		return nil
	case <-started.Done():
	case <-r.ready:
	}

	// A manager that cannot be reached, such as one outside of a container, is no reason
	// to serve nobody; one that waits for this word ends us by itself.
	if err := r.to.tell(ctx, "READY=1\nSTATUS="+r.state()+r.within(2*r.every)); err != nil {
		r.log.Warn("the service manager cannot be told that the appliance serves", slog.String("error", err.Error()))
	}

	r.watch(ctx)

	last := "STOPPING=1\nSTATUS=closing the ledger"
	if r.again != nil && r.again() {
		last = "STATUS=restarting\nWATCHDOG=1" + r.within(longestStart) // told that we stop, it would put an end to who comes after us
	}

	if err := r.to.tell(context.WithoutCancel(ctx), last); err != nil {
		r.log.Warn("the service manager cannot be told that the appliance ends", slog.String("error", err.Error()))
	}

	return nil
}

// watch gives signs of life until ctx ends. They stop while we do not live, and then
// the service manager starts us anew.
func (r *reporter) watch(ctx context.Context) {
	every := look
	if r.every > 0 {
		every = min(every, r.every)
	}

	tick := time.NewTicker(every)
	defer tick.Stop()

	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}

		lines := "STATUS=" + r.state()

		if err := r.alive(ctx); err != nil {
			r.log.Error("the ledger takes no updates; the service manager is not told that we live", slog.String("error", err.Error()))
		} else if r.every > 0 {
			lines += "\nWATCHDOG=1"
		}

		if err := r.to.tell(ctx, lines); err != nil {
			r.log.Warn("the service manager was not told", slog.String("error", err.Error()))
		}
	}
}

// stuckAfter is how long the ledger may take for an update before it counts as stuck.
const stuckAfter = 20 * time.Second

// alive asks the ledger to carry out an update that changes nothing. A disk that is
// full is no reason to be started anew.
func (a *appliance) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stuckAfter)
	defer cancel()

	_, err := a.store.Update(ctx, func(core.Txn) error { return nil })
	if errors.Is(err, core.ErrFull) {
		return nil
	}

	return err
}

// state is what systemctl status shows.
func (a *appliance) state() string {
	if a.netboot == nil {
		if a.alone {
			return "no test NIC is in use; console at " + a.ui.URL()
		}

		return "console at " + a.ui.URL()
	}

	if err := a.netboot.Health(); err != nil {
		return firstLine(err.Error()) + "; console at " + a.ui.URL()
	}

	return "serving " + a.self.Masked().String() + " on " + a.config.Netboot.Interface + "; console at " + a.ui.URL()
}

// firstLine keeps a text from being taken for more than one line.
func firstLine(text string) string {
	for i, c := range text {
		if c == '\n' || c == '\r' {
			return text[:i]
		}
	}

	return text
}
