package ui

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/account"
	"vetting/ui/view"
)

// accountPages registers the pages that let people in and out.
func (u *UI) accountPages() {
	u.app.Get("/login", u.loginPage)
	u.app.Post("/login", u.login)
	u.app.Post("/logout", u.logout)
	u.outsidePages()
	u.app.Get("/setup", u.setupPage)
	u.app.Post("/setup", u.setup)
	u.app.Get("/wall", u.wallPage)
	u.app.Get("/wall/:token", wallByPath)
}

// explain shows a page again with what was wrong, for errors people may see.
func explain(c *fiber.Ctx, frame *view.Frame, err error) error {
	var (
		problem *core.Problem
		soon    *account.TooSoon
	)

	switch {
	case err == nil:
		return nil
	case errors.As(err, &soon):
		frame.Problem = soon.Error()
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(soon.Seconds()))
		c.Status(http.StatusTooManyRequests)
	case errors.As(err, &problem):
		frame.Problem = strings.Join(sentences(err), " ")
		c.Status(status(problem))
	default:
		return err
	}

	c.Locals(saidKey, frame.Problem)

	return nil
}

// problems are those in the tree of err, in order: several may have been joined.
func problems(err error) (list []*core.Problem) {
	switch err := err.(type) { //nolint:errorlint // the tree is walked here
	case *core.Problem:
		return []*core.Problem{err}
	case interface{ Unwrap() []error }:
		for _, one := range err.Unwrap() {
			list = append(list, problems(one)...)
		}
	case interface{ Unwrap() error }:
		return problems(err.Unwrap())
	}

	return list
}

// sentences are what the problems in err say.
func sentences(err error) (list []string) {
	for _, problem := range problems(err) {
		list = append(list, problem.Message)
	}

	return list
}

// showLogin shows the form that asks for a password, or where there is a ticket, for the
// code of a second factor.
func (u *UI) showLogin(c *fiber.Ctx, ticket string, why error) error {
	frame, err := u.frame(c, "Sign in", "")
	if err != nil {
		return err
	}

	if err := explain(c, &frame, why); err != nil {
		return err
	}

	peopled, err := u.book.Peopled(c.UserContext())
	if err != nil {
		return err
	}

	next := c.FormValue("next", c.Query("next", "/"))

	return draw(c, view.ShowLogin(&view.Login{Frame: frame, Name: c.FormValue("name"), Next: local(next), Peopled: peopled, Ticket: ticket, Outside: u.provider()}))
}

// local keeps a path inside the console. A browser passes over tabs and line ends wherever
// they stand, so that behind one the second slash would lead to another host.
func local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return "/"
	}

	return path
}

func (u *UI) loginPage(c *fiber.Ctx) error { return u.showLogin(c, "", nil) }

func (u *UI) login(c *fiber.Ctx) error {
	if err := sameSite(c); err != nil {
		return err
	}

	if ticket := c.FormValue("ticket"); ticket != "" {
		return u.loginCode(c, ticket)
	}

	cookie, err := u.book.Login(c.UserContext(), c.FormValue("name"), c.FormValue("password"), addr(c))

	var need *account.NeedCode

	switch {
	case errors.As(err, &need):
		return u.showLogin(c, need.Ticket, nil)
	case err != nil:
		return u.showLogin(c, "", err)
	}

	u.setCookie(c, cookie)

	return c.Redirect(local(c.FormValue("next", "/")), http.StatusSeeOther)
}

// loginCode ends a login with the code of a second factor.
func (u *UI) loginCode(c *fiber.Ctx, ticket string) error {
	cookie, err := u.book.LoginCode(c.UserContext(), ticket, c.FormValue("code"), addr(c))

	switch late := problems(err); {
	case len(late) > 0 && late[0].Code == "account/code-late":
		return u.showLogin(c, "", err)
	case err != nil:
		return u.showLogin(c, ticket, err)
	}

	u.setCookie(c, cookie)

	return c.Redirect(local(c.FormValue("next", "/")), http.StatusSeeOther)
}

func (u *UI) logout(c *fiber.Ctx) error {
	if err := sameSite(c); err != nil {
		return err
	}

	if cookie := c.Cookies(u.cookieName()); cookie != "" {
		if err := u.book.Logout(c.UserContext(), cookie); err != nil {
			return err
		}
	}

	u.setCookie(c, "")

	return c.Redirect("/login", http.StatusSeeOther)
}

func (u *UI) showSetup(c *fiber.Ctx, token string, why error) error {
	frame, err := u.frame(c, "Set a password", "")
	if err != nil {
		return err
	}

	peopled, err := u.book.Peopled(c.UserContext())
	if err != nil {
		return err
	}

	page := view.Setup{Frame: frame, Token: token, Name: c.FormValue("name", "admin"), Peopled: peopled, Usable: true}

	if page.Whose, err = u.book.CheckLink(c.UserContext(), token); err != nil {
		page.Usable, why = false, err
	}

	if page.Whose != "" {
		page.Name = page.Whose
	}

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowSetup(&page))
}

func (u *UI) setupPage(c *fiber.Ctx) error { return u.showSetup(c, c.Query("token"), nil) }

func (u *UI) setup(c *fiber.Ctx) error {
	if err := sameSite(c); err != nil {
		return err
	}

	token := c.FormValue("token")
	if c.FormValue("password") != c.FormValue("again") {
		return u.showSetup(c, token, errTwice())
	}

	peopled, err := u.book.Peopled(c.UserContext())
	if err != nil {
		return err
	}

	cookie, err := u.book.Redeem(c.UserContext(), token, c.FormValue("name"), c.FormValue("password"))
	if err != nil {
		return u.showSetup(c, token, err)
	}

	if cookie == "" { // there is a second factor, which the link does not stand for
		return c.Redirect("/login?done=reset", http.StatusSeeOther)
	}

	u.setCookie(c, cookie)

	switch {
	case !peopled && u.cfg.Steering != nil: // whoever is the first has it all before them
		return c.Redirect("/setup/you", http.StatusSeeOther)
	case !peopled:
		return c.Redirect("/welcome", http.StatusSeeOther)
	}

	return c.Redirect("/", http.StatusSeeOther)
}

func errTwice() error {
	return core.NewProblem(core.ErrInvalid, "account/password-differs", "The two passwords differ; type the same one twice.")
}

func (u *UI) settingsPage(c *fiber.Ctx) error { return u.showSettings(c, &view.Settings{}, nil) }

func (u *UI) showSettings(c *fiber.Ctx, page *view.Settings, why error) error {
	frame, err := u.frame(c, "Settings", "")
	if err != nil {
		return err
	}

	page.Frame, page.Appliance, page.Steered = frame, u.cfg.Appliance, u.cfg.Steering != nil

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	if page.Tokens, err = u.book.Tokens(c.UserContext()); err != nil {
		return err
	}

	if err := u.readFactor(c, page); err != nil {
		return err
	}

	return draw(c, view.ShowSettings(page))
}

// tokensPage is the part of the settings that is about programs.
func (u *UI) tokensPage(c *fiber.Ctx) error {
	return u.showSettings(c, &view.Settings{OnlyTokens: true}, nil)
}

func (u *UI) makeToken(c *fiber.Ctx) error {
	page := &view.Settings{TokenName: c.FormValue("name")}

	scope, err := route.ParseScope(c.FormValue("scope"))
	if err == nil {
		err = u.mustBeFresh(c, c.FormValue("password"))
	}

	if err == nil {
		page.Secret, _, err = u.book.CreateToken(c.UserContext(), caller(c), page.TokenName, scope, 0)
		page.Wall = scope == route.Read
	}

	if err != nil {
		page.Scope = scope
	}

	return u.showSettings(c, page, err)
}

func (u *UI) dropToken(c *fiber.Ctx) error {
	if err := u.book.RevokeToken(c.UserContext(), caller(c).Name, param(c, "id")); err != nil {
		return err
	}

	return c.Redirect("/settings?done=revoked", http.StatusSeeOther)
}

func (u *UI) changePassword(c *fiber.Ctx) error {
	if caller(c).Session == "" {
		return core.NewProblem(core.ErrRefused, "account/no-session", "Sign in with a password to change it.")
	}

	if c.FormValue("fresh") != c.FormValue("again") {
		return u.showSettings(c, &view.Settings{}, errTwice())
	}

	cookie, err := u.book.ChangePassword(c.UserContext(), caller(c).Name, c.FormValue("old"), c.FormValue("fresh"))
	if err != nil {
		return u.showSettings(c, &view.Settings{}, err)
	}

	u.setCookie(c, cookie)

	return c.Redirect("/settings?done=password", http.StatusSeeOther)
}
