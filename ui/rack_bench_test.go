//go:build bench

package ui_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vetting/ui/canned"
)

// TestBenchRack measures how long the page of five hundred hosts takes to be made,
// from the ledger to the packed bytes, beside the twenty milliseconds in which nobody
// notices it (peer). The figure is the median of many.
func TestBenchRack(t *testing.T) {
	if only := os.Getenv("BENCH"); only != "" && !strings.Contains("ui/rack-500", only) {
		t.Skip("not asked for")
	}

	const (
		rounds = 60
		enough = 20.0
	)

	b := open(t, canned.Crowd, nil)
	auth := "Bearer " + b.token("operate")
	took := make([]float64, 0, rounds)

	for range rounds {
		start := time.Now()

		if got := b.ask("GET", "/", "", "Authorization", auth, "Accept-Encoding", "gzip"); got.status != http.StatusOK {
			t.Fatalf("status %d", got.status)
		}

		took = append(took, time.Since(start).Seconds()*1000)
	}

	slices.Sort(took)
	fmt.Printf("bench ui/rack-500 ours=%.1f peer=%.1f ratio=%.2f unit=ms\n", took[rounds/2], enough, enough/took[rounds/2])
}
