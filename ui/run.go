package ui

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/plot"
	"vetting/ui/view"
)

// maxLogLines bounds a page of a run's log.
const (
	logLines    = 200
	maxLogLines = 1000
)

// findRun reads the run a request is about, and runs read on the same snapshot.
func (u *UI) findRun(c *fiber.Ctx, read func(core.Reader, *core.Run) error) (core.Run, error) {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return core.Run{}, err
	}

	var run core.Run

	err = u.look(c, func(r core.Reader) (err error) {
		if run, err = lookup.Run(r, id); err != nil || read == nil {
			return err
		}

		return read(r, &run)
	})

	return run, err
}

func (u *UI) findReport(c *fiber.Ctx) (found model.Report, err error) {
	_, err = u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		found, err = lookup.Report(r, run, u.author())

		return err
	})

	return found, err
}

// charted finds the report of a run with the charts of what was measured.
func (u *UI) charted(c *fiber.Ctx) (found model.Report, charts []plot.Chart, err error) {
	_, err = u.findRun(c, func(r core.Reader, run *core.Run) error {
		if found, err = lookup.Report(r, run, u.author()); err != nil {
			return err
		}

		charts, err = u.charts(r, run, found.Evaluations)

		return err
	})

	return found, charts, err
}

// charts draws what was measured during a run.
func (u *UI) charts(r core.Reader, run *core.Run, evaluations []model.Evaluation) ([]plot.Chart, error) {
	series, err := u.courses.Of(r, run)
	if err != nil {
		return nil, err
	}

	return plot.Charts(run, evaluations, series), nil
}

// plotsPart answers with the plots of a run alone, for its page to follow.
func (u *UI) plotsPart(c *fiber.Ctx) error {
	_, charts, err := u.charted(c)
	if err != nil {
		return err
	}

	return draw(c, view.Plots(charts))
}

func (u *UI) listRuns(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	filter, err := runFilter(c)
	if err != nil {
		return err
	}

	list := route.RunList{Runs: []route.RunSummary{}}

	err = u.look(c, func(r core.Reader) error {
		waivers, err := lookup.AllWaivers(r)
		if err != nil {
			return err
		}

		runs, next, err := lookup.Runs(r, filter, page)
		for i := range runs {
			list.Runs = append(list.Runs, route.NewRunSummary(&runs[i], waivers[runs[i].Host]))
		}

		list.NextPageToken = next

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func runFilter(c *fiber.Ctx) (filter lookup.Filter, err error) {
	filter.State = c.Query("state")
	if err = lookup.ParseState(filter.State); err != nil {
		return filter, err
	}

	filter.Profile, filter.Batch, filter.Verdict = c.Query("profile"), c.Query("batch"), core.Verdict(c.Query("verdict"))

	if filter.Verdict != "" && !slices.Contains([]core.Verdict{core.Pass, core.Fail, core.Error, core.Cancelled}, filter.Verdict) {
		return filter, core.NewProblem(core.ErrInvalid, "run/bad-verdict", "verdict must be pass, fail, error or cancelled.")
	}

	if text := c.Query("host"); text != "" {
		filter.Host, err = core.ParseMAC(text)
	}

	return filter, err
}

func (u *UI) getRun(c *fiber.Ctx) error {
	var waivers []core.Waiver

	run, err := u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		waivers, err = lookup.Waivers(r, run.Host)

		return err
	})
	if err != nil {
		return err
	}

	return c.JSON(route.NewRun(&run, waivers))
}

func (u *UI) getStages(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	return c.JSON(route.StageList{Stages: route.NewStages(&run)})
}

type order func(ctx context.Context, who string, run core.RunID) (core.Run, error)

// obey carries an order about a run out and shows the run.
func (u *UI) obey(c *fiber.Ctx, do order) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	run, err := do(c.UserContext(), caller(c).Name, id)
	if err != nil {
		return err
	}

	return c.JSON(route.NewRun(&run, nil))
}

func (u *UI) cancelRun(c *fiber.Ctx) error  { return u.obey(c, u.cfg.Commands.CancelRun) }
func (u *UI) releaseRun(c *fiber.Ctx) error { return u.obey(c, u.cfg.Commands.ReleaseRun) }

// retryRun runs a stage again; without a body, the one that failed.
func (u *UI) retryRun(c *fiber.Ctx) error {
	var ask route.StageRetry

	if len(c.Body()) > 0 {
		if err := body(c, &ask); err != nil {
			return err
		}
	}

	return u.obey(c, u.again(ask.Stage))
}

// again is the order to run a stage again; an empty one is the failed one.
func (u *UI) again(stage core.StageName) order {
	if stage == "" {
		return u.cfg.Commands.RetryStage
	}

	return func(ctx context.Context, who string, run core.RunID) (core.Run, error) {
		return u.cfg.Commands.RunStageAgain(ctx, who, run, stage)
	}
}

func (u *UI) overrideWipe(c *fiber.Ctx) error {
	var ask route.WipeOverride
	if err := body(c, &ask); err != nil {
		return err
	}

	if err := u.mustBeFresh(c, ask.Password); err != nil {
		return err
	}

	return u.obey(c, func(ctx context.Context, who string, run core.RunID) (core.Run, error) {
		return u.cfg.Commands.OverrideWipe(ctx, who, run, ask.Serials, ask.Reason)
	})
}

func (u *UI) failRun(c *fiber.Ctx) error {
	var ask route.RunFail
	if err := body(c, &ask); err != nil {
		return err
	}

	return u.obey(c, u.giveUp(ask.Reason))
}

// giveUp is the order to end a held run as failed.
func (u *UI) giveUp(reason string) order {
	return func(ctx context.Context, who string, run core.RunID) (core.Run, error) {
		return u.cfg.Commands.FailRun(ctx, who, run, reason)
	}
}

func (u *UI) withdrawRun(c *fiber.Ctx) error { return u.obey(c, u.cfg.Commands.WithdrawRun) }

func (u *UI) takeHoldKey(c *fiber.Ctx) error { return u.handOut(c, u.cfg.Commands.HoldKey) }

func (u *UI) renewHoldKey(c *fiber.Ctx) error { return u.handOut(c, u.cfg.Commands.RenewHoldKey) }

// handsOut returns the key of a hold.
type handsOut func(ctx context.Context, who string, run core.RunID) (core.HoldKey, error)

func (u *UI) handOut(c *fiber.Ctx, take handsOut) error {
	id, err := lookup.ParseRunID(param(c, "id"))
	if err != nil {
		return err
	}

	key, err := take(c.UserContext(), caller(c).Name, id)

	return shown(c, http.StatusOK, key, err)
}

// mostTrails bounds the trails of an answer.
const mostTrails = 2000

func (u *UI) getEvaluations(c *fiber.Ctx) error {
	query, stage := lookup.SampleQuery{Key: c.Query("key")}, core.StageName(c.Query("stage"))
	if err := query.Check(); err != nil {
		return err
	}

	list := route.EvaluationList{Evaluations: []model.Evaluation{}, Trails: []model.Trail{}}
	wanted := func(of core.StageName, key string) bool {
		return (stage == "" || stage == of) && (query.Key == "" || query.Chooses(key))
	}

	_, err := u.findRun(c, func(r core.Reader, run *core.Run) error {
		trails, err := lookup.Trails(r, run.ID)
		if err != nil {
			return err
		}

		found := model.Build(model.Input{Run: *run})
		found.Attach(trails)

		for i := range found.Evaluations {
			if e := &found.Evaluations[i]; wanted(e.Stage, e.Key) {
				list.Evaluations = append(list.Evaluations, *e)
			}
		}

		for i := range trails {
			if t := &trails[i]; wanted(t.Stage, t.Key) && len(list.Trails) < mostTrails {
				list.Trails = append(list.Trails, *t)
			}
		}

		return nil
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) getSpecDiffs(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	list := route.SpecDiffList{SpecGiven: run.SpecYAML != "", Diffs: []core.SpecDiff{}}
	if i := run.StageAt(core.SpecValidate); i >= 0 {
		list.Diffs = append(list.Diffs, run.Stages[i].Diffs...)
	}

	return c.JSON(list)
}

func (u *UI) getSamples(c *fiber.Ctx) error {
	query, page, err := sampleQuery(c)
	if err != nil {
		return err
	}

	badges, err := yes(c, "badges")
	if err != nil {
		return err
	}

	var list route.SampleList

	badges = badges && query.Step == 0
	if badges { // it costs a processor: one at a time
		u.badging.Lock()
		defer u.badging.Unlock()
	}

	_, err = u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		if query.Step > 0 {
			list.Buckets, err = lookup.Buckets(r, run.ID, query)

			return err
		}

		if badges {
			list.Samples, list.NextPageToken, err = lookup.Badged(r, run, query, page)

			return err
		}

		list.Samples, list.NextPageToken, err = lookup.Samples(r, run.ID, query, page)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func sampleQuery(c *fiber.Ctx) (query lookup.SampleQuery, page lookup.Page, err error) {
	if page, err = paging(c); err != nil {
		return query, page, err
	}

	query.Key = c.Query("key")
	if query.From, err = at(c, "from"); err != nil {
		return query, page, err
	}

	if query.To, err = at(c, "to"); err != nil {
		return query, page, err
	}

	step, err := number(c, "step")
	if err != nil {
		return query, page, err
	}

	query.Step = time.Duration(min(step, 1<<30)) * time.Second

	return query, page, query.Check()
}

func (u *UI) getLog(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	after, err := number(c, "after")
	if err != nil {
		return err
	}

	limit, err := number(c, "limit")
	if err != nil {
		return err
	}

	if limit == 0 {
		limit = logLines
	}

	if limit > maxLogLines {
		return core.NewProblem(core.ErrInvalid, "list/bad-limit", "limit must be from 1 to 1000.")
	}

	page := route.LogPage{Lines: []core.LogLine{}, After: uint64(after)} //nolint:gosec // number refuses negative ones

	lines, err := u.cfg.Logs.ReadLog(c.UserContext(), run.ID, page.After, limit)
	if err != nil {
		return err
	}

	if n := len(lines); n > 0 {
		page.Lines, page.After = lines, lines[n-1].Seq
	}

	return c.JSON(page)
}

func (u *UI) listArtifacts(c *fiber.Ctx) error {
	list := route.ArtifactList{Artifacts: []core.Artifact{}}

	_, err := u.findRun(c, func(r core.Reader, run *core.Run) error {
		found, err := lookup.Artifacts(r, run.ID)
		list.Artifacts = append(list.Artifacts, found...)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

// getArtifact sends a file of the host's as what it is: bytes nobody should
// open in a browser.
func (u *UI) getArtifact(c *fiber.Ctx) error {
	var file core.Artifact

	_, err := u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		file, err = lookup.Artifact(r, run.ID, param(c, "sha256"))

		return err
	})
	if err != nil {
		return err
	}

	content, err := u.cfg.Artifacts.OpenArtifact(c.UserContext(), file.SHA256)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.Binary)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+string(file.Run)+"-"+file.SHA256[:12]+`"`)

	return c.SendStream(content, int(file.Size))
}
