package ui

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
	"vetting/ui/view"
)

func (u *UI) listUsers(c *fiber.Ctx) error {
	users, err := u.book.Users(c.UserContext())

	return shown(c, http.StatusOK, route.UserList{Users: users}, err)
}

// setupURL writes the one-time link as whoever asks reaches the console.
func (u *UI) setupURL(c *fiber.Ctx, secret string) string {
	scheme := "https://"
	if u.cfg.TLS == nil {
		scheme = "http://"
	}

	return SetupURL(scheme+string(c.Context().Host()), secret)
}

func (u *UI) createUser(c *fiber.Ctx) error {
	var ask route.UserCreate
	if err := body(c, &ask); err != nil {
		return err
	}

	if err := u.mustBeFresh(c, ask.Password); err != nil {
		return err
	}

	secret, made, err := u.book.CreateUser(c.UserContext(), caller(c).Name, ask.Name, ask.Role)

	return shown(c, http.StatusCreated, route.UserInvited{User: made, SetupURL: u.setupURL(c, secret)}, err)
}

func (u *UI) updateUser(c *fiber.Ctx) error {
	var ask route.UserPatch
	if err := body(c, &ask); err != nil {
		return err
	}

	if ask.Role == nil {
		found, err := u.user(c, param(c, "name"))

		return shown(c, http.StatusOK, found, err)
	}

	if err := u.mustBeFresh(c, ask.Password); err != nil {
		return err
	}

	changed, err := u.book.SetRole(c.UserContext(), caller(c).Name, param(c, "name"), *ask.Role)

	return shown(c, http.StatusOK, changed, err)
}

func (u *UI) inviteUser(c *fiber.Ctx) error {
	if err := u.mustBeFresh(c, ""); err != nil {
		return err
	}

	secret, err := u.book.InviteUser(c.UserContext(), caller(c).Name, param(c, "name"))
	if err != nil {
		return err
	}

	found, err := u.user(c, param(c, "name"))

	return shown(c, http.StatusOK, route.UserInvited{User: found, SetupURL: u.setupURL(c, secret)}, err)
}

func (u *UI) deleteUser(c *fiber.Ctx) error {
	if err := u.mustBeFresh(c, ""); err != nil {
		return err
	}

	if err := u.book.DeleteUser(c.UserContext(), caller(c).Name, param(c, "name")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

func (u *UI) user(c *fiber.Ctx, name string) (route.User, error) {
	users, err := u.book.Users(c.UserContext())
	if err != nil {
		return route.User{}, err
	}

	for _, user := range users {
		if user.Name == name {
			return user, nil
		}
	}

	return route.User{}, core.NewProblem(core.ErrNotFound, "account/user-not-found", "There is no such user.")
}

func (u *UI) peoplePage(c *fiber.Ctx) error { return u.showPeople(c, &view.People{}, nil) }

// showPeople shows the users, with what went wrong with an order about them.
func (u *UI) showPeople(c *fiber.Ctx, page *view.People, why error) (err error) {
	if page.Frame, err = u.frame(c, "People", ""); err != nil {
		return err
	}

	page.Frame.Active, page.Fresh = "/settings", u.fresh(c)

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	if page.Users, err = u.book.Users(c.UserContext()); err != nil {
		return err
	}

	return draw(c, view.ShowPeople(page))
}

func (u *UI) addUser(c *fiber.Ctx) error {
	page := &view.People{Name: c.FormValue("name"), Role: route.Role(c.FormValue("role"))}

	if err := u.mustBeFresh(c, c.FormValue("password")); err != nil {
		return u.showPeople(c, page, err)
	}

	secret, made, err := u.book.CreateUser(c.UserContext(), caller(c).Name, page.Name, page.Role)
	if err == nil {
		page.Name, page.Role, page.Invited, page.Link = "", "", made.Name, u.setupURL(c, secret)
	}

	return u.showPeople(c, page, err)
}

func (u *UI) linkUser(c *fiber.Ctx) error {
	page := &view.People{}

	if err := u.mustBeFresh(c, c.FormValue("password")); err != nil {
		return u.showPeople(c, page, err)
	}

	secret, err := u.book.InviteUser(c.UserContext(), caller(c).Name, param(c, "name"))
	if err == nil {
		page.Invited, page.Link = param(c, "name"), u.setupURL(c, secret)
	}

	return u.showPeople(c, page, err)
}

func (u *UI) giveRole(c *fiber.Ctx) error {
	page := &view.People{Of: param(c, "name"), Role: route.Role(c.FormValue("role"))}

	err := u.mustBeFresh(c, c.FormValue("password"))
	if err == nil {
		_, err = u.book.SetRole(c.UserContext(), caller(c).Name, page.Of, page.Role)
	}

	return u.afterPeople(c, page, "saved", err)
}

func (u *UI) removeUser(c *fiber.Ctx) error {
	err := u.mustBeFresh(c, c.FormValue("password"))
	if err == nil {
		err = u.book.DeleteUser(c.UserContext(), caller(c).Name, param(c, "name"))
	}

	return u.afterPeople(c, &view.People{}, "person-removed", err)
}

// unlockPeople takes the password, so that the users can be changed for a while.
func (u *UI) unlockPeople(c *fiber.Ctx) error {
	return u.afterPeople(c, &view.People{}, "unlocked", u.mustBeFresh(c, c.FormValue("password")))
}

// afterPeople leads back to the users; a refusal is explained there.
func (u *UI) afterPeople(c *fiber.Ctx, page *view.People, done string, err error) error {
	_, soon := errors.AsType[*account.TooSoon](err)

	switch {
	case err == nil:
		return c.Redirect("/people?done="+done, http.StatusSeeOther)
	case soon, errors.Is(err, core.ErrConflict), errors.Is(err, core.ErrInvalid), errors.Is(err, core.ErrRefused):
		return u.showPeople(c, page, err)
	default:
		return err
	}
}
