// Package qr draws QR codes for people to point a phone at.
package qr

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"

	"vetting/core/halfblock"
)

// Lines draws a QR code with the quiet zone that ISO/IEC 18004 asks for, two rows of
// modules a line: light ones are blocks, so that it reads on a dark terminal.
func Lines(text string) ([]string, error) {
	const quiet = 4

	rows, err := Modules(text)
	if err != nil {
		return nil, err
	}

	return halfblock.Lines(len(rows), quiet, func(x, y int) bool { return rows[y][x] == Dark }), nil
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

// Path draws a QR code as the data of an SVG path of its dark modules, one unit each,
// in a square of size by size units with the quiet zone.
func Path(text string) (data string, size int, err error) {
	const quiet = 4

	code, err := qr.Encode(text, qr.M, qr.Unicode)
	if err != nil {
		return "", 0, fmt.Errorf("drawing a QR code: %w", err)
	}

	side := code.Bounds().Dx()

	var path strings.Builder

	for y := range side {
		for x := range side {
			if code.At(x, y) != color.White {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}

	return path.String(), side + 2*quiet, nil
}
