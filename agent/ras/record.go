package ras

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Record is one message of the kernel's log.
type Record struct {
	Seq    uint64
	Micros uint64 // since the kernel started
	Level  int    // 0 emergency … 7 debug
	Kernel bool   // said by the kernel itself: nobody else can
	Text   string
}

// ParseRecord reads a record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg):
// "6,1234,567890,-;text" with further lines of its dictionary.
func ParseRecord(raw []byte) (r Record, ok bool) {
	head, rest, found := bytes.Cut(raw, []byte(";"))
	if !found {
		return r, false
	}

	words := strings.Split(string(head), ",")
	if len(words) < 3 {
		return r, false
	}

	priority, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil {
		return r, false
	}

	if r.Seq, err = strconv.ParseUint(words[1], 10, 64); err != nil {
		return r, false
	}

	if r.Micros, err = strconv.ParseUint(words[2], 10, 64); err != nil {
		return r, false
	}

	text, _, _ := bytes.Cut(rest, []byte("\n"))
	r.Level, r.Kernel, r.Text = int(priority&7), priority>>3 == 0, unescape(string(text))

	return r, true
}

// splitRecords parts records: each begins a line, and the lines of its dictionary
// begin with a blank. The device hands over one at a time, a copy of it many.
func splitRecords(raw []byte) (records [][]byte) {
	start := 0

	for i, c := range raw {
		if c == '\n' && (i+1 == len(raw) || raw[i+1] != ' ') {
			records = append(records, raw[start:i])
			start = i + 1
		}
	}

	if start < len(raw) {
		records = append(records, raw[start:])
	}

	return records
}

// unescape undoes \x1b, by which the kernel writes what is not printable; it
// becomes a blank.
func unescape(text string) string {
	var b strings.Builder

	for {
		before, after, found := strings.Cut(text, `\x`)
		b.WriteString(before)

		if !found {
			return printable(b.String())
		}

		if len(after) < 2 {
			b.WriteString(`\x` + after)

			return printable(b.String())
		}

		code, err := strconv.ParseUint(after[:2], 16, 8)

		switch {
		case err != nil:
			b.WriteString(`\x`)

			text = after

			continue
		case code >= ' ' && code < 0x7f:
			b.WriteByte(byte(code))
		case code >= 0x80:
			b.WriteByte(byte(code)) // of a UTF-8 sequence
		default:
			b.WriteByte(' ') // a control character
		}

		text = after[2:]
	}
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}

		return r
	}, strings.ToValidUTF8(text, "?"))
}

// String prints the record as dmesg(1) does.
func (r Record) String() string {
	const million = 1_000_000

	return fmt.Sprintf("<%d>[%5d.%06d] %s", r.Level, r.Micros/million, r.Micros%million, r.Text)
}
