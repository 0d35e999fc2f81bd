// Command gather packs the tables of Debian's package ieee-data for package oui:
//
//	dpkg-deb -x ieee-data_20240722_all.deb /tmp/x
//	go run ./ui/oui/gather /tmp/x/usr/share/ieee-data ui/oui/table.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// longest bounds the name of a maker.
const longest = 60

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: gather FOLDER FILE")
		os.Exit(2)
	}

	if err := gather(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func gather(folder, file string) error {
	var lines []string

	for _, name := range []string{"oui.csv", "mam.csv", "oui36.csv", "iab.csv"} {
		more, err := read(filepath.Join(folder, name))
		if err != nil {
			return err
		}

		lines = append(lines, more...)
	}

	slices.Sort(lines)
	lines = slices.CompactFunc(lines, func(a, b string) bool { return before(a) == before(b) })

	var out bytes.Buffer

	packer, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}

	if _, err = packer.Write([]byte(strings.Join(lines, ""))); err == nil {
		err = packer.Close()
	}

	if err != nil {
		return fmt.Errorf("packing: %w", err)
	}

	return os.WriteFile(file, out.Bytes(), 0o644) //nolint:gosec // a source file, which everybody may read
}

// before is the digits of a line.
func before(line string) string {
	digits, _, _ := strings.Cut(line, "\t")

	return digits
}

// read reads a table: registry, digits, name, address.
func read(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	defer file.Close()

	in := csv.NewReader(file)
	in.FieldsPerRecord = -1

	rows, err := in.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}

	var lines []string

	for _, row := range rows[1:] {
		digits, name := strings.ToUpper(strings.TrimSpace(row[1])), strings.Join(strings.Fields(row[2]), " ")
		// A block that the IEEE keeps is given away in smaller ones; what of it is in none
		// of them has no maker.
		if strings.Trim(digits, "0123456789ABCDEF") != "" || name == "" || strings.EqualFold(name, "IEEE Registration Authority") || name == "Private" {
			continue
		}

		if letters := []rune(name); len(letters) > longest {
			name = strings.TrimSpace(string(letters[:longest])) + "…"
		}

		lines = append(lines, digits+"\t"+name+"\n")
	}

	return lines, nil
}
