package canned

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"time"

	"vetting/core"
)

// NoteID is the note about Host and its run.
const NoteID = string(Run)

// Picture is the photo of that note, a PNG.
func Picture() []byte {
	const width, height, step = 64, 48, 4

	img := image.NewRGBA(image.Rect(0, 0, width, height))

	for x := range width {
		for y := range height {
			img.Set(x, y, color.RGBA{R: uint8(x * step), G: uint8(y * step), B: width * 2, A: 255}) //nolint:gosec // they fit
		}
	}

	var out bytes.Buffer

	_ = png.Encode(&out, img) // to memory

	return out.Bytes()
}

// PictureSum is its SHA-256.
func PictureSum() string {
	sum := sha256.Sum256(Picture())

	return hex.EncodeToString(sum[:])
}

// noted writes notes about a host and its run.
func noted(txn core.Txn, r *row, scene Scene) error {
	photos := []core.Photo{
		{SHA256: PictureSum(), Type: "image/png", Size: int64(len(Picture())), Width: 64, Height: 48},
		{SHA256: PictureSum(), Type: "image/png", Size: 40960, Width: 4000, Height: 3000, GoneAt: Now().Add(-time.Hour)},
	}

	list := []core.Note{
		{ID: NoteID, By: "ruth", At: Now().Add(-2 * time.Hour), Run: r.run.ID, Text: "The left fan rattles.\nBay 5 has no light.", Photos: photos},
		{ID: string(id(91)), By: "otto", At: Now().Add(-26 * time.Hour), Text: "Came back from repair with another riser."},
	}

	for i := range list {
		list[i].Host = r.host.MAC
		if scene == Hostile {
			list[i].By, list[i].Text = Evil, Evil
		}

		if err := txn.Put(core.TableNote, core.NoteKey(r.host.MAC, list[i].ID), list[i]); err != nil {
			return err
		}
	}

	return nil
}
