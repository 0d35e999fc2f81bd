package hold

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	maxAuthTries = 6               // OpenSSH's: agents offer every key they have
	maxMissed    = 3               // keepalives without an answer
	acceptPause  = time.Second     // when the machine is out of file descriptors
	endPatience  = 5 * time.Second // for killed processes to be gone: one that waits for a broken disk never is
)

// Config is what a hold is made of. Random and Log must be given.
type Config struct {
	// Random makes the host key: crypto/rand.Reader.
	Random io.Reader
	// Log gets who came, what was run and what the terminal showed.
	Log *slog.Logger

	Shell []string // the program of a session, with its arguments; default /bin/sh
	// SpareShell has an interrupt from the terminal reach what the shell runs and not
	// the shell: for one that has no job control and dies of it.
	SpareShell bool

	Dir string   // where it starts; default "/"
	Env []string // what it is told besides what the client may; default PATH and HOME of the rescue system

	MaxSessions  int           // at once; default 4
	MaxConns     int           // at once of one address, whether they have logged in or not; default 8
	MaxStrangers int           // at once that have not logged in; default 64
	Handshake    time.Duration // until a client must have logged in; default 10 s
	Keepalive    time.Duration // between questions whether the client is there; default 30 s
	Idle         time.Duration // without a byte either way until a client is shown out; default 30 min
}

// Server is the SSH server of one hold. New makes one.
type Server struct {
	Config
	host     ssh.Signer
	config   *ssh.ServerConfig
	keys     atomic.Pointer[map[string]bool] // in wire format
	door     *door
	sessions chan struct{} // a token each
	brood    *brood
	wait     sync.WaitGroup // connections

	mu     sync.Mutex
	inside map[*conn]struct{} // guarded by mu: those that have logged in
}

// New returns a server with a fresh host key that admits nobody; see Admit. The
// error is that of Random.
func New(c Config) (*Server, error) {
	c.fill()

	_, private, err := ed25519.GenerateKey(c.Random)
	if err != nil {
		return nil, fmt.Errorf("making the host key: %w", err)
	}

	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("making the host key: %w", err)
	}

	mark := make([]byte, 16)
	if _, err := io.ReadFull(c.Random, mark); err != nil {
		return nil, fmt.Errorf("marking the sessions: %w", err)
	}

	s := &Server{
		Config: c, host: host, door: newDoor(c.MaxStrangers, c.MaxConns), sessions: make(chan struct{}, c.MaxSessions),
		brood: newBrood(hex.EncodeToString(mark)), inside: map[*conn]struct{}{},
	}
	s.keys.Store(&map[string]bool{})

	s.config = &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-vetting",
		MaxAuthTries:  maxAuthTries,
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			wire := string(key.Marshal())
			if !s.counts(wire) {
				return nil, errors.New("this key does not open the hold")
			}

			return &ssh.Permissions{Extensions: map[string]string{keyExtension: ssh.FingerprintSHA256(key), wireExtension: wire}}, nil
		},
	}
	s.config.AddHostKey(host)

	return s, nil
}

// Admit lets those in from now on who hold one of the keys, and nobody else: whoever came
// in by a key that counts no more is shown out, and what they had started is ended.
// Each line is one of authorized_keys (sshd(8)) without options. The error joins all that
// is wrong with them; then nothing has changed. Safe for concurrent use.
func (s *Server) Admit(lines []string) error {
	keys, err := authorized(lines)
	if err != nil {
		return fmt.Errorf("reading the authorised keys: %w", err)
	}

	s.keys.Store(&keys)

	s.mu.Lock()
	defer s.mu.Unlock()

	for c := range s.inside {
		c.showOut()
	}

	return nil
}

// enter takes a connection in that has just logged in; leave is when it ends.
func (s *Server) enter(c *conn) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.inside[c] = struct{}{}
	c.showOut() // its key may have been replaced meanwhile

	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()

		delete(s.inside, c)
	}
}

// counts reports whether a key, in wire format, is one of those that were admitted last.
func (s *Server) counts(wire string) bool { return (*s.keys.Load())[wire] }

// Where a connection keeps whose key opened it: for people, and as it is.
const (
	keyExtension  = "key"
	wireExtension = "wire"
)

func (c *Config) fill() {
	c.Dir = cmp.Or(c.Dir, "/")
	c.MaxSessions = cmp.Or(c.MaxSessions, 4)
	c.MaxConns = cmp.Or(c.MaxConns, 8)
	c.MaxStrangers = cmp.Or(c.MaxStrangers, 64)
	c.Handshake = cmp.Or(c.Handshake, 10*time.Second)
	c.Keepalive = cmp.Or(c.Keepalive, 30*time.Second)
	c.Idle = cmp.Or(c.Idle, 30*time.Minute)

	if c.Shell == nil {
		c.Shell = []string{"/bin/sh"}
	}

	if c.Env == nil {
		c.Env = []string{"PATH=/bbin:/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/root", "USER=root", "SHELL=/bin/sh"}
	}
}

// authorized reads the lines of an authorized_keys file. Options are refused
// rather than ignored: a line that says "no more than this" must not mean more.
func authorized(lines []string) (map[string]bool, error) {
	keys := map[string]bool{}

	var faults []error

	for i, line := range lines {
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))

		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("line %d: %w", i+1, err))
		case len(options) > 0:
			faults = append(faults, fmt.Errorf("line %d: options are not kept here", i+1))
		case len(strings.TrimSpace(string(rest))) > 0:
			faults = append(faults, fmt.Errorf("line %d: has several lines", i+1))
		case !slices.Contains(keyKinds(), key.Type()):
			faults = append(faults, fmt.Errorf("line %d: keys of the kind %s are not taken", i+1, key.Type()))
		default:
			keys[string(key.Marshal())] = true
		}
	}

	if len(faults) == 0 && len(keys) == 0 {
		faults = append(faults, errors.New("there is none"))
	}

	return keys, errors.Join(faults...)
}

func keyKinds() []string {
	return []string{
		ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSA,
	}
}

// HostKey returns the public host key as it stands in known_hosts after the
// address: "ssh-ed25519 AAAA…", without a line end.
func (s *Server) HostKey() string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.host.PublicKey())))
}

// Run answers on listener until ctx ends; then it hangs up and kills whatever
// was started in a session, also what was left behind running. It closes the
// listener, returns nil after ctx, and must be called once. The error of
// processes that cannot be killed names them.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stop := context.AfterFunc(ctx, func() { _ = listener.Close() }) // Accept tells
	defer stop()

	err := s.accept(ctx, listener)

	cancel()

	if left := s.brood.end(endPatience); len(left) > 0 {
		// Waiting for what waits for a dead disk would never end.
		return errors.Join(err, fmt.Errorf("ending the hold: processes %v cannot be killed", left))
	}

	s.wait.Wait()

	return err
}

func (s *Server) accept(ctx context.Context, listener net.Listener) error {
	for {
		conn, err := listener.Accept()

		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close() // nothing was said yet
			}

			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("waiting for the operator on %s: %w", listener.Addr(), err)
		case err != nil:
			// Out of file descriptors, or a connection that was gone at once.
			s.Log.Warn("hold connection not accepted", slog.String("error", err.Error()))

			select {
			case <-ctx.Done():
			case <-time.After(acceptPause):
			}

			continue
		}

		leave, ok := s.door.enter(hostOf(conn.RemoteAddr()))
		if !ok {
			_ = conn.Close() // nothing was said yet

			continue
		}

		s.wait.Go(func() {
			defer leave.out()

			s.serve(ctx, conn, leave)
		})
	}
}

func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}

	return host
}
