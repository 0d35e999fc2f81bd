package hold_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"vetting/agent/hold"
)

// rig is a hold on a loopback socket.
type rig struct {
	server *hold.Server
	addr   string
	key    ssh.Signer
	log    *safeBuffer
	stop   context.CancelFunc
	done   chan error
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.b.String()
}

func newKey(t *testing.T) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()

	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}

	return signer, private
}

func line(key ssh.PublicKey) string { return string(ssh.MarshalAuthorizedKey(key)) }

// up starts a hold for a fresh key.
func up(t *testing.T, change ...func(*hold.Config)) *rig {
	t.Helper()

	key, _ := newKey(t)

	return upFor(t, key, change...)
}

func upFor(t *testing.T, key ssh.Signer, change ...func(*hold.Config)) *rig {
	t.Helper()

	r := &rig{key: key, log: &safeBuffer{}, done: make(chan error, 1)}
	config := hold.Config{
		Random: rand.Reader,
		Log:    slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), nil)),
		Env:    []string{"PATH=/bbin:/bin:/usr/bin:/sbin:/usr/sbin", "PS1=held> "},
	}

	for _, f := range change {
		f(&config)
	}

	server, err := hold.New(config)
	if err != nil {
		t.Fatal(err)
	}

	if err := server.Admit([]string{line(key.PublicKey())}); err != nil {
		t.Fatal(err)
	}

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	r.server, r.addr, r.stop = server, listener.Addr().String(), cancel

	go func() { r.done <- server.Run(ctx, listener) }()

	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})

	return r
}

// end closes the hold and returns what Run did; again, nil.
func (r *rig) end() error {
	r.stop()

	err := <-r.done
	r.done <- nil

	return err
}

func (r *rig) dial(auth ...ssh.AuthMethod) (*ssh.Client, error) {
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(r.server.HostKey()))
	if err != nil {
		return nil, err
	}

	return ssh.Dial("tcp", r.addr, &ssh.ClientConfig{User: "root", Auth: auth, HostKeyCallback: ssh.FixedHostKey(host)})
}

// client logs in with the right key.
func (r *rig) client(t *testing.T) *ssh.Client {
	t.Helper()

	client, err := r.dial(ssh.PublicKeys(r.key))
	if err != nil {
		t.Fatalf("the right key does not open the hold: %v", err)
	}

	t.Cleanup(func() { _ = client.Close() })

	return client
}

func (r *rig) session(t *testing.T) *ssh.Session {
	t.Helper()

	session, err := r.client(t).NewSession()
	if err != nil {
		t.Fatal(err)
	}

	return session
}

// expect reads until want was read.
func expect(t *testing.T, from io.Reader, want string) {
	t.Helper()

	var got strings.Builder

	for b := make([]byte, 1); !strings.HasSuffix(got.String(), want); {
		if _, err := from.Read(b); err != nil {
			t.Fatalf("read %q, then %v; want %q", got.String(), err, want)
		}

		got.Write(b)
	}
}

func exitCode(err error) int {
	exit, ok := errors.AsType[*ssh.ExitError](err)

	switch {
	case err == nil:
		return 0
	case ok:
		return exit.ExitStatus()
	default:
		return -1
	}
}
