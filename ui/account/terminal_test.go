package account_test

import (
	"errors"
	"testing"

	"vetting/core"
	"vetting/core/route"
)

// Whoever is at the appliance's terminal makes administrators, and resets a password: the
// sessions of before end, and the role stays as it was.
func TestPasswordsAreSetAtTheTerminal(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()

	const other = "quite another sentence"

	if err := b.CreateAdmin(ctx, "Eve", good); err != nil {
		t.Fatal(err)
	}

	cookie, err := b.Login(ctx, "eve", good, home)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(ctx, cookie, true); err != nil || who.Scope != route.Admin {
		t.Errorf("%+v %v", who, err)
	}

	if err := b.CreateAdmin(ctx, "eve", other); codeOf(err) != "account/user-exists" {
		t.Errorf("a name that is taken: %v", err)
	}

	if err := b.CreateAdmin(ctx, "mallory", "short"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a weak password: %v", err)
	}

	b.join(t, "bob", route.Viewer)

	bobs, err := b.Login(ctx, "bob", good, home)
	if err != nil {
		t.Fatal(err)
	}

	if err := b.ResetPassword(ctx, "bob", other); err != nil {
		t.Fatal(err)
	}

	if _, err := b.Session(ctx, bobs, true); err == nil {
		t.Error("a session from before the reset goes on")
	}

	if _, err := b.Session(ctx, cookie, true); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}

	if _, err := b.Login(ctx, "bob", good, home); err == nil {
		t.Error("the password of before opens")
	}

	fresh, err := b.Login(ctx, "bob", other, home)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(ctx, fresh, true); err != nil || who.Scope != route.Read {
		t.Errorf("after the reset: %+v %v", who, err)
	}

	if err := b.ResetPassword(ctx, "nobody", other); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}
