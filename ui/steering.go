package ui

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/view"
)

// steeringPages registers the pages on which the appliance itself is changed.
func (u *UI) steeringPages(admin fiber.Handler) {
	for path, handler := range map[string]fiber.Handler{
		"/settings/general": u.generalPage, "/settings/tls": u.certificatePage, "/settings/about": u.aboutPage, "/settings/restart": u.restartPage, "/settings/licences": u.licences,
		"/settings/users": u.peoplePage, "/settings/tokens": u.tokensPage, "/settings/notifiers": u.notificationsPage, "/settings/retention": u.retentionPage,
	} {
		u.app.Get(path, admin, handler)
	}

	for path, handler := range map[string]fiber.Handler{
		"/settings/general": u.saveGeneral, "/settings/tls": u.takeCertificate, "/settings/tls/renew": u.renewCertificate,
		"/settings/restart": u.restart, "/settings/support": u.support,
		"/settings/notifiers": u.addNotifier, "/settings/notifiers/:name/delete": u.dropNotifier,
	} {
		u.app.Post(path, admin, handler)
	}

	u.integrationPages(admin)
	u.backupPages(admin)
	u.app.Get("/ca.crt", u.authority)
}

// leads sends people to where a page is.
func leads(path string) fiber.Handler {
	return func(c *fiber.Ctx) error { return c.Redirect(path, http.StatusSeeOther) }
}

// settingsFrame is the frame of a page of settings.
func (u *UI) settingsFrame(c *fiber.Ctx, title, follows string, why error) (view.Frame, error) {
	frame, err := u.frame(c, title, follows)
	if err == nil {
		frame.Active = "/settings"
		err = explain(c, &frame, why)
	}

	return frame, err
}

func (u *UI) generalPage(c *fiber.Ctx) error { return u.showGeneral(c, nil, nil) }

func (u *UI) showGeneral(c *fiber.Ctx, typed map[string]string, why error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	page := &view.General{Fields: steering.Fields(), Typed: typed}

	if page.Frame, err = u.settingsFrame(c, "General settings", "", why); err != nil {
		return err
	}

	if page.Busy, err = u.busy(c); err != nil {
		return err
	}

	return draw(c, view.ShowGeneral(page))
}

func (u *UI) saveGeneral(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	fields := view.Fields(steering.Fields())
	keys := make([]string, 0, len(fields))

	for i := range fields {
		keys = append(keys, fields[i].Key)
	}

	values, typed := typedFields(c, fields, keys)
	if err := touched(c, fields, values, typed); err != nil {
		return u.showGeneral(c, typed, err)
	}

	return u.changed(c, values, "/settings/general", func(err error) error { return u.showGeneral(c, typed, err) })
}

func (u *UI) certificatePage(c *fiber.Ctx) error { return u.showCertificate(c, nil) }

func (u *UI) showCertificate(c *fiber.Ctx, why error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	page := &view.CertificatePage{}

	if page.Cert, err = steering.Certificate(); err != nil {
		return err
	}

	if page.Frame, err = u.settingsFrame(c, "Certificate", "", why); err != nil {
		return err
	}

	return draw(c, view.ShowCertificate(page))
}

// typedOrFile reads a field that may be typed or handed in as a file.
func typedOrFile(c *fiber.Ctx, name string) ([]byte, error) {
	head, err := c.FormFile(name + "-file")
	if err != nil || head.Size == 0 {
		return []byte(c.FormValue(name)), nil //nolint:nilerr // no file was handed in
	}

	file, err := head.Open()
	if err != nil {
		return nil, fmt.Errorf("opening a file that was handed in: %w", err)
	}

	text, err := io.ReadAll(io.LimitReader(file, maxBody))

	return text, errors.Join(err, file.Close())
}

func (u *UI) takeCertificate(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	chain, errChain := typedOrFile(c, "chain")
	key, errKey := typedOrFile(c, "key")

	if err := errors.Join(errChain, errKey); err != nil {
		return err
	}

	return u.afterCertificate(c, steering.TakeCertificate(c.UserContext(), caller(c).Name, chain, key))
}

func (u *UI) renewCertificate(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	return u.afterCertificate(c, steering.RenewCertificate(c.UserContext(), caller(c).Name))
}

func (u *UI) afterCertificate(c *fiber.Ctx, err error) error {
	switch {
	case mendable(err):
		return u.showCertificate(c, err)
	case err != nil:
		return err
	default:
		return c.Redirect("/settings/restart?done=certificate", http.StatusSeeOther)
	}
}

// authority sends the certificate that browsers are to trust, which is no secret.
func (u *UI) authority(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	text := steering.Authority()
	if text == nil {
		return core.NewProblem(core.ErrNotFound, "console/no-certificate", "This console has no certificate.")
	}

	c.Set(fiber.HeaderContentType, "application/x-x509-ca-cert")

	return c.Send(text)
}

func (u *UI) aboutPage(c *fiber.Ctx) error { return u.showAbout(c, nil) }

func (u *UI) showAbout(c *fiber.Ctx, why error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	page := &view.About{Lines: steering.Facts()}

	if page.Frame, err = u.settingsFrame(c, "About", "", why); err != nil {
		return err
	}

	return draw(c, view.ShowAbout(page))
}

// licences sends every notice as text.
func (u *UI) licences(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	text, err := steering.Licences()
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, fiber.MIMETextPlainCharsetUTF8)

	return c.SendString(text)
}

func (u *UI) support(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	bundle, err := steering.Support(c.UserContext(), caller(c).Name)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, "application/gzip")
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="vetting-support.tar.gz"`)

	return c.Send(bundle)
}

func (u *UI) restartPage(c *fiber.Ctx) error { return u.showRestart(c, false, nil) }

func (u *UI) showRestart(c *fiber.Ctx, going bool, why error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	page := &view.Restart{Going: going, Waiting: view.Fields(steering.Fields()).Waiting()}

	if page.Frame, err = u.settingsFrame(c, "Restart", "rack", why); err != nil {
		return err
	}

	page.Frame.Here = "/settings/restart"

	if page.Busy, err = u.busy(c); err != nil {
		return err
	}

	return draw(c, view.ShowRestart(page, back(c)))
}

// back is where a form comes from.
func back(c *fiber.Ctx) string {
	if to := c.FormValue("back"); to == "/setup/start" || strings.HasPrefix(to, "/settings/") {
		return local(to)
	}

	return "/settings/restart"
}

// restart starts the appliance anew. With runs under way somebody has to want it.
func (u *UI) restart(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	busy, err := u.busy(c)
	if err != nil {
		return err
	}

	if busy > 0 && c.FormValue("anyway") == "" {
		return u.showRestart(c, false, core.NewProblem(core.ErrConflict, "settings/busy", "Runs are under way. Tick that the appliance is to start anew all the same."))
	}

	if err := steering.Restart(c.UserContext(), caller(c).Name); err != nil {
		return err
	}

	return u.showRestart(c, true, nil)
}

func (u *UI) addNotifier(c *fiber.Ctx) error {
	typed := typedNotifier(c)

	return u.savedNotifier(c, &typed, "/notifications", func(err error) error { return u.showNotifications(c, nil, &typed, err) })
}

func (u *UI) dropNotifier(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	switch err := steering.DropNotifier(c.UserContext(), caller(c).Name, param(c, "name")); {
	case mendable(err):
		return u.showNotifications(c, nil, nil, err)
	case err != nil:
		return err
	default:
		return c.Redirect("/notifications?done=notifier-gone", http.StatusSeeOther)
	}
}
