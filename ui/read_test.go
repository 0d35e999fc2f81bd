package ui_test

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/makiuchi-d/gozxing/qrcode"

	"vetting/ui/browser"
	"vetting/ui/canned"
)

// TestAScannerReadsTheLabel has programs that nobody here wrote read the codes of a label
// as a browser draws it: the QR code leads to the run, the bars are the serial number.
func TestAScannerReadsTheLabel(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)
	base, _ := b.listen()
	tab := browser.Open(t, b.token("read"))

	for _, size := range []string{"62x29", "57x32", "89x36", "100x50"} {
		var shot []byte

		browser.Do(t, tab, emulation.SetDeviceMetricsOverride(600, 400, 4, false),
			chromedp.Navigate(base+"/labels?ids="+string(canned.Run)+"&size="+size), chromedp.Screenshot("svg", &shot, chromedp.ByQuery))

		drawn, err := png.Decode(bytes.NewReader(shot))
		if err != nil {
			t.Fatal(err)
		}

		if got, want := scan(t, drawn, qrcode.NewQRCodeReader()), b.URL()+"/runs/"+string(canned.Run); got != want {
			t.Errorf("%s: the QR code says %q, not %q", size, got, want)
		}

		if got, want := scan(t, drawn, oned.NewCode128Reader()), "7C9F1R3"; got != want {
			t.Errorf("%s: the bars say %q, not %q", size, got, want)
		}
	}
}

func scan(t *testing.T, drawn image.Image, reader gozxing.Reader) string {
	t.Helper()

	bits, err := gozxing.NewBinaryBitmapFromImage(drawn)
	if err != nil {
		t.Fatal(err)
	}

	read, err := reader.Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		t.Errorf("%T reads nothing: %v", reader, err)

		return ""
	}

	return read.GetText()
}
