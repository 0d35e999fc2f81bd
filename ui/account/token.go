package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"vetting/core"
	"vetting/core/route"
)

// TokenPrefix begins every API token, so that a leaked one is known at sight.
const TokenPrefix = "vet_"

// idLength is how much of a token's hash names it in lists.
const idLength = 12

// token is the record of TableToken, under the SHA-256 of the secret.
type token struct {
	Name      string      `json:"name"`
	Scope     route.Scope `json:"scope"`
	CreatedBy string      `json:"created_by"`
	Owner     string      `json:"owner,omitempty"` // the user whose it is; empty: nobody's
	CreatedAt time.Time   `json:"created_at"`
	LastUsed  time.Time   `json:"last_used,omitzero"`
	ExpiresAt time.Time   `json:"expires_at,omitzero"` // zero: it does not expire
}

// maxTokenLife bounds the life of a token that has one.
const maxTokenLife = 10 * 365 * 24 * time.Hour

// terminal is who makes tokens at the appliance itself. They are nobody's.
const terminal = "terminal"

// AtTerminal is whoever is at the appliance itself, with the right to its files.
func AtTerminal() Caller { return Caller{Name: terminal, Scope: route.Admin} }

// owner is the user whose token it is; empty: nobody's. A token that was made with
// another one is of whose that was.
func (t *token) owner() string {
	if t.Owner == "" && t.CreatedBy != terminal && !strings.HasPrefix(t.CreatedBy, "token ") { // from before this was written down
		return t.CreatedBy
	}

	return t.Owner
}

// opens is the scope that a token has now: what it was given, and never more than its
// owner may do themselves.
func (b *Book) opens(r core.Reader, t *token) (route.Scope, error) {
	name := t.owner()
	if name == "" {
		return t.Scope, nil
	}

	var u user

	switch err := r.Get(core.TableUser, name, &u); {
	case isMissing(err):
		return route.None, nil
	case err != nil:
		return route.None, err
	case !b.welcome(&u):
		return route.None, nil
	case !u.role().Scope().Allows(t.Scope):
		return u.role().Scope(), nil
	default:
		return t.Scope, nil
	}
}

// dropTokens forgets the tokens of a user and says how many there were.
func dropTokens(txn core.Txn, owner string) (gone int, err error) {
	var keys []string

	err = txn.Scan(core.TableToken, core.Query{}, func(key string, decode func(any) error) error {
		var t token

		err := decode(&t)
		if err == nil && t.owner() == owner {
			keys = append(keys, key)
		}

		return err
	})

	for i := 0; err == nil && i < len(keys); i++ {
		err = txn.Delete(core.TableToken, keys[i])
	}

	return len(keys), err
}

// CreateToken makes an API token that opens nothing any more after life; 0: until
// it is revoked. It is of by, or of whom by's own token is, and goes with them. The
// secret is returned here and nowhere else.
func (b *Book) CreateToken(ctx context.Context, by Caller, name string, scope route.Scope, life time.Duration) (secret string, made route.Token, err error) {
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || utf8.RuneCountInString(name) > 64 || !utf8.ValidString(name) {
		return "", route.Token{}, core.NewProblem(core.ErrInvalid, "token/bad-name", "A token needs a name of 1 to 64 characters that says what it is for.")
	}

	if _, err := route.ParseScope(string(scope)); err != nil {
		return "", route.Token{}, err
	}

	if life < 0 || life > maxTokenLife {
		return "", route.Token{}, core.NewProblem(core.ErrInvalid, "token/bad-life", "A token lives from a second to ten years, or without a limit until it is revoked.")
	}

	raw, err := b.secret()
	if err != nil {
		return "", route.Token{}, err
	}

	secret = TokenPrefix + raw
	record := token{Name: name, Scope: scope, CreatedBy: by.Name, Owner: by.Owner, CreatedAt: b.now().UTC()}
	until := ""

	if life > 0 {
		record.ExpiresAt = record.CreatedAt.Add(life)
		until = " until " + record.ExpiresAt.Format(time.RFC3339)
	}

	key := digest(secret)

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		if err := txn.Put(core.TableToken, key, record); err != nil {
			return err
		}

		return b.emit(txn, deed{
			"account/token-made", by.Name, "token.create", "token/" + key[:idLength], fmt.Sprintf("made the API token %q with scope %s%s", name, scope, until),
		})
	})
	if err != nil {
		return "", route.Token{}, fmt.Errorf("writing down the token: %w", err)
	}

	return secret, record.shown(key), nil
}

func (t *token) shown(key string) route.Token {
	return route.Token{
		ID: key[:idLength], Name: t.Name, Scope: t.Scope, CreatedBy: t.CreatedBy, CreatedAt: t.CreatedAt, LastUsed: t.LastUsed, ExpiresAt: t.ExpiresAt,
	}
}

// Tokens lists the API tokens without their secrets, with the scope that each has now.
func (b *Book) Tokens(ctx context.Context) ([]route.Token, error) {
	list := []route.Token{}

	err := b.ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableToken, core.Query{}, func(key string, decode func(any) error) error {
			var t token

			if err := decode(&t); err != nil {
				return err
			}

			shown := t.shown(key)

			scope, err := b.opens(r, &t)
			if err != nil {
				return err
			}

			if shown.Suspended = scope == route.None; !shown.Suspended {
				shown.Scope = scope
			}

			list = append(list, shown)

			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}

	return list, nil
}

// RevokeToken forgets the token with the id. ErrNotFound when there is none.
func (b *Book) RevokeToken(ctx context.Context, who, id string) error {
	_, err := b.ledger.Update(ctx, func(txn core.Txn) error {
		key, err := tokenKey(txn, id)
		if err != nil {
			return err
		}

		var t token

		if err := txn.Get(core.TableToken, key, &t); err != nil {
			return err
		}

		if err := txn.Delete(core.TableToken, key); err != nil {
			return err
		}

		return b.emit(txn, deed{
			"account/token-revoked", who, "token.delete", "token/" + id, fmt.Sprintf("revoked the API token %q", t.Name),
		})
	})
	if err != nil {
		return fmt.Errorf("revoking token: %w", err)
	}

	return nil
}

// tokenKey finds the key of the token with the id.
func tokenKey(r core.Reader, id string) (string, error) {
	missing := core.NewProblem(core.ErrNotFound, "token/not-found", "There is no such token; it may have been revoked already.")

	if len(id) != idLength {
		return "", missing
	}

	var found string

	err := r.Scan(core.TableToken, core.Query{Prefix: id, Limit: 1}, func(key string, _ func(any) error) error {
		found = key

		return nil
	})
	if err != nil {
		return "", err
	}

	if found == "" {
		return "", missing
	}

	return found, nil
}

// Token names the caller behind an API token.
func (b *Book) Token(ctx context.Context, secret string) (Caller, error) {
	if !strings.HasPrefix(secret, TokenPrefix) {
		return Caller{}, errNobody()
	}

	key := digest(secret)

	var (
		t     token
		scope route.Scope
	)

	err := b.ledger.View(ctx, func(r core.Reader) (err error) {
		if err = r.Get(core.TableToken, key, &t); err == nil {
			scope, err = b.opens(r, &t)
		}

		return err
	})
	if isMissing(err) || err == nil && scope == route.None {
		return Caller{}, errNobody()
	}

	if err != nil {
		return Caller{}, fmt.Errorf("reading token: %w", err)
	}

	if !t.ExpiresAt.IsZero() && !b.now().Before(t.ExpiresAt) {
		return Caller{}, errNobody()
	}

	if now := b.now().UTC(); now.Sub(t.LastUsed) >= touchEvery {
		if err := b.used(ctx, key, now); err != nil {
			return Caller{}, err
		}
	}

	return Caller{Name: "token " + t.Name, ID: "token " + key, Scope: scope, Owner: t.owner()}, nil
}

// used writes down that the token was used.
func (b *Book) used(ctx context.Context, key string, now time.Time) error {
	_, err := b.ledger.Update(ctx, func(txn core.Txn) error {
		var t token

		if err := txn.Get(core.TableToken, key, &t); err != nil {
			return err
		}

		t.LastUsed = now

		return txn.Put(core.TableToken, key, t)
	})

	switch {
	case isMissing(err): // revoked this very moment
		return errNobody()
	case errors.Is(err, core.ErrFull): // a full disk must not lock programs out
		return nil
	case err != nil:
		return fmt.Errorf("noting the use of a token: %w", err)
	default:
		return nil
	}
}
