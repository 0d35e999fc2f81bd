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
