package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/oui"
	"vetting/ui/report/form"
	"vetting/ui/sse"
	"vetting/ui/view"
)

// apiHandlers pairs every route of the one table with what answers it.
func (u *UI) apiHandlers() map[string]fiber.Handler {
	return map[string]fiber.Handler{
		"hosts.list": u.listHosts, "hosts.create": u.createHost, "hosts.get": u.getHost, "hosts.update": u.updateHost,
		"hosts.delete": u.deleteHost, "hosts.spec": u.putSpec, "hosts.clear-quarantine": u.clearQuarantine,
		"hosts.start": u.startRun, "hosts.plan": u.planRun, "discovered.list": u.listDiscovered, "boot-trace.get": u.getBootTrace,
		"runs.list": u.listRuns, "runs.get": u.getRun, "runs.cancel": u.cancelRun, "runs.release": u.releaseRun,
		"runs.retry": u.retryRun, "runs.stages": u.getStages, "runs.samples": u.getSamples, "runs.evaluations": u.getEvaluations,
		"runs.spec-diffs": u.getSpecDiffs, "runs.firmware": u.getFirmware, "runs.log": u.getLog,
		"firmware.list": u.listFirmware, "firmware.versions": u.listVersions, "firmware.baseline": u.getBaseline, "runs.firmware-diff": u.diffFirmware,
		"hosts.firmware": u.firmwareHistory, "runs.artifacts": u.listArtifacts, "runs.hold-tunnel": u.holdTunnel,
		"notifiers.list": u.listNotifiers, "notifiers.test": u.testNotifier, "deliveries.list": u.listDeliveries, "deliveries.resend": u.resendDelivery, "retention.preview": u.previewRetention,
		"presence.list": u.listPresence, "host-keys.list": u.listHostKeys, "quick-lines.list": u.getQuickLines, "runs.artifact": u.getArtifact,
		"tokens.list": u.listTokens, "tokens.create": u.createToken, "tokens.delete": u.deleteToken,
		"events": u.apiEvents, "healthz": healthz, "readyz": u.readyz,
		"openapi.yaml": u.openAPI, "openapi.json": u.openAPI, "docs": u.docsPage, "metrics": u.metrics,
		"users.list": u.listUsers, "users.create": u.createUser, "users.update": u.updateUser, "users.invite": u.inviteUser, "users.reset-totp": u.resetFactor,
		"hosts.trash": u.listTrash, "hosts.export": u.exportHosts, "classes.list": u.listClasses, "classes.get": u.getClass,
		"users.delete": u.deleteUser, "audit.list": u.listAudit, "tasks.list": u.listTasks, "tasks.stop": u.haltTask, "config.get": u.getConfig,
		"runs.report-json": u.getReportJSON, "runs.report-html": u.getReportHTML,
		"runs.report-csv": u.getForm(route.CSV, form.CSV), "runs.report-ocp": u.getForm(route.JSONL, form.OCP), "runs.report-junit": u.getForm(route.XML, form.JUnit),
		"reports.batch-html": u.getBatchHTML, "reports.batch-json": u.getBatchJSON, "reports.batch-csv": u.getBatchCSV, "reports.batch-zip": u.getBatchZIP,
		"queue.list": u.listQueue, "batches.list": u.listBatches, "batches.get": u.getBatch, "runs.rma": u.getBundle, "runs.report-link": u.createLink, "models.compare": u.compareModel, "runs.label": u.getLabel,
		"report-keys.list": u.listReportKeys, "report-keys.rotate": u.rotateReportKey,
	}
}

// orderHandlers pairs the routes that operators' orders go by with what answers
// them.
func (u *UI) orderHandlers() map[string]fiber.Handler {
	return map[string]fiber.Handler{
		"profiles.list": u.listProfiles, "profiles.get": u.getProfile, "profiles.set": u.putProfile, "profiles.check": u.checkProfile,
		"profiles.delete": u.deleteProfile, "profiles.estimate": u.estimateProfile,
		"hosts.undelete": u.undeleteHost, "hosts.secrets": u.putSecrets, "hosts.learn": u.learnSpec, "discovered.adopt": u.adoptHost,
		"discovered.ignore": u.regardMachine(u.cfg.Commands.IgnoreMachine), "discovered.heed": u.regardMachine(u.cfg.Commands.HeedMachine), "runs.move": u.moveRun,
		"classes.put": u.putClass, "classes.delete": u.deleteClass, "runs.override-wipe": u.overrideWipe, "runs.hold-key": u.takeHoldKey, "runs.renew-hold-key": u.renewHoldKey, "runs.fail": u.failRun, "runs.withdraw": u.withdrawRun,
		"runs.waive": u.waive, "waivers.list": u.listWaivers, "waivers.withdraw": u.withdrawWaiver,
		"firmware.set-baseline": u.putBaseline, "firmware.check-baseline": u.checkBaseline,
		"netboot.get": u.getNetboot, "netboot.leases": u.listLeases, "netboot.events": u.listBootEvents,
		"sd.prometheus": u.discoverTargets, "inventory.ansible": u.getInventory,
		"hosts.power": u.powerHost, "hosts.locate": u.locateHost, "hosts.controller": u.lookAtHost, "hosts.console": u.hostConsole, "hosts.import": u.importHosts, "host-keys.approve": u.approveKey, "host-keys.revoke": u.revokeKey,
	}
}

// look runs read on a snapshot of the ledger.
func (u *UI) look(c *fiber.Ctx, read func(core.Reader) error) error {
	return u.cfg.Ledger.View(c.UserContext(), read)
}

func malformed(what string) error {
	return core.NewProblem(core.ErrInvalid, "request/malformed", what)
}

// body decodes the JSON of a request; unknown fields are ignored.
func body(c *fiber.Ctx, into any) error {
	if len(c.Body()) == 0 {
		return malformed("The request needs a body of JSON.")
	}

	err := json.Unmarshal(c.Body(), into)

	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)

	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return malformed(fmt.Sprintf("The body is not JSON: something is wrong at byte %d.", syntax.Offset))
	case errors.As(err, &kind):
		return malformed(fmt.Sprintf("The field %q of the body has the wrong type: it is a %s.", kind.Field, kind.Value))
	default:
		return malformed("The body is not the JSON this call takes.")
	}
}

func queryEscape(s string) string { return url.QueryEscape(s) }

func param(c *fiber.Ctx, name string) string {
	text, err := url.PathUnescape(c.Params(name))
	if err != nil {
		return c.Params(name)
	}

	return text
}

func macOf(c *fiber.Ctx) (core.MAC, error) { return core.ParseMAC(param(c, "mac")) }

// number reads a query parameter; 0 when it is absent.
func number(c *fiber.Ctx, name string) (int, error) {
	text := c.Query(name)
	if text == "" {
		return 0, nil
	}

	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, core.NewProblem(core.ErrInvalid, "request/bad-number", name+" must be a whole number, 0 or more.")
	}

	return n, nil
}

// yes reads a query parameter that is true or false; false when it is absent. A
// word that is neither is refused: whoever wrote dry_run=yes did not mean no.
func yes(c *fiber.Ctx, name string) (bool, error) {
	given := c.Request().URI().QueryArgs().PeekMulti(name)
	if len(given) == 0 {
		return false, nil
	}

	switch word := string(given[0]); {
	case len(given) == 1 && (word == "true" || word == "1"):
		return true, nil
	case len(given) == 1 && (word == "false" || word == "0"):
		return false, nil
	default:
		return false, core.NewProblem(core.ErrInvalid, "request/bad-boolean", name+" must be true or false, and given once.")
	}
}

func paging(c *fiber.Ctx) (lookup.Page, error) {
	limit, err := number(c, "limit")
	if err != nil {
		return lookup.Page{}, err
	}

	return lookup.ReadPage(limit, c.Query("page_token"))
}

// shown answers with a value, or with what went wrong on the way to it.
func shown[T any](c *fiber.Ctx, code int, value T, err error) error {
	if err != nil {
		return err
	}

	return c.Status(code).JSON(value)
}

// veil leaves of a webhook's address what viewers may see: its path is often all
// that keeps others from calling it.
func veil(c *fiber.Ctx, host *core.Host) {
	if caller(c).Scope.Allows(route.Operate) {
		return
	}

	hook := &host.Power.Webhook
	if place, err := url.Parse(hook.URL); err == nil && place.Host != "" {
		hook.URL = place.Scheme + "://" + place.Host
	} else {
		hook.URL = ""
	}
}

// veilList is veil for a list.
func veilList(c *fiber.Ctx, hosts []core.Host) {
	for i := range hosts {
		veil(c, &hosts[i])
	}
}

func (u *UI) listHosts(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	var list route.HostList

	err = u.look(c, func(r core.Reader) (err error) {
		list.Hosts, list.NextPageToken, err = lookup.Hosts(r, page)

		return err
	})

	veilList(c, list.Hosts)

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) getHost(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var host core.Host

	err = u.look(c, func(r core.Reader) (err error) {
		host, err = lookup.Host(r, mac)

		return err
	})

	tag := hostTag(&host) // of what is on record, whoever reads it

	veil(c, &host)

	return tagged(c, &host, func(*core.Host) string { return tag }, err)
}

func (u *UI) listDiscovered(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	ignored, err := yes(c, "ignored")
	if err != nil {
		return err
	}

	list := route.SightingList{Discovered: []route.Discovered{}}

	err = u.look(c, func(r core.Reader) error {
		seen, next, err := lookup.Sightings(r, ignored, page)
		list.NextPageToken = next

		for i := range seen {
			list.Discovered = append(list.Discovered, route.Discovered{Sighting: seen[i], Maker: oui.Maker(seen[i].MAC)})
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) getBootTrace(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	trace := route.BootTrace{MAC: mac}

	err = u.look(c, func(r core.Reader) (err error) {
		seen, err := lookup.BootTrace(r, mac)
		if err != nil {
			return err
		}

		trace.Steps, trace.Loader, trace.Worked = seen.Steps, seen.Ladder.Rung, seen.Ladder.Worked
		trace.Home, trace.CameHome = seen.Homeward.Way, seen.Homeward.Worked
		trace.Diagnosis, err = lookup.Diagnosis(r, mac, u.cfg.Now())

		return err
	})

	return shown(c, http.StatusOK, trace, err)
}

func (u *UI) listTokens(c *fiber.Ctx) error {
	tokens, err := u.book.Tokens(c.UserContext())

	return shown(c, http.StatusOK, route.TokenList{Tokens: tokens}, err)
}

func (u *UI) createToken(c *fiber.Ctx) error {
	var ask route.TokenCreate
	if err := body(c, &ask); err != nil {
		return err
	}

	scope, err := route.ParseScope(string(ask.Scope))
	if err != nil {
		return err
	}

	if err := u.mustBeFresh(c, ask.Password); err != nil {
		return err
	}

	secret, made, err := u.book.CreateToken(c.UserContext(), caller(c), ask.Name, scope, lifeOf(ask.TTL))

	return shown(c, http.StatusCreated, route.TokenCreated{Token: made, Secret: secret}, err)
}

// lifeOf reads seconds; more than fit are as good as too many.
func lifeOf(seconds int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Second)

	return time.Duration(min(max(seconds, -most), most)) * time.Second
}

func (u *UI) deleteToken(c *fiber.Ctx) error {
	if err := u.book.RevokeToken(c.UserContext(), caller(c).Name, param(c, "id")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

func healthz(c *fiber.Ctx) error { return c.JSON(route.Health{Status: "ok"}) }

func (u *UI) readyz(c *fiber.Ctx) error {
	health := route.Health{Status: "ok", Checks: u.asked(c)}

	if slices.ContainsFunc(health.Checks, func(row route.HealthCheck) bool { return !row.OK }) {
		health.Status = "unready"

		c.Status(http.StatusServiceUnavailable)
	}

	return c.JSON(health)
}

// asked is what the checks of readiness say, by name; what is warned of as
// critical is one of them.
func (u *UI) asked(c *fiber.Ctx) (checks []route.HealthCheck) {
	for _, name := range slices.Sorted(maps.Keys(u.cfg.Ready)) {
		row := route.HealthCheck{Name: name, OK: true}

		if err := u.cfg.Ready[name](c.UserContext()); err != nil {
			row.OK, row.Detail = false, "not ready; the appliance's log says why"
			u.cfg.Log.Warn("appliance is not ready", slog.String("check", name), slog.String("error", err.Error()))

			var problem *core.Problem
			if errors.As(err, &problem) {
				row.Detail = problem.Message
			}
		}

		checks = append(checks, row)
	}

	for _, w := range u.warnings() {
		if w.Severity == core.Critical {
			checks = append(checks, route.HealthCheck{Name: "warning", Detail: w.Text})
		}
	}

	return checks
}

func (u *UI) docsPage(c *fiber.Ctx) error {
	if known, err := u.who(c); err == nil {
		c.Locals(callerKey, known)
	}

	frame, err := u.frame(c, "API", "")
	if err != nil {
		return err
	}

	page := *u.manual
	page.Frame = frame

	return draw(c, view.ShowDocs(&page))
}

func (u *UI) openAPI(c *fiber.Ctx) error {
	kind := route.JSON
	if strings.HasSuffix(c.Path(), ".yaml") {
		kind = route.YAML
	}

	c.Set(fiber.HeaderContentType, kind)

	return c.Send(u.docs)
}

// apiEvents is the live stream for programs.
func (u *UI) apiEvents(c *fiber.Ctx) error {
	want := sse.Want{Caller: streamOwner(c), Alive: u.alive(c, route.Read)}

	after, known, err := sse.Cursor(c)
	if err != nil {
		return err
	}

	want.After, want.FromNow = after, !known

	if id := c.Query("run"); id != "" {
		if want.Run, err = lookup.ParseRunID(id); err != nil {
			return err
		}

		want.Chooses = func(e core.Event) bool { return e.Run == want.Run }
	}

	if text := c.Query("host"); text != "" {
		mac, err := core.ParseMAC(text)
		if err != nil {
			return err
		}

		of := want.Chooses
		want.Chooses = func(e core.Event) bool { return e.Host == mac && (of == nil || of(e)) }
	}

	return u.hub.Serve(c, want)
}

// at reads a time of a query; zero when it is absent.
func at(c *fiber.Ctx, name string) (time.Time, error) {
	text := c.Query(name)
	if text == "" {
		return time.Time{}, nil
	}

	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, core.NewProblem(core.ErrInvalid, "request/bad-time", name+" must be a time like 2026-01-31T12:00:00Z.")
	}

	return t, nil
}
