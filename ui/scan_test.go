package ui_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

// camera is a browser that has a camera and reads codes: this one sees a label of a host.
const camera = `
Object.defineProperty(navigator, "mediaDevices", { value: { getUserMedia: async asked => {
	window.facing = asked.video.facingMode;
	const drawn = document.createElement("canvas");
	drawn.getContext("2d").fillRect(0, 0, 9, 9);
	return drawn.captureStream(5);
} } });
window.BarcodeDetector = class { async detect(video) { return video.hidden || !window.facing ? [] : [{ rawValue: "CN7C9F1R13" }]; } };`

// A phone reads a code with its camera and is led to the host; where a browser cannot, the
// page has words and a field instead.
func TestACodeIsReadWithTheCamera(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("read"))

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true), chromedp.Navigate(base+"/scan"))

	if !browser.Seen(t, tab, `!document.querySelector("#camera").checkVisibility() && document.querySelector("#q").checkVisibility()`) {
		t.Error("a browser that reads no codes offers to")
	}

	browser.Do(t, tab, chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := page.AddScriptToEvaluateOnNewDocument(camera).Do(ctx)

		return err
	}), chromedp.Navigate(base+"/scan"), chromedp.Click("#look"))
	browser.Become(t, tab, "the host that the code is of", `location.pathname === "/hosts/52:54:00:00:00:13"`)
}

func TestACodeLeadsToWhatItIsOf(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	auth := "Bearer " + b.token("read")

	for code, want := range map[string]string{
		"https://elsewhere.example:8443/runs/" + string(canned.Run): "/runs/" + string(canned.Run),
		"https://10.77.0.1/h/CN7C9F1R13":                            "/h/CN7C9F1R13",
		"https://appliance/hosts/52:54:00:00:00:13?x=1#y":           "/hosts/52:54:00:00:00:13",
		" CN7C9F1R13 ":          "/h/CN7C9F1R13",
		"rack 3/u19":            "/h/rack%203%2Fu19",
		"https://evil.example/": "/h/https:%2F%2Fevil.example%2F",
		"https://evil.example/runs/../..//evil.example": "/h/https:%2F%2Fevil.example%2Fruns%2F..%2F..%2F%2Fevil.example",
		"//evil.example/runs//evil.example":             "/runs/evil.example",
		"https://appliance/runs/\r\nSet-Cookie: a=b":    "/h/https:%2F%2Fappliance%2Fruns%2F%0D%0ASet-Cookie:%20a=b",
	} {
		got := b.ask("GET", "/scan?q="+url.QueryEscape(code), "", "Authorization", auth)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%q: %d, leads to %q, want %q", code, got.status, got.header.Get("Location"), want)
		}
	}

	// The camera is let in on this page alone.
	for path, want := range map[string]string{"/scan": "camera=(self),", "/hosts": "camera=(),"} {
		if got := b.ask("GET", path, "", "Authorization", auth); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Permissions-Policy"), want) {
			t.Errorf("%s: %d, %q", path, got.status, got.header.Get("Permissions-Policy"))
		}
	}
}

// Addresses as people write them lead to where the forms of a report and the wallboard are.
func TestReportsAndWallboardAreFoundByTheirPlainAddresses(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	secret := b.token("read")
	auth, run := "Bearer "+secret, "/runs/"+string(canned.Run)

	for _, form := range []string{"json", "html", "csv", "ocp.jsonl", "junit.xml"} {
		got := b.ask("GET", run+"/report."+form, "", "Authorization", auth)
		if want := "/api/v1" + run + "/report." + form; got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("%s: %d, leads to %q", form, got.status, got.header.Get("Location"))
		}

		if got := b.ask("GET", "/api/v1"+run+"/report."+form, "", "Authorization", auth); got.status != http.StatusOK {
			t.Errorf("%s: %d", form, got.status)
		}
	}

	got := b.ask("GET", "/wall/"+secret, "")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/wall?token="+secret {
		t.Errorf("the wallboard: %d, leads to %q", got.status, got.header.Get("Location"))
	}
}
