package halfblock_test

import (
	"slices"
	"testing"

	"vetting/core/halfblock"
)

func TestLines(t *testing.T) {
	t.Parallel()

	chess := func(x, y int) bool { return (x+y)%2 == 0 }
	want := []string{
		"█▀█▀█", // the margin, and the first row: dark, light, dark
		"█▀▄▀█",
		"▀▀▀▀▀",
	}

	if got := halfblock.Lines(3, 1, chess); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
