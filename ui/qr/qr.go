// Package qr draws QR codes for people to point a phone at.
package qr

import (
	"context"
	"fmt"
	"image/color"
	"io"
	"strings"

	"github.com/a-h/templ"
	"github.com/boombuler/barcode/qr"

	"vetting/core/halfblock"
)

// Quiet is how many modules stay light around a code.
const Quiet = 4

// Lines draws a QR code with the quiet zone that ISO/IEC 18004 asks for, two rows of
// modules a line: light ones are blocks, so that it reads on a dark terminal.
func Lines(text string) ([]string, error) {
	rows, err := Modules(text)
	if err != nil {
		return nil, err
	}

	return halfblock.Lines(len(rows), Quiet, func(x, y int) bool { return rows[y][x] == Dark }), nil
}

// Dark is how a dark module is written by Modules; a light one is a full stop.
const Dark = '#'

// Modules returns the rows of a QR code without its quiet zone, one letter a module.
func Modules(text string) ([]string, error) {
	code, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}

	size := code.Bounds().Dx()
	rows := make([]string, size)

	for y := range size {
		row := []byte(strings.Repeat(".", size))

		for x := range size {
			if code.At(x, y) != color.White {
				row[x] = Dark
			}
		}

		rows[y] = string(row)
	}

	return rows, nil
}

// Path draws a QR code as the data of an SVG path, a box for every stretch of dark modules,
// one unit each, in a square of size by size units with the quiet zone.
func Path(text string) (data string, size int, err error) {
	code, err := qr.Encode(text, qr.M, qr.Unicode)
	if err != nil {
		return "", 0, fmt.Errorf("drawing a QR code: %w", err)
	}

	side := code.Bounds().Dx()

	var path strings.Builder

	for y := range side {
		for x := 0; x < side; x++ {
			from := x
			for x < side && code.At(x, y) != color.White {
				x++
			}

			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+Quiet, y+Quiet, x-from, x-from)
			}
		}
	}

	return path.String(), side + 2*Quiet, nil
}

// Show draws a QR code of text as a square of side pixels, dark on light whatever the page
// is. about says to those who do not see it where it leads.
func Show(text, about string, side int) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		data, size, err := Path(text)
		if err != nil {
			return err
		}

		_, err = fmt.Fprintf(w, `<svg class="qr" role="img" aria-label="%s" viewBox="0 0 %[2]d %[2]d" width="%[3]d" height="%[3]d"><path d="M0 0h%[2]dv%[2]dH0z" fill="#fff"></path><path d="%[4]s" fill="#000" shape-rendering="crispEdges"></path></svg>`,
			templ.EscapeString(about), size, side, data)

		return err
	})
}
