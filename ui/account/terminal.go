package account

import (
	"context"
	"fmt"

	"vetting/core"
	"vetting/core/route"
)

// CreateAdmin makes an administrator who signs in with the password, for somebody at the
// appliance's terminal. ErrConflict when the name is taken.
func (b *Book) CreateAdmin(ctx context.Context, name, password string) error {
	return b.atTerminal(ctx, name, password, func(txn core.Txn, name, hash string) (deed, error) {
		err := txn.Get(core.TableUser, name, &user{})
		if err == nil {
			return deed{}, core.NewProblem(core.ErrConflict, "account/user-exists",
				"There is a user "+name+" already. To set their password: vetting admin reset-password "+name)
		}

		if !isMissing(err) {
			return deed{}, err
		}

		return deed{"account/user-made", terminal, "user.create", "user/" + name, "made the user " + name + " with the role " + string(route.Administrator)},
			b.setPassword(txn, name, hash)
	})
}

// ResetPassword gives a user another password, for somebody at the appliance's terminal.
// Their sessions end and their one-time link is void; role and second factor stay.
func (b *Book) ResetPassword(ctx context.Context, name, password string) error {
	return b.atTerminal(ctx, name, password, func(txn core.Txn, name, hash string) (deed, error) {
		var u user

		err := txn.Get(core.TableUser, name, &u)
		if isMissing(err) {
			return deed{}, errNoUser(name)
		}

		if err != nil {
			return deed{}, err
		}

		if err := txn.Delete(core.TableSetting, invitation+name); err != nil {
			return deed{}, err
		}

		return deed{"account/password-set", terminal, "user.password", "user/" + name, "set the password of " + name},
			b.setPassword(txn, name, hash)
	})
}

// atTerminal has write set the password of a user in one transaction, and writes down
// what it did.
func (b *Book) atTerminal(ctx context.Context, name, password string, write func(txn core.Txn, name, hash string) (deed, error)) error {
	name, err := cleanName(name)
	if err != nil {
		return err
	}

	if err := CheckPassword(name, password); err != nil {
		return err
	}

	hash, err := b.hash(ctx, password)
	if err != nil {
		return err
	}

	_, err = b.ledger.Update(ctx, func(txn core.Txn) error {
		done, err := write(txn, name, hash)
		if err != nil {
			return err
		}

		return b.emit(txn, done)
	})
	if err != nil {
		return fmt.Errorf("setting the password of %s: %w", name, err)
	}

	b.throttle.Forgive(accountKey(name))
	b.dropSpare(func(_ string, s session) bool { return s.User == name })

	return nil
}
