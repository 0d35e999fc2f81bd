package account

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
)

// linkKey is the setting that holds the one-time link of the terminal.
const linkKey = "setup_link"

// invitation begins the setting that holds the one-time link of a user.
const invitation = "invite/"

// link is the record of a one-time link that sets a password.
type link struct {
	Hash    string    `json:"hash"` // SHA-256 of its secret
	Made    time.Time `json:"made,omitzero"`
	Expires time.Time `json:"expires"`
}

func (b *Book) newLink(secret string, life time.Duration) link {
	now, hash := b.now().UTC(), digest(secret)
	b.endsIn(hash, life)

	return link{Hash: hash, Made: now, Expires: now.Add(life)}
}

// NewLink voids the one-time link before and returns the secret of a new one. It
// sets the password of the first user, or resets that of any.
func (b *Book) NewLink(ctx context.Context) (secret string, err error) {
	if secret, err = b.secret(); err != nil {
		return "", err
	}

	record := b.newLink(secret, LinkLife)

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		if err := txn.Put(core.TableSetting, linkKey, record); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/link-printed", terminal, "link.create", "link/terminal", "made a one-time link"})
	})
	if err != nil {
		return "", fmt.Errorf("writing down the one-time link: %w", err)
	}

	return secret, nil
}

// CheckLink says whether secret is that of a link now open, and whose password
// it sets; the link of the terminal sets anybody's, and names nobody.
func (b *Book) CheckLink(ctx context.Context, secret string) (name string, err error) {
	err = b.ledger.View(ctx, func(r core.Reader) (err error) {
		name, err = b.checkLink(r, secret)

		return err
	})

	return name, err
}

func (b *Book) checkLink(r core.Reader, secret string) (name string, err error) {
	var found *link

	err = r.Scan(core.TableSetting, core.Query{}, func(key string, decode func(any) error) error {
		whose, invited := strings.CutPrefix(key, invitation)
		if key != linkKey && !invited {
			return nil
		}

		var record link

		if err := decode(&record); err != nil {
			return err
		}

		if subtle.ConstantTimeCompare([]byte(record.Hash), []byte(digest(secret))) == 1 {
			found, name = &record, whose
			if !invited {
				name = ""
			}
		}

		return nil
	})

	switch {
	case err != nil:
		return "", fmt.Errorf("reading the one-time links: %w", err)
	case found == nil:
		return "", core.NewProblem(core.ErrRefused, "account/link-unknown",
			"This one-time link is wrong or was used already. Ask an administrator for a new one, or print one on the appliance with: vetting admin link")
	case !b.linkOpen(found):
		return "", core.NewProblem(core.ErrExpired, "account/link-expired",
			"This one-time link has expired. Ask an administrator for a new one, or print one on the appliance with: vetting admin link")
	default:
		return name, nil
	}
}

// Redeem uses a link up: the user called name gets the password, every session
// of theirs ends, and a fresh one begins. The terminal's link makes a user that
// does not exist an administrator; an invitation is for the one it names. Of a user
// with a second factor no session begins, and cookie is empty: they sign in.
func (b *Book) Redeem(ctx context.Context, secret, name, password string) (cookie string, err error) {
	if name, err = cleanName(name); err != nil {
		return "", err
	}

	if err := CheckPassword(name, password); err != nil {
		return "", err
	}

	if _, err := b.CheckLink(ctx, secret); err != nil { // before the work of hashing
		return "", err
	}

	hash, err := b.hash(ctx, password)
	if err != nil {
		return "", err
	}

	if cookie, err = b.secret(); err != nil {
		return "", err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		if err := b.useLink(txn, secret, name); err != nil {
			return err
		}

		if err := b.setPassword(txn, name, hash); err != nil {
			return err
		}

		var u user

		if err := txn.Get(core.TableUser, name, &u); err != nil {
			return err
		}

		if u.TOTP.on() {
			cookie = "" // a link that fell into other hands is one factor
		} else if err := b.open(txn, name, cookie); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/password-set", name, "user.password", "user/" + name, "set the password of " + name + " by a one-time link"})
	})
	if err != nil {
		return "", fmt.Errorf("setting the password: %w", err)
	}

	b.throttle.Forgive(accountKey(name))
	b.dropSpare(func(_ string, s session) bool { return s.User == name })

	if cookie != "" {
		b.begin(digest(cookie))
	}

	return cookie, nil
}

// useLink voids the link that sets the password of name. An invitation of
// somebody is void too once the terminal's link set their password.
func (b *Book) useLink(txn core.Txn, secret, name string) error {
	whose, err := b.checkLink(txn, secret)
	if err != nil {
		return err
	}

	if whose != "" && whose != name {
		return core.NewProblem(core.ErrRefused, "account/link-other", "This one-time link sets the password of "+whose+" and of nobody else.")
	}

	if whose == "" {
		if err := txn.Delete(core.TableSetting, linkKey); err != nil {
			return err
		}
	}

	return txn.Delete(core.TableSetting, invitation+name)
}

// setPassword writes the user and ends their sessions.
func (b *Book) setPassword(txn core.Txn, name, hash string) error {
	u := user{Role: route.Administrator}

	err := txn.Get(core.TableUser, name, &u)
	if err != nil && !isMissing(err) {
		return err
	}

	now := b.now().UTC()
	if u.CreatedAt.IsZero() {
		u.CreatedAt = now
	}

	u.Name, u.Hash, u.ChangedAt = name, hash, now

	if err := txn.Put(core.TableUser, name, u); err != nil {
		return err
	}

	return endSessions(txn, func(_ string, s session) bool { return s.User == name })
}

// cleanName reads a user's name: short, plain, the same in every case.
func cleanName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
		return "", core.NewProblem(core.ErrInvalid, "account/bad-name",
			"A name has 1 to 32 letters a to z, digits, dots, hyphens or underscores.")
	}

	return name, nil
}

func accountKey(name string) string { return "account " + name }
