package netboot_test

import (
	"testing"
	"time"

	"vetting/netboot"
)

// A look at the cable stands for those of the next moment, and for no other session's: a
// cable that was out makes the network a stranger.
func TestALookAtTheCableHoldsForAMoment(t *testing.T) {
	t.Parallel()

	if !netboot.Held(time.Millisecond, true) {
		t.Error("a look of a moment ago does not hold")
	}

	if netboot.Held(10*time.Millisecond, true) {
		t.Error("a look of 10 ms ago still holds")
	}

	if netboot.Held(0, false) {
		t.Error("a look of another session holds")
	}

	if netboot.HeldByNone() {
		t.Error("no look at all holds")
	}
}
