package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/lookup"
	"vetting/ui/plot"
	uireport "vetting/ui/report"
)

// keep writes what is worth keeping of a run into a folder of the stick, for people and
// for another appliance, and returns its report. It may be called again for the same
// run.
func (k *kit) keep(ctx context.Context, id core.RunID) (report.Report, error) {
	var (
		found  report.Report
		charts []plot.Chart
	)

	err := k.store.View(ctx, func(r core.Reader) error {
		run, err := lookup.Run(r, id)
		if err != nil {
			return err
		}

		policy := k.live.retention()
		if found, err = lookup.Report(r, &run, lookup.Author{Appliance: k.about, Retention: &policy, Now: wall{}.Now()}); err != nil {
			return err
		}

		series, err := new(lookup.Courses).Of(r, &run)
		charts = plot.Charts(&run, found.Evaluations, series)

		return err
	})
	if err != nil {
		return found, err
	}

	folder := k.folder(&found)
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // reports are for whoever has the stick
		return found, fmt.Errorf("making the folder of the report: %w", err)
	}

	var page, data bytes.Buffer

	key := k.reportKeys.Key()
	if err := errors.Join(uireport.WriteHTML(ctx, &page, found, uireport.With{Charts: charts}, key), uireport.WriteJSON(&data, found, key)); err != nil {
		return found, err
	}

	if err := errors.Join(
		writeKept(filepath.Join(folder, "report.html"), &page), writeKept(filepath.Join(folder, "report.json"), &data), k.keepLog(ctx, id, folder),
	); err != nil {
		return found, err
	}

	return found, syncFolder(folder)
}

// linesAtOnce bounds the lines of a log that are held at once.
const linesAtOnce = 1000

func (k *kit) keepLog(ctx context.Context, id core.RunID, folder string) error {
	var text bytes.Buffer

	for after := uint64(0); ; {
		lines, err := k.logs.ReadLog(ctx, id, after, linesAtOnce)
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", id, err)
		}

		if len(lines) == 0 {
			return writeKept(filepath.Join(folder, "log.txt"), &text)
		}

		for i := range lines {
			fmt.Fprintf(&text, "%s %s %s\n", lines[i].Time.UTC().Format("2006-01-02T15:04:05.000Z"), lines[i].Level, lines[i].Text)
			after = lines[i].Seq
		}
	}
}

// writeKept writes a file whole or not at all: a stick may be pulled at any moment.
func writeKept(name string, content io.Reader) error {
	half := name + ".part"

	file, err := os.OpenFile(half, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644) //nolint:gosec // reports are for whoever has the stick
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}

	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", filepath.Base(name), err), os.Remove(half))
	}

	if err := os.Rename(half, name); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}

	return nil
}

// syncFolder has the whole file system of a folder written out.
func syncFolder(name string) error {
	folder, err := os.Open(name) //nolint:gosec // a folder of ours
	if err != nil {
		return fmt.Errorf("writing %s out: %w", name, err)
	}

	return errors.Join(unix.Syncfs(int(folder.Fd())), folder.Close()) //nolint:gosec // a descriptor
}
