package pace_test

import (
	"testing"
	"time"

	"vetting/netboot/pace"
)

func TestFiveThingsPassEachSecond(t *testing.T) {
	var l pace.Limiter

	now := time.Unix(100, 0)

	for second := range 3 {
		passed := 0

		for i := range 1000 {
			if l.Allow(now.Add(time.Duration(second)*time.Second + time.Duration(i)*time.Millisecond)) {
				passed++
			}
		}

		if passed != 5 {
			t.Errorf("%d passed in second %d, want 5", passed, second)
		}
	}
}
