package ui

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/account"
	"vetting/ui/view"
)

// factorPages registers what people do with their own second factor, on the page at base.
func (u *UI) factorPages(base string, check fiber.Handler, show showFactor) {
	for order, do := range map[string]func(*fiber.Ctx, showFactor) error{
		"": u.beginFactor, "/confirm": u.confirmFactor, "/codes": u.spareCodes, "/off": u.dropFactor,
	} {
		u.app.Post(base+"/totp"+order, check, func(c *fiber.Ctx) error { return do(c, show) })
	}
}

// showFactor shows the page on which somebody sets their second factor up, with what went
// wrong.
type showFactor func(c *fiber.Ctx, page *view.Settings, why error) error

// issuer is what an authenticator shows beside the name.
func (u *UI) issuer() string {
	if u.cfg.Appliance.Name == "" {
		return "vetting"
	}

	return "vetting " + u.cfg.Appliance.Name
}

// readFactor looks how the second factor of whoever asks stands.
func (u *UI) readFactor(c *fiber.Ctx, page *view.Settings) error {
	page.Fresh = u.fresh(c)

	if caller(c).Session == "" {
		return nil
	}

	known, err := u.user(c, caller(c).Name)
	if err != nil {
		return err
	}

	page.Factor.On, page.Factor.Left = known.TOTP, known.SpareCodes

	return nil
}

// mayFactor refuses programs, and people whose password was typed too long ago.
func (u *UI) mayFactor(c *fiber.Ctx) error {
	if caller(c).Session == "" {
		return core.NewProblem(core.ErrRefused, "account/no-session", "Sign in with a password to set up a second factor.")
	}

	return u.mustBeFresh(c, c.FormValue("password"))
}

// beginFactor draws a second factor and shows it, to be confirmed with a code.
func (u *UI) beginFactor(c *fiber.Ctx, show showFactor) error {
	if err := u.mayFactor(c); err != nil {
		return refusedFactor(c, show, err)
	}

	if _, err := u.book.BeginTOTP(c.UserContext(), caller(c).Name, u.issuer(), c.FormValue("code")); err != nil {
		return refusedFactor(c, show, err)
	}

	return u.showEnrolment(c, show, nil)
}

// showEnrolment shows the second factor that waits for a code.
func (u *UI) showEnrolment(c *fiber.Ctx, show showFactor, why error) error {
	page := &view.Settings{}

	e, waits, err := u.book.PendingTOTP(c.UserContext(), caller(c).Name, u.issuer())
	if err != nil {
		return err
	}

	if waits {
		page.Factor.Secret, page.Factor.URI = e.Secret, e.URI
	}

	return show(c, page, why)
}

func (u *UI) confirmFactor(c *fiber.Ctx, show showFactor) error {
	if caller(c).Session == "" {
		return u.mayFactor(c)
	}

	codes, err := u.book.ConfirmTOTP(c.UserContext(), caller(c).Name, c.FormValue("code"))
	if err != nil {
		return u.showEnrolment(c, show, err)
	}

	return show(c, &view.Settings{Factor: view.Factor{Codes: codes}}, nil)
}

func (u *UI) spareCodes(c *fiber.Ctx, show showFactor) error {
	if err := u.mayFactor(c); err != nil {
		return refusedFactor(c, show, err)
	}

	codes, err := u.book.NewSpareCodes(c.UserContext(), caller(c).Name, c.FormValue("code"))
	if err != nil {
		return refusedFactor(c, show, err)
	}

	return show(c, &view.Settings{Factor: view.Factor{Codes: codes}}, nil)
}

func (u *UI) dropFactor(c *fiber.Ctx, show showFactor) error {
	if err := u.mayFactor(c); err != nil {
		return refusedFactor(c, show, err)
	}

	if err := u.book.DropTOTP(c.UserContext(), caller(c).Name, c.FormValue("code")); err != nil {
		return refusedFactor(c, show, err)
	}

	return c.Redirect("/settings?done=totp-off", http.StatusSeeOther)
}

// refusedFactor explains on the page what cannot be done.
func refusedFactor(c *fiber.Ctx, show showFactor, err error) error {
	if _, soon := errors.AsType[*account.TooSoon](err); soon || mendable(err) {
		return show(c, &view.Settings{}, err)
	}

	return err
}

// removeFactor takes the second factor of somebody else away, on the page of people.
func (u *UI) removeFactor(c *fiber.Ctx) error {
	err := u.mustBeFresh(c, c.FormValue("password"))
	if err == nil {
		_, err = u.book.ResetTOTP(c.UserContext(), caller(c).Name, param(c, "name"))
	}

	return u.afterPeople(c, &view.People{}, "saved", err)
}

func (u *UI) resetFactor(c *fiber.Ctx) error {
	if err := u.mustBeFresh(c, ""); err != nil {
		return err
	}

	changed, err := u.book.ResetTOTP(c.UserContext(), caller(c).Name, param(c, "name"))

	return shown(c, http.StatusOK, changed, err)
}
