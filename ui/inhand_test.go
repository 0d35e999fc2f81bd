package ui_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// inHand is what a person may have in hand on a page; each is a selector, empty where the page
// has nothing of the kind.
type inHand struct {
	Focus  string `json:"focus"`  // what the keys go to
	Tick   string `json:"tick"`   // a box whose tick is changed, or a choice that is made
	Opened string `json:"opened"` // what is unfolded
	Inner  string `json:"inner"`  // what is scrolled by itself
	Read   string `json:"read"`   // whose text is selected, and stands in the middle of the window
}

// hands notes what a person has in hand, and tells what of it is lost.
const hands = `(() => {
	const $ = s => s ? document.querySelector(s) : null, calm = () => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
	const value = e => e.type === "checkbox" ? e.checked : e.value;
	window.take = async (p, doing) => {
		const has = Object.fromEntries(Object.entries(p).map(([k, s]) => [k, $(s)])), was = {};
		for (const k in p) if (p[k] && !has[k]) throw new Error(k + " is not on the page: " + p[k]);
		const sheet = new CSSStyleSheet();
		sheet.replaceSync((p.inner || "#none") + " { max-height: 60px; overflow: auto !important }");
		document.adoptedStyleSheets = [sheet];
		for (const d of document.querySelectorAll(p.opened || "#none")) d.open = true;
		if (has.tick && doing === "typing") { if (has.tick.type === "checkbox") has.tick.checked = !has.tick.checked; else has.tick.selectedIndex = 1; }
		if (has.tick) was.tick = value(has.tick);
		if (has.inner) { has.inner.scrollTop = 25; was.inner = has.inner.scrollTop; if (!was.inner) throw new Error("nothing to scroll in " + p.inner); }
		if (doing === "typing" && has.focus) {
			has.focus.focus();
			if (has.focus.setSelectionRange) { document.execCommand("insertText", false, "half a word"); has.focus.setSelectionRange(2, 6, "backward"); }
			if (document.activeElement !== has.focus) throw new Error("no focus: " + p.focus);
			was.label = has.focus.ariaLabel;
		}
		has.read.scrollIntoView({ block: "center" });
		if (doing === "reading") { document.activeElement.blur(); getSelection().selectAllChildren(has.read); was.words = getSelection().toString(); if (!was.words) throw new Error("nothing to read"); }
		await calm();
		was.top = has.read.getBoundingClientRect().top;
		if (!scrollY) throw new Error("the page is not scrolled");
		window.held = { p, doing, has, was };
	};
	window.lost = async () => {
		if (!window.held) return ["the page itself"];
		await calm();
		const { p, doing, has, was } = held, gone = [], a = document.activeElement;
		for (const k in has) if (has[k] && (!has[k].isConnected || k !== "read" && $(p[k]) !== has[k])) gone.push(k);
		if (has.opened && [...document.querySelectorAll(p.opened)].some(d => !d.open)) gone.push("what was unfolded");
		if (has.tick && value(has.tick) !== was.tick) gone.push("the tick");
		if (has.inner && has.inner.scrollTop !== was.inner) gone.push("where " + p.inner + " was scrolled to: " + has.inner.scrollTop);
		if (Math.abs(has.read.getBoundingClientRect().top - was.top) > 2) gone.push("the line that was read is elsewhere by " + (has.read.getBoundingClientRect().top - was.top));
		if (doing === "typing" && has.focus) {
			if (a !== has.focus || a.ariaLabel !== was.label) gone.push("the focus, which is on " + a.outerHTML.slice(0, 200));
			if (a.setSelectionRange && a.selectionStart + " " + a.selectionEnd + " " + a.selectionDirection + " " + a.value !== "2 6 backward half a word") gone.push("the caret or what was typed: " + a.selectionStart + " " + a.selectionEnd + " " + a.value);
		}
		if (doing === "reading" && getSelection().toString() !== was.words) gone.push("what was selected: " + getSelection());
		if (doing === "asking") {
			const d = document.querySelector("dialog[open]");
			if (!d || a !== d.querySelector("input") || a.value !== "rack3" || a.selectionStart !== 5) gone.push("the window over the page");
		}
		return gone;
	};
})()`

func settled(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// take has a person take a page into their hands, lost says what they have no longer.
func (h *inHand) take(t *testing.T, tab context.Context, doing string) { //nolint:revive // t first, as everywhere in tests
	t.Helper()

	about, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}

	browser.Do(t, tab, chromedp.Evaluate(fmt.Sprintf("take(%s, %q)", about, doing), nil, settled))

	if doing == "asking" {
		browser.Do(t, tab, chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
		browser.Become(t, tab, "the palette", `document.querySelectorAll("dialog[open] li[id]").length > 10`)
		browser.Do(t, tab, chromedp.KeyEvent("rack3"))
	}
}

func lost(t *testing.T, tab context.Context) (gone []string) { //nolint:revive // as above
	t.Helper()
	browser.Do(t, tab, chromedp.Evaluate("lost()", &gone, settled))

	return gone
}

// write changes the ledger, and tells of it as of the host of the scene and its run.
func (b *bench) write(change func(core.Txn) error) {
	b.t.Helper()

	seq, err := b.ledger.Update(b.t.Context(), func(txn core.Txn) error {
		told := core.Event{Time: canned.Now(), Kind: core.EventHost, Host: canned.Host, Data: json.RawMessage(`{}`)}
		ran := told
		ran.Kind, ran.Run = core.EventRun, canned.Run

		return errors.Join(change(txn), txn.Emit(told), txn.Emit(ran))
	})
	if err != nil {
		b.t.Fatal(err)
	}

	b.bell.Ring(seq)
}

// alter changes one record.
func alter[T any](txn core.Txn, table core.Table, key string, change func(*T)) error {
	var record T

	if err := txn.Get(table, key, &record); err != nil {
		return err
	}

	change(&record)

	return txn.Put(table, key, record)
}

// seenBoot adds a step that was seen now of a machine's boot.
func seenBoot(txn core.Txn, mac core.MAC, n int, detail string) error {
	var trace core.BootTrace

	if err := txn.Get(core.TableBoot, string(mac), &trace); err != nil && !errors.Is(err, core.ErrNotFound) {
		return err
	}

	trace.Steps = append(trace.Steps, core.BootStep{Time: canned.Now().Add(time.Duration(n) * time.Second), MAC: mac, Kind: "discover", Detail: detail})

	return txn.Put(core.TableBoot, string(mac), trace)
}

// newsOfHost renames a host, quarantines it, which puts a card above the rest of its page, and
// writes a note above the others.
func newsOfHost(txn core.Txn, n int, word string) error {
	id := fmt.Sprintf("01JD5X%020d", n)

	return errors.Join(
		alter(txn, core.TableHost, string(canned.Host), func(h *core.Host) { h.Name, h.Quarantine = word, "another board "+word }),
		txn.Put(core.TableNote, core.NoteKey(canned.Host, id), core.Note{ID: id, Host: canned.Host, By: "ada", At: canned.Now(), Text: word}),
		seenBoot(txn, canned.Host, n, word))
}

// newsOfRun lets the stage under way go on, and find something, which stands before what was
// found earlier.
func newsOfRun(txn core.Txn, n int, word string) error {
	return errors.Join(
		alter(txn, core.TableHost, string(canned.Host), func(h *core.Host) { h.Quarantine = word }),
		alter(txn, core.TableRun, string(canned.Run), func(r *core.Run) {
			for i := range r.Stages {
				if st := &r.Stages[i]; st.Phase == core.Active {
					st.Progress, st.SubStep = float64(70+n)/100, word
				}
			}

			r.Stages[0].Findings = append([]core.Finding{{Code: "inventory/" + word, Severity: core.Critical, Title: word, Evidence: word, Stage: core.InventoryCheck}}, r.Stages[0].Findings...)
		}),
		measuredNow(txn, n))
}

// measuredNow lets the machine of the run under way measure something.
func measuredNow(txn core.Txn, n int) error {
	batch := core.SampleBatch{Run: canned.Run, Epoch: 1, Seq: uint64(n), Stage: core.SMART, Attempt: 1} //nolint:gosec // small
	for i := range 10 {
		batch.Samples = append(batch.Samples, core.Sample{Time: canned.Now().Add(time.Duration(10*n+i-60) * time.Second), Key: "cpu/package0/temperature_celsius", Value: float64(40 + 5*n + i), Unit: "°C", Stage: core.SMART})
	}

	return txn.Put(core.TableSamples, fmt.Sprintf("%s/%06d/%012d", canned.Run, 1, n), batch)
}

// newsOfInbox lets a machine be heard that stands before the others, and an installed host ask
// for approval before the others.
func newsOfInbox(txn core.Txn, n int, word string) error {
	id := fmt.Sprintf("%032d", n)
	seen := core.Sighting{MAC: core.MAC(fmt.Sprintf("00:00:00:00:00:%02d", 10-n)), Vendor: word, Count: 1, FirstSeen: canned.Now(), LastSeen: canned.Now()}

	return errors.Join(
		txn.Put(core.TableSighting, string(seen.MAC), seen),
		txn.Put(core.TableHostKey, id, core.HostKey{ID: id, Host: canned.Host, HostName: word, State: core.HostKeyPending, Public: make([]byte, 32), Fingerprint: "SHA256:" + word, CreatedAt: canned.Now().Add(time.Duration(n) * time.Second)}))
}

func newsOfNetboot(txn core.Txn, n int, word string) error {
	return seenBoot(txn, core.MAC(fmt.Sprintf("00:00:00:00:00:%02d", n)), n, word)
}

func newsOfActivity(txn core.Txn, n int, word string) error {
	return errors.Join(
		alter(txn, core.TableRun, string(canned.Run), func(r *core.Run) { r.Stages[3].Progress = float64(70+n) / 100 }),
		core.WriteAudit(txn, core.Audit{Time: canned.Now().Add(time.Duration(n) * time.Second), Who: "ada", Action: "host.edit", Object: "host/" + string(canned.Host), Text: word}))
}

// A page that is merged with what has changed leaves a person what they have in hand: the
// focus and the caret, what they typed, ticked and unfolded, how far they scrolled, what they
// selected, and the window over the page. What has changed is there all the same.
func TestAMergeLeavesAPersonWhatTheyHaveInHand(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		path string
		hand inHand
		news func(txn core.Txn, n int, word string) error
	}{
		"host": {
			"/hosts/" + string(canned.Host), inHand{Focus: "#note-text", Tick: "#arm input", Opened: "#note-more, #arm, #boot-all, #confirm-note-" + canned.NoteID, Inner: "#boot-all .tw", Read: "#host-runs tbody a"}, newsOfHost,
		},
		"run": {
			"/runs/" + string(canned.Run), inHand{Focus: "#sift", Tick: "#follow", Opened: "#parts-SMART, #confirm-cancel", Inner: "#parts-SMART .tw", Read: "#run-findings .what"}, newsOfRun,
		},
		"inbox": {
			"/inbox", inHand{Focus: "[aria-label^='Revoke SHA256:2b']", Opened: "#ignored", Read: "[id='mac-b4:96:91:aa:01:02'] td"}, newsOfInbox,
		},
		"netboot": {
			"/netboot", inHand{Focus: "[id='boot-52:54:00:00:00:14'] summary", Opened: "#boot-steps, [id='boot-52:54:00:00:00:12']", Inner: "#boot-steps .tw", Read: "[id='boot-52:54:00:00:00:12'] tbody td"}, newsOfNetboot,
		},
		"activity": {
			"/activity", inHand{Focus: "[name=who]", Tick: "[name=result]", Opened: "#confirm-stop-" + string(canned.Run), Read: "#act tr[data-key] .wide"}, newsOfActivity,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := open(t, canned.Full, nil)
			base, _ := b.listen()
			tab := browser.Open(t, b.token("admin"))
			b.write(func(txn core.Txn) error { return measuredNow(txn, 0) })

			browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1100, 300, 1, false), quickPolls(), chromedp.Navigate(base+c.path), chromedp.Evaluate(hands, nil))
			browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

			for n, doing := range []string{"typing", "reading", "asking"} {
				word := "news-" + doing

				c.hand.take(t, tab, doing)
				b.write(func(txn core.Txn) error { return c.news(txn, n+1, word) })
				browser.Become(t, tab, word, fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, word))

				if gone := lost(t, tab); len(gone) > 0 {
					t.Errorf("%s: lost %s", doing, strings.Join(gone, "; "))
				}
			}

			if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
				t.Error(all)
			}
		})
	}
}

// quickPolls has pages ask for the plots again at once, not every five seconds.
func quickPolls() chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(`{ const wait = setTimeout; window.setTimeout = (f, ms, ...all) => wait(f, ms === 5000 ? 50 : ms, ...all); }`).Do(ctx)

		return err
	})
}

// The cursor of the plots stays where it is while the plots go on under it.
func TestTheCursorStaysWhileThePlotsGoOn(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	measure := func(n int) { b.write(func(txn core.Txn) error { return measuredNow(txn, n) }) }

	measure(0)
	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(1100, 900, 1, false), quickPolls(), chromedp.Navigate(base+"/runs/"+string(canned.Run)), chromedp.Focus("[data-plot]"), chromedp.KeyEvent(kb.Home+kb.ArrowRight))

	const cursor, line, told = `document.querySelector("[data-plot] .cursor")?.getAttribute("d")`, `document.querySelector("[data-plot] path.line").getAttribute("d")`, `document.querySelector("[data-at]").textContent`

	at := browser.Told[string](t, tab, cursor)
	if !strings.HasPrefix(at, "M56.2 ") {
		t.Fatalf("the cursor is at %q", at)
	}

	for n, how := range []string{"by keys", "by the mouse"} {
		if n == 1 {
			middle := browser.Told[[]float64](t, tab, `(document.activeElement.blur(), r => [r.left + r.width / 2, r.top + r.height / 2])(document.querySelector("[data-plot]").getBoundingClientRect())`)
			browser.Do(t, tab, chromedp.MouseEvent("mouseMoved", middle[0], middle[1]))
			browser.Become(t, tab, "the cursor in the middle", fmt.Sprintf("%s && %s !== %q", cursor, cursor, at))
			at = browser.Told[string](t, tab, cursor)
		}

		was := browser.Told[string](t, tab, line)

		measure(n + 1)
		browser.Become(t, tab, "what is measured now", fmt.Sprintf("%s !== %q", line, was))

		if now := browser.Told[string](t, tab, cursor+` || "nowhere"`); now != at || !strings.Contains(browser.Told[string](t, tab, told), " °C at ") {
			t.Errorf("%s: the cursor was at %s and is at %s, which tells %q", how, at, now, browser.Told[string](t, tab, told))
		}

		if n == 0 && !browser.Told[bool](t, tab, `document.activeElement.matches("[data-plot]")`) {
			t.Error("the plot has lost the focus")
		}
	}
}

// A part with a menu that somebody chooses from waits until they have chosen; one whose menu
// only has the focus does not wait.
func TestAPartWaitsOnlyWhileSomebodyChoosesFromItsMenu(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))
	news := func(n int, word string) { b.write(func(txn core.Txn) error { return newsOfActivity(txn, n, word) }) }

	browser.Do(t, tab, chromedp.Navigate(base+"/activity"), chromedp.Focus("[name=result]"))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)
	news(1, "first-news")
	browser.Become(t, tab, "what happens while the menu has the focus", `document.querySelector("#act").textContent.includes("first-news")`)

	const fetched = `performance.getEntriesByType("resource").filter(e => e.name.endsWith("/activity") && e.responseEnd > 0).length`

	before := browser.Told[int](t, tab, fetched)
	browser.Do(t, tab, chromedp.Evaluate(`document.querySelector("[name=result]").dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }))`, nil))

	for n := 1; n <= 2; n++ { // the first answer has been merged when the next is asked for
		news(n+1, fmt.Sprint("held-back-", n))
		browser.Become(t, tab, "the page to be fetched again", fmt.Sprintf("%s >= %d", fetched, before+n))
	}

	if browser.Told[bool](t, tab, `document.querySelector("#act").textContent.includes("held-back")`) {
		t.Error("the menu is changed under the hand that chooses from it")
	}

	browser.Do(t, tab, chromedp.SetValue("[name=result]", "refused"), chromedp.Evaluate(`document.querySelector("[name=result]").dispatchEvent(new Event("change", { bubbles: true }))`, nil))
	browser.Become(t, tab, "what waited", `document.querySelector("#act").textContent.includes("held-back-2") && document.querySelector("[name=result]").value === "refused"`)
}

// shown has a page believe that it is out of sight, or in sight again.
const shown = `(on => { Object.defineProperty(document, "hidden", { configurable: true, get: () => !on }); document.dispatchEvent(new Event("visibilitychange")); })`

// However a page comes back into sight, it shows what has happened meanwhile and goes on
// following, with what was typed into it; two pages of one browser follow side by side.
func TestAPageThatComesBackIntoSightCatchesUp(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	secret := b.token("admin")
	tab := browser.Open(t, secret)
	other := browser.Tab(t, tab)
	host, live := base+"/hosts/"+string(canned.Host), `document.querySelector(".live").dataset.state === "on"`
	named := func(name string) string {
		return fmt.Sprintf(`document.querySelector("h1").textContent.startsWith(%q)`, name)
	}

	for _, at := range []context.Context{tab, other} {
		browser.Do(t, at, network.SetExtraHTTPHeaders(network.Headers{"Authorization": "Bearer " + secret}), chromedp.Navigate(host), chromedp.Evaluate(`window.same = 1; document.querySelector("#note-text").value = "typed"`, nil))
		browser.Become(t, at, "the stream", live)
	}

	for name, way := range map[string]struct{ leave, back string }{
		"hidden":        {shown + "(false)", shown + "(true)"},
		"kept as it is": {`dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }))`, `dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))`},
	} {
		news := "news-" + strings.ReplaceAll(name, " ", "-")

		browser.Do(t, tab, chromedp.Evaluate(way.leave, nil))
		b.rename(news)
		browser.Become(t, other, "the news in the other page", named(news))

		if browser.Told[bool](t, tab, named(news)) {
			t.Errorf("%s: the page goes on following", name)
		}

		browser.Do(t, tab, chromedp.Evaluate(way.back, nil))
		browser.Become(t, tab, name+", the news", named(news)+" && "+live)
		b.rename(news + "-and-more")
		browser.Become(t, tab, name+", what happens now", named(news+"-and-more"))
	}

	if !browser.Told[bool](t, tab, `window.same === 1 && document.querySelector("#note-text").value === "typed"`) {
		t.Error("the page was loaded anew, or what was typed is lost")
	}

	for range 12 { // each has a stream of its own; there may be eight
		browser.Do(t, tab, chromedp.Navigate(base+"/inbox"))
		browser.Become(t, tab, "the stream", live)
	}

	b.rename("news-for-others")
	browser.Become(t, other, "the news after the other page went from page to page", named("news-for-others")+" && "+live)
	browser.Do(t, tab, chromedp.Navigate(host))
	browser.Become(t, tab, "the stream", live)
	browser.Do(t, tab, chromedp.Navigate(base+"/docs"))
	b.rename("meanwhile")
	browser.Do(t, tab, chromedp.NavigateBack())
	browser.Become(t, tab, "back in the history, the news", named("meanwhile")+" && "+live)
	b.rename("from-now-on")
	browser.Become(t, tab, "back in the history, what happens now", named("from-now-on"))
}
