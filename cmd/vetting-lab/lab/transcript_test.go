//go:build linux

package lab_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

func TestTranscriptTellsWhenTheLastByteOfAMatchWasHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transcript := lab.NewTranscript(nil)
		begin := time.Now()

		go func() {
			for _, piece := range []string{"SeaBIOS\r\nlink: htt", "ps://127.0.0.1:8443/setup?token=x", " (30 min)\r\n"} {
				time.Sleep(time.Second) // of the bubble's clock
				_, _ = transcript.Write([]byte(piece))
			}
		}()

		groups, at, err := transcript.Match(t.Context(), regexp.MustCompile(`link: (\S+) `))
		if err != nil {
			t.Fatal(err)
		}

		if groups[1] != "https://127.0.0.1:8443/setup?token=x" || at.Sub(begin) != 3*time.Second {
			t.Errorf("heard %q after %s", groups[1], at.Sub(begin))
		}
	})
}

func TestTranscriptGivesUpAtTheDeadlineWithTheLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transcript := lab.NewTranscript(nil)
		_, _ = transcript.Write([]byte("\x1b[2JNo bootable device.\r\n\r\n"))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()

		_, err := transcript.Await(ctx, "ready")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "No bootable device.") {
			t.Errorf("the error is %v", err)
		}

		if tail := transcript.Tail(5); tail != "No bootable device." {
			t.Errorf("the tail is %q", tail)
		}
	})
}
