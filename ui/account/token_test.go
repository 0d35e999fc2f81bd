package account_test

import (
	"crypto/rand"
	"net/netip"
	"testing"

	"vetting/core/route"
	"vetting/ui/account"
)

// opens is the scope that a token has; "": it opens nothing.
func opens(t *testing.T, b *account.Book, secret string) route.Scope {
	t.Helper()

	who, err := b.Token(t.Context(), secret)
	if err != nil {
		return ""
	}

	return who.Scope
}

// A token may do no more than whoever made it may now, and one that it made itself neither.
func TestATokenMayDoNoMoreThanItsOwner(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()
	b.join(t, "bob", route.Administrator)

	secret, _, err := b.CreateToken(ctx, account.Caller{Name: "bob", Owner: "bob"}, "ci", route.Admin, 0)
	if err != nil {
		t.Fatal(err)
	}

	parent, err := b.Token(ctx, secret)
	if err != nil {
		t.Fatal(err)
	}

	child, _, err := b.CreateToken(ctx, parent, "of ci", route.Operate, 0)
	if err != nil {
		t.Fatal(err)
	}

	free, _, err := b.CreateToken(ctx, account.AtTerminal(), "prometheus", route.Operate, 0)
	if err != nil {
		t.Fatal(err)
	}

	look := func(when string, own, made route.Scope) {
		t.Helper()

		for name, c := range map[string]struct {
			secret string
			want   route.Scope
		}{"bob's": {secret, own}, "one that it made": {child, made}, "nobody's": {free, route.Operate}} {
			if got := opens(t, b.Book, c.secret); got != c.want {
				t.Errorf("%s: %s opens %q, want %q", when, name, got, c.want)
			}
		}
	}

	look("at first", route.Admin, route.Operate)

	for _, c := range []struct {
		role      route.Role
		own, made route.Scope
	}{{route.Operator, route.Operate, route.Operate}, {route.Viewer, route.Read, route.Read}, {route.Administrator, route.Admin, route.Operate}} {
		if _, err := b.SetRole(ctx, "ada", "bob", c.role); err != nil {
			t.Fatal(err)
		}

		look("as "+string(c.role), c.own, c.made)
	}

	if err := b.DeleteUser(ctx, "ada", "bob"); err != nil {
		t.Fatal(err)
	}

	look("without the user", "", "")
	b.join(t, "bob", route.Administrator) // somebody else of that name
	look("with another of the name", "", "")

	if list, err := b.Tokens(ctx); err != nil || len(list) != 1 || list[0].Name != "prometheus" {
		t.Errorf("%+v, %v", list, err)
	}
}

// The tokens of somebody from outside open as much as their sessions do: nothing, once the
// rules that let them in count no more, or the provider came to vouch for them in vain.
func TestTheTokensOfAGuestGoWithTheRules(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx, addr := t.Context(), netip.MustParseAddr("192.0.2.9")
	under := func(rules string) *account.Book {
		return account.New(account.Config{Ledger: b.ledger, Now: b.clock.Now, Rand: rand.Reader, Factor: []byte(factor), Rules: rules})
	}

	guest := ada()
	guest.Role = route.Administrator
	signIn := func(book *account.Book) {
		t.Helper()

		if _, err := book.SignInGuest(ctx, guest, addr); err != nil {
			t.Fatal(err)
		}
	}

	now := under("ada rules")
	signIn(now)

	secret, _, err := now.CreateToken(ctx, account.Caller{Name: "oidc:ada", Owner: "oidc:ada"}, "ci", route.Admin, 0)
	if err != nil {
		t.Fatal(err)
	}

	for rules, want := range map[string]route.Scope{"ada rules": route.Admin, "ada looks": "", "": ""} {
		if got := opens(t, under(rules), secret); got != want {
			t.Errorf("under the rules %q it opens %q, want %q", rules, got, want)
		}
	}

	guest.Role = route.Viewer
	now = under("ada looks")
	signIn(now)

	if got := opens(t, now, secret); got != route.Read {
		t.Errorf("as a viewer it opens %q", got)
	}

	if err := now.DismissGuest(ctx, guest.Issuer, guest.Subject); err != nil {
		t.Fatal(err)
	}

	if got := opens(t, now, secret); got != "" {
		t.Errorf("of somebody who was dismissed it opens %q", got)
	}

	if list, err := now.Tokens(ctx); err != nil || len(list) != 1 || !list[0].Suspended {
		t.Errorf("%+v, %v", list, err)
	}

	signIn(now)

	if got := opens(t, now, secret); got != route.Read {
		t.Errorf("let in again it opens %q", got)
	}
}
