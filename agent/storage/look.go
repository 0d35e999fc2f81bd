package storage

import (
	"context"
	"fmt"
	"io"

	"vetting/agent/wipeprobe"
)

// Wiped is the Look of the product: all the formats that agent/wipeprobe knows. What
// cannot be read may hold anything, and counts as somebody's.
func Wiped(ctx context.Context, r io.ReaderAt, size int64, sector int) (found Found, err error) {
	report, err := wipeprobe.Probe(ctx, r, size, sector)
	if err != nil {
		return found, err
	}

	found.Samples, found.NonBlank = report.Samples, report.NonBlank

	for _, s := range report.Signatures {
		words := fmt.Sprintf("%s (%s) at %d", s.Name, s.Usage, s.Offset)
		if s.Label != "" {
			words += fmt.Sprintf(" %q", s.Label)
			found.Labels = append(found.Labels, s.Label)
		}

		found.Signatures = append(found.Signatures, words)
	}

	for _, bad := range report.Unreadable {
		found.Signatures = append(found.Signatures, fmt.Sprintf("%d bytes at %d that cannot be read (%v)", bad.Length, bad.Offset, bad.Err))
	}

	return found, nil
}
