package hold_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"vetting/agent/hold"
)

func TestTheRightKeyRunsACommandAndLearnsHowItEnded(t *testing.T) {
	tests := map[string]struct {
		command, in string
		out, errs   string
		code        int
		signal      string
	}{
		"output, errors and exit code":         {command: "echo out; echo err >&2; exit 3", out: "out\n", errs: "err\n", code: 3},
		"what is sent reaches it, and its end": {command: "cat; echo end", in: "sent\n", out: "sent\nend\n"},
		"a signal is told by its name":         {command: "kill -TERM $$", code: -1, signal: "TERM"},
		"a signal without a name is a number":  {command: "kill -16 $$", code: 128 + 16},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			session := up(t).session(t)

			var out, errs bytes.Buffer

			session.Stdout, session.Stderr, session.Stdin = &out, &errs, strings.NewReader(test.in)

			err := session.Run(test.command)
			exit, _ := errors.AsType[*ssh.ExitError](err)

			if test.signal != "" {
				if exit == nil || exit.Signal() != test.signal {
					t.Errorf("ended by %v, want signal %s", err, test.signal)
				}
			} else if exitCode(err) != test.code {
				t.Errorf("ended by %v, want code %d", err, test.code)
			}

			if out.String() != test.out || errs.String() != test.errs {
				t.Errorf("out %q errors %q, want %q and %q", &out, &errs, test.out, test.errs)
			}
		})
	}
}

func TestAShellHasATerminalThatFollowsItsWindow(t *testing.T) {
	r := up(t)
	session := r.session(t)

	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()

	if err := session.RequestPty("xterm-256color", 24, 80, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}

	if err := session.Shell(); err != nil {
		t.Fatal(err)
	}

	expect(t, out, "held> ")
	write(t, in, "echo \"term=$TERM\" \"$(stty size)\"; test -t 0 && echo is-a-tty\n")
	expect(t, out, "term=xterm-256color 24 80\r\nis-a-tty\r\n")

	if err := session.WindowChange(50, 132); err != nil {
		t.Fatal(err)
	}

	write(t, in, "stty size\n")
	expect(t, out, "50 132\r\n")
	write(t, in, "exit 7\n")

	if got := exitCode(session.Wait()); got != 7 {
		t.Errorf("exit code %d, want 7", got)
	}
}

func write(t *testing.T, to io.Writer, s string) {
	t.Helper()

	if _, err := io.WriteString(to, s); err != nil {
		t.Fatal(err)
	}
}

// A shell in which an interrupt is the end, as in u-root's gosh.
func TestAnInterruptEndsWhatTheShellRunsAndNotTheShell(t *testing.T) {
	session := up(t, func(c *hold.Config) { c.SpareShell = true }).session(t)
	in, _ := session.StdinPipe()
	out, _ := session.StdoutPipe()

	if err := session.RequestPty("dumb", 24, 80, nil); err != nil {
		t.Fatal(err)
	}

	// It is killed by an interrupt of its own, and told of its child's.
	if err := session.Start("sh -c 'echo ready; exec sleep 1000'; echo child=$?; read line; echo got $line"); err != nil {
		t.Fatal(err)
	}

	expect(t, out, "ready\r\n")
	write(t, in, "\x03")
	expect(t, out, "child=130\r\n")
	write(t, in, "\x03a\x03b\x03\n") // nothing runs that could be meant
	expect(t, out, "got ab\r\n")

	if err := session.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOfTheEnvironmentOnlyLanguageAndTimeZoneAreTaken(t *testing.T) {
	session := up(t).session(t)
	refused := map[string]string{
		"LD_PRELOAD": "/tmp/evil.so", "PATH": "/tmp", "BASH_ENV": "/tmp/evil", "LC_X": "a b", "LANG": strings.Repeat("x", 300), "VETTING_HOLD": "x",
	}

	for name, value := range refused {
		if err := session.Setenv(name, value); err == nil {
			t.Errorf("%s=%s was taken", name, value)
		}
	}

	for name, value := range map[string]string{"LANG": "C.UTF-8", "LC_ALL": "C", "TZ": "UTC"} {
		if err := session.Setenv(name, value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	out, err := session.Output("echo $LANG $LC_ALL $TZ $LD_PRELOAD $BASH_ENV $LC_X")
	if err != nil || string(out) != "C.UTF-8 C UTC\n" {
		t.Errorf("environment %q, %v", out, err)
	}
}

func TestNothingButTheRunsOwnKeyOpensTheHold(t *testing.T) {
	r := up(t)
	other, _ := newKey(t)
	stranger := up(t) // the hold of another run

	tests := map[string][]ssh.AuthMethod{
		"another run's key": {ssh.PublicKeys(stranger.key)},
		"an unknown key":    {ssh.PublicKeys(other)},
		"a password":        {ssh.Password("root")},
		"no key at all":     {},
		"keyboard interactive": {ssh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) {
			return []string{"root"}, nil
		})},
	}

	for name, auth := range tests {
		t.Run(name, func(t *testing.T) {
			if client, err := r.dial(auth...); err == nil {
				_ = client.Close()
				t.Error("the hold was opened")
			}
		})
	}

	if strings.Contains(r.log.String(), "hold opened") {
		t.Error("the log says that the hold was opened")
	}
}

func TestOnlyTheKeysOfTheLastWordOpenTheHold(t *testing.T) {
	r := up(t)
	first := r.key
	second, _ := newKey(t)

	if err := r.server.Admit([]string{line(second.PublicKey())}); err != nil {
		t.Fatal(err)
	}

	if client, err := r.dial(ssh.PublicKeys(first)); err == nil {
		_ = client.Close()
		t.Error("a key that was replaced opened the hold")
	}

	r.key = second
	r.client(t)
}

// Whoever is inside by a key that is replaced is shown out with what they had started;
// whoever came by one that still counts stays.
func TestAKeyThatIsReplacedEndsItsShells(t *testing.T) {
	r := up(t)
	second, _ := newKey(t)

	if err := r.server.Admit([]string{line(r.key.PublicKey()), line(second.PublicKey())}); err != nil {
		t.Fatal(err)
	}

	client := r.client(t)

	stays, err := r.dial(ssh.PublicKeys(second))
	if err != nil {
		t.Fatal(err)
	}

	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}

	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}

	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := session.Start("cat"); err != nil {
		t.Fatal(err)
	}

	if _, err := io.WriteString(in, "still here\n"); err != nil {
		t.Error(err)
	}

	expect(t, out, "still here\n")

	if err := r.server.Admit([]string{line(second.PublicKey())}); err != nil {
		t.Fatal(err)
	}

	gone := make(chan error, 1)

	go func() { gone <- client.Wait() }()

	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("a shell that was opened with a key that was replaced goes on")
	}

	more, err := stays.NewSession()
	if err != nil {
		t.Fatalf("a key that counts: %v", err)
	}

	_ = more.Close() //nolint:errcheck // it has opened
}

func TestBeforeAnybodyIsAdmittedTheHoldIsShut(t *testing.T) {
	server, err := hold.New(hold.Config{Random: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() { done <- server.Run(ctx, listener) }()

	key, _ := newKey(t)
	r := &rig{server: server, addr: listener.Addr().String()}

	if client, err := r.dial(ssh.PublicKeys(key)); err == nil {
		_ = client.Close()
		t.Error("the hold was opened")
	}

	stop()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAKeyThatIsKnownButNotHeldDoesNotOpenTheHold(t *testing.T) {
	r := up(t)
	other, _ := newKey(t)

	client, err := r.dial(ssh.PublicKeys(liar{Signer: other, claims: r.key.PublicKey()}))
	if err == nil {
		_ = client.Close()
		t.Error("a public key alone opened the hold")
	}
}

// liar shows one key and signs with another.
type liar struct {
	ssh.Signer
	claims ssh.PublicKey
}

func (l liar) PublicKey() ssh.PublicKey { return l.claims }

func TestAClientSeesAnotherHoldsHostKey(t *testing.T) {
	r := up(t)
	again := upFor(t, r.key)

	if r.server.HostKey() == again.server.HostKey() {
		t.Fatal("two holds have the same host key")
	}

	again.server = r.server // the client expects the old one
	if client, err := again.dial(ssh.PublicKeys(r.key)); err == nil {
		_ = client.Close()
		t.Error("a changed host key was not seen")
	}
}

func TestForwardingAndSubsystemsAreRefused(t *testing.T) {
	r := up(t)
	client := r.client(t)

	if conn, err := client.Dial("tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "prohibited") {
		t.Errorf("direct-tcpip: %v, %v", conn, err)
	}

	if listener, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Errorf("tcpip-forward: listens on %s", listener.Addr())
	}

	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}

	if err := session.RequestSubsystem("sftp"); err == nil {
		t.Error("a subsystem was started")
	}

	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req", "no-such-request"} {
		if ok, err := session.SendRequest(kind, true, nil); ok || err != nil {
			t.Errorf("%s: %v, %v", kind, ok, err)
		}
	}

	if out, err := session.Output("echo still here"); err != nil || string(out) != "still here\n" {
		t.Errorf("after refusals: %q, %v", out, err)
	}

	if ok, _ := session.SendRequest("exec", true, ssh.Marshal(struct{ C string }{"echo second"})); ok {
		t.Error("a second program was started in one session")
	}
}

func TestTheEndOfTheHoldKillsWhateverWasStarted(t *testing.T) {
	tests := map[string]struct {
		start string
		pty   bool
	}{
		"a command":                        {start: "echo $$; exec sleep 1000"},
		"a command that ignores signals":   {start: "trap '' HUP TERM INT; echo $$; while :; do sleep 1; done"},
		"a child in the background":        {start: "sleep 1000 & echo $!; wait"},
		"a daemon that left the session":   {start: "setsid sh -c 'echo $$; exec sleep 1000' & wait"},
		"a program on a terminal":          {start: "echo $$; exec sleep 1000", pty: true},
		"what was left when the shell was": {start: "nohup sleep 1000 >/dev/null 2>&1 & echo $!"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := up(t)
			session := r.session(t)
			out, _ := session.StdoutPipe()

			if test.pty {
				if err := session.RequestPty("vt100", 24, 80, nil); err != nil {
					t.Fatal(err)
				}
			}

			if err := session.Start(test.start); err != nil {
				t.Fatal(err)
			}

			pid := number(t, out)

			if name == "what was left when the shell was" {
				if err := session.Wait(); err != nil {
					t.Fatal(err)
				}
			}

			if err := r.end(); err != nil {
				t.Fatalf("Run() = %v", err)
			}

			if runs(pid) {
				t.Errorf("process %d still runs after the hold", pid)
			}

			if _, err := net.DialTimeout("tcp", r.addr, 5*time.Second); err == nil {
				t.Error("the hold still answers")
			}
		})
	}
}

// number reads a line with a number.
func number(t *testing.T, from io.Reader) int {
	t.Helper()

	var digits []byte

	for b := make([]byte, 1); len(digits) == 0 || b[0] != '\n'; {
		if _, err := from.Read(b); err != nil {
			t.Fatalf("read %q, then %v", digits, err)
		}

		if unicode.IsDigit(rune(b[0])) {
			digits = append(digits, b[0])
		}
	}

	n, err := strconv.Atoi(string(digits))
	if err != nil {
		t.Fatal(err)
	}

	return n
}

// runs reports whether a process is there and no zombie that nobody waits for.
func runs(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}

	_, rest, _ := strings.Cut(string(stat), ") ")

	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestAClientThatIsGoneTakesItsProgramWithIt(t *testing.T) {
	r := up(t)
	client := r.client(t)

	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}

	out, _ := session.StdoutPipe()
	if err := session.Start("trap '' HUP; echo $$; while :; do sleep 1; done"); err != nil {
		t.Fatal(err)
	}

	pid := number(t, out)
	_ = client.Close()

	for runs(pid) {
		if t.Context().Err() != nil {
			t.Fatal("still runs")
		}

		time.Sleep(time.Millisecond) //nolint:forbidigo // it is nobody's child here
	}
}

func TestSessionsAreCountedAcrossClients(t *testing.T) {
	r := up(t, func(c *hold.Config) { c.MaxSessions = 2 })
	first, second := r.client(t), r.client(t)

	held := make([]*ssh.Session, 0, 2)

	for _, client := range []*ssh.Client{first, second} {
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}

		held = append(held, session)
	}

	if _, err := second.NewSession(); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("a third session: %v", err)
	}

	if err := held[0].Run("true"); err != nil {
		t.Fatal(err)
	}

	// The place is free once the server has heard of the end.
	for {
		session, err := second.NewSession()
		if err == nil {
			_ = session.Close()

			break
		}

		if !strings.Contains(err.Error(), "too many") {
			t.Fatal(err)
		}
	}
}

func TestAThousandJunkConnectionsDoNotKeepTheOperatorOut(t *testing.T) {
	r := up(t, func(c *hold.Config) { c.Handshake = time.Minute })
	junk := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 10 * time.Second}

	for i := range 1000 {
		conn, err := junk.DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			continue // turned away already
		}

		t.Cleanup(func() { _ = conn.Close() })

		switch i % 4 {
		case 0: // says nothing
		case 1:
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
		case 2:
			_, _ = conn.Write(bytes.Repeat([]byte{0xff}, 4096))
		case 3:
			_, _ = io.WriteString(conn, "SSH-2.0-junk\r\n\x7f\xff\xff\xff\xff junk")
		}
	}

	if out, err := r.session(t).Output("echo in"); err != nil || string(out) != "in\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestAClientThatDoesNotLogInIsShownOut(t *testing.T) {
	r := up(t, func(c *hold.Config) { c.Handshake = 20 * time.Millisecond })

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestAClientThatDoesNothingIsShownOut(t *testing.T) {
	r := up(t, func(c *hold.Config) { c.Idle = 50 * time.Millisecond })

	client := r.client(t)
	if err := client.Wait(); err == nil {
		t.Error("the connection ended without a reason")
	}
}

func TestAClientThatDoesNotAnswerIsShownOut(t *testing.T) {
	r := up(t, func(c *hold.Config) { c.Keepalive = 10 * time.Millisecond })
	host, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(r.server.HostKey()))

	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}

	conn, channels, requests, err := ssh.NewClientConn(raw, r.addr, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(r.key)}, HostKeyCallback: ssh.FixedHostKey(host),
	})
	if err != nil {
		t.Fatal(err)
	}

	go func() {
		for range requests { // reads the questions and keeps the answers
		}
	}()
	go func() {
		for range channels {
		}
	}()

	if err := conn.Wait(); err == nil {
		t.Error("the connection ended without a reason")
	}

	if !strings.Contains(r.log.String(), "does not answer") {
		t.Errorf("the log does not say why:\n%s", r.log)
	}
}

func TestWhatWasDoneIsInTheLog(t *testing.T) {
	r := up(t)
	session := r.session(t)

	if err := session.Run("echo shown; printf '\\033[31mred\\033[0m\\r\\nlast'; head -c 400000 /dev/zero | tr '\\0' x; echo not taken down"); err != nil {
		t.Fatal(err)
	}

	if err := r.end(); err != nil {
		t.Fatal(err)
	}

	log := r.log.String()
	for _, want := range []string{"hold opened", "key=" + ssh.FingerprintSHA256(r.key.PublicKey()), "text=shown", "red", "hold shows more than is taken down", "hold left"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}

	if strings.Contains(log, "text=\"not taken") || strings.ContainsRune(log, '\x1b') || len(log) > 1<<20 {
		t.Errorf("the log has more than it should, %d bytes", len(log))
	}
}

func TestKeysThatMeanMoreThanTheySayAreRefused(t *testing.T) {
	key, _ := newKey(t)
	good := strings.TrimSpace(line(key.PublicKey()))

	tests := map[string]struct {
		lines []string
		why   string
	}{
		"none":               {nil, "there is none"},
		"nonsense":           {[]string{good, "ssh-ed25519 AAAA"}, "line 2"},
		"options":            {[]string{`command="true" ` + good}, "options"},
		"two in one":         {[]string{good + "\n" + good}, "several lines"},
		"a private key":      {[]string{"-----BEGIN OPENSSH PRIVATE KEY-----"}, "line 1"},
		"nothing but spaces": {[]string{"  "}, "line 1"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := upFor(t, key)

			err := r.server.Admit(test.lines)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("Admit() = %v, want one about %q", err, test.why)
			}

			r.client(t) // and nothing has changed
		})
	}
}

// FuzzRequest reads foreign bytes as each request of a session: nothing panics,
// and nothing gets through that could be more than it says.
func FuzzRequest(f *testing.F) {
	f.Add(ssh.Marshal(struct{ Name, Value string }{"LANG", "C"}))
	f.Add(ssh.Marshal(struct {
		Term       string
		W, H, X, Y uint32
		Modes      string
	}{"xterm", 80, 24, 0, 0, "\x00"}))
	f.Add(ssh.Marshal(struct{ W, H, X, Y uint32 }{1 << 31, 1 << 31, 0, 0}))
	f.Add(ssh.Marshal(struct{ Command string }{"echo \x00"}))
	f.Add(ssh.Marshal(struct{ Signal string }{"KILL"}))
	f.Add([]byte("\xff\xff\xff\xff"))

	f.Fuzz(func(t *testing.T, payload []byte) {
		words, sides, signal := hold.Requests(payload)
		for _, word := range words {
			if strings.ContainsRune(word, 0) || len(word) > 32<<10 {
				t.Errorf("let through: %q", word)
			}
		}

		for _, side := range sides {
			if side > 4096 {
				t.Errorf("a window of %d", side)
			}
		}

		if signal < 0 || signal > 31 {
			t.Errorf("signal %d", signal)
		}

		if plain := hold.Plain(string(payload), 64); len(plain) > 64 || !utf8.ValidString(plain) || strings.ContainsFunc(plain, unicode.IsControl) {
			t.Errorf("plain(%q) = %q", payload, plain)
		}
	})
}
