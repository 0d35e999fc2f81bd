package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/ui/canned"
)

// wandered has a disk and a DIMM fail in one host and turn up in another one.
func wandered(t *testing.T, b *bench, serial string) {
	t.Helper()

	put := func(n string, host core.MAC, name, slot, firmware string, verdict core.Verdict, bad int, found ...core.Finding) {
		id := core.RunID("01JD3X00000000000000000" + n)
		run := core.Run{ID: id, Host: host, HostName: name, State: core.StateReleased, Verdict: verdict, CreatedAt: canned.Now().Add(-240 * time.Hour)}
		run.Stages = []core.Stage{{Name: core.SMART, Phase: core.Done, Findings: found, Measurements: []core.Sample{
			{Key: "disk/" + strings.ToLower(serial) + "/reallocated_sectors_count", Value: float64(bad)},
			{Key: "disk/" + strings.ToLower(serial) + "/temperature_celsius", Value: 31},
			{Key: "disk/other/pending_sectors_count", Value: 77},
		}}}

		if _, err := b.ledger.Update(context.Background(), func(txn core.Txn) error {
			if err := txn.Put(core.TableRun, string(id), run); err != nil {
				return err
			}

			return txn.Put(core.TableInventory, string(id), core.Inventory{Disks: []core.Disk{{Serial: serial, Bay: slot, Model: "ST14", Firmware: firmware}}})
		}); err != nil {
			t.Fatal(err)
		}
	}

	put("001", "52:54:00:00:00:a1", "host-a", "bay 5", "SN03", core.Fail, 12,
		core.Finding{Code: "smart/reallocated", Severity: core.Critical, Title: "Sectors were replaced", Part: core.Part{Kind: "disk", Serial: serial}},
		core.Finding{Code: "smart/other", Severity: core.Critical, Title: "Another disk", Part: core.Part{Kind: "disk", Serial: "other"}})
	put("002", "52:54:00:00:00:b1", "host-b", "bay 1", "SN04", core.Pass, 14)
}

// TestAPartIsKnownAgain: in which hosts and slots it was, with which firmware, what it
// failed with there, and how its counters went.
func TestAPartIsKnownAgain(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Empty, nil)
	auth := "Bearer " + b.token("read")

	for _, serial := range []string{"ZL2A/1 x&y", `"><script>alert(1)</script>`} {
		wandered(t, b, serial)

		got := b.ask("GET", "/parts?serial="+url.QueryEscape(serial), "", "Authorization", auth)
		page := strings.Join(strings.Fields(got.body), " ")

		for _, want := range []string{
			"Seen by 2 runs in 2 hosts.", "came here from host-a, ", "It failed in host-a on 13 Nov 2026: Sectors were replaced.", "SN04", "SN03", "changed",
			"bay 1", "came here from host-a, bay 5",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q", serial, want)
			}
		}

		if got.status != http.StatusOK || strings.Contains(page, "Another disk") || strings.Contains(page, "temperature") || strings.Contains(page, ">77<") {
			t.Errorf("%s: %d", serial, got.status)
		}

		checkMarkup(t, "part", got.body)
	}

	if got := b.ask("GET", "/h/nobody", "", "Authorization", auth); got.status != http.StatusNotFound {
		t.Errorf("what nobody knows: %d", got.status)
	}

	wandered(t, b, "ZL2A1000")

	if to := b.ask("GET", "/h/ZL2A1000", "", "Authorization", auth).header.Get("Location"); to != "/parts?serial=ZL2A1000" {
		t.Error(to)
	}

	if page := b.ask("GET", "/parts?serial=ZL2A1000", "", "Authorization", auth).body; !strings.Contains(page, "reallocated sectors") || !strings.Contains(page, ">12<") || !strings.Contains(page, ">14<") {
		t.Error("the counters of the disk are not told")
	}

	if page := b.ask("GET", "/parts?serial=unseen", "", "Authorization", auth).body; !strings.Contains(page, "No run has seen it") {
		t.Error(page)
	}

	if got := b.ask("GET", "/parts?serial=unseen", ""); got.status == http.StatusOK {
		t.Errorf("a stranger gets %d", got.status)
	}
}
