package ui

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/view"
)

// runsShown is how many runs a host's page lists.
const runsShown = 10

func (u *UI) newHostPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Add a host", "")
	if err != nil {
		return err
	}

	return draw(c, view.ShowNewHost(&view.NewHost{Frame: frame, MAC: c.Query("mac"), Adopt: c.Query("adopt") != "", Quick: u.quickLines(c)}))
}

// typed gives the host what was typed into the form.
func typed(c *fiber.Ctx, h *core.Host) error {
	h.Name, h.Notes, h.Rack = c.FormValue("name"), strings.TrimSpace(plainLines(c.FormValue("notes"))), strings.TrimSpace(c.FormValue("rack"))
	h.AssetTag, h.Class = strings.TrimSpace(c.FormValue("asset_tag")), strings.TrimSpace(c.FormValue("class"))
	h.Tags, h.Loader = words(c.FormValue("tags")), core.Loader(c.FormValue("loader"))
	h.Home, h.BootURL = core.Home(c.FormValue("home")), strings.TrimSpace(c.FormValue("boot_url"))
	h.Power.Method = core.PowerMethod(c.FormValue("power"))
	h.Power.Then = typedWays(c)
	h.Power.BMC.Address, h.Power.BMC.User = strings.TrimSpace(c.FormValue("bmc_address")), strings.TrimSpace(c.FormValue("bmc_user"))
	h.Power.BMC.System, h.Power.BMC.Insecure = strings.TrimSpace(c.FormValue("bmc_system")), c.FormValue("bmc_insecure") != ""
	// As tools print it: AA:BB:… or aabb….
	h.Power.BMC.Pin = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(c.FormValue("bmc_pin")), ":", ""))
	h.Power.Webhook.URL = strings.TrimSpace(c.FormValue("webhook_url"))

	aliases, err := macs(words(c.FormValue("aliases")))
	h.Aliases = aliases

	return err
}

// typedWays are the further ways to switch a host, in their order.
func typedWays(c *fiber.Ctx) (ways []core.PowerMethod) {
	for _, way := range formList(c, "then") {
		if way != "" {
			ways = append(ways, core.PowerMethod(way))
		}
	}

	return ways
}

// words are those of a field in which commas or spaces stand between them.
func words(field string) []string {
	return strings.FieldsFunc(field, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
}

// plainLines writes line ends as we do; browsers send CR LF.
func plainLines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// keepSecrets records the passwords that were typed; an empty field keeps what
// was there.
func (u *UI) keepSecrets(c *fiber.Ctx, mac core.MAC) error {
	password, webhook := c.FormValue("bmc_password"), c.FormValue("webhook_secret")
	if password == "" && webhook == "" {
		return nil
	}

	var secret core.HostSecret

	if err := u.look(c, func(r core.Reader) error {
		err := r.Get(core.TableHostSecret, string(mac), &secret)
		if errors.Is(err, core.ErrNotFound) {
			return nil
		}

		return err
	}); err != nil {
		return err
	}

	if password != "" {
		secret.BMCPassword = password
	}

	if webhook != "" {
		secret.WebhookSecret = webhook
	}

	_, err := u.cfg.Commands.SetHostSecret(c.UserContext(), caller(c).Name, mac, secret)

	return err
}

// addHost registers a host; what was typed is kept when it cannot be.
func (u *UI) addHost(c *fiber.Ctx) error {
	form := view.NewHost{MAC: c.FormValue("mac"), Name: c.FormValue("name"), Adopt: c.FormValue("adopt") != "", Quick: u.quickLines(c)}
	err := typed(c, &form.Host)

	if err == nil {
		form.Host.MAC, err = core.ParseMAC(form.MAC)
	}

	if err == nil {
		register := u.cfg.Commands.RegisterHost
		if form.Adopt {
			register = u.cfg.Commands.AdoptHost
		}

		_, err = register(c.UserContext(), caller(c).Name, form.Host)
	}

	if err == nil {
		err = u.keepSecrets(c, form.Host.MAC)
	}

	var problem *core.Problem

	switch {
	case err == nil:
		return c.Redirect("/hosts/"+string(form.Host.MAC)+"?done=added", http.StatusSeeOther)
	case !errors.As(err, &problem):
		return err
	}

	if form.Frame, err = u.frame(c, "Add a host", ""); err != nil {
		return err
	}

	form.Frame.Problem, form.Taken = problem.Message, holder(problem)

	return draw(c.Status(status(problem)), view.ShowNewHost(&form))
}

// holder is the host that a refusal names as the one that has an address already; empty:
// it names none.
func holder(problem *core.Problem) core.MAC {
	mac, _ := problem.Details["host"].(string) //nolint:errcheck // then there is none
	if parsed, err := core.ParseMAC(mac); err == nil {
		return parsed
	}

	return ""
}

func (u *UI) hostPage(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	return u.showHost(c, mac, nil)
}

// showHost shows a host, with what went wrong with an order about it.
func (u *UI) showHost(c *fiber.Ctx, mac core.MAC, why error) error {
	return u.showHostWith(c, mac, why, func(*view.Host) {})
}

// showHostWith is showHost that keeps what was typed into one of the forms.
func (u *UI) showHostWith(c *fiber.Ctx, mac core.MAC, why error, keep func(*view.Host)) error {
	if errors.Is(why, core.ErrNotFound) {
		return why
	}

	page, err := u.host(c, mac)
	if err != nil {
		return err
	}

	page.Spec, page.Chosen = page.Row.Host.SpecYAML, c.FormValue("profile")
	keep(page)

	if err := explain(c, &page.Frame, why); err != nil {
		return err
	}

	return draw(c, view.ShowHost(page))
}

// host gathers the page of a host.
// written reads what people wrote about a host.
func written(r core.Reader, page *view.Host) (err error) {
	if page.Waivers, err = lookup.Waivers(r, page.Row.Host.MAC); err != nil {
		return err
	}

	page.Notes, err = lookup.Notes(r, page.Row.Host.MAC)

	return err
}

func (u *UI) host(c *fiber.Ctx, mac core.MAC) (*view.Host, error) {
	frame, err := u.frame(c, "Host", "rack")
	if err != nil {
		return nil, err
	}

	page := &view.Host{Frame: frame, Usual: u.usual(), Profiles: u.cfg.Commands.Profiles()}

	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		if err != nil {
			return err
		}

		if page.Row, err = u.rowOf(r, &host); err != nil {
			return err
		}

		if page.Row.Presence, err = lookup.Presence(r, host.MAC); err != nil {
			return err
		}

		if page.Keys, err = lookup.HostKeys(r, lookup.KeyFilter{Host: host.MAC}); err != nil {
			return err
		}

		if page.Runs, _, err = lookup.Runs(r, lookup.Filter{Host: host.MAC}, lookup.Page{Limit: runsShown}); err != nil {
			return err
		}

		if page.Boot, err = lookup.BootTrace(r, host.MAC); err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		if page.Diagnosis, err = lookup.Diagnosis(r, host.MAC, u.cfg.Now()); err != nil {
			return err
		}

		if err := written(r, page); err != nil {
			return err
		}

		if page.Row.Run == nil {
			return nil
		}

		page.Report, err = lookup.Report(r, page.Row.Run, u.author())

		return err
	})
	if err != nil {
		return nil, err
	}

	page.Frame.Title, page.Frame.Here, page.Seen = page.Row.Host.Name, "/hosts/"+string(page.Row.Host.MAC), view.SeenHost(&page.Row.Host)

	return page, nil
}

func (u *UI) editHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var form core.Host

	refused := func(err error) error {
		return u.showHostWith(c, mac, err, func(page *view.Host) {
			form.MAC, form.Overrides = page.Row.Host.MAC, page.Row.Host.Overrides
			form.Power.BMC.PasswordSet, form.Power.Webhook.SecretSet = page.Row.Host.Power.BMC.PasswordSet, page.Row.Host.Power.Webhook.SecretSet
			page.Edit, page.Seen.Edit = &form, stillSeen(c, err, page.Seen.Edit)
		})
	}

	if err := typed(c, &form); err != nil {
		return refused(err)
	}

	var before, after core.Host

	host, err := u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) {
		before = *h
		h.Name, h.Notes, h.Rack, h.AssetTag, h.Class, h.Tags, h.Aliases = form.Name, form.Notes, form.Rack, form.AssetTag, form.Class, form.Tags, form.Aliases
		h.Power, h.Loader, h.Home, h.BootURL = form.Power, form.Loader, form.Home, form.BootURL
		after = *h
	}, hostAsSeen(c, func(s view.Seen) string { return s.Edit }, func(h *core.Host) string { return view.HostDifferences(&form, h) }))
	if err == nil {
		err = u.keepSecrets(c, host.MAC)
	}

	if err != nil {
		return refused(err)
	}

	done := "saved"
	if power := &host.Power; power.BMC.Address != "" && !power.BMC.PasswordSet && c.FormValue("bmc_password") == "" ||
		power.Webhook.URL != "" && !power.Webhook.SecretSet && c.FormValue("webhook_secret") == "" {
		done = "saved-no-secret"
	}

	if sameSecrets(c, &before.Power, &after.Power) {
		return u.undoable(c, "/hosts/"+string(host.MAC), done, "/hosts/"+string(host.MAC), u.unedit(host.MAC, before, after))
	}

	return c.Redirect("/hosts/"+string(host.MAC)+"?done="+done, http.StatusSeeOther)
}

// sameSecrets reports whether the secrets of a host are as they were: one that was typed,
// or is forgotten with its address, cannot be brought back.
func sameSecrets(c *fiber.Ctx, before, after *core.Power) bool {
	return c.FormValue("bmc_password") == "" && c.FormValue("webhook_secret") == "" &&
		before.BMC.Address == after.BMC.Address && before.BMC.User == after.BMC.User && before.BMC.Pin == after.BMC.Pin &&
		before.BMC.Insecure == after.BMC.Insecure && before.Webhook.URL == after.Webhook.URL
}

// unedit is the way back from a change of a host: where nobody has changed it again.
func (u *UI) unedit(mac core.MAC, before, after core.Host) func(ctx context.Context, who string) error {
	said := func(h *core.Host) string {
		return core.Digest([]any{h.Name, h.Notes, h.Rack, h.AssetTag, h.Class, h.Tags, h.Aliases, h.Power.Method, h.Power.Then, h.Loader, h.Home, h.BootURL})
	}

	return func(ctx context.Context, who string) error {
		_, err := u.cfg.Commands.UpdateHost(ctx, who, mac, func(h *core.Host) {
			h.Name, h.Notes, h.Rack, h.AssetTag, h.Class, h.Tags, h.Aliases = before.Name, before.Notes, before.Rack, before.AssetTag, before.Class, before.Tags, before.Aliases
			h.Power, h.Loader, h.Home, h.BootURL = before.Power, before.Loader, before.Home, before.BootURL
		}, func(h *core.Host) error {
			if said(h) != said(&after) {
				return changedSince("The host")
			}

			return nil
		})

		return err
	}
}

func (u *UI) removeHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	if err := u.cfg.Commands.DeleteHost(c.UserContext(), caller(c).Name, mac); err != nil {
		return u.showHost(c, mac, err)
	}

	return u.undoable(c, "/hosts", "removed", "/hosts/"+string(mac), func(ctx context.Context, who string) error {
		_, err := u.cfg.Commands.UndeleteHost(ctx, who, mac)

		return err
	})
}

func (u *UI) returnHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	host, err := u.cfg.Commands.UndeleteHost(c.UserContext(), caller(c).Name, mac)
	if err != nil {
		return err
	}

	return c.Redirect("/hosts/"+string(host.MAC)+"?done=returned", http.StatusSeeOther)
}

// teachSpec shows the spec that the last run would fulfil in the editor, unsaved.
func (u *UI) teachSpec(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	learned, err := u.learned(c, mac, c.FormValue("run"))
	if err != nil {
		return u.showHost(c, mac, err)
	}

	page, err := u.host(c, mac)
	if err != nil {
		return err
	}

	page.Spec, page.Learned = learned.YAML, true
	page.Frame.Flash = "This is what the run found, in the editor below and not saved yet."

	return draw(c, view.ShowHost(page))
}

// formList reads every value of a field of a form.
func formList(c *fiber.Ctx, name string) []string {
	var list []string

	for key, value := range c.Request().PostArgs().All() {
		if string(key) == name {
			list = append(list, string(value))
		}
	}

	return list
}

func (u *UI) trustHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	if _, err := u.cfg.Commands.ClearQuarantine(c.UserContext(), caller(c).Name, mac); err != nil {
		return u.showHost(c, mac, err)
	}

	return c.Redirect("/hosts/"+string(mac)+"?done=trusted", http.StatusSeeOther)
}

// saveSpec records the expected spec; a bad one is shown with the place of the
// error, and nothing of it is lost.
func (u *UI) saveSpec(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	text := plainLines(c.FormValue("spec"))

	_, err = u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) { h.SpecYAML = text },
		hostAsSeen(c, func(s view.Seen) string { return s.Spec }, func(*core.Host) string { return "" }))
	if stale(err) {
		return u.showHostWith(c, mac, err, func(page *view.Host) { page.Spec, page.Stale = text, true })
	}

	var problem *core.Problem

	switch {
	case err == nil:
		return c.Redirect("/hosts/"+string(mac)+"?done=spec#spec", http.StatusSeeOther)
	case !errors.As(err, &problem) || !errors.Is(err, core.ErrInvalid):
		return err
	}

	page, err := u.host(c, mac)
	if err != nil {
		return err
	}

	page.Spec, page.SpecErr, page.Seen.Spec = text, specError(problem), stillSeen(c, problem, page.Seen.Spec)

	return draw(c.Status(http.StatusUnprocessableEntity), view.ShowHost(page))
}

// specError takes the refusal of a spec apart: what is wrong, and where. The
// reader of YAML puts "[line:column]" before its sentence and an excerpt after
// it; we draw our own.
func specError(problem *core.Problem) *view.SpecError {
	place := regexp.MustCompile(`\[(\d{1,6}):(\d{1,6})\]\s*`)
	excerpt := regexp.MustCompile(`^\s*(>\s*)?\d+\s*\||^\s*\^`)
	e := &view.SpecError{}

	for line := range strings.SplitSeq(problem.Message, "\n") {
		if m := place.FindStringSubmatch(line); m != nil && e.Line == 0 {
			e.Line, _ = strconv.Atoi(m[1])   //nolint:errcheck // digits, six at most
			e.Column, _ = strconv.Atoi(m[2]) //nolint:errcheck // likewise
		}

		if line = place.ReplaceAllString(line, ""); !excerpt.MatchString(line) && strings.TrimSpace(line) != "" {
			e.Sentences = append(e.Sentences, line)
		}
	}

	return e
}
