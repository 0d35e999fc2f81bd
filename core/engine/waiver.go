package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/report"
)

// WaiveFinding lets an operator bear with one finding of a held run until a day. The
// verdict stays; the report is written anew and says who, why and how long, and so
// does that of any later run of the host which finds the same.
func (e *Engine) WaiveFinding(ctx context.Context, who string, run core.RunID, wish core.WaiverWish) (core.Waiver, error) {
	reason := strings.TrimSpace(wish.Reason)
	if reason == "" || !isWord(reason) {
		return core.Waiver{}, core.NewProblem(core.ErrInvalid, problem.WaiverNoReason, fmt.Sprintf(
			"Say why the finding is borne with, in 1 to %d printable letters; it stands on the report.", maxWord))
	}

	id, err := e.ids.next(e.Clock.Now())
	if err != nil {
		return core.Waiver{}, err
	}

	var given core.Waiver

	_, err = e.decree(ctx, run, func(c *change, l *life) (deed, error) {
		if l.run.State != core.StateFailedHolding {
			return deed{}, core.NewProblem(core.ErrConflict, problem.HoldWrongState, fmt.Sprintf(
				"The run is in %s; findings are waived while the host is held.", l.run.State)).With("state", string(l.run.State))
		}

		if !wish.Until.After(c.now) || wish.Until.Sub(c.now) > core.MaxWaiver {
			return deed{}, core.NewProblem(core.ErrInvalid, problem.WaiverBadTime, fmt.Sprintf(
				"A waiver ends within %d days from now, and not before now.", int(core.MaxWaiver.Hours()/24)))
		}

		f, err := c.waivable(l, wish.Finding)
		if err != nil {
			return deed{}, err
		}

		given = core.Waiver{
			ID: string(id), Host: l.run.Host, Run: run, Finding: f.Mark(), Code: f.Code, Severity: f.Severity, Stage: f.Stage, Title: f.Title, Part: f.Part,
			Reason: reason, By: clip(who, maxWord), At: c.now, Until: wish.Until.UTC(),
		}

		if err := c.Put(core.TableWaiver, core.WaiverKey(given.Host, given.ID), given); err != nil {
			return deed{}, err
		}

		return deed{who: who, action: "run.waive", text: fmt.Sprintf(
			"waived %s (%s) in run %s on %s until %s: %s", f.Title, f.Code, run, l.run.HostName, given.Until.Format("2006-01-02 15:04 MST"), reason)}, c.writeReport(l)
	})
	if err != nil {
		return core.Waiver{}, err
	}

	return given, nil
}

// waivable finds what is to be waived by its mark, or by its code where the run has
// one finding of it.
func (c *change) waivable(l *life, name string) (core.Finding, error) {
	waivers, err := c.waivers(l.run.Host)
	if err != nil {
		return core.Finding{}, err
	}

	var fit []core.Finding

	for _, f := range report.Findings(&l.run, waivers, c.now) {
		same := slices.ContainsFunc(fit, func(o core.Finding) bool { return o.ID == f.ID })
		if (f.ID == name || f.Code == name) && !same {
			fit = append(fit, f)
		}
	}

	switch {
	case len(fit) == 0:
		return core.Finding{}, core.NewProblem(core.ErrNotFound, problem.WaiverNoFinding, fmt.Sprintf("This run has no finding %.64q.", name))
	case len(fit) > 1:
		ids := make([]string, len(fit))
		for i := range fit {
			ids[i] = fit[i].ID
		}

		return core.Finding{}, core.NewProblem(core.ErrConflict, problem.WaiverNoFinding, fmt.Sprintf(
			"The run has %d findings %.64q; name one by its id: %s.", len(fit), name, strings.Join(ids, ", ")))
	case !fit[0].Waivable():
		return core.Finding{}, core.NewProblem(core.ErrConflict, problem.WaiverNoFinding, "This finding only informs; there is nothing to waive.")
	case fit[0].Waiver != nil:
		return core.Finding{}, core.NewProblem(core.ErrConflict, problem.WaiverTwice, fmt.Sprintf(
			"%s has waived this finding until %s; withdraw that first.", fit[0].Waiver.By, fit[0].Waiver.Until.Format("2006-01-02 15:04 MST")))
	default:
		return fit[0], nil
	}
}

// waivers lists those of a host, the oldest first, whether they count or not.
func (c *change) waivers(host core.MAC) (list []core.Waiver, err error) {
	err = c.Scan(core.TableWaiver, core.Query{Prefix: core.WaiverKey(host, "")}, func(_ string, decode func(any) error) error {
		var w core.Waiver

		if err := decode(&w); err != nil {
			return err
		}

		list = append(list, w)

		return nil
	})

	return list, err
}

// WithdrawWaiver ends a waiver before its day. Reports of runs that are over keep it,
// as they were written; that of a run which is held is written anew. ErrNotFound when
// there is none that counts.
func (e *Engine) WithdrawWaiver(ctx context.Context, who string, host core.MAC, id string) (core.Waiver, error) {
	var w core.Waiver

	err := e.write(ctx, func(c *change) error {
		missing := core.NewProblem(core.ErrNotFound, problem.WaiverNone, "The host has no such waiver, or it counts no more.")

		if _, ok := decode(core.RunID(id)); !ok {
			return missing
		}

		err := c.Get(core.TableWaiver, core.WaiverKey(host, id), &w)
		if errors.Is(err, core.ErrNotFound) || err == nil && !w.Holds(c.now) {
			return missing
		}

		if err != nil {
			return err
		}

		before := core.Digest(w)
		w.WithdrawnAt, w.WithdrawnBy = c.now, clip(who, maxWord)

		if err := c.Put(core.TableWaiver, core.WaiverKey(host, id), w); err != nil {
			return err
		}

		if err := c.rewriteHeld(host); err != nil {
			return err
		}

		return c.audit(deed{
			who: who, action: "run.withdraw-waiver", object: "waiver/" + id, host: host, run: w.Run, before: before, after: core.Digest(w),
			text: fmt.Sprintf("withdrew the waiver of %s (%s), which %s had given until %s", w.Title, w.Code, w.By, w.Until.Format("2006-01-02 15:04 MST")),
		})
	})

	return w, err
}

// rewriteHeld writes the report of a host that is held anew.
func (c *change) rewriteHeld(mac core.MAC) error {
	var host core.Host

	err := c.Get(core.TableHost, string(mac), &host)
	if errors.Is(err, core.ErrNotFound) || err == nil && host.CurrentRun == "" {
		return nil
	}

	if err != nil {
		return err
	}

	l, err := c.life(host.CurrentRun)
	if err != nil || l.run.State != core.StateFailedHolding {
		return err
	}

	return c.writeReport(l)
}
