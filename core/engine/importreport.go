package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/report"
)

// trustedKeys is the setting with the keys of others whose reports are taken over.
const trustedKeys = "trusted_report_keys"

// ImportReport takes over the report of a run that another appliance has made, whose
// signature by the key with that public half was checked. The run is here then as it was
// there: its host is registered if it is not, and its verdict counts as the host's last
// one if no later one is known. A report that is here already changes nothing, and fresh
// is false. A key is taken at its first report only with trust; ErrRefused otherwise.
// ErrConflict when there is another run of this id, or a report that says something else.
func (e *Engine) ImportReport(ctx context.Context, who string, r *report.Report, public []byte, trust bool) (fresh bool, err error) {
	run, err := runOf(r)
	if err != nil {
		return false, err
	}

	err = e.write(ctx, func(c *change) error {
		fresh = false

		known, err := c.imported(r, &run)
		if known || err != nil {
			return cmpErr(err, func() error { return errNothing })
		}

		if err := c.trustKey(who, public, trust); err != nil {
			return err
		}

		fresh = true

		return c.importRun(who, r, &run, core.KeyFingerprint(public))
	})

	return fresh && err == nil, err
}

// badImport refuses a report.
func badImport(format string, args ...any) error {
	return core.NewProblem(core.ErrInvalid, problem.ReportImport, fmt.Sprintf(format, args...))
}

// runOf makes the record of a run of its report.
func runOf(r *report.Report) (core.Run, error) {
	_, ok := decode(r.Run.ID)
	mac, err := core.ParseMAC(string(r.Host.MAC))

	switch {
	case r.Schema != report.Schema:
		return core.Run{}, badImport("The report is of the form %.40q, and this version takes %q.", r.Schema, report.Schema)
	case !ok || err != nil || mac != r.Host.MAC:
		return core.Run{}, badImport("The report names no run, or no host by its address.")
	case !r.Run.State.Over() || r.Run.Verdict == "" || r.Preliminary:
		return core.Run{}, badImport("The run %s was not over when the report was written; take the one that was written last.", r.Run.ID)
	case len(r.Stages) > len(core.Pipeline()):
		return core.Run{}, badImport("The report has %d stages.", len(r.Stages))
	}

	run := core.Run{
		ID: r.Run.ID, Host: mac, HostName: clip(r.Host.Name, maxWord), State: r.Run.State, Verdict: r.Run.Verdict,
		Profile: core.Profile{Name: clip(r.Run.Profile, maxWord), Scale: r.Run.Scale}, Epoch: r.Run.Boots,
		CreatedAt: r.Run.CreatedAt, StartedAt: r.Run.StartedAt, EndedAt: r.Run.EndedAt, Operator: clip(r.Run.Operator, maxWord),
	}

	for i := range r.Stages {
		from := &r.Stages[i]
		if !slices.Contains(core.Pipeline(), from.Name) {
			return core.Run{}, badImport("%.40q is no stage.", from.Name)
		}

		row := core.Stage{
			Name: from.Name, Phase: from.Phase, Verdict: from.Verdict, SkipReason: from.Reason, Attempt: from.Attempt,
			StartedAt: from.StartedAt, EndedAt: from.EndedAt, Progress: 1, Coverage: from.Coverage,
		}

		for _, f := range r.Findings {
			if f.Stage == from.Name {
				row.Findings = append(row.Findings, f)
			}
		}

		run.Profile.Stages = append(run.Profile.Stages, from.Name)
		run.Stages = append(run.Stages, row)
	}

	for _, f := range r.Findings {
		if f.Stage == "" {
			run.Findings = append(run.Findings, f)
		}
	}

	return run, nil
}

// imported reports whether the run is here already, by this very report.
func (c *change) imported(r *report.Report, run *core.Run) (bool, error) {
	var old core.Run

	err := c.Get(core.TableRun, string(run.ID), &old)
	if errors.Is(err, core.ErrNotFound) {
		return false, nil
	}

	if err != nil {
		return false, err
	}

	var was report.Report

	if err := c.Get(core.TableReport, string(run.ID), &was); err != nil && !errors.Is(err, core.ErrNotFound) {
		return false, err
	}

	if core.Digest(was) != core.Digest(*r) {
		return false, core.NewProblem(core.ErrConflict, problem.ReportImport,
			fmt.Sprintf("The run %s is here already, and its report says something else; nothing was changed.", run.ID))
	}

	return true, nil
}

// trustKey demands that reports of a key are taken over, or notes that they are.
func (c *change) trustKey(who string, public []byte, trust bool) error {
	var keys []core.ReportKey

	if err := c.Get(core.TableSetting, trustedKeys, &keys); err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	if slices.ContainsFunc(keys, func(k core.ReportKey) bool { return slices.Equal(k.Public, public) }) {
		return nil
	}

	mark := core.KeyFingerprint(public)
	if !trust {
		return core.NewProblem(core.ErrRefused, problem.ReportStranger,
			fmt.Sprintf("The report is signed with the key %s, of which no report was taken over yet. Compare it with what the other appliance shows (vetting report keys), and say --trust.", mark))
	}

	keys = append(keys, core.ReportKey{ID: core.KeyID(public), Public: public, Fingerprint: mark, Since: c.now, By: clip(who, maxWord)})

	if err := c.Put(core.TableSetting, trustedKeys, keys); err != nil {
		return err
	}

	return c.audit(deed{who: who, action: "report.trust", object: "reports", text: "takes over reports signed with the key " + mark})
}

// importRun writes the run, its report and its host.
func (c *change) importRun(who string, r *report.Report, run *core.Run, mark string) error {
	host, err := c.host(run.Host)

	switch {
	case errors.Is(err, core.ErrNotFound):
		wish := core.Host{MAC: run.Host, Name: run.HostName, Notes: "Known by a report that was taken over."}

		if host, err = c.engine.freshHost(&wish); err != nil {
			return err
		}

		if err := c.addHost(&host); err != nil {
			return err
		}
	case err != nil:
		return err
	}

	// An address is no proof: a card may have moved to another machine since.
	if why := (&life{host: host}).differs(core.Identity{SMBIOSUUID: r.Host.UUID, BoardSerial: r.Host.BoardSerial}); why != "" {
		return core.NewProblem(core.ErrConflict, problem.ReportImport,
			fmt.Sprintf("The report is of another machine than %s: %s. Nothing was changed.", host.Name, why))
	}

	run.Host, run.HostName, run.UpdatedAt = host.MAC, host.Name, c.now

	if host.LastRun < run.ID { // they are in the order of their times
		host.LastRun, host.LastVerdict = run.ID, run.Verdict
	}

	if err := c.saveHost(&host); err != nil {
		return err
	}

	for _, err := range []error{c.Put(core.TableRun, string(run.ID), run), c.Put(core.TableReport, string(run.ID), r)} {
		if err != nil {
			return err
		}
	}

	return c.audit(deed{
		who: who, action: "report.import", host: host.MAC, run: run.ID,
		text: fmt.Sprintf("took over the report of run %s on %s (%s), signed with the key %s", run.ID, host.Name, run.Verdict, mark),
	})
}
