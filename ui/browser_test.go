package ui_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
)

// axe looks for what keeps people out: axe-core 4.14.1, MPL-2.0, see testdata/axe.
//
//go:embed testdata/axe/axe.min.js
var axe string

// noted keeps what a page was kept from doing by its policy, and what broke in it.
const noted = `window.__noted = [];
addEventListener("securitypolicyviolation", e => __noted.push("policy " + e.violatedDirective + " " + e.blockedURI));
addEventListener("error", e => __noted.push("error " + e.message));
addEventListener("unhandledrejection", e => __noted.push("rejection " + e.reason));`

// wait bounds what a browser may take; it only bounds a test that fails.
const wait = time.Minute

// surf starts a browser, signed in to the consoles it will open.
func surf(t *testing.T, secret string) context.Context {
	t.Helper()

	program := ""

	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path

			break
		}
	}

	if program == "" {
		t.Skip("no browser: chromium-headless-shell is not installed")
	}

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(wait)) // its folder is its own: it writes to the last

	all, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...) // which ends before the browser is told to
	t.Cleanup(stop)

	tab, leave := chromedp.NewContext(all, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(leave)
	t.Cleanup(func() { _ = chromedp.Cancel(tab) }) // waits until it has ended; it is stopped by force else

	do(t, tab, network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + secret}),
		chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := page.AddScriptToEvaluateOnNewDocument(noted).Do(ctx)

			return err
		}))

	return tab
}

// do carries actions out in the browser.
func do(t *testing.T, tab context.Context, actions ...chromedp.Action) {
	t.Helper()

	done := make(chan error, 1)

	go func() { done <- chromedp.Run(tab, actions...) }()

	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wait):
		t.Fatal("the browser does not answer")
	}
}

// told evaluates an expression in the page.
func told[T any](t *testing.T, tab context.Context, expression string) (value T) {
	t.Helper()
	do(t, tab, chromedp.Evaluate(expression, &value, chromedp.EvalAsValue))

	return value
}

// seen evaluates an expression in the page; it is not true of one that is just being left.
func seen(t *testing.T, tab context.Context, expression string) (value bool) {
	t.Helper()

	asked, stop := context.WithTimeout(tab, wait)
	defer stop()

	err := chromedp.Run(asked, chromedp.Evaluate(expression, &value, chromedp.EvalAsValue))
	if err != nil && (strings.Contains(err.Error(), "navigated or closed") || strings.Contains(err.Error(), "context was destroyed") || strings.Contains(err.Error(), "Cannot find context")) {
		return false
	}

	if err != nil {
		t.Fatal(err)
	}

	return value
}

// become waits until an expression is true in the page.
func become(t *testing.T, tab context.Context, what, expression string) {
	t.Helper()

	for end := time.Now().Add(wait); ; {
		if seen(t, tab, `document.readyState === "complete" && !!(`+expression+")") {
			return
		}

		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}

		select {
		case <-t.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Every page on the narrowest phone: nothing has to be scrolled sideways, the policy
// keeps nothing from working, nothing breaks.
func TestEveryPageOnAPhone(t *testing.T) {
	t.Parallel()

	tab := surf(t, "")

	for _, scene := range []canned.Scene{canned.Full, canned.Failed, canned.Hostile, canned.Empty} {
		b := open(t, scene, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
		base, _ := b.listen()

		do(t, tab, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + b.token("admin")}),
			emulation.SetDeviceMetricsOverride(360, 740, 2, true))

		for name, path := range phonePages() {
			if scene == canned.Empty && name == "report-alone" {
				continue // there is none, which is told to programs
			}

			do(t, tab, chromedp.Navigate(base+path))

			if wide := told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
				t.Errorf("%s of the scene %s is %d pixels wide: %s", name, scene, wide, told[string](t, tab, widest))
			}

			if all := told[[]string](t, tab, "window.__noted"); len(all) > 0 {
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

type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML string `json:"html"`
	} `json:"nodes"`
}

// People who cannot see, or not well, or have no mouse get in: what axe-core calls
// serious or critical is on no page, in light and in dark.
func TestNobodyIsKeptOut(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
	base, _ := b.listen()
	tab := surf(t, b.token("admin"))

	for name, path := range phonePages() {
		do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), dressed("light"), chromedp.Navigate(base+path))
		look(t, tab, name, `{resultTypes: ["violations"], preload: false}`)
		do(t, tab, dressed("dark"))
		look(t, tab, name+" in the dark", `{resultTypes: ["violations"], preload: false, runOnly: ["color-contrast"]}`)
	}

	do(t, tab, chromedp.Navigate(base+"/"), chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	become(t, tab, "the palette", `document.querySelectorAll("dialog[open] li[id]").length > 10`)
	look(t, tab, "palette", `{resultTypes: ["violations"], preload: false}`)
}

func dressed(scheme string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}})
}

// look has axe look at the page that is open.
func look(t *testing.T, tab context.Context, name, options string) {
	t.Helper()

	if !told[bool](t, tab, "!!window.axe") {
		do(t, tab, chromedp.Evaluate(axe+";0", nil))
	}

	var found string

	do(t, tab, chromedp.Evaluate("axe.run(document, "+options+").then(r => JSON.stringify(r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 3).map(n => ({html: n.html}))}))))",
		&found, chromedp.EvalAsValue, awaited))

	var all []violation

	if err := json.Unmarshal([]byte(found), &all); err != nil {
		t.Fatal(err)
	}

	for _, v := range all {
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Errorf("%s: %s (%s): %+v", name, v.ID, v.Help, v.Nodes)
		}
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// rename gives the host of the scene another name, and tells of it.
func (b *bench) rename(name string) {
	b.t.Helper()

	seq, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		var host core.Host

		if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		host.Name = name

		return errors.Join(txn.Put(core.TableHost, string(canned.Host), host),
			txn.Emit(core.Event{Time: canned.Now(), Kind: core.EventHost, Host: canned.Host, Data: json.RawMessage(`{}`)}))
	})
	if err != nil {
		b.t.Fatal(err)
	}

	b.bell.Ring(seq)
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

	tab := surf(t, b.token("admin"))
	base := "http://" + addr

	do(t, tab, chromedp.ActionFunc(func(ctx context.Context) error { return answering(ctx, addr) }), chromedp.Navigate(base+"/?look=list"),
		chromedp.Evaluate(`window.same = 1; document.querySelector("input[value='52:54:00:00:00:13']").click(); document.querySelector("[type=search]").value = "typed"`, nil))
	become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

	b.rename("first-name")
	become(t, tab, "the first event", `document.body.textContent.includes("first-name")`)

	stop()

	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	become(t, tab, "the page to say so", `document.querySelector(".banner[data-on]")`)
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

	become(t, tab, "what happened meanwhile", `document.body.textContent.includes("second-name") && document.querySelector(".live").dataset.state === "on" && !document.querySelector(".banner[data-on]")`)

	b.rename("third-name")
	become(t, tab, "what happens now", `document.body.textContent.includes("third-name")`)

	if !told[bool](t, tab, `window.same === 1 && document.querySelector("input[value='52:54:00:00:00:13']").checked && document.querySelector("[type=search]").value === "typed" && document.querySelector("#picked").textContent === "1 host ticked"`) {
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
	tab := surf(t, b.token("admin"))

	do(t, tab, emulation.SetDeviceMetricsOverride(1200, 900, 1, false), chromedp.Navigate(base+"/"), chromedp.KeyEvent("jjx"))
	become(t, tab, "a tick by keys", `document.querySelectorAll(".tick :checked").length === 1 && document.activeElement.closest(".tile.at")`)
	do(t, tab, chromedp.KeyEvent("v"))
	become(t, tab, "the page of ticked hosts", `location.pathname === "/hosts/selected" && document.querySelector("h1").textContent === "1 host ticked"`)

	do(t, tab, chromedp.KeyEvent("g"), chromedp.KeyEvent("n"))
	become(t, tab, "the netboot page", `location.pathname === "/netboot"`)

	do(t, tab, chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	become(t, tab, "the palette", `document.querySelectorAll("dialog[open] li[id]").length > 10`)
	do(t, tab, chromedp.KeyEvent("r740 u19"))
	become(t, tab, "one choice", `document.querySelectorAll("dialog[open] li[id]").length === 1`)
	do(t, tab, chromedp.KeyEvent(kb.Enter))
	become(t, tab, "the host", `location.pathname === "/hosts/52:54:00:00:00:13"`)

	do(t, tab, chromedp.Navigate(base+"/runs/"+string(canned.MeasuredRun)), chromedp.ScrollIntoView("[data-plot]"))

	at := told[[]float64](t, tab, `(r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector("[data-plot]").getBoundingClientRect())`)
	do(t, tab, chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	become(t, tab, "the cursor of the plot", `/^34 °C at /.test(document.querySelector("[data-at]").textContent) && document.querySelector(".cursor")`)

	do(t, tab, chromedp.MouseEvent("mouseMoved", 1, 1))
	become(t, tab, "no cursor", `!document.querySelector(".cursor")`)
	do(t, tab, chromedp.Focus("[data-plot]"), chromedp.KeyEvent(kb.Home))
	become(t, tab, "the cursor at the left, by a key", `document.querySelector(".cursor").getAttribute("d").startsWith("M52.0 ")`)
	do(t, tab, chromedp.KeyEvent(kb.ArrowRight))
	become(t, tab, "the cursor one step on", `document.querySelector(".cursor").getAttribute("d").startsWith("M56.2 ")`)

	do(t, tab, chromedp.SetValue("#sift", "smart SDC"), chromedp.Evaluate(`document.getElementById("sift").dispatchEvent(new Event("input"))`, nil))

	if shown := told[int](t, tab, `[...document.querySelectorAll("#log span")].filter(l => l.checkVisibility()).length`); shown != 1 {
		t.Errorf("%d lines of the log fit, not 1", shown)
	}

	if all := told[[]string](t, tab, "window.__noted"); len(all) > 0 {
		t.Errorf("%s", strings.Join(all, "; "))
	}
}
