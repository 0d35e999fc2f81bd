//go:build e2e && linux

package main_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
	surf "vetting/ui/browser"
)

// TestAHeldHostInTheBrowser: a virtual host with somebody's data on an armed disk is held. A
// person at a phone has the stage run again, which changes nothing, then has the disk that the
// page names overwritten, and reads on the report of the run that passed that it was. A second
// run is held likewise and released. It is a campaign of make endure.
func TestAHeldHostInTheBrowser(t *testing.T) {
	if os.Getenv("HELD_IN_BROWSER") == "" {
		t.Skip("a campaign: set HELD_IN_BROWSER, or run make endure")
	}

	const full, why = "LABS1602", "its owner has the data"

	rack := openRack(t)
	at := unpack(t, rack)
	machine := lab.Sample(lab.BIOS, 16)
	machine.Disks = []lab.Disk{{Bus: lab.SATA, Model: "LAB SSD 1", Serial: full, WWN: 0x5000c500b0000016, Bytes: 1 << 30}}

	s := plug(t, rack, machine, full)
	s.register(core.PowerManual)
	s.expectItself() // a disk that was armed before anybody saw it is not written, whoever overrides

	run := s.heldForData(full)
	triesAgain(t, at, run)

	if _, err := rack.API.Await(s.ctx, run.ID, func(run route.Run) bool { return run.State != core.StateFailedHolding }); err != nil {
		t.Fatal(err)
	}

	if run = s.await(run.ID, never); run.State != core.StateFailedHolding || !refusedFor(run, full) {
		t.Fatalf("tried again, the run is in %s: %+v", run.State, run.Stages)
	}

	overrides(t, at, run, full, why)

	if _, err := rack.API.Await(s.ctx, run.ID, func(run route.Run) bool { return run.State != core.StateFailedHolding }); err != nil {
		t.Fatal(err)
	}

	run = s.mustPass(run.ID)
	reportsOverride(t, at, run, full, why)

	if touched, err := s.Touched(); err != nil || !slices.Equal(touched, []string{full}) {
		t.Errorf("written: %q, %v", touched, err)
	}

	machine = lab.Sample(lab.BIOS, 17)
	machine.Disks = []lab.Disk{{Bus: lab.SATA, Model: "LAB SSD 1", Serial: "LABS1702", WWN: 0x5000c500b0000017, Bytes: 1 << 30}}
	s = plug(t, rack, machine)
	s.register(core.PowerManual)
	s.expectItself()
	releases(t, at, s.heldForData("LABS1702"))
}

// heldForData starts a run that may write to a disk, and is held for what is on it.
func (s subject) heldForData(serial string) route.Run {
	s.t.Helper()

	skip := map[core.StageName]string{}
	for _, stage := range []core.StageName{core.SMART, core.CPUStress, core.Memory, core.Network, core.Burn, core.PSU} {
		skip[stage] = "the page is what is tested"
	}

	started, err := s.rack.API.Start(s.ctx, s.MAC, route.RunStart{
		Profile: profile, Scale: scale, Armed: []string{serial},
		Overrides: &core.Override{Config: map[string]string{"Storage.mode": "destructive", "Storage.finish": "keep"}, Skip: skip},
	})
	if err != nil {
		s.t.Fatal(err)
	}

	s.powerOn()

	run := s.await(started.ID, never)
	if run.State != core.StateFailedHolding || !refusedFor(run, serial) {
		s.t.Fatalf("the run is in %s: %+v", run.State, run.Stages)
	}

	return run
}

// overrides has what is on a disk of a held run overwritten: the page of the hold, to which that
// of the run leads, names the disk, asks why and, where it is a while ago that the password was
// typed, for that again.
func overrides(t *testing.T, at phone, run route.Run, serial, reason string) {
	t.Helper()

	p := at.decides(t, run)
	p.tap("Evidence, key and all choices")
	p.sees("which disk has data on it", fmt.Sprintf(`[...document.querySelectorAll("#hold .finding")].some(f => f.innerText.includes(%q))`, serial))
	p.tap("Overwrite the foreign data that the wipe probe found")
	surf.Do(t, p.tab, chromedp.Click(fmt.Sprintf(`#override input[value=%q]`, serial), chromedp.ByQuery))
	p.fill(map[string]string{"#wipe-reason": reason})

	if surf.Told[bool](t, p.tab, `!!document.querySelector("#wipe-password")`) {
		p.fill(map[string]string{"#wipe-password": password})
	}

	p.isSound("the held run with its disks")
	p.tap("Overwrite these disks")
	p.sees("that the run goes on", `!document.querySelector(".card.edge.hold")`)
	p.isSound("the run that goes on")
}

// reportsOverride reads on the report that data was overwritten, which, by whom, and why.
func reportsOverride(t *testing.T, at phone, run route.Run, serial, reason string) {
	t.Helper()

	p := at.turnsTo(t, run)
	p.tap("Report")
	p.sees("the override on the report", fmt.Sprintf(`document.querySelector("#report")?.textContent.includes(%q)`, serial+", by ada: "+reason))
	p.isSound("the report of a run with an override")
}

// triesAgain has the failed stage of a held run done once more.
func triesAgain(t *testing.T, at phone, run route.Run) {
	t.Helper()

	p := at.decides(t, run)
	p.tap("Run the stage again")
	p.sees("that the run goes on", `!document.querySelector(".card.edge.hold")`)
	p.isSound("the run that goes on")
}

// releases ends the hold of a run; the page asks once more.
func releases(t *testing.T, at phone, run route.Run) {
	t.Helper()

	p := at.decides(t, run)
	p.tap("Release")
	p.tap("Release this host")
	p.sees("that it is released, with its verdict", `!document.querySelector(".card.edge.hold") && document.querySelector("#run-head .v.fail")`)
	p.isSound("the released run")
}

// decides opens a held run by what the rack says of it.
func (p phone) decides(t *testing.T, run route.Run) phone {
	t.Helper()

	page := p.beside(t)
	page.follows(".card.edge.hold", "/runs/"+string(run.ID))
	page.sees("the held run", `document.querySelector(".card.edge.hold")`)

	return page
}
