package ui

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/account"
	"vetting/ui/oidc"
	"vetting/ui/view"
)

// backPath is where the provider sends people back to.
const backPath = "/login/oidc/back"

// Outside lets in whom a provider of OpenID Connect vouches for.
type Outside = oidc.Provider

// outsidePages registers both halves of signing in at a provider.
func (u *UI) outsidePages() {
	if u.cfg.Outside == nil {
		return
	}

	u.app.Get("/login/oidc", u.leaveForProvider)
	u.app.Get(backPath, u.comeBack)
}

// provider is what people call the provider; empty: there is none.
func (u *UI) provider() string {
	if u.cfg.Outside == nil {
		return ""
	}

	return u.cfg.Outside.Name()
}

func (u *UI) flowCookie() string { return u.cookieName() + "-oidc" }

// setFlow keeps what the second half needs. The provider's page leads back here, which a
// cookie that is Strict would not survive.
func (u *UI) setFlow(c *fiber.Ctx, value string) {
	cookie := &fiber.Cookie{
		Name: u.flowCookie(), Value: value, Path: "/", HTTPOnly: true, Secure: u.cfg.TLS != nil, SameSite: "Lax", MaxAge: int(oidc.FlowLife.Seconds()),
	}
	if value == "" {
		cookie.MaxAge = -1
	}

	c.Cookie(cookie)
}

// redirect is where the provider sends the browser back to: by the address that it has.
func (u *UI) redirect(c *fiber.Ctx) string {
	scheme := "https://"
	if u.cfg.TLS == nil {
		scheme = "http://"
	}

	return scheme + string(c.Context().Host()) + backPath
}

// leaveForProvider sends the browser to the provider: to sign in, or with again, so that
// whoever is signed in proves once more who they are.
func (u *UI) leaveForProvider(c *fiber.Ctx) error {
	again := ""

	if c.Query("again") != "" {
		who, err := u.who(c)
		if err != nil {
			return c.Redirect("/login?next="+queryEscape(local(c.Query("next", "/"))), http.StatusSeeOther)
		}

		again = who.Session
	}

	to, cookie, err := u.cfg.Outside.Begin(c.UserContext(), u.redirect(c), local(c.Query("next", "/")), again)
	if err != nil {
		return u.notLetIn(c, err)
	}

	u.setFlow(c, cookie)

	return c.Redirect(to, http.StatusSeeOther)
}

// notLetIn shows the form for a password, with why the provider did not help. The log is
// told only what the page does not say: anybody may come here as often as they like.
func (u *UI) notLetIn(c *fiber.Ctx, err error) error {
	_, soon := errors.AsType[*account.TooSoon](err)
	if known := problems(err); !soon && (len(known) == 0 || known[0].Error() != err.Error()) {
		u.cfg.Log.Warn("nobody was let in by the provider", slog.String("error", err.Error()))
	}

	return u.showLogin(c, "", err)
}

// comeBack ends a sign-in at the provider.
func (u *UI) comeBack(c *fiber.Ctx) error {
	who, next, again, err := u.cfg.Outside.Finish(c.UserContext(), oidc.Back{
		Redirect: u.redirect(c), Cookie: c.Cookies(u.flowCookie()), State: c.Query("state"), Code: c.Query("code"), Error: c.Query("error"),
		Admit: func() error { return u.book.TryGuest(addr(c)) },
	})

	u.setFlow(c, "")

	if err != nil {
		return u.notLetIn(c, errors.Join(err, u.turnedAway(c, &who, err)))
	}

	guest := &account.Guest{Issuer: who.Issuer, Subject: who.Subject, Name: who.Name, Role: who.Role, Provider: u.provider()}

	var cookie string

	if again != "" {
		cookie, err = u.book.RenewGuest(c.UserContext(), again, guest)
	} else {
		cookie, err = u.book.SignInGuest(c.UserContext(), guest, addr(c))
	}

	if err != nil {
		return u.notLetIn(c, err)
	}

	u.book.ForgiveGuest(addr(c))
	u.setCookie(c, cookie)

	// A redirect would still be the provider's, and the cookie of the session stay away.
	next = local(next)
	c.Set("Refresh", "0; url="+next)

	frame, err := u.frame(c, "Signed in", "")
	if err != nil {
		return err
	}

	return draw(c, view.ShowSignedIn(&view.SignedIn{Frame: frame, Next: next}))
}

// turnedAway takes down whom the provider knows and the configuration lets in no longer:
// their sessions end.
func (u *UI) turnedAway(c *fiber.Ctx, who *oidc.Person, why error) error {
	if known := problems(why); who.Subject == "" || len(known) == 0 || known[0].Code != "oidc/not-invited" {
		return nil
	}

	err := u.writeAudit(c.UserContext(), core.Audit{
		Who: "nobody", Action: "session.create", Object: "session", Result: core.OutcomeRefused, Text: who.Name + " of " + u.provider() + " is not let in by the configuration",
	})

	return errors.Join(err, u.book.DismissGuest(c.UserContext(), who.Issuer, who.Subject))
}
