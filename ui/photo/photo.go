package photo

import (
	"bytes"
	"fmt"

	"vetting/core"
	"vetting/core/problem"
)

// Bounds of a photo.
const (
	MaxBytes  = 12 << 20
	maxSide   = 16384
	maxPixels = 120 << 20 // what browsers of phones still draw
)

// Photo is a photo that is fit to be kept.
type Photo struct {
	Type          string // "image/jpeg", "image/png" or "image/webp"
	Data          []byte
	Width, Height int // as it is stored, before it is turned
}

// Clean reads a photo and leaves out what is not the picture. An error is a *core.Problem
// of kind ErrInvalid.
func Clean(data []byte) (Photo, error) {
	if len(data) > MaxBytes {
		return Photo{}, bad(fmt.Sprintf("The photo has %d MiB; %d are the most that is kept.", len(data)>>20, MaxBytes>>20))
	}

	var (
		made Photo
		err  error
	)

	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xd8, 0xff}):
		made, err = jpeg(data)
	case bytes.HasPrefix(data, []byte(pngMagic)):
		made, err = png(data)
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		made, err = webp(data)
	default:
		return Photo{}, bad("This is no photo that can be kept: take JPEG, PNG or WebP.")
	}

	if err != nil {
		return Photo{}, bad("The photo is damaged or of a kind that is not kept: " + err.Error() + ".")
	}

	if made.Width < 1 || made.Height < 1 || made.Width > maxSide || made.Height > maxSide || made.Width*made.Height > maxPixels {
		return Photo{}, bad(fmt.Sprintf("The photo says that it has %d by %d pixels, which is not kept.", made.Width, made.Height))
	}

	return made, nil
}

func bad(sentence string) error { return core.NewProblem(core.ErrInvalid, problem.NotePhoto, sentence) }
