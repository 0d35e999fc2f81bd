package qr_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"vetting/ui/qr"
)

// The code has what a camera looks for: the three squares in its corners, dark on
// light, and four light modules around it all.
func TestTheQRCodeHasItsCornersAndItsQuietZone(t *testing.T) {
	t.Parallel()

	lines, err := qr.Lines("https://192.0.2.1:8443/setup?token=UE8FvtG1Gtgx-kfELYpgi2XbC8Z13z8SPjDIEW6LY20")
	if err != nil {
		t.Fatal(err)
	}

	var rows []string // "1" is light

	for _, line := range lines {
		upper := strings.NewReplacer("█", "1", "▀", "1", "▄", "0", " ", "0").Replace(line)
		lower := strings.NewReplacer("█", "1", "▀", "0", "▄", "1", " ", "0").Replace(line)
		rows = append(rows, upper, lower)
	}

	wide := utf8.RuneCountInString(lines[0])
	size := wide - 8

	if size < 21 || (size-17)%4 != 0 {
		t.Fatalf("%d modules are not the size of any QR code", size)
	}

	for y := range 4 {
		if rows[y] != strings.Repeat("1", wide) || rows[4+size+y] != strings.Repeat("1", wide) {
			t.Errorf("row %d above or below is not quiet", y)
		}
	}

	finder := []string{"0000000", "0111110", "0100010", "0100010", "0100010", "0111110", "0000000"}

	for y, want := range finder {
		top, bottom := rows[4+y], rows[4+size-7+y]
		if top[:4] != "1111" || top[4:11] != want || top[4+size-7:4+size] != want || bottom[4:11] != want {
			t.Errorf("row %d of the corners: %s, %s", y, top, bottom)
		}
	}
}
