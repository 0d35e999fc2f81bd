package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
)

func (b bench) join(t *testing.T, name string, role route.Role) (cookie string) {
	t.Helper()

	link, _, err := b.CreateUser(t.Context(), "ada", name, role)
	if err != nil {
		t.Fatal(err)
	}

	if cookie, err = b.Redeem(t.Context(), link, name, good); err != nil {
		t.Fatal(err)
	}

	return cookie
}

func TestAnInvitationIsForOneNameAndOnce(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()

	link, made, err := b.CreateUser(ctx, "ada", " Bob ", route.Viewer)
	if err != nil || made.Name != "bob" || made.Role != route.Viewer || made.Active {
		t.Fatalf("%+v %v", made, err)
	}

	if _, err := b.Login(ctx, "bob", "", home); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("signing in without a password: %v", err)
	}

	if whose, err := b.CheckLink(ctx, link); whose != "bob" || err != nil {
		t.Errorf("the link is of %q, %v", whose, err)
	}

	if _, err := b.Redeem(ctx, link, "ada", good); !errors.Is(err, core.ErrRefused) {
		t.Errorf("taking the administrator's name: %v", err)
	}

	if _, err := b.Redeem(ctx, link, "mallory", good); !errors.Is(err, core.ErrRefused) {
		t.Errorf("taking a new name: %v", err)
	}

	cookie, err := b.Redeem(ctx, link, "bob", good)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(ctx, cookie, true); err != nil || who.Scope != route.Read || who.Role != route.Viewer {
		t.Errorf("%+v %v", who, err)
	}

	if _, err := b.Redeem(ctx, link, "bob", good); !errors.Is(err, core.ErrRefused) {
		t.Errorf("the link a second time: %v", err)
	}

	if _, _, err := b.CreateUser(ctx, "ada", "bob", route.Viewer); !errors.Is(err, core.ErrConflict) {
		t.Errorf("the same name again: %v", err)
	}
}

func TestAnInvitationExpiresAndANewOneVoidsIt(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()

	first, _, err := b.CreateUser(ctx, "ada", "bob", route.Operator)
	if err != nil {
		t.Fatal(err)
	}

	second, err := b.InviteUser(ctx, "ada", "bob")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := b.CheckLink(ctx, first); !errors.Is(err, core.ErrRefused) {
		t.Errorf("the link before: %v", err)
	}

	b.clock.Advance(account.InviteLife)

	if _, err := b.Redeem(ctx, second, "bob", good); !errors.Is(err, core.ErrExpired) {
		t.Errorf("a link a day later: %v", err)
	}

	if _, err := b.InviteUser(ctx, "ada", "ada"); !errors.Is(err, core.ErrConflict) {
		t.Errorf("a link for oneself, which takes no password: %v", err)
	}

	if _, err := b.InviteUser(ctx, "ada", "nobody"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("inviting nobody: %v", err)
	}
}

func TestANewRoleCountsAtOnceForSessionsThatAreOpen(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()
	cookie := b.join(t, "bob", route.Operator)

	for _, role := range []route.Role{route.Administrator, route.Viewer, route.Operator} {
		if _, err := b.SetRole(ctx, "ada", "bob", role); err != nil {
			t.Fatal(err)
		}

		if who, err := b.Session(ctx, cookie, true); err != nil || who.Scope != role.Scope() {
			t.Errorf("as %s: %+v %v", role, who, err)
		}
	}

	if _, err := b.SetRole(ctx, "ada", "bob", "root"); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a role there is not: %v", err)
	}
}

func TestAUserWhoIsRemovedIsOutAtOnce(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()
	cookie := b.join(t, "bob", route.Operator)

	if err := b.DeleteUser(ctx, "ada", "bob"); err != nil {
		t.Fatal(err)
	}

	if _, err := b.Session(ctx, cookie, true); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the session: %v", err)
	}

	if _, err := b.Login(ctx, "bob", good, home); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the password: %v", err)
	}

	if err := b.DeleteUser(ctx, "ada", "bob"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("once more: %v", err)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()

	b, cookie := withAdmin(t)
	ctx := t.Context()
	b.join(t, "bob", route.Operator)

	if _, _, err := b.CreateUser(ctx, "ada", "eve", route.Administrator); err != nil { // never signed in: does not count
		t.Fatal(err)
	}

	if err := b.DeleteUser(ctx, "ada", "ada"); !errors.Is(err, core.ErrConflict) {
		t.Errorf("removing: %v", err)
	}

	if _, err := b.SetRole(ctx, "ada", "ada", route.Viewer); !errors.Is(err, core.ErrConflict) {
		t.Errorf("demoting: %v", err)
	}

	if who, err := b.Session(ctx, cookie, true); err != nil || who.Scope != route.Admin {
		t.Errorf("%+v %v", who, err)
	}

	if _, err := b.SetRole(ctx, "ada", "bob", route.Administrator); err != nil {
		t.Fatal(err)
	}

	if err := b.DeleteUser(ctx, "bob", "ada"); err != nil {
		t.Errorf("with another administrator: %v", err)
	}
}

// Accounts from before there were roles were all of administrators.
func TestAnAccountWithoutARoleIsAnAdministrators(t *testing.T) {
	t.Parallel()

	b, cookie := withAdmin(t)

	if _, err := b.ledger.Update(t.Context(), func(tx core.Txn) error {
		var record map[string]any

		if err := tx.Get(core.TableUser, "ada", &record); err != nil {
			return err
		}

		delete(record, "role")

		return tx.Put(core.TableUser, "ada", record)
	}); err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(t.Context(), cookie, true); err != nil || who.Scope != route.Admin {
		t.Errorf("%+v %v", who, err)
	}
}

// The terminal's link gives a password back, and no rights with it.
func TestTheTerminalsLinkKeepsARole(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()
	b.join(t, "bob", route.Viewer)

	link, err := b.NewLink(ctx)
	if err != nil {
		t.Fatal(err)
	}

	cookie, err := b.Redeem(ctx, link, "bob", good)
	if err != nil {
		t.Fatal(err)
	}

	if who, err := b.Session(ctx, cookie, true); err != nil || who.Scope != route.Read {
		t.Errorf("%+v %v", who, err)
	}
}

// Everything done to accounts is in the audit trail, by whom and without secrets.
func TestWhatIsDoneToAccountsIsWrittenDown(t *testing.T) {
	t.Parallel()

	b, _ := withAdmin(t)
	ctx := t.Context()
	b.join(t, "bob", route.Viewer)

	secret, made, err := b.CreateToken(ctx, account.Caller{Name: "ada", Owner: "ada"}, "ci", route.Read, 0)
	if err != nil {
		t.Fatal(err)
	}

	b.clock.Advance(time.Minute)

	for _, do := range []func() error{
		func() error { return b.RevokeToken(ctx, "ada", made.ID) },
		func() error { _, err := b.Login(ctx, "bob", good, home); return err },
		func() error { _, err := b.ChangePassword(ctx, "bob", good, good+"!"); return err },
		func() error { _, err := b.SetRole(ctx, "ada", "bob", route.Operator); return err },
		func() error { _, err := b.InviteUser(ctx, "ada", "bob"); return err },
		func() error { return b.DeleteUser(ctx, "ada", "bob") },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}

	var got []string

	if err := b.ledger.View(ctx, func(r core.Reader) error {
		return r.Scan(core.TableAudit, core.Query{}, func(_ string, decode func(any) error) error {
			var a core.Audit

			if err := decode(&a); err != nil {
				return err
			}

			got = append(got, a.Who+" "+a.Action+" "+a.Object)

			if strings.Contains(a.Text, secret) || a.Text == "" || a.Time.IsZero() {
				t.Errorf("%+v", a)
			}

			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}

	want := "terminal link.create link/terminal|ada user.password user/ada|ada user.create user/bob|bob user.password user/bob|" +
		"ada token.create token/" + made.ID + "|ada token.delete token/" + made.ID + "|bob session.create user/bob|bob user.password user/bob|" +
		"ada user.role user/bob|ada user.invite user/bob|ada user.delete user/bob"
	if strings.Join(got, "|") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.ReplaceAll(want, "|", "\n"))
	}
}
