package ui_test

import (
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"vetting/core"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// twice clicks, and once the page was merged while the answer is awaited, clicks again, and
// tells of that by another order: nobody can ask a page that is about to be left.
const twice = `(() => {
	window.first = true;
	addEventListener("submit", e => sessionStorage.setItem("stopped", e.defaultPrevented));
	document.getElementById("retry").click();
	const wait = setInterval(() => {
		const again = document.getElementById("retry");
		if (!document.getElementById("run-head").textContent.includes("merged") || again.disabled) return;
		clearInterval(wait);
		again.click();
		fetch("` + "/hosts/" + string(canned.Host) + `/power", { method: "POST", body: new URLSearchParams({ op: "locate" }) });
	}, 20);
})()`

// A form whose answer takes its time is not sent a second time by a hand that clicks again,
// also where the page was merged meanwhile and its buttons are as new.
func TestAFormIsNotSentAgainByASecondClick(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	ordered, answer := atomic.Int32{}, make(chan struct{})

	b.commands.OnRun = func(string, core.RunID) (core.Run, error) {
		ordered.Add(1)
		<-answer

		return core.Run{ID: canned.Run}, nil
	}

	clicked := atomic.Bool{}
	b.commands.OnPower = func(core.MAC, core.PowerOp) (core.PowerState, error) {
		clicked.Store(true)

		return "", nil
	}

	base, _ := b.listen()
	tab := browser.Open(t, b.token("admin"))

	b.hold()
	browser.Do(t, tab, chromedp.Navigate(base+"/runs/"+string(canned.Run)))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on" && document.getElementById("retry")`)
	browser.Do(t, tab, chromedp.Evaluate(twice, nil))
	await(t, "the order", func() bool { return ordered.Load() == 1 })
	b.write(func(txn core.Txn) error {
		return alter(txn, core.TableHost, string(canned.Host), func(h *core.Host) { h.Quarantine = "merged" })
	})
	await(t, "the second click", clicked.Load)

	close(answer)
	browser.Become(t, tab, "the answer", `document.readyState === "complete" && !window.first`)

	if stopped := browser.Told[string](t, tab, `sessionStorage.getItem("stopped")`); stopped != "true" || ordered.Load() != 1 {
		t.Errorf("the form was sent again (%q); %d orders", stopped, ordered.Load())
	}
}
