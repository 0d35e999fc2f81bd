package tftp

import (
	"net/netip"
	"testing"
	"time"
)

// A machine that was switched off in its first block is given large ones again an hour
// later; one whose way is narrow is not, as long as it boots.
func TestAWayThatWasTakenForNarrowIsTriedAgain(t *testing.T) {
	var (
		n     narrows
		start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		off   = netip.MustParseAddr("10.77.0.10")
		far   = netip.MustParseAddr("10.77.0.11")
	)

	for _, addr := range []netip.Addr{off, far} {
		if width, ok := n.narrower(addr, 1468, start); !ok || width != 1408 {
			t.Fatalf("next is %d", width)
		}
	}

	for i := range 3 {
		at := start.Add(time.Duration(i) * 50 * time.Minute)
		n.through(far, 1408, at)

		if got := n.most(far, 1468, at.Add(40*time.Minute)); got != 1408 {
			t.Errorf("the far machine has %d", got)
		}
	}

	if got := n.most(off, 1468, start.Add(59*time.Minute)); got != 1408 {
		t.Errorf("soon after it has %d", got)
	}

	if got := n.most(off, 1468, start.Add(61*time.Minute)); got != 1468 {
		t.Errorf("an hour later it has %d", got)
	}

	if _, ok := n.narrower(off, 512, start); ok {
		t.Error("there is something below 512")
	}
}
