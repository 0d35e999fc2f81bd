package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"vetting/ui/qr"
)

// printQR draws text as a QR code for a phone to read, where a person sees it: on a
// terminal that is wide enough.
func printQR(out io.Writer, text string) {
	file, ok := out.(*os.File)
	if !ok {
		return
	}

	screen, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ) //nolint:gosec // a descriptor fits
	if err != nil {
		return // it is no terminal
	}

	lines, err := qr.Lines(text)
	if err != nil || int(screen.Col) < utf8.RuneCountInString(lines[0]) {
		return // the link itself stands above
	}

	fmt.Fprintf(out, "%s\n", strings.Join(lines, "\n"))
}
