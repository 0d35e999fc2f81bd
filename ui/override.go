package ui

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/problem"
	"vetting/ui/view"
)

func badOverride(format string, args ...any) error {
	return core.NewProblem(core.ErrInvalid, problem.BadOverride, fmt.Sprintf(format, args...))
}

// typedOverride reads the form of an override, as it was typed and as it is meant.
// The error joins all that cannot be read.
func typedOverride(c *fiber.Ctx) (form *view.Override, o core.Override, err error) {
	form = &view.Override{Config: plainLines(c.FormValue("config"))}

	for _, stage := range view.Skippable() {
		reason := strings.TrimSpace(c.FormValue("skip_" + string(stage)))
		form.Skips = append(form.Skips, view.SkipRow{Stage: stage, Reason: reason})

		if reason != "" {
			if o.Skip == nil {
				o.Skip = map[core.StageName]string{}
			}

			o.Skip[stage] = reason
		}
	}

	var faults []error

	o.Config, err = typedSettings(form.Config)
	faults = append(faults, err)

	form.Rules = typedRules(c)
	for i := range form.Rules {
		rule, err := readRule(&form.Rules[i])
		faults = append(faults, err)
		o.Rules = append(o.Rules, rule)
	}

	return form, o, errors.Join(faults...)
}

// typedSettings reads a setting a line.
func typedSettings(text string) (settings map[string]string, err error) {
	var faults []error

	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}

		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)

		switch _, twice := settings[key]; {
		case !ok || key == "":
			faults = append(faults, badOverride("Line %d of the settings is %.60q; write Stage.setting = value.", i+1, line))
		case twice:
			faults = append(faults, badOverride("Line %d of the settings says %.60q a second time.", i+1, key))
		default:
			if settings == nil {
				settings = map[string]string{}
			}

			settings[key] = strings.TrimSpace(value)
		}
	}

	return settings, errors.Join(faults...)
}

// typedRules are the rows of a form in which something stands.
func typedRules(c *fiber.Ctx) (rows []view.RuleRow) {
	field := func(name string) func(i int) string {
		list := formList(c, name)

		return func(i int) string {
			if i < len(list) {
				return strings.TrimSpace(list[i])
			}

			return ""
		}
	}

	ids := formList(c, "rule_id")
	stage, key, op, value, of := field("rule_stage"), field("rule_key"), field("rule_op"), field("rule_value"), field("rule_of")
	severity, code, lasting, count, required := field("rule_severity"), field("rule_code"), field("rule_for"), field("rule_count"), field("rule_required")
	fallback := field("rule_fallback")

	for i, id := range ids {
		row := view.RuleRow{
			ID: strings.TrimSpace(id), Stage: stage(i), Key: key(i), Op: op(i), Value: value(i), Of: of(i), Fallback: fallback(i), Severity: severity(i), Code: code(i),
			For: lasting(i), Count: count(i), Required: required(i) != "",
		}
		if !row.Blank() {
			rows = append(rows, row)
		}
	}

	return rows
}

// readRule reads the numbers of a row; whether the rule makes sense, the engine
// says.
func readRule(row *view.RuleRow) (core.Rule, error) {
	rule := core.Rule{
		ID: row.ID, Stage: row.Stage, Key: row.Key, Op: core.Op(row.Op), Of: row.Of, Severity: core.Severity(row.Severity), Code: row.Code,
		Required: row.Required,
	}

	var (
		faults []error
		err    error
	)

	if rule.Value, err = strconv.ParseFloat(row.Value, 64); err != nil {
		faults = append(faults, badOverride("The value of the limit %q is %.40q, which is no number.", row.ID, row.Value))
	}

	if row.Fallback != "" {
		if rule.Fallback, err = strconv.ParseFloat(row.Fallback, 64); err != nil {
			faults = append(faults, badOverride("The limit %q takes %.40q while no host has passed, which is no number.", row.ID, row.Fallback))
		}
	}

	if row.For != "" {
		if rule.For, err = time.ParseDuration(row.For); err != nil {
			faults = append(faults, badOverride("The limit %q must hold for %.40q, which is no time; write 10s or 5m.", row.ID, row.For))
		}
	}

	if row.Count != "" {
		if rule.Count, err = strconv.Atoi(row.Count); err != nil {
			faults = append(faults, badOverride("The limit %q wants %.40q samples, which is no whole number.", row.ID, row.Count))
		}
	}

	return rule, errors.Join(faults...)
}

// saveOverrides records what a host changes of the profile; what was typed stays
// in the form when it cannot be.
func (u *UI) saveOverrides(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	form, override, err := typedOverride(c)
	if err == nil {
		_, err = u.cfg.Commands.UpdateHost(c.UserContext(), caller(c).Name, mac, func(h *core.Host) { h.Overrides = override },
			hostAsSeen(c, func(s view.Seen) string { return s.Overrides }, func(*core.Host) string { return "" }))
	}

	if err != nil {
		return u.showHostWith(c, mac, err, func(page *view.Host) {
			page.Override, page.Seen.Overrides = form, stillSeen(c, err, page.Seen.Overrides)
		})
	}

	return c.Redirect("/hosts/"+string(mac)+"?done=overrides#overrides", http.StatusSeeOther)
}
