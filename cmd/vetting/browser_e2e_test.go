//go:build e2e && linux

package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
	surf "vetting/ui/browser"
)

// phone is a person with the narrowest phone there is, in front of the rack's console:
// no API, and no address that no page leads to.
type phone struct {
	t    *testing.T
	rack *lab.Rack
	tab  context.Context //nolint:containedctx // of one test
}

const password = "narrow phone, wide rack" // of the administrator

// unpack opens the one-time link on a phone that nobody is signed in on, and sets the
// administrator's password.
func unpack(t *testing.T, rack *lab.Rack) phone {
	t.Helper()

	p := phone{t: t, rack: rack, tab: surf.Open(t, "")}
	p.narrow()
	p.open(rack.Appliance.Link)
	p.fill(map[string]string{"#name": "ada", "#password": password, "#again": password})
	p.tap("Set the password")
	p.sees("the first steps", `location.pathname !== "/setup"`)

	return p
}

// beside is the same person with another page open, in another test.
func (p phone) beside(t *testing.T) phone {
	t.Helper()

	p.t, p.tab = t, surf.Tab(t, p.tab)
	p.narrow()
	p.open(p.rack.Appliance.Console())

	return p
}

func (p phone) narrow() {
	surf.Do(p.t, p.tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true))
}

func (p phone) open(address string) {
	p.t.Helper()
	surf.Do(p.t, p.tab, chromedp.Navigate(address))
}

func (p phone) tap(words string) {
	p.t.Helper()
	surf.Tap(p.t, p.tab, words)
}

// follows presses a link that is to be seen in the page, by where it leads.
func (p phone) follows(within, path string) {
	p.t.Helper()

	link := fmt.Sprintf(`[...document.querySelectorAll('%s a[href=%q]')].find(a => a.checkVisibility())`, within, path)
	p.sees("a link to "+path, link)
	surf.Do(p.t, p.tab, chromedp.Click(link, chromedp.ByJSPath))
	p.sees(path, fmt.Sprintf(`location.pathname === %q`, path))
}

// turnsTo opens a run by the list of all.
func (p phone) turnsTo(t *testing.T, run route.Run) phone {
	t.Helper()

	page := p.beside(t)
	page.tap("Runs")
	page.follows("main", "/runs/"+string(run.ID))

	return page
}

func (p phone) sees(what, expression string) {
	p.t.Helper()
	surf.Become(p.t, p.tab, what, expression)
}

// fill types into fields.
func (p phone) fill(fields map[string]string) {
	p.t.Helper()

	for field, text := range fields {
		surf.Do(p.t, p.tab, chromedp.Clear(field, chromedp.ByQuery), chromedp.SendKeys(field, text, chromedp.ByQuery))
	}
}

// isSound checks that the page fits and that nothing broke in it, and that its policy
// kept nothing from working.
func (p phone) isSound(name string) {
	p.t.Helper()

	if wide := surf.Told[int](p.t, p.tab, "document.documentElement.scrollWidth"); wide > 360 {
		p.t.Errorf("%s is %d pixels wide", name, wide)
	}

	if all := surf.Told[[]string](p.t, p.tab, "window.__noted"); len(all) > 0 {
		p.t.Errorf("%s: %v", name, all)
	}
}

// registers makes a machine known, as its page leads to; the long stages, which other
// machines go through, are left out.
func (p phone) registers(s subject, leftOut ...core.StageName) {
	p.t.Helper()
	p.tap("Add a host")
	p.sees("the form", `document.querySelector("form #mac")`)
	p.fill(map[string]string{"#mac": s.MAC, "#name": s.Name})
	p.isSound("the form of a host")
	p.tap("Add this host")
	p.sees("the host", fmt.Sprintf(`document.querySelector("h1").textContent.includes(%q)`, s.Name))

	if len(leftOut) > 0 {
		reasons := map[string]string{}
		for _, stage := range leftOut {
			reasons["#host-skip-"+string(stage)] = "the page is what is tested"
		}

		p.tap("Differ from the profile on this host")
		p.fill(reasons)
		surf.Do(p.t, p.tab, chromedp.Click("#overrides-more form .btn.pri", chromedp.ByQuery))
		p.sees("what is left out", `document.querySelector("#overrides p").textContent.includes("the page is what is tested")`)
	}

	p.isSound("the host")
}

// starts starts a run from the page of a host, and stays at the page of the run.
func (p phone) starts(profile string) core.RunID {
	p.t.Helper()
	surf.Do(p.t, p.tab, chromedp.Click(fmt.Sprintf("#start input[value=%q]", profile), chromedp.ByQuery), chromedp.Click("#start button", chromedp.ByQuery))
	p.sees("the run", `location.pathname.startsWith("/runs/")`)

	return core.RunID(strings.TrimPrefix(surf.Told[string](p.t, p.tab, "location.pathname"), "/runs/"))
}

// sawEverything compares the log of a page that was open all the time with the one that is
// kept: no line is missing, and none is there twice.
func (p phone) sawEverything(s subject, id core.RunID) {
	p.t.Helper()

	lines, err := s.rack.API.Log(s.ctx, id)
	if err != nil || len(lines) < 20 {
		p.t.Fatalf("%d lines: %v", len(lines), err)
	}

	p.sees("the last line of the log", fmt.Sprintf(`Number(document.querySelector("#log").dataset.after) >= %d`, lines[len(lines)-1].Seq))

	shown := surf.Told[[]string](p.t, p.tab, `[...document.querySelectorAll("#log span")].map(l => l.textContent)`)
	if len(shown) != len(lines) {
		p.t.Errorf("the page shows %d lines of %d", len(shown), len(lines))
	}
}

// survivesKill: a person at a phone registers a machine, starts a run and watches it to its
// end. The appliance is killed meanwhile, and the page goes on, without being loaded anew.
func survivesKill(t *testing.T, rack *lab.Rack, at phone, machine lab.Machine) {
	s := plug(t, rack, machine)
	p := at.beside(t)

	p.registers(s, core.CPUStress, core.Memory, core.Storage, core.Network, core.Burn, core.PSU)
	id := p.starts(profile)
	surf.Do(t, p.tab, chromedp.Evaluate("window.same = 1", nil))
	s.powerOn()

	if run := s.await(id, func(run route.Run) bool { return run.State == core.State(core.InventoryCheck) }); run.State != core.State(core.InventoryCheck) {
		t.Fatalf("the run is %s", run.State)
	}

	p.sees("that the machine has booted", `document.querySelector("#run-stages li:not(.idle)")`)
	rack.Appliance.Kill()
	t.Log("killed in the middle of InventoryCheck")
	p.sees("that the appliance is away", `document.querySelector(".banner[data-on]")`)

	if err := rack.Appliance.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	t.Logf("serves again after %.1f s", rack.Appliance.Ready.Seconds())

	s.await(id, never)
	p.sees("the verdict", `document.querySelector("#run-head .v.pass, #run-head .v.warn") && !document.querySelector(".banner[data-on]")`)
	p.sawEverything(s, id)

	if !surf.Told[bool](t, p.tab, "window.same === 1") {
		t.Error("the page was loaded anew")
	}

	p.isSound("the run")

	run := s.mustPass(id)
	if run.Boots != 1 {
		t.Errorf("the machine booted %d times", run.Boots)
	}

	readsOffline(t, at, run)
}

// readsOffline downloads the report of a run, checks it, and opens the file with no network
// at all.
func readsOffline(t *testing.T, at phone, run route.Run) {
	t.Helper()

	p := at.turnsTo(t, run)
	folder := t.TempDir()

	p.tap("Report")
	p.sees("the report", `document.querySelector("#report h1")`)
	p.isSound("the report in the console")

	const drawn = `[...document.querySelectorAll("figure svg path.line")].filter(l => l.getBoundingClientRect().width > 20).length`

	charts := surf.Told[int](t, p.tab, drawn)
	surf.Do(t, p.tab, browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(folder).WithBrowserContextID(chromedp.FromContext(p.tab).BrowserContextID))
	p.tap("Download HTML")

	file := filepath.Join(folder, "vetting-"+string(run.ID)+"-report.html")
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if info, err := os.Stat(file); err == nil && info.Size() > 0 {
			break
		}

		if time.Now().After(end) {
			t.Fatal("nothing was downloaded")
		}
	}

	process, err := p.rack.Appliance.Station.Start(t.Context(), lab.Command{Program: "../../build/vetting", Args: []string{"report", "verify", "--run", string(run.ID), file}})
	if err == nil {
		err = process.Wait(t.Context())
	}

	if err != nil {
		t.Errorf("the downloaded report is not as it was signed: %v", err)
	}

	surf.Do(t, p.tab, network.EmulateNetworkConditions(true, 0, 0, 0))
	p.open("file://" + file)
	p.sees("the report as a file", fmt.Sprintf(`location.protocol === "file:" && document.querySelector("main").textContent.includes(%q)`, run.HostName))

	if alone := surf.Told[int](t, p.tab, drawn); alone != charts {
		t.Errorf("%d lines of charts are seen in the file, %d in the console", alone, charts)
	}

	p.isSound("the report as a file")
}

// waives bears with the finding that a machine is held for.
func waives(t *testing.T, at phone, run route.Run) {
	t.Helper()

	p := at.decides(t, run)
	p.tap("Evidence, key and all choices")
	p.tap("Waive one finding")
	p.fill(map[string]string{"#waive-reason": "the module is on order"})
	p.isSound("the held run")
	p.tap("Waive this finding")
	p.sees("the waiver", `document.querySelector(".waived")?.textContent.includes("the module is on order")`)
}
