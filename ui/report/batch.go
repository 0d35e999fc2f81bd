package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/report/seal"
	"vetting/ui/text"
)

// WriteBatch writes many hosts as one page, signed with key unless that is the zero
// value. base is where the console is, which the page leads to.
func WriteBatch(ctx context.Context, w io.Writer, b report.Batch, key seal.Key, base string) error {
	drawn, err := seal.BatchPage(b, key, func(b report.Batch) ([]byte, error) {
		var out bytes.Buffer
		err := batchPage(b, base, Style()).Render(ctx, &out)

		return out.Bytes(), err
	})
	if err == nil {
		_, err = w.Write(drawn)
	}

	if err != nil {
		return fmt.Errorf("writing a batch of reports: %w", err)
	}

	return nil
}

// runTail is the end of a run's id, which tells runs of one table apart.
func runTail(id core.RunID) string { return "…" + string(id)[max(0, len(id)-8):] }

// rowRun says with which profile a run of a table was, and when it ended where it has.
func rowRun(row *report.BatchRow) string {
	words := text.Line(row.Profile)
	if !row.EndedAt.IsZero() {
		words += " · " + text.UTC(row.EndedAt)
	}

	return words
}

// batchOf says what a batch is of.
func batchOf(of report.BatchOf) string {
	var words []string

	for _, w := range [][2]string{{"", of.Day}, {"tag ", of.Tag}, {"rack ", of.Rack}, {"profile ", of.Profile}, {"batch ", of.Batch}} {
		if w[1] != "" {
			words = append(words, w[0]+text.Line(w[1]))
		}
	}

	if len(words) == 0 {
		return "all hosts, the last run of each"
	}

	return strings.Join(words, " · ") + " · the last run of each host"
}

// totals says how many hosts came to what.
func totals(t *report.Totals) string {
	words := []string{text.Count(t.Hosts, "host", "hosts"), strconv.Itoa(t.Pass) + " pass"}

	if t.Warned > 0 {
		words[1] += " (" + strconv.Itoa(t.Warned) + " with warnings)"
	}

	for _, n := range []struct {
		count int
		word  string
	}{{t.Fail, "fail"}, {t.Error, "error"}, {t.Cancelled, "cancelled"}, {t.Undecided, "not decided"}, {t.NotVetted, "not vetted"}} {
		if n.count > 0 {
			words = append(words, strconv.Itoa(n.count)+" "+n.word)
		}
	}

	return strings.Join(words, ", ")
}
