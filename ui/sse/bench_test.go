//go:build bench

package sse_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestBenchStalledReader measures how long an event takes to a thousand readers, when
// one more has stalled in the middle of a write (ours) and when all of them read
// (peer). Rounds are interleaved, each with a hub and connections of its own; the
// figure is the median of what the median reader waited: the last ones of a crowd wait
// for the processors.
func TestBenchStalledReader(t *testing.T) {
	if only := os.Getenv("BENCH"); only != "" && !strings.Contains("sse/stalled-reader", only) {
		t.Skip("not asked for")
	}

	const (
		readers = 1000
		events  = 40
		rounds  = 5
	)

	late := map[bool][]float64{}

	for round := range rounds {
		for _, stalls := range []bool{true, false} {
			t.Run(fmt.Sprintf("round %d, stalled %v", round, stalls), func(t *testing.T) {
				c := gather(t, readers, stalls)
				took := c.tell(t, readers, events, 100*time.Millisecond)
				half := took[len(took)/2]
				late[stalls] = append(late[stalls], half.Seconds()*1000)
				t.Logf("p50 %v, p99 %v, last %v", half, took[len(took)*99/100], took[len(took)-1])
			})
		}
	}

	for _, rounds := range late {
		slices.Sort(rounds)
	}

	ours, peer := late[true][rounds/2], late[false][rounds/2]
	fmt.Printf("bench sse/stalled-reader ours=%.1f peer=%.1f ratio=%.2f unit=ms\n", ours, peer, peer/ours)
}
