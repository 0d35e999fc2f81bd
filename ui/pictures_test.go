package ui_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// TestPictures takes pictures of every page of every scene, on a phone and on a desk, in
// light and in dark, for the documentation and for whoever looks at them: make screenshots.
func TestPictures(t *testing.T) {
	folder := os.Getenv("VETTING_PICTURES")
	if folder == "" {
		t.Skip("make screenshots takes pictures")
	}

	for _, scene := range append(scenes(), canned.Disks, canned.Long) {
		b := open(t, scene, func(cfg *ui.Config) { cfg.Counts.Slots = func() int { return 3 } })
		base, _ := b.listen()
		tab := browser.Open(t, b.token("admin"))

		for name, path := range phonePages() {
			for size, wide := range map[string]int64{"phone": 360, "desk": 1280} {
				for _, scheme := range []string{"light", "dark"} {
					var (
						shot []byte
						tall int64
					)

					browser.Do(t, tab, emulation.SetDeviceMetricsOverride(wide, 900, 1, size == "phone"), dressed(scheme), chromedp.Navigate(base+path),
						chromedp.Evaluate("document.documentElement.scrollHeight", &tall))

					// What is out of sight is not drawn (content-visibility): have all of it in sight.
					browser.Do(t, tab, emulation.SetDeviceMetricsOverride(wide, max(tall, 900), 1, size == "phone"), chromedp.CaptureScreenshot(&shot))

					if err := os.WriteFile(filepath.Join(folder, string(scene)+"-"+name+"-"+size+"-"+scheme+".png"), shot, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
