package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// listening is a service manager's end of the socket.
func listening(t *testing.T) (path string, next func() string) {
	t.Helper()

	path = filepath.Join(t.TempDir(), "notify")

	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { conn.Close() })

	return path, func() string {
		buffer := make([]byte, 4096)

		if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}

		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}

		return string(buffer[:n])
	}
}

func TestTheServiceManagerHearsThatWeLiveOnlyWhileWeDo(t *testing.T) {
	t.Parallel()

	socket, next := listening(t)
	ready := make(chan struct{})

	var stuck atomic.Bool

	r := &reporter{
		to: supervisor{socket: socket}, every: time.Millisecond, log: slog.New(slog.DiscardHandler), ready: ready,
		state: func() string { return "serving" },
		alive: func(context.Context) error {
			if stuck.Load() {
				return errors.New("stuck")
			}

			return nil
		},
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- r.run(ctx) }()

	close(ready)

	if got := next(); got != "READY=1\nSTATUS=serving\nWATCHDOG_USEC=2000" {
		t.Errorf("first: %q", got)
	}

	if got := next(); got != "STATUS=serving\nWATCHDOG=1" {
		t.Errorf("a sign of life: %q", got)
	}

	stuck.Store(true)

	got := next()
	for range 1000 { // what was under way when it got stuck waits in the socket
		if got == "STATUS=serving" {
			break
		}

		got = next()
	}

	for range 3 {
		if got != "STATUS=serving" {
			t.Errorf("while the ledger is stuck: %q", got)
		}

		got = next()
	}

	cancel()

	for !strings.HasPrefix(got, "STOPPING=1\n") {
		got = next()
	}

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Told that we stop, the service manager would put an end to who comes after us in the
// same process; that one may take as long as any other start until it gives signs of life.
func TestTheServiceManagerIsNotToldThatARestartIsAnEnd(t *testing.T) {
	t.Parallel()

	for every, want := range map[time.Duration][2]string{
		0:         {"READY=1\nSTATUS=serving", "STATUS=restarting\nWATCHDOG=1"},
		time.Hour: {"READY=1\nSTATUS=serving\nWATCHDOG_USEC=7200000000", "STATUS=restarting\nWATCHDOG=1\nWATCHDOG_USEC=900000000"},
	} {
		restarted(t, every, want)
	}
}

// restarted wants what a service manager hears of an appliance that is started anew.
func restarted(t *testing.T, every time.Duration, want [2]string) {
	t.Helper()

	socket, next := listening(t)
	ready := make(chan struct{})
	close(ready)

	r := &reporter{
		to: supervisor{socket: socket}, every: every, log: slog.New(slog.DiscardHandler), ready: ready, state: func() string { return "serving" },
		alive: func(context.Context) error { return nil }, again: func() bool { return true },
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- r.run(ctx) }()

	if got := next(); got != want[0] {
		t.Errorf("first: %q", got)
	}

	cancel()

	if got := next(); got != want[1] {
		t.Errorf("at the end: %q", got)
	}

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTheWatchdogOfTheServiceManager(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		usec, pid string
		want      time.Duration
	}{
		"none":          {"", "", 0},
		"a minute":      {"60000000", "", 30 * time.Second},
		"for us":        {"60000000", "7", 30 * time.Second},
		"for another":   {"60000000", "8", 0},
		"no number":     {"soon", "", 0},
		"never":         {"0", "", 0},
		"without bound": {"9223372036854775807", "", 0},
	} {
		if got := watchdog(c.usec, c.pid, 7); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// One that is named and not there, as in a container that inherited its name, keeps
// nobody from serving.
func TestAServiceManagerThatIsNotThere(t *testing.T) {
	t.Parallel()

	ready := make(chan struct{})
	close(ready)

	asked := make(chan struct{}, 1)
	r := &reporter{
		to: supervisor{"/nowhere/notify"}, every: time.Millisecond, log: slog.New(slog.DiscardHandler), ready: ready,
		state: func() string { return "serving" },
		alive: func(context.Context) error {
			select {
			case asked <- struct{}{}:
			default:
			}

			return nil
		},
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- r.run(ctx) }()

	<-asked // it goes on
	cancel()

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Who was started by hand has nobody to tell.
func TestWithoutAServiceManager(t *testing.T) {
	t.Parallel()

	if err := (&reporter{}).run(t.Context()); err != nil {
		t.Error(err)
	}

	a := deskAppliance(t, t.TempDir(), func(*appliance) {})
	if err := a.alive(t.Context()); err != nil {
		t.Error(err)
	}

	if got := a.state(); !strings.HasPrefix(got, "console at https://127.0.0.1:") {
		t.Error(got)
	}
}
