//go:build e2e && linux

package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
)

// pictureOf is what is on a machine's own screen. ENDURE_PICTURES names a folder that it is
// kept in as PNG, for people.
func pictureOf(t *testing.T, ctx context.Context, guest *lab.Guest, name string) *image.RGBA { //nolint:revive // t first, as everywhere here
	t.Helper()

	file := filepath.Join(t.TempDir(), "screen.ppm")
	if err := guest.Picture(ctx, file); err != nil {
		t.Fatal(err)
	}

	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}

	var width, height, most int
	if _, err := fmt.Fscanf(bytes.NewReader(raw), "P6\n%d %d\n%d\n", &width, &height, &most); err != nil || len(raw) < width*height*3 {
		t.Fatalf("a picture of %d bytes: %v", len(raw), err)
	}

	pixels := raw[len(raw)-width*height*3:]
	picture := image.NewRGBA(image.Rect(0, 0, width, height))

	for i := range width * height {
		picture.SetRGBA(i%width, i/width, color.RGBA{pixels[3*i], pixels[3*i+1], pixels[3*i+2], 255})
	}

	if dir := os.Getenv("ENDURE_PICTURES"); dir != "" {
		out, err := os.Create(filepath.Join(dir, name+".png"))
		if err = errors.Join(err, png.Encode(out, picture), out.Close()); err != nil {
			t.Error(err)
		}
	}

	return picture
}

// isLit wants something to be on a screen.
func isLit(t *testing.T, picture *image.RGBA) {
	t.Helper()

	if share, _ := inked(picture, func(c color.RGBA) bool { return c.R > 100 }); share < 0.005 {
		t.Errorf("%.2f %% of the screen are lit", 100*share)
	}
}

// inked is the share of a picture that has a colour, and where that is.
func inked(picture *image.RGBA, is func(color.RGBA) bool) (share float64, where image.Rectangle) {
	all, size := 0, picture.Bounds().Size()

	for y := range size.Y {
		for x := range size.X {
			if is(picture.RGBAAt(x, y)) {
				all++
				where = where.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}

	return float64(all) / float64(size.X*size.Y), where
}

// saysThatItFailed looks at the machine's own screen as a person in front of it does: red
// letters that are read from across the room, and a QR code that leads to the run.
func (s subject) saysThatItFailed(id core.RunID) {
	s.t.Helper()

	red := func(c color.RGBA) bool { return c.R > 150 && c.G < 110 && c.B < 110 }

	var (
		share, high float64
		read        string
		err         error
	)

	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Second) { // it is painted once a second
		picture := pictureOf(s.t, s.ctx, s.Guest, s.Name)
		size := picture.Bounds().Size()

		var where image.Rectangle

		share, where = inked(picture, red)
		high = float64(where.Dy()) / float64(size.Y)
		read, err = scanned(picture)

		if share > 0.02 && high > 0.25 && strings.HasSuffix(read, "/runs/"+string(id)) {
			s.t.Logf("the screen of %d by %d: %.1f %% of it red, %.0f %% of its height; the code says %s", size.X, size.Y, 100*share, 100*high, read)

			return
		}
	}

	s.t.Errorf("%.2f %% of the screen are red, %.0f %% of its height; the code says %q, %v", 100*share, 100*high, read, err)
}

// scanned is what a program that nobody here wrote reads in the QR code of a screen.
func scanned(picture image.Image) (string, error) {
	bits, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		return "", err
	}

	read, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return "", err
	}

	return read.GetText(), nil
}
