package account_test

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
)

func ada() *account.Guest {
	return &account.Guest{Issuer: "https://id.test", Subject: "1", Name: "ada", Role: route.Operator, Provider: "Lab"}
}

// Whoever comes from a provider never is a local user, whatever the provider calls them,
// and nobody takes their place by any of the local ways.
func TestAGuestNeverIsALocalUser(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t) // who is called ada, too
	addr := netip.MustParseAddr("192.0.2.9")

	cookie, err := b.SignInGuest(t.Context(), ada(), addr)
	if err != nil {
		t.Fatal(err)
	}

	who, err := b.Session(t.Context(), cookie, true)
	if err != nil || who.Name != "oidc:ada" || who.Role != route.Operator || !b.Fresh(who.Session) {
		t.Fatalf("%+v, %v", who, err)
	}

	for name, try := range map[string]func() error{
		"a role":    func() error { _, err := b.SetRole(t.Context(), "root", "oidc:ada", route.Administrator); return err },
		"a link":    func() error { _, err := b.InviteUser(t.Context(), "root", "oidc:ada"); return err },
		"a factor":  func() error { _, err := b.BeginTOTP(t.Context(), "oidc:ada", "x", ""); return err },
		"to create": func() error { _, _, err := b.CreateUser(t.Context(), "root", "oidc:ada", route.Viewer); return err },
		"a password": func() error {
			_, err := b.Login(t.Context(), "oidc:ada", "", addr)
			return err
		},
		"another password": func() error {
			_, err := b.ChangePassword(t.Context(), "oidc:ada", "", "a good long password")
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s was given", name)
		}
	}

	other := ada()
	other.Subject = "2"

	if _, err := b.SignInGuest(t.Context(), other, addr); !errors.Is(err, core.ErrConflict) {
		t.Errorf("another of the same name: %v", err)
	}

	// The same person under another name and role stays who they are.
	renamed := ada()
	renamed.Name, renamed.Role = "countess", route.Viewer

	if _, err := b.SignInGuest(t.Context(), renamed, addr); err != nil {
		t.Fatal(err)
	}

	if who, err = b.Session(t.Context(), cookie, true); err != nil || who.Name != "oidc:ada" || who.Role != route.Viewer {
		t.Errorf("%+v, %v", who, err)
	}
}

func TestAGuestsSessionIsRenewedByThemAloneAndEnds(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	addr := netip.MustParseAddr("192.0.2.9")

	cookie, err := b.SignInGuest(t.Context(), ada(), addr)
	if err != nil {
		t.Fatal(err)
	}

	who, err := b.Session(t.Context(), cookie, true)
	if err != nil {
		t.Fatal(err)
	}

	other := ada()
	other.Subject = "2"

	if _, err := b.RenewGuest(t.Context(), who.Session, other); !errors.Is(err, core.ErrRefused) {
		t.Errorf("renewed by somebody else: %v", err)
	}

	viewer := ada()
	viewer.Role = route.Viewer

	fresh, err := b.RenewGuest(t.Context(), who.Session, viewer)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(t.Context(), fresh, true); err != nil || who.Role != route.Viewer {
		t.Errorf("with another role than before: %+v, %v", who, err)
	}

	if _, err := b.Session(t.Context(), cookie, true); err == nil {
		t.Error("the cookie before still opens")
	}

	if err := b.DismissGuest(t.Context(), "https://id.test", "1"); err != nil {
		t.Fatal(err)
	}

	if _, err := b.Session(t.Context(), fresh, true); err == nil {
		t.Error("the session of somebody who was dismissed goes on")
	}

	if err := b.DeleteUser(t.Context(), "ada", "oidc:ada"); err != nil {
		t.Errorf("a guest cannot be removed: %v", err)
	}
}

// Whoever was let in by rules that count no longer signs in again; where the rules are back,
// so is a session that has not ended by itself. Local users are not asked.
func TestAGuestOfOtherRulesHasNoSession(t *testing.T) {
	t.Parallel()

	b, local := withAdmin(t)
	under := func(rules string) *account.Book {
		return account.New(account.Config{Ledger: b.ledger, Now: b.clock.Now, Rand: rand.Reader, Factor: []byte(factor), Rules: rules})
	}

	cookie, err := under("ada operates").SignInGuest(t.Context(), ada(), netip.MustParseAddr("192.0.2.9"))
	if err != nil {
		t.Fatal(err)
	}

	for rules, in := range map[string]bool{"ada operates": true, "ada looks": false, "": false} {
		if _, err := under(rules).Session(t.Context(), cookie, true); (err == nil) != in || err != nil && !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("under the rules %q: %v", rules, err)
		}

		if _, err := under(rules).Session(t.Context(), local, true); err != nil {
			t.Errorf("a local user under the rules %q: %v", rules, err)
		}
	}
}
