package agent_test

import (
	"math"
	"testing"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
	"vetting/core"
)

// TestNoTimeLeftCostsAHeartbeat: a guess beyond all measure is cut, and what carries it is
// taken.
func TestNoTimeLeftCostsAHeartbeat(t *testing.T) {
	t.Parallel()

	for _, left := range []time.Duration{math.MaxInt64, math.MinInt64, -1, 0, time.Hour, 101 * 366 * 24 * time.Hour} {
		beat := wire.Heartbeat{Meters: []wire.Meter{agent.WireMeter(core.Meter{Step: "read", LeftLow: left, LeftHigh: left})}}

		if err := beat.Validate(); err != nil {
			t.Errorf("%v: %v", left, err)
		}

		if got := beat.Meters[0].LeftHighS.Duration(); left == time.Hour && got != left {
			t.Errorf("%v became %v", left, got)
		}
	}
}
