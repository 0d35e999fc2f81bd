package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vetting/netboot"
)

func TestDoctorSaysWhatIsWrongWithOwnFiles(t *testing.T) {
	at := netip.MustParseAddrPort("10.77.0.1:69")

	for _, c := range []struct {
		got    netboot.Fetched
		result string
		says   []string
	}{
		{netboot.Fetched{Files: 13, Bytes: 45_230_000, Took: 1234 * time.Millisecond}, "ok", []string{"13 files, 45.2 MB", "udp 69 of 10.77.0.1", "1.23s"}},
		{netboot.Fetched{Err: fmt.Errorf("vmlinuz: %w in time", netboot.ErrUnanswered)}, "fail", []string{"vmlinuz: nobody answers in time (udp 69 of 10.77.0.1)", "vetting status"}},
		{netboot.Fetched{Err: fmt.Errorf("vmlinuz: %w", netboot.ErrOtherImage)}, "fail", []string{"of another version than this program", "Start it again"}},
		{netboot.Fetched{Err: fmt.Errorf("vmlinuz: %w: its first 2 bytes of 9, and no more", netboot.ErrAltered)}, "fail", []string{"its first 2 bytes of 9", "test the memory"}},
		{netboot.Fetched{Err: context.DeadlineExceeded}, "fail", []string{"deadline"}},
	} {
		found := &checkup{}
		found.fetched("TFTP", at, &c.got)

		if len(found.Checks) != 1 || found.Checks[0].Result != c.result || found.Checks[0].Check != "own files by TFTP" {
			t.Fatalf("%+v from %+v", found.Checks, c.got)
		}

		for _, text := range c.says {
			if !strings.Contains(found.Checks[0].Detail, text) {
				t.Errorf("%q lacks %q", found.Checks[0].Detail, text)
			}
		}
	}
}
