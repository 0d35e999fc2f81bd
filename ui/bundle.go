package ui

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	model "vetting/core/report"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/plot"
	"vetting/ui/report"
	"vetting/ui/report/bundle"
	"vetting/ui/report/form"
	"vetting/ui/report/label"
)

// bundleStall is how long a reader may take for a piece of a bundle.
const bundleStall = 60 * time.Second

// mostLabels bounds the labels of one page.
const mostLabels = 200

// getBundle answers with the archive for a vendor. It is packed while it is sent.
func (u *UI) getBundle(c *fiber.Ctx) error {
	run, what, err := u.bundled(c)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.ZIP)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="vetting-`+string(run.ID)+`-rma.zip"`)
	c.Context().SetConnectionClose() // the write deadline would outlive the answer

	conn := c.Context().Conn() // c is recycled by the time it is sent
	ctx, done := u.begin(c, "bundle", "packs what a vendor wants of the run of "+run.HostName, &run)

	what.Open = func(sum string) (io.ReadCloser, error) { return u.cfg.Artifacts.OpenArtifact(ctx, sum) }
	what.Lines = func(after uint64) ([]core.LogLine, error) { return u.cfg.Logs.ReadLog(ctx, run.ID, after, maxLogLines) }

	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer done()

		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()

		// An archive that breaks off has no directory: no reader takes it for whole.
		_ = bundle.Write(patient{w, conn}, what)
	})

	return nil
}

// bundled reads a run and writes its report in each form; files and log are read when the
// bundle is sent.
func (u *UI) bundled(c *fiber.Ctx) (core.Run, *bundle.Bundle, error) {
	var (
		files  []core.Artifact
		charts []plot.Chart
		found  model.Report
	)

	run, err := u.findRun(c, func(r core.Reader, run *core.Run) (err error) {
		if files, err = lookup.Artifacts(r, run.ID); err != nil {
			return err
		}

		if found, err = lookup.Report(r, run, u.author()); err != nil {
			return err
		}

		charts, err = u.charts(r, run, found.Evaluations)

		return err
	})
	if err != nil {
		return run, nil, err
	}

	var page, text, table bytes.Buffer

	key := u.sealing()
	if err := report.WriteHTML(c.UserContext(), &page, found, u.with(run.ID, charts), key); err != nil {
		return run, nil, err
	}

	if err := report.WriteJSON(&text, found, key); err != nil {
		return run, nil, err
	}

	if err := form.CSV(&table, &found); err != nil {
		return run, nil, err
	}

	return run, &bundle.Bundle{Report: found, Page: page.Bytes(), JSON: text.Bytes(), Table: table.Bytes(), Artifacts: files}, nil
}

// patient gives a reader some time for every piece that is written.
type patient struct {
	io.Writer

	conn net.Conn
}

// Write writes a piece; a connection that is closed shows here.
func (p patient) Write(piece []byte) (int, error) {
	_ = p.conn.SetWriteDeadline(time.Now().Add(bundleStall))

	return p.Writer.Write(piece)
}

// labelSize reads the size that is asked for.
func labelSize(c *fiber.Ctx) (label.Size, error) {
	size, err := label.Find(c.Query("size"))
	if err != nil {
		return size, core.NewProblem(core.ErrInvalid, "label/bad-size", "There is no such size of labels; choose 62x29, 57x32, 89x36 or 100x50.")
	}

	return size, nil
}

// runLink is where the QR code of a label or a report leads.
func (u *UI) runLink(id core.RunID) string { return u.URL() + "/runs/" + string(id) }

func (u *UI) getLabel(c *fiber.Ctx) error {
	size, err := labelSize(c)
	if err != nil {
		return err
	}

	found, err := u.findReport(c)
	if err != nil {
		return err
	}

	svg, err := label.SVG(&found, u.runLink(found.Run.ID), size)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.SVG)

	return c.SendString(svg)
}

// labelsPage draws labels to be printed: of the runs named by ids, divided by commas.
func (u *UI) labelsPage(c *fiber.Ctx) error {
	size, err := labelSize(c)
	if err != nil {
		return err
	}

	ids := strings.FieldsFunc(c.Query("ids"), func(r rune) bool { return r == ',' || r == ' ' })
	if len(ids) == 0 || len(ids) > mostLabels {
		return core.NewProblem(core.ErrInvalid, "label/bad-ids", "Name 1 to 200 runs, divided by commas: /labels?ids=RUN,RUN.")
	}

	var labels []string

	err = u.look(c, func(r core.Reader) error {
		for _, text := range ids {
			id, err := lookup.ParseRunID(text)
			if err != nil {
				return err
			}

			run, err := lookup.Run(r, id)
			if err != nil {
				return err
			}

			found, err := lookup.Report(r, &run, u.author())
			if err != nil {
				return err
			}

			svg, err := label.SVG(&found, u.runLink(id), size)
			if err != nil {
				return err
			}

			labels = append(labels, svg)
		}

		return nil
	})
	if err != nil {
		return err
	}

	sheet := c.Query("sheet") != ""
	c.Set("Content-Security-Policy", label.Policy(size, sheet))
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Status(http.StatusOK)

	return label.Page(c.Response().BodyWriter(), labels, size, sheet)
}
