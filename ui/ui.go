package ui

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/report"
	"vetting/core/retention"
	"vetting/core/route"
	"vetting/core/signal"
	"vetting/ui/account"
	"vetting/ui/lookup"
	"vetting/ui/sse"
	"vetting/ui/static"
	"vetting/ui/view"
)

// Bounds of the console's listener.
const (
	maxBody     = 1 << 20
	readTimeout = 15 * time.Second
	idleTimeout = 2 * time.Minute
	stopTimeout = 2 * time.Second
)

// Config is what the console needs. TLS, Ready and what comes after it may be nil,
// everything else must be set.
type Config struct {
	Ledger    core.Ledger
	Commands  Commands
	Logs      Logs
	Artifacts Artifacts
	Bell      *signal.Bell
	Appliance report.Appliance
	Addr      string           // address and port to listen on
	TLS       *tls.Certificate // nil: plain HTTP, on loopback only
	// Certificate is asked for each connection, where one may be replaced by another
	// meanwhile; nil: TLS is always it.
	Certificate func() *tls.Certificate
	Now         func() time.Time
	Rand        io.Reader
	Log         *slog.Logger
	// Ready is asked by /readyz, by name; an error says why not.
	Ready map[string]func(context.Context) error
	// Dial reaches the SSH server of the host that a run holds. The console asks it
	// only for a run that is held with its door open. Nil: there is no way.
	Dial func(ctx context.Context, run core.RunID) (net.Conn, error)
	// TerminalKey opens held hosts for the web terminal (core/engine.TerminalKey is its
	// public half); nil: there is no terminal.
	TerminalKey ed25519.PrivateKey
	// Factor makes the secrets of second factors; see account.Config.
	Factor []byte
	// Upgraded reports whether another version of the program starts next, once this one
	// ends; nil: never.
	Upgraded func() bool
	// Outside lets people in whom a provider of OpenID Connect vouches for; nil: there is none.
	Outside *Outside
	// Settings is the configuration in force for /api/v1/config, by key and
	// without secrets; nil shows none.
	Settings func() []route.Setting
	// Steering changes the appliance itself for administrators; nil: nothing can be.
	Steering Steering
	// Notifier tells people what happens; nil: nobody is told.
	Notifier Notifier
	// Expiring says what is old enough to be removed at the next sweep, every item
	// of it (store/janitor); nil: nothing is ever removed.
	Expiring func(ctx context.Context) (route.Expiring, error)
	// Retention is the policy in force, which reports tell; nil: they say nothing of it.
	Retention func() retention.Policy
	// Backups makes backups; nil: there are none.
	Backups Backups
	// Manual is the documentation, by topic.
	Manual []ManualPage
	// Trouble is why the appliance cannot work; nil: it can. With it, only Appliance,
	// Addr, TLS, Now and Log are used.
	Trouble *Trouble
	// Base is how people reach the console, such as "https://vetting.lan:8443"; empty:
	// by the address that it listens on.
	Base string
	// Admit reports whether a connection may reach the console at all; one that may
	// not is closed unread. Nil: all may.
	Admit func(net.Conn) bool
	// Netboot tells of the boot services; nil: there are none.
	Netboot func() Netboot
	// Counts are figures of other rooms for /metrics.
	Counts Counts
	// Installed is the side of installed machines; nil: they are not answered here.
	Installed *Installed
	// ReportKeys sign the reports; nil: nobody does.
	ReportKeys ReportKeys
	// Warnings is what everybody who looks must know of the appliance as it runs;
	// nil: nothing.
	Warnings func() []Warning
}

// Warning is a sentence about the appliance that stands on every page.
type Warning = view.Warning

// UI is the console with the operator API. Safe for concurrent use.
type UI struct {
	cfg   Config
	app   *fiber.App
	book  *account.Book
	hub   *sse.Hub
	files static.Set
	docs  []byte       // the OpenAPI document
	at    atomic.Value // string: the address listened on

	undos     undos
	tunnels   *tunnels
	terminals *terminals
	tasks     *tasks
	refusals  refusals
	onces     onces
	drawings  drawings
	courses   lookup.Courses
	shelf     lookup.Shelf
	paces     lookup.Paces
	badging   sync.Mutex // held while badges of samples are made
	manual    *view.Docs // the OpenAPI document to be read
	written   shelved
	started   time.Time
	answers   tally
	ledger    *lookup.Tally
	life      context.Context //nolint:containedctx // of answers that are sent after their handler has returned
	end       context.CancelFunc
}

// New returns a console that does not listen yet. It refuses plain HTTP beyond
// loopback.
func New(cfg Config) (*UI, error) {
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("reading the console's address: %w", err)
	}

	if ip := net.ParseIP(host); cfg.TLS == nil && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("opening the console: plain HTTP is allowed on loopback only, not on %s", cfg.Addr)
	}

	files, err := static.Load()
	if err != nil {
		return nil, err
	}

	docs, err := route.OpenAPI(cfg.Appliance.Version)
	if err != nil {
		return nil, err
	}

	manual, err := view.ReadDocs(docs)
	if err != nil {
		return nil, err
	}

	u := &UI{
		cfg: cfg, files: files, docs: docs, manual: manual,
		book: account.New(account.Config{Ledger: cfg.Ledger, Now: cfg.Now, Rand: cfg.Rand, Factor: cfg.Factor, Rules: cfg.Outside.Rules()}),
		hub:  sse.New(sse.Config{Ledger: cfg.Ledger, Bell: cfg.Bell, Logs: cfg.Logs, Now: cfg.Now, Upgraded: cfg.Upgraded}), tunnels: newTunnels(), terminals: newTerminals(), tasks: newTasks(),
	}
	u.ledger = &lookup.Tally{}
	u.life, u.end = context.WithCancel(context.Background()) //nolint:forbidigo // it ends with Run
	u.at.Store(cfg.Addr)
	u.app = fiber.New(fiber.Config{
		Immutable: true, DisableStartupMessage: true, BodyLimit: maxBody, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		ErrorHandler: u.fail, ReadBufferSize: 16 << 10, StrictRouting: true, CaseSensitive: true,
	})
	u.app.Server().HeaderReceived = u.received
	u.routes()

	return u, nil
}

// named reports whether a certificate was issued by an authority to a real host
// name. Only then may browsers be told to insist on TLS: with a self-signed one
// on an address they would be locked out for a year.
func named(leaf *x509.Certificate) bool {
	return leaf != nil && len(leaf.DNSNames) > 0 && leaf.Issuer.String() != leaf.Subject.String()
}

// certificate is the one in use; nil: plain HTTP.
func (u *UI) certificate() *tls.Certificate {
	if u.cfg.Certificate == nil {
		return u.cfg.TLS
	}

	return u.cfg.Certificate()
}

// Run listens and answers until ctx ends; open streams are told goodbye.
func (u *UI) Run(ctx context.Context) error {
	if u.cfg.Trouble == nil {
		if err := u.wakeBell(ctx); err != nil {
			return err
		}
	}

	u.started = u.cfg.Now()

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", u.cfg.Addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			err = fmt.Errorf("%w; end the program that listens there, or give another address with --console-listen", err)
		}

		return fmt.Errorf("opening the console at %s: %w", u.cfg.Addr, err)
	}

	u.at.Store(listener.Addr().String())

	if u.cfg.Admit != nil {
		listener = choosy{listener, u.cfg.Admit}
	}

	listener = heedful{listener}

	if u.cfg.TLS != nil {
		listener = tls.NewListener(listener, &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return u.certificate(), nil },
			MinVersion:     tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}

	failed := make(chan error, 1)

	go func() { failed <- u.app.Listener(listener) }()

	select {
	case err := <-failed:
		return fmt.Errorf("serving the console: %w", err)
	case <-ctx.Done():
	}

	u.end()
	u.hub.Close()
	u.tunnels.close()

	if err := u.app.ShutdownWithTimeout(stopTimeout); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("closing the console: %w", err)
	}

	return nil
}

// wakeBell rings for what the ledger holds already, so that a stream that begins
// "now" does not begin at the beginning.
func (u *UI) wakeBell(ctx context.Context) error {
	seq, err := u.cfg.Ledger.Update(ctx, func(core.Txn) error { return nil })
	if err != nil && !errors.Is(err, core.ErrFull) { // a full disk must not keep people from looking
		return fmt.Errorf("reading the ledger's number: %w", err)
	}

	u.cfg.Bell.Ring(seq)

	return nil
}

// URL is where people reach the console.
func (u *UI) URL() string {
	if u.cfg.Base != "" {
		return u.cfg.Base
	}

	addr, ok := u.at.Load().(string)
	if !ok {
		addr = u.cfg.Addr
	}

	scheme := "https"
	if u.cfg.TLS == nil {
		scheme = "http"
	}

	return scheme + "://" + addr
}

// Peopled reports whether anybody has set a password yet.
func (u *UI) Peopled(ctx context.Context) (bool, error) { return u.book.Peopled(ctx) }

// SetupLink mints a one-time link that sets a password, good for 30 minutes; it
// voids the one before.
func (u *UI) SetupLink(ctx context.Context) (string, error) {
	secret, err := u.book.NewLink(ctx)
	if err != nil {
		return "", err
	}

	return SetupURL(u.URL(), secret), nil
}

// SetupURL writes the one-time link for a console at base.
func SetupURL(base, secret string) string { return base + "/setup?token=" + url.QueryEscape(secret) }

// CreateAdmin makes an administrator with a password, for somebody at the appliance's
// terminal.
func (u *UI) CreateAdmin(ctx context.Context, name, password string) error {
	return u.book.CreateAdmin(ctx, name, password)
}

// ResetPassword gives a user another password, likewise.
func (u *UI) ResetPassword(ctx context.Context, name, password string) error {
	return u.book.ResetPassword(ctx, name, password)
}

// ResetTOTP takes the second factor of a user away, for somebody at the appliance's
// terminal.
func (u *UI) ResetTOTP(ctx context.Context, name string) error {
	_, err := u.book.ResetTOTP(ctx, "terminal", name)

	return err
}

// CreateToken makes an API token with a scope ("read", "operate", "admin") for
// somebody at the appliance's terminal, and returns its secret.
func (u *UI) CreateToken(ctx context.Context, name, scope string) (string, error) {
	return u.CreateTokenFor(ctx, name, scope, 0)
}

// CreateTokenFor is CreateToken for a time; 0: until the token is revoked.
func (u *UI) CreateTokenFor(ctx context.Context, name, scope string, life time.Duration) (string, error) {
	parsed, err := route.ParseScope(scope)
	if err != nil {
		return "", err
	}

	secret, _, err := u.book.CreateToken(ctx, account.AtTerminal(), name, parsed, life)

	return secret, err
}

func (u *UI) routes() {
	u.app.Use(u.counted, u.sourced, u.recoverPanic, u.installed, u.headers, unpacked)

	for _, f := range u.files.All() {
		u.app.Get(f.Path, serveFile(f))
	}

	if u.cfg.Trouble != nil {
		u.troubled()

		return
	}

	handlers := u.apiHandlers()
	maps.Copy(handlers, u.orderHandlers())
	maps.Copy(handlers, u.backupHandlers())
	maps.Copy(handlers, u.noteHandlers())

	for _, r := range route.Table() {
		steps := []fiber.Handler{u.guard(r.Scope, false), handlers[r.Name]}
		if r.Repeatable() {
			steps = slices.Insert(steps, 1, u.once(r))
		}

		u.app.Add(r.Method, colons(r.Path), steps...)
	}

	u.pages()
	u.app.Use(func(*fiber.Ctx) error {
		return core.NewProblem(core.ErrNotFound, "console/no-such-page", "There is no such page.")
	})
}
