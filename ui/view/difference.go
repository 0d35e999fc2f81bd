package view

import (
	"slices"
	"strings"
)

// mostCompared bounds the lines of texts that are compared line by line.
const mostCompared = 1000

// changedLine is a line of a text that differs from another: '+' was added, '-' was
// taken away, ' ' stayed.
type changedLine struct {
	Sign byte
	Text string
}

func (l changedLine) class() string {
	switch l.Sign {
	case '+':
		return "add"
	case '-':
		return "drop"
	default:
		return ""
	}
}

func (l changedLine) line() string { return string(l.Sign) + " " + l.Text + "\n" }

// difference compares two texts line by line, by the longest lines they have in common.
// Nil where they are the same, or too long for a person to compare.
func difference(before, after string) (all []changedLine) {
	a, b := strings.Split(strings.TrimRight(before, "\n"), "\n"), strings.Split(strings.TrimRight(after, "\n"), "\n")
	if slices.Equal(a, b) || len(a) > mostCompared || len(b) > mostCompared {
		return nil
	}

	// common[i][j] is how many lines a[i:] and b[j:] have in common.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}

	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}

	i, j := 0, 0

	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			all = append(all, changedLine{' ', a[i]})
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			all = append(all, changedLine{'-', a[i]})
			i++
		default:
			all = append(all, changedLine{'+', b[j]})
			j++
		}
	}

	return all
}
