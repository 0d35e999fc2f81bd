package account

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"vetting/core"
	"vetting/core/route"
)

// mostOutside bounds the name of somebody from outside.
const mostOutside = 120

// Guest is somebody whom a provider vouches for, as ui/oidc has checked it.
type Guest struct {
	Issuer   string // with Subject who they are, whatever they are called
	Subject  string
	Name     string
	Role     route.Role
	Provider string // what people call the provider
}

// outside reports whether a user is one whom a provider vouches for.
func (u *user) outside() bool { return u.Issuer != "" }

// errOutside is the answer to what a provider alone decides.
func errOutside(name string) error {
	return core.NewProblem(core.ErrConflict, "account/outside",
		name+" signs in at a provider, which keeps the password and the second factor; the configuration (oidc) gives the role.")
}

// TryGuest counts a sign-in at a provider from addr among the tries, before it is known
// what comes of it. *TooSoon when there were too many.
func (b *Book) TryGuest(addr netip.Addr) error {
	if wait := b.throttle.Try(b.even(), network(addr)); wait > 0 {
		return &TooSoon{Wait: wait}
	}

	return nil
}

// ForgiveGuest forgets the tries from addr: one of them was good.
func (b *Book) ForgiveGuest(addr netip.Addr) { b.throttle.Forgive(network(addr)) }

// SignInGuest opens a session for somebody whom a provider vouches for, at addr. They are
// a user under a name that no local one can have, for as long as they are the same to the
// provider; their role is what it is now. ErrConflict where somebody else had the name.
func (b *Book) SignInGuest(ctx context.Context, g *Guest, addr netip.Addr) (cookie string, err error) {
	if cookie, err = b.secret(); err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		u, err := b.guest(txn, g)
		if err != nil {
			return err
		}

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return b.signIn(txn, u.Name, cookie, addr, " by "+g.Provider+" as "+string(u.Role))
	})
	if err != nil {
		return "", fmt.Errorf("opening a session: %w", err)
	}

	b.begin(digest(cookie))

	return cookie, nil
}

// guest is the record of g, as it is to be.
func (b *Book) guest(r core.Reader, g *Guest) (found user, err error) {
	known, err := findGuest(r, g.Issuer, g.Subject)
	if err != nil {
		return found, err
	}

	if known != nil {
		known.Role, known.Rules, known.Dismissed = g.Role, b.rules, false

		return *known, nil
	}

	name := route.Outside + strings.ToLower(g.Name)
	if len(name) > mostOutside {
		name = strings.ToValidUTF8(name[:mostOutside], "")
	}

	err = r.Get(core.TableUser, name, &found)

	switch {
	case err == nil:
		return found, core.NewProblem(core.ErrConflict, "account/name-taken",
			"Somebody else at the provider had the name "+name+" here. An administrator removes that user first.")
	case !isMissing(err):
		return found, err
	}

	return user{Name: name, Role: g.Role, Issuer: g.Issuer, Subject: g.Subject, Rules: b.rules, CreatedAt: b.now().UTC()}, nil
}

// findGuest is the record of somebody at a provider; nil: there is none.
func findGuest(r core.Reader, issuer, subject string) (found *user, err error) {
	err = eachUser(r, func(u *user) {
		if u.outside() && u.Issuer == issuer && u.Subject == subject {
			found = u
		}
	})

	return found, err
}

// RenewGuest gives the session under key another cookie, whose owner has proved at the
// provider just now who they are. ErrRefused where somebody else did.
func (b *Book) RenewGuest(ctx context.Context, key string, g *Guest) (fresh string, err error) {
	_, u, err := b.peek(ctx, key)
	if err != nil {
		return "", err
	}

	if !u.outside() || u.Issuer != g.Issuer || u.Subject != g.Subject {
		return "", core.NewProblem(core.ErrRefused, "account/somebody-else", "Somebody else signed in at the provider; nothing was done.")
	}

	if _, err := b.ledger.Update(ctx, func(txn core.Txn) error { // the role, too, is what it is now
		known, err := b.guest(txn, g)
		if err == nil {
			err = txn.Put(core.TableUser, known.Name, known)
		}

		return err
	}); err != nil {
		return "", fmt.Errorf("settling a role: %w", err)
	}

	return b.renew(ctx, key)
}

// welcome reports whether a user may still come in: whoever is from outside by the rules
// that let them in, and unless they were dismissed.
func (b *Book) welcome(u *user) bool {
	return !u.outside() || u.Rules == b.rules && !u.Dismissed
}

// DismissGuest ends the sessions of somebody whom the provider knows and the
// configuration lets in no longer; their tokens open nothing until they are let in again.
func (b *Book) DismissGuest(ctx context.Context, issuer, subject string) error {
	_, err := b.ledger.Update(ctx, func(txn core.Txn) error {
		u, err := findGuest(txn, issuer, subject)
		if err != nil || u == nil {
			return err
		}

		u.Dismissed = true

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return endSessions(txn, func(_ string, s session) bool { return s.User == u.Name })
	})
	if err != nil {
		return fmt.Errorf("ending sessions: %w", err)
	}

	return nil
}
