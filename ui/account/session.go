package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"vetting/core"
)

// touchEvery bounds how often a session in use is written down.
const touchEvery = time.Minute

// session is the record of TableSession, under the SHA-256 of its cookie.
type session struct {
	User      string    `json:"user"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
}

// errNobody is the answer to a cookie or token that names nobody.
func errNobody() error {
	return core.NewProblem(core.ErrUnauthorized, "account/not-signed-in", "Sign in, or send an API token that is valid.")
}

// Login checks name and password of somebody at addr and opens a session.
// *TooSoon when there were too many tries. *NeedCode when the password is right and the
// user has a second factor: LoginCode opens the session then.
func (b *Book) Login(ctx context.Context, name, password string, addr netip.Addr) (cookie string, err error) {
	name = strings.ToLower(strings.TrimSpace(name))
	keys := []string{accountKey(name[:min(len(name), 32)]), network(addr)}

	if wait := b.throttle.Try(b.even(), keys...); wait > 0 {
		return "", &TooSoon{Wait: wait}
	}

	u, err := b.verify(ctx, name, password)
	if err != nil {
		return "", err
	}

	b.throttle.Forgive(keys...)

	if u.TOTP.on() {
		ticket, err := b.passwordTicket(name)
		if err != nil {
			return "", err
		}

		return "", &NeedCode{Ticket: ticket}
	}

	if cookie, err = b.secret(); err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error { return b.signIn(txn, name, cookie, addr, "") })

	switch {
	case errors.Is(err, core.ErrFull): // a full disk must not lock people out
		b.keepSpare(digest(cookie), session{User: name, CreatedAt: b.now().UTC(), SeenAt: b.now().UTC()})
	case err != nil:
		return "", fmt.Errorf("opening a session: %w", err)
	}

	b.begin(digest(cookie))

	return cookie, nil
}

// signIn opens a session of somebody at addr, and clears those that have ended away.
func (b *Book) signIn(txn core.Txn, name, cookie string, addr netip.Addr, how string) error {
	if err := endSessions(txn, func(key string, s session) bool { return !b.live(key, &s) }); err != nil {
		return err
	}

	if err := b.open(txn, name, cookie); err != nil {
		return err
	}

	return b.emit(txn, deed{"account/login", name, "session.create", "user/" + name, "signed in from " + addr.Unmap().String() + how})
}

// Renew checks the password of whoever a session is of again, and gives the
// session another cookie: its password counts as typed just now. *TooSoon when
// there were too many tries.
func (b *Book) Renew(ctx context.Context, cookie, password string, addr netip.Addr) (fresh string, err error) {
	who, err := b.Session(ctx, cookie, true)
	if err != nil {
		return "", err
	}

	keys := []string{accountKey(who.Name), network(addr)}
	if wait := b.throttle.Try(b.even(), keys...); wait > 0 {
		return "", &TooSoon{Wait: wait}
	}

	if _, err := b.verify(ctx, who.Name, password); err != nil {
		return "", err
	}

	b.throttle.Forgive(keys...)

	return b.renew(ctx, who.Session)
}

// renew gives the session under key another cookie, whose owner has just proved who they
// are.
func (b *Book) renew(ctx context.Context, key string) (fresh string, err error) {
	if fresh, err = b.secret(); err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		var s session

		if err := txn.Get(core.TableSession, key, &s); err != nil {
			return err
		}

		s.SeenAt = b.now().UTC()

		if err := txn.Put(core.TableSession, digest(fresh), s); err != nil {
			return err
		}

		return txn.Delete(core.TableSession, key)
	})
	if isMissing(err) {
		return "", errNobody() // signed out this very moment
	}

	if err != nil {
		return "", fmt.Errorf("renewing a session: %w", err)
	}

	b.renewed(key, digest(fresh))

	return fresh, nil
}

// verify checks a password and returns whose it is; a wrong name and a wrong password
// look and cost the same.
func (b *Book) verify(ctx context.Context, name, password string) (u user, err error) {
	if clean, err := cleanName(name); err == nil {
		err := b.ledger.View(ctx, func(r core.Reader) error { return r.Get(core.TableUser, clean, &u) })
		if err != nil && !isMissing(err) {
			return u, fmt.Errorf("reading user: %w", err)
		}
	}

	good, err := b.matches(ctx, password[:min(len(password), MaxPassword)], u.Hash)
	if err != nil {
		return u, err
	}

	if !good {
		return u, core.NewProblem(core.ErrUnauthorized, "account/wrong-password", "Name or password is wrong.")
	}

	return u, nil
}

// ChangePassword sets another password for name, who knows the old one, ends
// every session of theirs and opens a fresh one.
func (b *Book) ChangePassword(ctx context.Context, name, old, fresh string) (cookie string, err error) {
	if wait := b.throttle.Try(b.even(), accountKey(name)); wait > 0 {
		return "", &TooSoon{Wait: wait}
	}

	if _, err := b.verify(ctx, name, old); err != nil {
		return "", err
	}

	b.throttle.Forgive(accountKey(name))

	if err := CheckPassword(name, fresh); err != nil {
		return "", err
	}

	hash, err := b.hash(ctx, fresh)
	if err != nil {
		return "", err
	}

	if cookie, err = b.secret(); err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		if err := b.setPassword(txn, name, hash); err != nil {
			return err
		}

		if err := b.open(txn, name, cookie); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/password-changed", name, "user.password", "user/" + name, "changed the password of " + name})
	})
	if err != nil {
		return "", fmt.Errorf("changing the password: %w", err)
	}

	b.dropSpare(func(_ string, s session) bool { return s.User == name })
	b.begin(digest(cookie))

	return cookie, nil
}

// open writes a session that begins now.
func (b *Book) open(txn core.Txn, name, cookie string) error {
	now := b.now().UTC()

	return txn.Put(core.TableSession, digest(cookie), session{User: name, CreatedAt: now, SeenAt: now})
}

// Session names the caller behind a cookie, with the role they have now. touch
// keeps the session awake; a page that refreshes itself does not.
func (b *Book) Session(ctx context.Context, cookie string, touch bool) (Caller, error) {
	if cookie == "" {
		return Caller{}, errNobody()
	}

	key := digest(cookie)

	s, u, err := b.peek(ctx, key)
	if err != nil {
		return Caller{}, err
	}

	if touch && b.beat(key) {
		if err := b.touch(ctx, key, b.now().UTC()); err != nil {
			return Caller{}, err
		}
	}

	return callerOf(key, &s, &u), nil
}

// Alive names the caller whose session is under key (Caller.Session), with the role they
// have now. The error says that it is none any more.
func (b *Book) Alive(ctx context.Context, key string) (Caller, error) {
	s, u, err := b.peek(ctx, key)
	if err != nil {
		return Caller{}, err
	}

	return callerOf(key, &s, &u), nil
}

func callerOf(key string, s *session, u *user) Caller {
	return Caller{Name: s.User, ID: "user " + s.User + " " + u.CreatedAt.UTC().Format(time.RFC3339Nano), Scope: u.role().Scope(), Role: u.role(), Session: key, Owner: s.User}
}

// peek reads a session and whose it is.
func (b *Book) peek(ctx context.Context, key string) (s session, u user, err error) {
	spare, only := b.spareSession(key)

	err = b.ledger.View(ctx, func(r core.Reader) error {
		if s = spare; !only {
			if err := r.Get(core.TableSession, key, &s); err != nil {
				return err
			}
		}

		return r.Get(core.TableUser, s.User, &u)
	})

	switch {
	case isMissing(err):
		return s, u, errNobody()
	case err != nil:
		return s, u, fmt.Errorf("reading session: %w", err)
	case !b.welcome(&u):
		return s, u, core.NewProblem(core.ErrUnauthorized, "account/session-expired", "Who may come in by the provider was configured anew; sign in again.")
	case !b.live(key, &s):
		return s, u, core.NewProblem(core.ErrUnauthorized, "account/session-expired", "The session has ended; sign in again.")
	default:
		return s, u, nil
	}
}

func (b *Book) touch(ctx context.Context, key string, now time.Time) error {
	if _, only := b.spareSession(key); only {
		return nil
	}

	_, err := b.ledger.Update(ctx, func(txn core.Txn) error {
		var s session

		if err := txn.Get(core.TableSession, key, &s); err != nil {
			return err
		}

		s.SeenAt = now

		return txn.Put(core.TableSession, key, s)
	})

	switch {
	case isMissing(err): // signed out this very moment
		return errNobody()
	case errors.Is(err, core.ErrFull): // a full disk must not lock people out
		return nil
	case err != nil:
		return fmt.Errorf("keeping the session awake: %w", err)
	default:
		return nil
	}
}

// Logout ends the session behind a cookie.
func (b *Book) Logout(ctx context.Context, cookie string) error {
	own := digest(cookie)
	b.dropSpare(func(key string, _ session) bool { return key == own })

	_, err := b.ledger.Update(ctx, func(txn core.Txn) error { return txn.Delete(core.TableSession, own) })
	if err != nil {
		return fmt.Errorf("ending the session: %w", err)
	}

	return nil
}

// endSessions forgets the sessions for which doomed holds.
func endSessions(txn core.Txn, doomed func(key string, s session) bool) error {
	var keys []string

	err := txn.Scan(core.TableSession, core.Query{}, func(key string, decode func(any) error) error {
		var s session

		if err := decode(&s); err != nil {
			return err
		}

		if doomed(key, s) {
			keys = append(keys, key)
		}

		return nil
	})
	if err != nil {
		return err
	}

	for _, key := range keys {
		if err := txn.Delete(core.TableSession, key); err != nil {
			return err
		}
	}

	return nil
}
