package ui

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/pace"
	"vetting/ui/plot"
	"vetting/ui/report"
	"vetting/ui/report/form"
	"vetting/ui/report/seal"
	"vetting/ui/view"
)

// batchesShown is how many batches a page lists.
const batchesShown = 50

// gathered is a batch with what is known of its runs.
type gathered struct {
	sum    route.Batch
	runs   []*core.Run // the last of each host
	before int         // further runs, of hosts that were vetted again
	due    map[core.RunID]pace.Due

	waivers lookup.Waived
}

// dues says when each run that is not over is due.
func (u *UI) dues(r core.Reader) (map[core.RunID]pace.Due, error) {
	going, waiting, err := lookup.LiveRuns(r, &u.shelf, &u.paces, u.slots(), u.cfg.Now())
	due := map[core.RunID]pace.Due{}

	for _, l := range slices.Concat(going, waiting) {
		due[l.Run.ID] = l.Due
	}

	return due, err
}

// gather reads the runs of a batch and sums them up.
func (u *UI) gather(r core.Reader, batch *core.Batch, due map[core.RunID]pace.Due) (g gathered, err error) {
	g.due = due
	if g.runs, g.before, err = lookup.LastRuns(r, &u.shelf, batch); err != nil {
		return g, err
	}

	g.sum = route.Batch{Name: batch.Name, CreatedAt: batch.CreatedAt, CreatedBy: batch.By, Profiles: []string{}, Hosts: len(g.runs)}
	known := true

	var left time.Duration

	for _, run := range g.runs {
		countIn(&g.sum, run)

		if !slices.Contains(g.sum.Profiles, run.Profile.Name) {
			g.sum.Profiles = append(g.sum.Profiles, run.Profile.Name)
		}

		if !run.State.Over() && run.State != core.StateFailedHolding && run.State != core.StateFailed {
			known = known && due[run.ID].EndsKnown && !due[run.ID].Guess // programs read it, and cannot tell a guess
			left = max(left, due[run.ID].Ends)
		}
	}

	if known {
		g.sum.Left = left.Seconds()
	}

	slices.Sort(g.sum.Profiles)

	return g, nil
}

// countIn counts a run by where it is or what came of it.
func countIn(sum *route.Batch, run *core.Run) {
	switch {
	case run.State == core.StateQueued || run.State == core.StateRegistered:
		sum.Queued++
	case run.State == core.StateFailedHolding || run.State == core.StateFailed:
		sum.Holding++
	case !run.State.Over():
		sum.Running++
	case run.State == core.StateCancelled || run.Verdict == core.Cancelled:
		sum.Cancelled++
	case run.Verdict == core.Pass:
		sum.Pass++
	default:
		sum.Fail++
	}
}

// batches reads a page of batches.
func (u *UI) batches(r core.Reader, page lookup.Page) (rows []gathered, next string, err error) {
	list, next, err := lookup.Batches(r, page)
	if err != nil || len(list) == 0 {
		return nil, "", err
	}

	due, err := u.dues(r)
	if err != nil {
		return nil, "", err
	}

	for i := range list {
		g, err := u.gather(r, &list[i], due)
		if err != nil {
			return nil, "", err
		}

		rows = append(rows, g)
	}

	return rows, next, nil
}

// batch reads the batch that a request is about.
func (u *UI) batch(c *fiber.Ctx) (g gathered, err error) {
	err = u.look(c, func(r core.Reader) error {
		batch, err := lookup.BatchOf(r, param(c, "name"))
		if err != nil {
			return err
		}

		due, err := u.dues(r)
		if err != nil {
			return err
		}

		if g, err = u.gather(r, &batch, due); err != nil {
			return err
		}

		g.waivers, err = lookup.AllWaivers(r)

		return err
	})

	return g, err
}

func (u *UI) listBatches(c *fiber.Ctx) error {
	page, err := paging(c)
	if err != nil {
		return err
	}

	list := route.BatchList{Batches: []route.Batch{}}

	err = u.look(c, func(r core.Reader) error {
		rows, next, err := u.batches(r, page)
		list.NextPageToken = next

		for i := range rows {
			list.Batches = append(list.Batches, rows[i].sum)
		}

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) getBatch(c *fiber.Ctx) error {
	g, err := u.batch(c)
	out := route.BatchRuns{Batch: g.sum, Runs: []route.Run{}}

	for _, run := range g.runs {
		out.Runs = append(out.Runs, route.NewRun(run, g.waivers[run.Host]))
	}

	return shown(c, http.StatusOK, out, err)
}

func (u *UI) batchesPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Batches", "rack")
	if err != nil {
		return err
	}

	page, err := paging(c)
	if err != nil {
		return err
	}

	if c.Query("limit") == "" {
		page.Limit = batchesShown
	}

	list := view.Batches{Frame: frame, Beyond: page.After != ""}

	if err := u.look(c, func(r core.Reader) error {
		rows, next, err := u.batches(r, page)
		list.Next = next

		for i := range rows {
			list.Rows = append(list.Rows, rows[i].sum)
		}

		return err
	}); err != nil {
		return err
	}

	return draw(c, view.ShowBatches(&list))
}

func (u *UI) batchPage(c *fiber.Ctx) error {
	frame, err := u.frame(c, "Batch", "rack")
	if err != nil {
		return err
	}

	g, err := u.batch(c)
	if err != nil {
		return err
	}

	page := view.Batch{Frame: frame, Batch: g.sum, Before: g.before, Runs: g.runs, Due: g.due, Waivers: g.waivers}
	page.Frame.Title = "Batch " + g.sum.Name

	return draw(c, view.ShowBatch(&page))
}

func (u *UI) getBatchCSV(c *fiber.Ctx) error {
	batch, err := u.findBatch(c)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.CSV)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+batchFile(batch.Of)+`.csv"`)

	return form.BatchCSV(c.Response().BodyWriter(), &batch)
}

// batchFile names the files of a batch.
func batchFile(of model.BatchOf) string {
	return "vetting-" + fileWord(strings.Join(slices.DeleteFunc([]string{"batch", of.Batch, of.Day, of.Tag, of.Rack, of.Profile}, func(w string) bool { return w == "" }), "-"))
}

// fileWord makes of a name of anybody one that is harmless as that of a file.
func fileWord(name string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}

		return '_'
	}, name)

	return strings.TrimLeft(word[:min(len(word), 64)], ".-")
}

// getBatchZIP answers with the reports of a batch in one archive, packed while it is
// sent: each report is read and drawn when its turn comes.
func (u *UI) getBatchZIP(c *fiber.Ctx) error {
	batch, err := u.findBatch(c)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.ZIP)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+batchFile(batch.Of)+`.zip"`)
	c.Context().SetConnectionClose() // the write deadline would outlive the answer

	conn := c.Context().Conn()

	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		// An archive that breaks off has no directory: no reader takes it for whole.
		_ = u.packBatch(u.life, patient{w, conn}, batch)
	})

	return nil
}

func (u *UI) packBatch(ctx context.Context, w io.Writer, batch model.Batch) error {
	packer := zip.NewWriter(w)
	at := u.cfg.Now().UTC().Truncate(2 * time.Second)

	put := func(name string, write func(io.Writer) error) error {
		out, err := packer.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: at})
		if err == nil {
			err = write(out)
		}

		if err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}

		return nil
	}

	key := u.sealing()

	if err := put("batch.html", func(out io.Writer) error { return report.WriteBatch(ctx, out, batch, key, u.URL()) }); err != nil {
		return err
	}

	if err := put("batch.json", func(out io.Writer) error {
		text, err := seal.BatchJSON(batch, key)
		if err == nil {
			_, err = out.Write(text)
		}

		return err
	}); err != nil {
		return err
	}

	if err := put("batch.csv", func(out io.Writer) error { return form.BatchCSV(out, &batch) }); err != nil {
		return err
	}

	for i := range batch.Rows {
		page, text, err := u.drawReport(ctx, batch.Rows[i].Run, key)
		if err != nil {
			return err
		}

		name := "reports/" + fileWord(batch.Rows[i].Host) + "-" + string(batch.Rows[i].Run)

		for suffix, content := range map[string][]byte{".html": page, ".json": text} {
			if err := put(name+suffix, func(out io.Writer) error {
				_, err := out.Write(content)

				return err
			}); err != nil {
				return err
			}
		}
	}

	return packer.Close()
}

// drawReport writes the report of a run as HTML and as JSON, signed.
func (u *UI) drawReport(ctx context.Context, id core.RunID, key seal.Key) (page, text []byte, err error) {
	var (
		found  model.Report
		charts []plot.Chart
	)

	if err := u.cfg.Ledger.View(ctx, func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err != nil {
			return err
		}

		if found, err = lookup.Report(r, &run, u.author()); err != nil {
			return err
		}

		charts, err = u.charts(r, &run, found.Evaluations)

		return err
	}); err != nil {
		return nil, nil, err
	}

	var drawn, written bytes.Buffer

	if err := report.WriteHTML(ctx, &drawn, found, u.with(id, charts), key); err != nil {
		return nil, nil, err
	}

	err = report.WriteJSON(&written, found, key)

	return drawn.Bytes(), written.Bytes(), err
}
