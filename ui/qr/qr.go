// Package qr draws QR codes for people to point a phone at.
package qr

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// Lines draws a QR code with the quiet zone that ISO/IEC 18004 asks for, two rows of
// modules a line: light ones are blocks, so that it reads on a dark terminal.
func Lines(text string) ([]string, error) {
	const quiet = 4

	code, err := qr.Encode(text, qr.L, qr.Unicode)
	if err != nil {
		return nil, fmt.Errorf("drawing a QR code: %w", err)
	}

	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return y < size+quiet
		}

		return code.At(x, y) == color.White
	}

	var lines []string

	for y := -quiet; y < size+quiet; y += 2 {
		var line strings.Builder

		for x := -quiet; x < size+quiet; x++ {
			switch upper, lower := light(x, y), light(x, y+1); {
			case upper && lower:
				line.WriteString("█")
			case upper:
				line.WriteString("▀")
			case lower:
				line.WriteString("▄")
			default:
				line.WriteString(" ")
			}
		}

		lines = append(lines, line.String())
	}

	return lines, nil
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
