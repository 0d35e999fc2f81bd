package form

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"vetting/core/report"
)

// BatchCSV writes a row for each host of a batch, those that were not vetted last. Cells
// that a spreadsheet would compute get a quote.
func BatchCSV(w io.Writer, b *report.Batch) error {
	rows := [][]string{{
		"host", "mac_address", "asset_tag", "machine", "serial", "run", "profile", "verdict", "verdict_words", "not_tested", "ended_at", "summary",
	}}

	for i := range b.Rows {
		r := &b.Rows[i]
		ended := ""

		if !r.EndedAt.IsZero() {
			ended = r.EndedAt.UTC().Format(time.RFC3339)
		}

		rows = append(rows, []string{
			r.Host, string(r.MAC), r.AssetTag, r.Machine, r.Serial, string(r.Run), r.Profile, string(r.Verdict.Kind), r.Verdict.Words,
			strconv.Itoa(r.NotTested), ended, r.Summary,
		})
	}

	for i := range b.NotVetted {
		h := &b.NotVetted[i]
		rows = append(rows, []string{h.Host, string(h.MAC), h.AssetTag, "", "", "", "", "", "not vetted", "", "", ""})
	}

	for _, row := range rows[1:] {
		for i := range row {
			row[i] = cell(row[i])
		}
	}

	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("writing a batch as CSV: %w", err)
	}

	return nil
}
