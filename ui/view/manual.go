package view

import (
	"strings"
	"unicode/utf8"
)

// ManualIndex lists the pages of the documentation, or those that something was found in.
type ManualIndex struct {
	Frame   Frame
	Sought  string
	Entries []ManualEntry
}

// ManualEntry is one page of the list.
type ManualEntry struct {
	Topic, Title string
	Lines        []string // in which the words were found
}

// Manual is a page of the documentation.
type Manual struct {
	Frame Frame
	Topic string
	HTML  string // comes with the program
}

// Bounds of what a search shows of one page.
const (
	mostLines = 3
	longest   = 240
)

// Sift returns the first lines of a page that have all words, whatever their case. A page
// that has the words on no one line is not found.
func Sift(page, words string) (lines []string) {
	sought := strings.Fields(strings.ToLower(words))
	if len(sought) == 0 {
		return nil
	}

	for line := range strings.Lines(page) {
		small := strings.ToLower(line)

		for _, word := range sought {
			if !strings.Contains(small, word) {
				small = ""

				break
			}
		}

		if small == "" {
			continue
		}

		lines = append(lines, shorten(strings.Trim(line, "|# \t\n`")))
		if len(lines) == mostLines {
			break
		}
	}

	return lines
}

// shorten cuts a line between two letters.
func shorten(line string) string {
	if len(line) <= longest {
		return line
	}

	end := longest
	for !utf8.RuneStart(line[end]) {
		end--
	}

	return line[:end] + " …"
}
