package unseen_test

import (
	"testing"

	"vetting/core/unseen"
)

func TestWhatIsNotSeen(t *testing.T) {
	t.Parallel()

	for _, r := range "\x00\x1b\r\x7f\u009b\u00ad\u061c\u200b\u202e\u2028\u2066\ufeff\u3164\u115f\uffa0\u2800\ufe0f\u034f\U000e0041\U000e0080" {
		if !unseen.Is(r) {
			t.Errorf("%U would be shown", r)
		}
	}

	for _, r := range "\n\t aZ~°ü字\uFFFD😀" {
		if unseen.Is(r) {
			t.Errorf("%U would not be shown", r)
		}
	}
}
