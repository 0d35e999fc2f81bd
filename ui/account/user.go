package account

import (
	"context"
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
)

// InviteLife is how long the one-time link of a user is good.
const InviteLife = 24 * time.Hour

// user is the record of TableUser.
type user struct {
	Name      string     `json:"name"`
	Hash      string     `json:"hash"` // argon2id in PHC form; empty: never set
	Role      route.Role `json:"role,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ChangedAt time.Time  `json:"changed_at"` // of the password
	TOTP      *totp      `json:"totp,omitempty"`
	NextTOTP  *totp      `json:"next_totp,omitempty"` // drawn and not confirmed yet
	Issuer    string     `json:"issuer,omitempty"`    // the provider that vouches for them, who have no password here
	Subject   string     `json:"subject,omitempty"`   // who they are there
	Rules     string     `json:"rules,omitempty"`     // those that let them in and gave the role (Config.Rules)
	Dismissed bool       `json:"dismissed,omitempty"` // the provider came to vouch for somebody whom the rules do not let in
}

// role is the user's. A record from before there were roles is of an
// administrator: there were no others.
func (u *user) role() route.Role {
	if u.Role == "" {
		return route.Administrator
	}

	return u.Role
}

func (u *user) shown() route.User {
	shown := route.User{Name: u.Name, Role: u.role(), CreatedAt: u.CreatedAt, Active: u.Hash != "", TOTP: u.TOTP.on(), Outside: u.outside()}
	if shown.TOTP {
		shown.SpareCodes = len(u.TOTP.Spare)
	}

	if shown.Active {
		shown.ChangedAt = u.ChangedAt
	}

	return shown
}

func errNoUser(name string) error {
	return core.NewProblem(core.ErrNotFound, "account/user-not-found", fmt.Sprintf("There is no user %.40q.", name))
}

// Users lists the users by name.
func (b *Book) Users(ctx context.Context) ([]route.User, error) {
	list := []route.User{}

	err := b.ledger.View(ctx, func(r core.Reader) error {
		return eachUser(r, func(u *user) { list = append(list, u.shown()) })
	})
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}

	return list, nil
}

func eachUser(r core.Reader, each func(*user)) error {
	return r.Scan(core.TableUser, core.Query{}, func(_ string, decode func(any) error) error {
		var u user

		if err := decode(&u); err != nil {
			return err
		}

		each(&u)

		return nil
	})
}

// CreateUser makes a user who cannot sign in yet, and the secret of the one-time
// link by which they set their password. ErrConflict when the name is taken.
func (b *Book) CreateUser(ctx context.Context, who, name string, role route.Role) (secret string, made route.User, err error) {
	if name, err = cleanName(name); err != nil {
		return "", made, err
	}

	if role, err = route.ParseRole(string(role)); err != nil {
		return "", made, err
	}

	if secret, err = b.secret(); err != nil {
		return "", made, err
	}

	fresh := user{Name: name, Role: role, CreatedAt: b.now().UTC()}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		err := txn.Get(core.TableUser, name, &user{})
		if err == nil {
			return core.NewProblem(core.ErrConflict, "account/user-exists", "There is a user "+name+" already.")
		}

		if !isMissing(err) {
			return err
		}

		if err := txn.Put(core.TableUser, name, fresh); err != nil {
			return err
		}

		if err := b.invite(txn, name, secret); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/user-made", who, "user.create", "user/" + name, "made the user " + name + " with the role " + string(role)})
	})
	if err != nil {
		return "", made, fmt.Errorf("making a user: %w", err)
	}

	return secret, fresh.shown(), nil
}

// InviteUser makes the secret of a one-time link that sets the password of the
// user anew; the link before is void. Their password now stays until it is used.
func (b *Book) InviteUser(ctx context.Context, who, name string) (secret string, err error) {
	if who == name {
		return "", core.NewProblem(core.ErrConflict, "account/own-link", "Change your own password in the settings; without it, have another administrator make a link, or run vetting admin link on the appliance.")
	}

	if secret, err = b.secret(); err != nil {
		return "", err
	}

	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if u.outside() {
			return errOutside(u.Name)
		}

		if err := b.invite(txn, u.Name, secret); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/link-printed", who, "user.invite", "user/" + u.Name, "made a one-time link for " + u.Name})
	})
	if err != nil {
		return "", fmt.Errorf("inviting a user: %w", err)
	}

	return secret, nil
}

func (b *Book) invite(txn core.Txn, name, secret string) error {
	return txn.Put(core.TableSetting, invitation+name, b.newLink(secret, InviteLife))
}

// SetRole gives the user another role; it counts at once. ErrConflict when nobody
// would be left who may let people in.
func (b *Book) SetRole(ctx context.Context, who, name string, role route.Role) (changed route.User, err error) {
	if role, err = route.ParseRole(string(role)); err != nil {
		return changed, err
	}

	err = b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if u.outside() {
			return errOutside(u.Name)
		}

		if role != route.Administrator {
			if err := othersRule(txn, u); err != nil {
				return err
			}
		}

		u.Role = role
		changed = u.shown()

		if err := txn.Put(core.TableUser, u.Name, u); err != nil {
			return err
		}

		return b.emit(txn, deed{"account/user-changed", who, "user.role", "user/" + u.Name, "gave " + u.Name + " the role " + string(role)})
	})
	if err != nil {
		return changed, fmt.Errorf("changing a role: %w", err)
	}

	return changed, nil
}

// DeleteUser forgets the user, their sessions, tokens and invitation. ErrConflict
// when nobody would be left who may let people in.
func (b *Book) DeleteUser(ctx context.Context, who, name string) error {
	err := b.changeUser(ctx, name, func(txn core.Txn, u *user) error {
		if err := othersRule(txn, u); err != nil {
			return err
		}

		if err := txn.Delete(core.TableUser, u.Name); err != nil {
			return err
		}

		if err := txn.Delete(core.TableSetting, invitation+u.Name); err != nil {
			return err
		}

		if err := endSessions(txn, func(_ string, s session) bool { return s.User == u.Name }); err != nil {
			return err
		}

		gone, err := dropTokens(txn, u.Name)
		if err != nil {
			return err
		}

		text := "removed the user " + u.Name
		if gone > 0 {
			text = fmt.Sprintf("%s, and %d API tokens of theirs", text, gone)
		}

		return b.emit(txn, deed{"account/user-removed", who, "user.delete", "user/" + u.Name, text})
	})
	if err != nil {
		return fmt.Errorf("removing a user: %w", err)
	}

	b.dropSpare(func(_ string, s session) bool { return s.User == strings.ToLower(strings.TrimSpace(name)) })

	return nil
}

func (b *Book) changeUser(ctx context.Context, name string, change func(core.Txn, *user) error) error {
	name = strings.ToLower(strings.TrimSpace(name))
	if _, err := cleanName(name); err != nil && !strings.HasPrefix(name, route.Outside) {
		return errNoUser(name)
	}

	_, err := b.ledger.Update(ctx, func(txn core.Txn) error {
		var u user

		err := txn.Get(core.TableUser, name, &u)
		if isMissing(err) {
			return errNoUser(name)
		}

		if err != nil {
			return err
		}

		return change(txn, &u)
	})

	return err
}

// othersRule refuses to take away the last administrator who can sign in.
func othersRule(r core.Reader, gone *user) error {
	if gone.role() != route.Administrator || gone.outside() { // whoever has a password here is still there
		return nil
	}

	others := 0

	err := eachUser(r, func(u *user) {
		if u.Name != gone.Name && u.role() == route.Administrator && u.Hash != "" {
			others++
		}
	})

	if err == nil && others == 0 {
		return core.NewProblem(core.ErrConflict, "account/last-admin",
			"This would leave nobody who may let people in; make another administrator first, and let them sign in.")
	}

	return err
}
