package hold

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// notFound is how shells say that there is no such program.
const notFound = 127

// drain is how long what a process left in its terminal or pipes may take to
// reach the client once the process has ended.
const drain = 2 * time.Second

// session is one shell or command.
type session struct {
	*conn
	channel ssh.Channel
	log     *slog.Logger
	env     []string
	tty     *terminal // nil: none was asked for
	begun   bool
	pid     int // 0: nothing was started
	over    sync.WaitGroup
}

// session serves a channel until it is over: a client that is gone takes its
// process with it.
func (c *conn) session(offer ssh.NewChannel) {
	channel, requests, err := offer.Accept()
	if err != nil {
		return // the connection is over
	}

	s := &session{conn: c, channel: channel, log: c.log}
	c.touch()

	for request := range requests {
		c.touch()

		ok, then := s.request(request)
		if request.WantReply {
			_ = request.Reply(ok, nil) // the connection tells when it is broken
		}

		if then != nil { // what a program says comes after the answer that it runs
			then()
		}
	}

	_ = channel.Close() // it may be closed already

	if s.pid != 0 {
		s.brood.hangUp(s.pid)
	}

	s.over.Wait()

	if s.tty != nil {
		s.tty.close()
	}
}

// request follows one request of RFC 4254 §6 and reports whether it did, and
// what is to be done once the client knows. What is not known is refused, and so
// are forwarding (auth-agent-req, x11-req) and subsystems.
func (s *session) request(r *ssh.Request) (ok bool, then func()) {
	switch r.Type {
	case "env":
		return s.setEnv(r.Payload), nil
	case "pty-req":
		return s.pty(r.Payload), nil
	case "window-change":
		size, ok := readWindow(r.Payload)

		return ok && s.tty != nil && s.tty.resize(size) == nil, nil
	case "signal":
		signal, ok := readSignal(r.Payload)

		return ok && s.brood.signal(s.pid, signal), nil
	case "shell":
		return s.begin(nil, len(r.Payload) == 0)
	case "exec":
		command, ok := readExec(r.Payload)

		return s.begin([]string{"-c", command}, ok)
	default:
		return false, nil
	}
}

func (s *session) setEnv(payload []byte) bool {
	pair, ok := readEnv(payload)
	if !ok || s.begun || len(s.env) >= maxEnv {
		return false
	}

	s.env = append(s.env, pair)

	return true
}

func (s *session) pty(payload []byte) bool {
	term, size, ok := readPty(payload)
	if !ok || s.tty != nil || s.begun {
		return false
	}

	tty, err := openTerminal(size)
	if err != nil {
		s.log.Error("hold has no terminal", slog.String("error", err.Error()))

		return false
	}

	s.tty = tty
	s.env = append(s.env, "TERM="+term)

	return true
}

// begin admits one program for each session: the shell with arguments.
func (s *session) begin(args []string, ok bool) (bool, func()) {
	if !ok || s.begun {
		return false, nil
	}

	s.begun = true

	return true, func() { s.start(args) }
}

func (s *session) start(args []string) {
	//nolint:gosec,noctx // whoever holds the key may run anything; the brood ends it
	cmd := exec.Command(s.Shell[0], slices.Concat(s.Shell[1:], args)...)
	cmd.Dir = s.Dir
	cmd.Env = slices.Concat(s.Env, s.env, []string{s.brood.mark()})
	cmd.WaitDelay = drain

	s.log.Info("hold runs a program", slog.String("arguments", plain(strings.Join(args, " "), maxLine)),
		slog.Bool("terminal", s.tty != nil))

	run := s.piped
	if s.tty != nil {
		run = s.onTerminal
	}

	out := &counted{to: s.channel, also: newTranscript(s.log), touch: s.touch}

	follow, err := run(cmd, out)
	if err != nil {
		s.log.Error("hold starts no program", slog.String("program", s.Shell[0]), slog.String("error", err.Error()))

		_, _ = io.WriteString(s.channel.Stderr(), "vetting: "+err.Error()+"\r\n") // the client may be gone

		s.tell(exitStatus{Code: notFound})

		return
	}

	s.pid = cmd.Process.Pid
	s.brood.add(s.pid)

	s.over.Go(func() {
		defer out.also.flush()

		_ = follow() // the state of the process says the same
		s.brood.reaped(s.pid)
		s.tell(ended(cmd.ProcessState))
	})
}

// piped starts cmd without a terminal. follow waits for its end.
func (s *session) piped(cmd *exec.Cmd, out *counted) (follow func() error, err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}

	cmd.Stdout, cmd.Stderr = out, &counted{to: s.channel.Stderr(), also: out.also, touch: s.touch}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}

	if err := cmd.Start(); err != nil {
		return nil, err
	}

	s.over.Go(func() {
		_, _ = io.Copy(in, &watched{from: s.channel, touch: s.touch}) // ends when either side does
		_ = in.Close()                                                // the process may be gone
	})

	return cmd.Wait, nil
}

// onTerminal starts cmd on the session's terminal. follow waits for its end.
func (s *session) onTerminal(cmd *exec.Cmd, out *counted) (follow func() error, err error) {
	slave := s.tty.slave
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}

	if err := cmd.Start(); err != nil {
		return nil, err
	}

	_ = slave.Close() // the process has its own; only then its end is seen

	shown := make(chan struct{})
	keys := io.Writer(s.tty.master)

	if s.SpareShell {
		leader := cmd.Process.Pid
		keys = &spare{to: keys, tty: s.tty, kids: func() []int { return children("/proc", leader) }}
	}

	s.over.Go(func() {
		_, _ = io.Copy(keys, &watched{from: s.channel, touch: s.touch}) // ends when either side does
	})
	s.over.Go(func() {
		defer close(shown)

		_, _ = io.Copy(out, s.tty.master) // EIO is how a terminal ends
	})

	return func() error {
		err := cmd.Wait()

		timer := time.NewTimer(drain)
		defer timer.Stop()

		select {
		case <-shown:
		case <-timer.C: // something left behind holds it open, or the client does not read
		}

		return err
	}, nil
}

// ended is how a program ended, as RFC 4254 §6.10 puts it.
func ended(state *os.ProcessState) any {
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return exitStatus{Code: uint32(max(0, state.ExitCode()))} //nolint:gosec // 0 to 255
	}

	if name := signalName(status.Signal()); name != "" {
		return exitSignal{Signal: name}
	}

	return exitStatus{Code: 128 + uint32(status.Signal())} //nolint:gosec // 1 to 64
}

// tell tells the client how the program ended and closes the channel and the
// terminal. The client may be gone.
func (s *session) tell(end any) {
	kind := "exit-status"
	if _, signalled := end.(exitSignal); signalled {
		kind = "exit-signal"
	}

	_, _ = s.channel.SendRequest(kind, false, ssh.Marshal(end))
	_ = s.channel.CloseWrite()
	_ = s.channel.Close()

	if s.tty != nil {
		s.tty.close()
	}
}

// counted is where a program's output goes: to the client, and into the log.
type counted struct {
	to    io.Writer
	also  *transcript
	touch func()
}

// Write passes p on.
func (c *counted) Write(p []byte) (int, error) {
	c.touch()
	c.also.write(p)

	return c.to.Write(p)
}

// watched is a reader that says when something comes.
type watched struct {
	from  io.Reader
	touch func()
}

// Read reads what the client sends.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if n > 0 {
		w.touch()
	}

	return n, err
}
