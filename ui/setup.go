package ui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/view"
)

type (
	// Card is a network port of the appliance's own machine.
	Card = view.Card

	// Surroundings is what was found around a port that is looked at.
	Surroundings = view.Surroundings

	// Field is a key of the configuration, as people see it.
	Field = view.Field

	// Notifying is a notifier that is made or changed in the console.
	Notifying = view.Notifying

	// Certificate is a certificate of the appliance, as people see it.
	Certificate = view.Certificate
)

// Steering changes the appliance itself (cmd/vetting). who is the administrator's name,
// for the audit trail. Errors are *core.Problem where a person can mend them. Safe for
// concurrent use.
type Steering interface {
	// Fields lists the keys of the configuration that a person may want to see.
	Fields() []Field
	// Change sets keys; an empty value takes what was set back. All of it or nothing.
	Change(ctx context.Context, who string, values map[string]string) error
	// Cards lists the network cards of the machine.
	Cards(ctx context.Context) ([]Card, error)
	// Listen looks for some seconds who else is on the network of a card. ErrRefused
	// for one that holds the default route, unless own says that the network is theirs.
	Listen(ctx context.Context, card string, own bool) (Surroundings, error)
	// SaveNotifier sets a notifier up; ErrConflict (problem.NotifierThere) where the console has
	// one of its name and Replace does not say that it may take its place.
	SaveNotifier(ctx context.Context, who string, n *Notifying) error
	// DropNotifier removes one that was set up in the console.
	DropNotifier(ctx context.Context, who, name string) error
	// Restart ends the appliance in an orderly way, once the answer to who asked is on its
	// way, and starts it anew.
	Restart(ctx context.Context, who string) error
	// Certificate tells of the console's.
	Certificate() (Certificate, error)
	// RenewCertificate makes a new self-signed one, which counts after a restart.
	RenewCertificate(ctx context.Context, who string) error
	// TakeCertificate keeps a chain and its key, both PEM, which count after a restart.
	TakeCertificate(ctx context.Context, who string, chain, key []byte) error
	// Authority is the certificate that browsers are to trust, PEM; nil: there is none.
	Authority() []byte
	// OwnNotifiers names those that were set up in the console.
	OwnNotifiers(ctx context.Context) ([]string, error)
	// Facts are what this appliance is, by name and value.
	Facts() [][2]string
	// Licences is every notice of what is in this program and its boot image.
	Licences() (string, error)
	// Support makes a bundle for those who help, without secrets.
	Support(ctx context.Context, who string) ([]byte, error)
}

// usualKey is the key of the profile that is chosen where nobody chooses.
const usualKey = "run.profile"

// setupPages registers the steps from a new appliance to the first host.
func (u *UI) setupPages(admin fiber.Handler) {
	u.factorPages("/setup/you", admin, u.showYou)

	for path, handler := range map[string]fiber.Handler{
		"/setup/you": u.setupYou, "/setup/nic": u.setupNIC, "/setup/network": u.setupNetwork, "/setup/messages": u.setupMessages,
		"/setup/profile": u.setupProfile, "/setup/start": u.setupStart,
	} {
		u.app.Get(path, admin, handler)
	}

	for path, handler := range map[string]fiber.Handler{
		"/setup/nic": u.listenOnNIC, "/setup/nic/use": u.useNIC, "/setup/network": u.saveNetwork, "/setup/messages": u.addNotifierOnSetup,
		"/setup/messages/:name/test": u.testOnSetup, "/setup/profile": u.saveUsual,
	} {
		u.app.Post(path, admin, handler)
	}
}

func errNoSteering() error {
	return core.NewProblem(core.ErrNotFound, "settings/not-here", "This appliance is set up elsewhere; nothing can be changed here.")
}

// steering is what changes the appliance, or why nothing does.
func (u *UI) steering() (Steering, error) {
	if u.cfg.Steering == nil {
		return nil, errNoSteering()
	}

	return u.cfg.Steering, nil
}

// assistant begins a page of a step, with what went wrong.
func (u *UI) assistant(c *fiber.Ctx, step int, follows string, why error) (a *view.Assistant, err error) {
	a = &view.Assistant{Step: step}

	steering, err := u.steering()
	if err != nil {
		return nil, err
	}

	if a.Frame, err = u.frame(c, "Set up", follows); err != nil {
		return nil, err
	}

	if err := explain(c, &a.Frame, why); err != nil {
		return nil, err
	}

	a.Frame.Active, a.Fields, a.Usual = "/settings", steering.Fields(), u.usual()

	return a, nil
}

// usual is the profile that is chosen where nobody chooses.
func (u *UI) usual() string {
	if u.cfg.Steering == nil {
		return ""
	}

	return view.Fields(u.cfg.Steering.Fields()).Get(usualKey).Wanted()
}

func (u *UI) setupYou(c *fiber.Ctx) error { return u.showYou(c, &view.Settings{}, nil) }

// showYou is the step of the second factor.
func (u *UI) showYou(c *fiber.Ctx, factor *view.Settings, why error) error {
	a, err := u.assistant(c, 1, "", why)
	if err != nil {
		return err
	}

	if err := u.readFactor(c, factor); err != nil {
		return err
	}

	a.Factor, a.Fresh = factor.Factor, factor.Fresh
	a.Factor.Base = "/setup/you/totp"

	return draw(c, view.ShowSetupYou(a))
}

func (u *UI) setupNIC(c *fiber.Ctx) error { return u.showNIC(c, c.Query("interface"), nil, nil) }

// showNIC is the step of the test NIC.
func (u *UI) showNIC(c *fiber.Ctx, chosen string, heard *view.Surroundings, why error) error {
	a, err := u.assistant(c, 2, "", why)
	if err != nil {
		return err
	}

	if a.Cards, err = u.cfg.Steering.Cards(c.UserContext()); err != nil {
		return err
	}

	a.Chosen, a.Heard, a.Own = chosen, heard, c.FormValue("own") != ""

	if a.Chosen == "" {
		a.Chosen = a.Fields.Get("netboot.interface").Wanted()
	}

	for _, fits := range []func(c view.Card) bool{
		func(c view.Card) bool { return c.Link && !c.Default && len(c.Addrs) == 0 }, func(c view.Card) bool { return !c.Default },
	} {
		if i := slices.IndexFunc(a.Cards, fits); a.Chosen == "" && i >= 0 {
			a.Chosen = a.Cards[i].Name
		}
	}

	return draw(c, view.ShowSetupNIC(a))
}

// mendable reports whether an error is one that a person mends on the page they come from.
func mendable(err error) bool {
	return errors.Is(err, core.ErrInvalid) || errors.Is(err, core.ErrConflict) || errors.Is(err, core.ErrRefused) || errors.Is(err, core.ErrNotFound)
}

func (u *UI) listenOnNIC(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	card := c.FormValue("interface")
	heard, err := steering.Listen(c.UserContext(), card, c.FormValue("own") != "")

	switch {
	case mendable(err):
		return u.showNIC(c, card, nil, err)
	case err != nil:
		return err
	default:
		return u.showNIC(c, card, &heard, nil)
	}
}

func (u *UI) useNIC(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	fields := view.Fields(steering.Fields())
	card, values := c.FormValue("interface"), map[string]string{}

	set := func(key, value string) {
		if f := fields.Get(key); !f.Locked() && f.Wanted() != value {
			values[key] = value
		}
	}

	set("netboot.interface", card)

	own := "" // said of one card, it does not count for the next
	if c.FormValue("own") != "" {
		own = "true"
	}

	set("netboot.i_own_this_network", own)

	if c.FormValue("mode") == "proxy" {
		set("netboot.mode", "proxy")
	}

	return u.changed(c, values, "/setup/network", func(err error) error { return u.showNIC(c, card, nil, err) })
}

// changed sets keys and leads on; what a person can mend is shown where they come from.
func (u *UI) changed(c *fiber.Ctx, values map[string]string, to string, back func(error) error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	if len(values) > 0 {
		err = steering.Change(c.UserContext(), caller(c).Name, values)
	}

	switch {
	case mendable(err):
		return back(err)
	case err != nil:
		return err
	default:
		return c.Redirect(to+"?done=saved", http.StatusSeeOther)
	}
}

func networkKeys() []string {
	return []string{"netboot.mode", "netboot.subnet", "netboot.pool.start", "netboot.pool.end", "netboot.pool.lease"}
}

func (u *UI) setupNetwork(c *fiber.Ctx) error { return u.showNetwork(c, nil, nil) }

func (u *UI) showNetwork(c *fiber.Ctx, typed map[string]string, why error) error {
	a, err := u.assistant(c, 3, "", why)
	if err != nil {
		return err
	}

	a.Typed = typed

	return draw(c, view.ShowSetupNetwork(a))
}

func (u *UI) saveNetwork(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	values, typed := typedFields(c, steering.Fields(), networkKeys())

	return u.changed(c, values, "/setup/messages", func(err error) error { return u.showNetwork(c, typed, err) })
}

// typedFields reads what was typed for keys: all of it, and what of it changes something.
func typedFields(c *fiber.Ctx, fields view.Fields, keys []string) (values, typed map[string]string) {
	values, typed = map[string]string{}, map[string]string{}

	for _, key := range keys {
		if c.Request().PostArgs().Peek(key) == nil {
			continue
		}

		f := fields.Get(key)
		typed[key] = strings.TrimSpace(c.FormValue(key))

		if !f.Locked() && typed[key] != f.Wanted() {
			values[key] = typed[key]
		}
	}

	return values, typed
}

func (u *UI) setupMessages(c *fiber.Ctx) error {
	fresh := view.Notifying{Kind: c.Query("kind"), Events: []core.Topic{core.StageFailed, core.HoldingOpened, core.RunCompleted, core.Alarm}}

	return u.showMessages(c, fresh, nil, nil)
}

func (u *UI) showMessages(c *fiber.Ctx, typed view.Notifying, test *core.Delivery, why error) error {
	a, err := u.assistant(c, 4, "", why)
	if err != nil {
		return err
	}

	a.New = typed

	if test != nil {
		outcome := route.NewDelivery(test)
		a.Test = &outcome
	}

	if a.List, err = u.notifiers(c); err != nil {
		return err
	}

	return draw(c, view.ShowSetupMessages(a))
}

// typedNotifier reads a notifier as it was typed.
func typedNotifier(c *fiber.Ctx) view.Notifying {
	n := view.Notifying{
		Name: strings.TrimSpace(c.FormValue("name")), Kind: c.FormValue("kind"), Topic: strings.TrimSpace(c.FormValue("topic")),
		Server: strings.TrimSpace(c.FormValue("server")), TLS: c.FormValue("tls"), User: strings.TrimSpace(c.FormValue("user")),
		From: strings.TrimSpace(c.FormValue("from")), To: c.FormValue("to"), Secrets: map[string]string{},
		Replace: c.FormValue("replace") != "",
	}

	for _, key := range []string{"url", "token", "secret", "password"} {
		if typed := c.FormValue(key); typed != "" {
			n.Secrets[key] = typed
		}
	}

	for _, topic := range c.Request().PostArgs().PeekMulti("event") {
		n.Events = append(n.Events, core.Topic(topic))
	}

	return n
}

func (u *UI) addNotifierOnSetup(c *fiber.Ctx) error {
	typed := typedNotifier(c)

	return u.savedNotifier(c, &typed, "/setup/messages", func(err error) error { return u.showMessages(c, typed, nil, err) })
}

// savedNotifier sets a notifier up and leads on; what a person can mend is shown where
// they come from.
func (u *UI) savedNotifier(c *fiber.Ctx, typed *view.Notifying, to string, back func(error) error) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	switch err := steering.SaveNotifier(c.UserContext(), caller(c).Name, typed); {
	case mendable(err):
		var known *core.Problem

		typed.Taken = errors.As(err, &known) && known.Code == problem.NotifierThere

		return back(err)
	case err != nil:
		return err
	default:
		return c.Redirect(to+"?done=notifier", http.StatusSeeOther)
	}
}

func (u *UI) testOnSetup(c *fiber.Ctx) error {
	if _, err := u.steering(); err != nil {
		return err
	}

	outcome, err := u.tryNotifier(c)
	if err != nil {
		return err
	}

	return u.showMessages(c, view.Notifying{}, &outcome, nil)
}

func (u *UI) setupProfile(c *fiber.Ctx) error { return u.showUsual(c, nil) }

func (u *UI) showUsual(c *fiber.Ctx, why error) error {
	a, err := u.assistant(c, 5, "", why)
	if err != nil {
		return err
	}

	a.Profile = u.cfg.Commands.Profiles()

	return draw(c, view.ShowSetupProfile(a))
}

func (u *UI) saveUsual(c *fiber.Ctx) error {
	steering, err := u.steering()
	if err != nil {
		return err
	}

	values, _ := typedFields(c, steering.Fields(), []string{usualKey})

	return u.changed(c, values, "/setup/start", func(err error) error { return u.showUsual(c, err) })
}

func (u *UI) setupStart(c *fiber.Ctx) error {
	a, err := u.assistant(c, 6, "rack", nil)
	if err != nil {
		return err
	}

	if a.List, err = u.notifiers(c); err != nil {
		return err
	}

	if a.Busy, err = u.busy(c); err != nil {
		return err
	}

	a.Serving = u.cfg.Netboot != nil && !slices.ContainsFunc(u.asked(c), func(check route.HealthCheck) bool { return !check.OK })

	return draw(c, view.ShowSetupStart(a))
}

// busy counts the runs that are under way.
func (u *UI) busy(c *fiber.Ctx) (n int, err error) {
	err = u.look(c, func(r core.Reader) error {
		rows, err := u.rows(r)

		for i := range rows {
			if run := rows[i].Run; run != nil && !run.State.Over() {
				n++
			}
		}

		return err
	})

	return n, err
}
