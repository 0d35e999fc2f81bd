package ui_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// Every page on the narrowest phone: nothing has to be scrolled sideways, the policy
// keeps nothing from working, nothing breaks, and nobody is kept out.
func TestEveryPageOnAPhone(t *testing.T) {
	t.Parallel()

	tab := browser.Open(t, "")

	for _, scene := range []canned.Scene{canned.Full, canned.Failed, canned.Hostile, canned.Empty, canned.Disks} {
		b := open(t, scene, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
		base, _ := b.listen()

		browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + b.token("admin")}),
			emulation.SetDeviceMetricsOverride(360, 740, 2, true))

		for name, path := range phonePages() {
			if scene == canned.Empty && name == "report-alone" || scene == canned.Disks && name != "run" {
				continue // there is none, which is told to programs; one machine with many disks
			}

			browser.Do(t, tab, chromedp.Navigate(base+path))

			if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
				t.Errorf("%s of the scene %s is %d pixels wide: %s", name, scene, wide, browser.Told[string](t, tab, widest))
			}

			if scene == canned.Full || scene == canned.Disks {
				browser.Look(t, tab, name+" on a phone", `{resultTypes: ["violations"], preload: false}`)
			}

			if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
				t.Errorf("%s of the scene %s: %v", name, scene, all)
			}
		}
	}
}

// phonePages are those that people open, in all the looks that they have.
func phonePages() map[string]string {
	all := pages()
	all["list"], all["elevation"], all["groups"], all["nothing fits"] = "/?look=list", "/?look=elevation", "/?group=model", "/?q=nowhere"

	return all
}

// widest names what is too wide.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > 361 && !e.closest(".tw, nav, pre, .seg")).slice(0, 3).map(e => e.tagName + "." + e.className).join(" ")`

// People who cannot see, or not well, or have no mouse get in: what axe-core calls
// serious or critical is on no page, in light and in dark.
func TestNobodyIsKeptOut(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	for name, path := range phonePages() {
		browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), dressed("light"), chromedp.Navigate(base+path))
		browser.Look(t, tab, name, `{resultTypes: ["violations"], preload: false}`)
		browser.Do(t, tab, dressed("dark"))
		browser.Look(t, tab, name+" in the dark", `{resultTypes: ["violations"], preload: false, runOnly: ["color-contrast"]}`)
	}

	browser.Do(t, tab, chromedp.Navigate(base+"/"), chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	browser.Become(t, tab, "the palette", `document.querySelectorAll("dialog[open] li[id]").length > 10`)
	browser.Look(t, tab, "palette", `{resultTypes: ["violations"], preload: false}`)
}

func dressed(scheme string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}})
}

// rename gives the host of the scene another name, and tells of it.
func (b *bench) rename(name string) {
	b.t.Helper()
	b.write(func(txn core.Txn) error {
		return alter(txn, core.TableHost, string(canned.Host), func(h *core.Host) { h.Name = name })
	})
}

// A page that follows what happens goes on where it was when the appliance was away,
// without being loaded anew: what happened meanwhile is there, and what a person had
// ticked, opened and typed is, too.
func TestAPageOutlivesItsAppliance(t *testing.T) {
	t.Parallel()

	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	addr := port.Addr().String()
	_ = port.Close() // the console takes it now

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Addr = addr })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- b.Run(ctx) }()

	tab := browser.Open(t, b.token("admin"))
	base := "http://" + addr

	browser.Do(t, tab, chromedp.ActionFunc(func(ctx context.Context) error { return answering(ctx, addr) }), chromedp.Navigate(base+"/?look=list"),
		chromedp.Evaluate(`window.same = 1; document.querySelector("input[value='52:54:00:00:00:13']").click(); document.querySelector("[type=search]").value = "typed"`, nil))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

	b.rename("first-name")
	browser.Become(t, tab, "the first event", `document.body.textContent.includes("first-name")`)

	stop()

	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	browser.Become(t, tab, "the page to say so", `document.querySelector(".banner[data-on]")`)
	b.rename("second-name")

	again, err := ui.New(b.config)
	if err != nil {
		t.Fatal(err)
	}

	b.UI = again
	ctx, stop = context.WithCancel(t.Context())

	t.Cleanup(func() {
		stop()
		<-ended
	})

	go func() { ended <- again.Run(ctx) }()

	browser.Become(t, tab, "what happened meanwhile", `document.body.textContent.includes("second-name") && document.querySelector(".live").dataset.state === "on" && !document.querySelector(".banner[data-on]")`)

	b.rename("third-name")
	browser.Become(t, tab, "what happens now", `document.body.textContent.includes("third-name")`)

	if !browser.Told[bool](t, tab, `window.same === 1 && document.querySelector("input[value='52:54:00:00:00:13']").checked && document.querySelector("[type=search]").value === "typed" && document.querySelector("#picked").textContent === "1 host ticked"`) {
		t.Error("the page was loaded anew, or what was ticked or typed is lost")
	}
}

// answering waits until somebody listens.
func answering(ctx context.Context, addr string) error {
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the console: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// What a hand does without a mouse, and what the script adds to the plots and the log.
func TestKeysPlotsAndLog(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), chromedp.Navigate(base+"/"), chromedp.KeyEvent("jjx"))
	browser.Become(t, tab, "a tick by keys", `document.querySelectorAll(".tick :checked").length === 1 && document.activeElement.closest(".tile.at")`)
	browser.Do(t, tab, chromedp.KeyEvent("v"))
	browser.Become(t, tab, "the page of ticked hosts", `location.pathname === "/hosts/selected" && document.querySelector("h1").textContent === "1 host ticked"`)

	browser.Do(t, tab, chromedp.KeyEvent("g"), chromedp.KeyEvent("n"))
	browser.Become(t, tab, "the netboot page", `location.pathname === "/netboot"`)

	browser.Do(t, tab, chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	browser.Become(t, tab, "the palette", `document.querySelectorAll("dialog[open] li[id]").length > 10`)
	browser.Do(t, tab, chromedp.KeyEvent("r740 u19"))
	browser.Become(t, tab, "one choice", `document.querySelectorAll("dialog[open] li[id]").length === 1`)
	browser.Do(t, tab, chromedp.KeyEvent(kb.Enter))
	browser.Become(t, tab, "the host", `location.pathname === "/hosts/52:54:00:00:00:13"`)

	browser.Do(t, tab, chromedp.Navigate(base+"/runs/"+string(canned.MeasuredRun)), chromedp.ScrollIntoView("[data-plot]"))

	at := browser.Told[[]float64](t, tab, `(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector("[data-plot]").getBoundingClientRect())`)
	browser.Do(t, tab, chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	browser.Become(t, tab, "the cursor of the plot", `/^34 °C at /.test(document.querySelector("[data-at]").textContent) && document.querySelector(".cursor")`)

	browser.Do(t, tab, chromedp.MouseEvent("mouseMoved", 1, 1))
	browser.Become(t, tab, "no cursor", `!document.querySelector(".cursor")`)
	browser.Do(t, tab, chromedp.Focus("[data-plot]"), chromedp.KeyEvent(kb.Home))
	browser.Become(t, tab, "the cursor at the left, by a key", `document.querySelector(".cursor").getAttribute("d").startsWith("M52.0 ")`)
	browser.Do(t, tab, chromedp.KeyEvent(kb.ArrowRight))
	browser.Become(t, tab, "the cursor one step on", `document.querySelector(".cursor").getAttribute("d").startsWith("M56.2 ")`)

	browser.Do(t, tab, chromedp.SetValue("#sift", "smart PENDING"), chromedp.Evaluate(`document.getElementById("sift").dispatchEvent(new Event("input"))`, nil))

	if shown := browser.Told[int](t, tab, `[...document.querySelectorAll("#log span")].filter(l => l.checkVisibility()).length`); shown != 1 {
		t.Errorf("%d lines of the log fit, not 1", shown)
	}

	if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
		t.Errorf("%s", strings.Join(all, "; "))
	}
}
