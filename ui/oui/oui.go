// Package oui tells to whom the IEEE Registration Authority gave a MAC address: the
// maker of a network port, which is often that of the machine. The tables are those of
// Debian's package ieee-data, public domain, packed by gather; what they do not have is
// not known, and nothing is asked on a network.
package oui

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"sort"
	"strings"
	"sync"

	"vetting/core"
)

// Source says where the tables come from.
const Source = "Debian ieee-data 20240722"

//go:embed table.gz
var packed []byte

// table is lines "001B21\tIntel Corporate\n", by their digits: blocks of 24, 28 and 36
// bits. It is unpacked when somebody asks first, and searched as it is: as a map it would
// take ten times the memory.
var table = sync.OnceValue(func() string { //nolint:gochecknoglobals // what is embedded, unpacked
	in, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return ""
	}

	text, err := io.ReadAll(in)
	if err != nil {
		return ""
	}

	return string(text)
})

// Maker returns to whom the block of an address was given, the smallest that is known;
// empty: nobody. Addresses that were made up (the second lowest bit of the first byte is
// set, as virtual machines have them) were given to nobody. Safe for concurrent use.
func Maker(mac core.MAC) string {
	digits := strings.ToUpper(strings.ReplaceAll(string(mac), ":", ""))
	if len(digits) != 12 || MadeUp(mac) {
		return ""
	}

	for _, n := range []int{9, 7, 6} {
		if maker, ok := find(digits[:n]); ok {
			return maker
		}
	}

	return ""
}

// MadeUp reports whether an address is administered locally (IEEE 802c): no maker gave it.
func MadeUp(mac core.MAC) bool {
	return len(mac) > 1 && strings.ContainsRune("2367abef", rune(mac[1]))
}

// find looks the line of a block up.
func find(digits string) (maker string, ok bool) {
	text := table()

	// lineAt returns the start of the line that the byte i is in.
	lineAt := func(i int) int { return strings.LastIndexByte(text[:i], '\n') + 1 }

	i := sort.Search(len(text), func(i int) bool {
		line := text[lineAt(i):]
		key, _, _ := strings.Cut(line, "\t")

		return key >= digits
	})
	if i >= len(text) {
		return "", false
	}

	line, _, _ := strings.Cut(text[lineAt(i):], "\n")
	key, maker, _ := strings.Cut(line, "\t")

	return maker, key == digits
}
