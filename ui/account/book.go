// Package account knows who may use the console and the operator API: people
// with a password and a session, programs with a token. Secrets are kept only as
// hashes: passwords as argon2id, the random ones (sessions, tokens, links) as
// SHA-256.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"vetting/core"
	"vetting/core/route"
)

// The lives of what lets people in (OWASP ASVS 5.0, 7.3.1 and 7.3.2).
const (
	LinkLife    = 30 * time.Minute // of a one-time link
	IdleLife    = 30 * time.Minute // of a session nobody uses
	SessionLife = 12 * time.Hour   // of a session at most
)

// Caller is who a request comes from.
type Caller struct {
	Name    string // of the user, or "token NAME"
	ID      string // of the user or token: a name may be that of another one later, and of several tokens
	Scope   route.Scope
	Role    route.Role // of the user; empty for tokens
	Session string     // key of the session; empty for tokens
	Owner   string     // the user; of a token, whose it is, or empty: nobody's
}

// Config is what a Book needs. None but Uptime may be nil.
type Config struct {
	Ledger core.Ledger
	Now    func() time.Time
	Rand   io.Reader // cryptographically random
	// Uptime grows evenly whatever is done to the clock. Default: the monotonic part
	// of what Now tells.
	Uptime func() time.Duration
	// Factor makes the secrets of second factors, which are kept nowhere: 32 bytes or
	// more that only the appliance knows, the same after a restart, and not kept in the
	// ledger. Default: drawn now, so that after a restart only recovery codes count.
	Factor []byte
	// Rules tells apart the rules by which people from outside are let in and given their
	// roles: under others than those that they signed in by, their sessions have ended.
	Rules string
}

// Book keeps accounts in the ledger. Safe for concurrent use.
type Book struct {
	ledger   core.Ledger
	now      func() time.Time
	uptime   func() time.Duration
	rand     io.Reader
	hashing  chan struct{} // holds a place for each password being hashed
	throttle *Throttle
	pulses   *pulses
	factor   []byte
	rules    string
}

// New returns a Book.
func New(cfg Config) *Book {
	b := &Book{
		ledger: cfg.Ledger, now: cfg.Now, uptime: cfg.Uptime, rand: cfg.Rand,
		hashing: make(chan struct{}, hashesAtOnce), throttle: NewThrottle(), pulses: newPulses(), factor: cfg.Factor, rules: cfg.Rules,
	}

	if len(b.factor) == 0 {
		b.factor = []byte(rand.Text()) // 130 bits
	}

	if b.uptime == nil && cfg.Now != nil {
		start := cfg.Now()
		b.uptime = func() time.Duration { return cfg.Now().Sub(start) }
	}

	return b
}

// even is a moment on a clock that nobody sets; only differences of it mean
// anything.
func (b *Book) even() time.Time {
	return time.Unix(0, 0).Add(b.uptime())
}

// Peopled reports whether anybody can log in yet.
func (b *Book) Peopled(ctx context.Context) (bool, error) {
	found := false

	err := b.ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableUser, core.Query{Limit: 1}, func(string, func(any) error) error {
			found = true

			return nil
		})
	})
	if err != nil {
		return false, fmt.Errorf("looking for users: %w", err)
	}

	return found, nil
}

// secret draws 256 random bits as text.
func (b *Book) secret() (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(b.rand, raw); err != nil {
		return "", fmt.Errorf("drawing a secret: %w", err)
	}

	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// digest is the form in which a random secret is kept.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))

	return hex.EncodeToString(sum[:])
}

// deed is something done to accounts.
type deed struct {
	code   string // of the notice
	who    string
	action string // "user.create"
	object string // "user/ada"
	text   string // a sentence without its subject
}

// emit writes the audit entry of a deed, and the event about it, into txn.
func (b *Book) emit(txn core.Txn, d deed) error {
	now := b.now().UTC()

	err := core.WriteAudit(txn, core.Audit{Time: now, Who: d.who, Action: d.action, Object: d.object, Text: d.text})
	if err != nil {
		return err
	}

	data, err := json.Marshal(core.Notice{Code: d.code, Severity: core.Info, Text: d.who + " " + d.text + ".", Who: d.who})
	if err != nil {
		return fmt.Errorf("encoding notice: %w", err)
	}

	return txn.Emit(core.Event{Time: now, Kind: core.EventNotice, Data: data})
}

func isMissing(err error) bool { return errors.Is(err, core.ErrNotFound) }
