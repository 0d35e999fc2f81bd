package oui_test

import (
	"testing"

	"vetting/core"
	"vetting/ui/oui"
)

func TestMaker(t *testing.T) {
	t.Parallel()

	for mac, want := range map[core.MAC]string{
		"00:1b:21:0a:0b:0c": "Intel Corporate",
		"3c:ec:ef:00:17:a2": "Super Micro Computer, Inc.",
		"70:b3:d5:00:10:00": "SOREDI touch systems GmbH", // of 36 bits, out of a block that the IEEE keeps
		"00:00:00:00:00:01": "XEROX CORPORATION",         // the first line
		"52:54:00:12:34:56": "",                          // made up
		"ff:ff:ff:ff:ff:ff": "",
		"":                  "",
		"00:1b":             "",
	} {
		if got := oui.Maker(mac); got != want {
			t.Errorf("%q is of %q, want %q", mac, got, want)
		}
	}
}

func TestMadeUp(t *testing.T) {
	t.Parallel()

	for mac, want := range map[core.MAC]bool{"52:54:00:12:34:56": true, "3c:ec:ef:00:17:a2": false, "02:00:00:00:00:01": true, "": false, "0": false} {
		if oui.MadeUp(mac) != want {
			t.Errorf("%q: %v", mac, !want)
		}
	}
}
