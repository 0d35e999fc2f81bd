package ui

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/account"
	"vetting/ui/report"
	"vetting/ui/static"
	"vetting/ui/view"
)

const callerKey = "caller"

// policy is the Content-Security-Policy of every page but the report.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// counted counts answers for the metrics.
func (u *UI) counted(c *fiber.Ctx) error {
	err := c.Next()
	if err != nil {
		err = u.fail(c, err)
	}

	u.answers.count(c.Response().StatusCode())

	return err
}

// headers sets what every answer carries.
func (u *UI) headers(c *fiber.Ctx) error {
	u.setHeaders(c)

	return c.Next()
}

func (u *UI) setHeaders(c *fiber.Ctx) {
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "camera=(), geolocation=(), microphone=()", "Cache-Control": "no-store",
	} {
		c.Set(name, value)
	}

	if cert := u.certificate(); cert != nil && named(cert.Leaf) {
		c.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// recoverPanic turns a panic into an answer, and keeps the trace in the log.
func (u *UI) recoverPanic(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			u.cfg.Log.Error("console handler panicked", slog.Any("panic", r), slog.String("stack", string(debug.Stack())))

			err = errors.New("handling the request: panic")
		}
	}()

	return c.Next()
}

func (u *UI) cookieName() string {
	if u.cfg.TLS == nil {
		return "vetting"
	}

	return "__Host-vetting"
}

func (u *UI) setCookie(c *fiber.Ctx, value string) {
	cookie := &fiber.Cookie{
		Name: u.cookieName(), Value: value, Path: "/", HTTPOnly: true, Secure: u.cfg.TLS != nil, SameSite: "Strict",
	}
	if value == "" {
		cookie.MaxAge = -1
	}

	c.Cookie(cookie)
}

// who finds the caller: the bearer of a token, else of a session cookie.
func (u *UI) who(c *fiber.Ctx) (account.Caller, error) {
	if secret, ok := strings.CutPrefix(c.Get(fiber.HeaderAuthorization), "Bearer "); ok {
		return u.book.Token(c.UserContext(), secret)
	}

	cookie := c.Cookies(u.cookieName())
	if cookie == "" {
		return account.Caller{}, core.NewProblem(core.ErrUnauthorized, "account/nobody",
			"Sign in, or send an API token as Authorization: Bearer vet_….")
	}

	return u.book.Session(c.UserContext(), cookie, c.Get("X-Live") == "")
}

// guard lets in who may. A browser's request that changes something must come
// from our own pages. On pages, nobody is led to the login.
func (u *UI) guard(need route.Scope, page bool) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if need == route.None {
			return c.Next()
		}

		caller, err := u.who(c)

		switch led := page && c.Method() == http.MethodGet && c.Get("X-Live") == ""; {
		case led && errors.Is(err, core.ErrUnauthorized):
			return c.Redirect("/login?next="+queryEscape(c.OriginalURL()), http.StatusSeeOther)
		case err != nil:
			return err
		}

		if err := allowed(c, &caller, need); err != nil {
			return err
		}

		c.Locals(callerKey, caller)

		return c.Next()
	}
}

// allowed refuses what a known caller may not do.
func allowed(c *fiber.Ctx, caller *account.Caller, need route.Scope) error {
	if caller.Session != "" && c.Method() != http.MethodGet && c.Method() != http.MethodHead {
		if err := sameSite(c); err != nil {
			return err
		}
	}

	return covers(caller, need)
}

// covers refuses a caller whose scope is not enough.
func covers(caller *account.Caller, need route.Scope) error {
	if !caller.Scope.Allows(need) {
		return core.NewProblem(core.ErrRefused, "account/not-allowed", "This needs the scope "+string(need)+"; ask an administrator.")
	}

	return nil
}

func caller(c *fiber.Ctx) account.Caller {
	known, _ := c.Locals(callerKey).(account.Caller) //nolint:errcheck // the zero value is nobody

	return known
}

// sameSite refuses what another site's page made the browser send.
func sameSite(c *fiber.Ctx) error {
	switch c.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return nil
	case "":
		origin := c.Get(fiber.HeaderOrigin)
		if _, host, ok := strings.Cut(origin, "://"); ok && host == c.Get(fiber.HeaderHost) {
			return nil
		}
	}

	return core.NewProblem(core.ErrRefused, "console/other-site", "This request does not come from the console's own pages; open the console and try again.")
}

// fresh reports whether whoever asks need not type a password again: they did a
// moment ago, or they are a program with a token, which has none.
func (u *UI) fresh(c *fiber.Ctx) bool {
	return caller(c).Session == "" || u.book.Fresh(caller(c).Session)
}

// mustBeFresh refuses what needs a password that was typed a moment ago, unless
// this one is it. The session goes on under another cookie then.
func (u *UI) mustBeFresh(c *fiber.Ctx, password string) error {
	if u.fresh(c) {
		return nil
	}

	if strings.HasPrefix(caller(c).Name, route.Outside) {
		return core.NewProblem(core.ErrRefused, problem.AccountStale, "Sign in at "+u.provider()+" again: this needs a sign-in within the last five minutes.")
	}

	if password == "" {
		return core.NewProblem(core.ErrRefused, problem.AccountStale, "Type your password again: this needs it typed within the last five minutes.")
	}

	cookie, err := u.book.Renew(c.UserContext(), c.Cookies(u.cookieName()), password, addr(c))
	if errors.Is(err, core.ErrUnauthorized) { // who asks is known, and may not do this
		return core.NewProblem(core.ErrRefused, "account/wrong-password", "The password is wrong; nothing was done.")
	}

	if err != nil {
		return err
	}

	u.setCookie(c, cookie)

	renewed, err := u.book.Session(c.UserContext(), cookie, false)
	c.Locals(callerKey, renewed)

	return err
}

// addr is the address of whoever asks.
func addr(c *fiber.Ctx) netip.Addr {
	a, ok := netip.AddrFromSlice(c.Context().RemoteIP())
	if !ok {
		return netip.IPv4Unspecified()
	}

	return a.Unmap()
}

// status maps the kinds of core to HTTP.
func status(err error) int {
	for _, m := range []struct {
		kind   error
		status int
	}{
		{core.ErrUnauthorized, 401},
		{core.ErrRefused, 403},
		{core.ErrNotFound, 404},
		{core.ErrConflict, 409},
		{core.ErrExpired, 410},
		{core.ErrInvalid, 422},
		{core.ErrFull, 507},
	} {
		if errors.Is(err, m.kind) {
			return m.status
		}
	}

	return http.StatusInternalServerError
}

// fault says what err is to the caller: a status, a code and a calm sentence.
func (u *UI) fault(c *fiber.Ctx, err error) (int, route.ErrorDetail) {
	var (
		soon  *account.TooSoon
		own   *fiber.Error
		known *core.Problem
	)

	switch {
	case errors.As(err, &soon):
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(soon.Seconds()))

		return http.StatusTooManyRequests, route.ErrorDetail{Code: "account/too-fast", Message: soon.Error()}
	case errors.As(err, &own):
		return own.Code, route.ErrorDetail{Code: "console/http-" + strconv.Itoa(own.Code), Message: own.Message}
	case errors.As(err, &known):
		code, said := status(err), strings.Join(sentences(err), " ")

		switch {
		case strings.HasSuffix(known.Code, "/malformed"):
			code = http.StatusBadRequest
		case known.Code == problem.RecordChanged:
			code = http.StatusPreconditionFailed
		case code == http.StatusInsufficientStorage && strings.HasSuffix(known.Code, "/too-many"):
			code = http.StatusServiceUnavailable // connections have run out, not the disk
		}

		return code, route.ErrorDetail{Code: known.Code, Message: said, Details: known.Details}
	}

	u.cfg.Log.Error("console request failed", slog.String("path", c.Path()), slog.String("error", err.Error()))

	return status(err), route.ErrorDetail{Code: "console/broken", Message: "Something broke in the appliance; its log says what."}
}

// fail answers with the error: JSON for programs, a page for people.
func (u *UI) fail(c *fiber.Ctx, err error) error {
	u.setHeaders(c) // a request that could not be read never came by the middleware

	if errors.Is(err, fiber.ErrRequestEntityTooLarge) {
		err = u.tooMuch(c)
	}

	code, detail := u.fault(c, err)
	c.Status(code).Locals(saidKey, detail.Message)

	if forPrograms(c.Path()) {
		return c.JSON(route.ErrorBody{Error: detail})
	}

	if u.cfg.Trouble != nil { // there is nobody to ask who is asking
		return c.SendString(detail.Message)
	}

	if known, err := u.who(c); caller(c).Name == "" && err == nil {
		c.Locals(callerKey, known)
	}

	frame, ferr := u.frame(c, "Problem", "")
	if ferr != nil {
		return c.SendString(detail.Message)
	}

	return draw(c, view.ShowProblem(&view.Problem{
		Frame: frame, Status: code, Code: detail.Code, Text: detail.Message, Sent: code == http.StatusUnauthorized && frame.Posted,
	}))
}

func serveFile(f static.File) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, f.Type)
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
		c.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)

		if strings.Contains(c.Get(fiber.HeaderAcceptEncoding), "gzip") {
			c.Set(fiber.HeaderContentEncoding, "gzip")

			return c.Send(f.Gzip)
		}

		return c.Send(f.Body)
	}
}

// reportPolicy allows the report's one inline style and nothing else.
func reportPolicy(c *fiber.Ctx) { c.Set("Content-Security-Policy", report.Policy()) }

// colons writes a path of the table as Fiber does: {id} becomes :id.
func colons(path string) string { return strings.NewReplacer("{", ":", "}", "").Replace(path) }
