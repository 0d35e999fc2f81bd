package bootdoctor_test

import (
	"strings"
	"testing"
	"time"

	"vetting/core/bootdoctor"
	"vetting/core/problem"
)

// Each of these holds what netboot/quirk says under its ID.

// diagnosed is what is said of a trace, some time after its last step.
func diagnosed(t *testing.T, after time.Duration, lines ...string) (d bootdoctor.Diagnosis) {
	t.Helper()

	steps := trace(t, lines...)
	d, _ = bootdoctor.Diagnose(steps, steps[len(steps)-1].Time.Add(after))

	return d
}

func names(t *testing.T, d bootdoctor.Diagnosis, code string, words ...string) {
	t.Helper()

	text := d.Title + " " + d.Evidence + " " + d.Next
	if entry, ok := problem.Lookup(d.Code); ok {
		text += " " + entry.Why
	}

	if d.Code != code {
		t.Errorf("diagnosed %q, want %s", d.Code, code)
	}

	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not named in: %s", word, text)
		}
	}
}

// The DISCOVERs of the HP laptop of bootimus #77: 4, 8, 16 and 32 s apart, never a REQUEST.
func TestQuirkQ5AMachineThatMergesNoOffersIsToldOf(t *testing.T) {
	t.Parallel()

	names(t, diagnosed(t, time.Second, "0s uefi discover", "0s uefi offer", "4s uefi discover", "4s uefi offer", "12s uefi discover", "12s uefi offer", "28s uefi discover", "28s uefi offer"),
		problem.DoctorOffersUnheard, "mode dhcp")
}

func TestQuirkQ6FourSecondsBetweenOfferAndRequestAreNoStandstill(t *testing.T) {
	t.Parallel()

	if d := diagnosed(t, 5*time.Second, "0s uefi discover", "0s uefi offer"); d.Code != "" {
		t.Errorf("diagnosed %+v", d)
	}
}

func TestQuirkQ17AFreezeIsToldOf(t *testing.T) {
	t.Parallel()

	names(t, diagnosed(t, 61*time.Second, append(lease("0s", "uefi"), "1s uefi tftp snponly.efi sent")...), problem.DoctorLoaderSilent, "froze", "driver")
}

func TestQuirkQ21ABondThatWaitsForLACPIsToldOf(t *testing.T) {
	t.Parallel()

	names(t, unheard(t), problem.DoctorLoaderUnheard, "LACP")
}

func TestQuirkQ22SpanningTreeIsToldOf(t *testing.T) {
	t.Parallel()

	names(t, unheard(t), problem.DoctorLoaderUnheard, "spanning tree", "portfast")
}

func unheard(t *testing.T) bootdoctor.Diagnosis {
	t.Helper()

	lines := append(lease("0s", "uefi"), "1s uefi tftp snponly.efi sent", "5s ipxe discover", "6s ipxe discover", "8s ipxe discover", "12s ipxe discover")

	return diagnosed(t, time.Second, lines...)
}

func TestQuirkQ35DHCPSnoopingIsToldOf(t *testing.T) {
	t.Parallel()

	names(t, diagnosed(t, time.Second, "0s bios discover", "4s bios discover", "8s bios discover", "16s bios discover"), problem.DoctorOffersUnheard, "snooping")
}
