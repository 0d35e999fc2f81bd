// Package halfblock draws black and white pictures with the half-block characters that
// terminals have (U+2580, U+2584, U+2588): two rows of the picture in a line.
package halfblock

import "strings"

// Lines draws a square of size by size modules with a margin of light ones around it.
// Light modules are blocks, so that the picture reads on a dark screen. dark is asked for
// modules from 0 to size-1 alone.
func Lines(size, margin int, dark func(x, y int) bool) []string {
	light := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return y < size+margin // the line below the last row shows nothing
		}

		return !dark(x, y)
	}

	var lines []string

	for y := -margin; y < size+margin; y += 2 {
		var line strings.Builder

		for x := -margin; x < size+margin; x++ {
			line.WriteRune(block(light(x, y), light(x, y+1)))
		}

		lines = append(lines, line.String())
	}

	return lines
}

func block(upper, lower bool) rune {
	switch {
	case upper && lower:
		return '█'
	case upper:
		return '▀'
	case lower:
		return '▄'
	default:
		return ' '
	}
}
