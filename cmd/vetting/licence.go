package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/initramfs"
	"vetting/ui/static"
)

func (c *cli) licensesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "licenses", Short: "Print every notice of the embedded software, with where its source is", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return writeLicences(c.out)
		},
	}
}

// writeLicences writes every notice of the console and of the boot image.
func writeLicences(out io.Writer) error {
	image, err := initramfs.Open()
	if err != nil {
		return err
	}

	all, err := image.Licences()
	if err != nil {
		return err
	}

	for _, name := range slices.Sorted(maps.Keys(static.Licences())) {
		text := static.Licences()[name]
		if _, err := fmt.Fprintf(out, "== %s\nin: the console\nlicence: %s\n%s\n\n", name, licenceName(text), text); err != nil {
			return err
		}
	}

	for _, l := range all {
		if _, err := fmt.Fprintf(out, "== %s %s\nin: %s\nlicence: %s\nsource: %s\n%s\n%s\n",
			l.Name, l.Version, strings.Join(l.Blobs, ", "), licenceName(l.Text), l.Source, shaLine(l.SHA256), l.Text); err != nil {
			return err
		}
	}

	return nil
}

func shaLine(sum string) string {
	if sum == "" {
		return ""
	}

	return "sha256: " + sum + "\n"
}

// licenceName names the licence of a text by words that only it has; where there
// are several, or words of its own, the text is to be read.
func licenceName(text string) string {
	words := strings.Join(strings.Fields(text), " ")

	var found []string

	for _, known := range []struct{ name, words string }{
		{"GPL", "GNU GENERAL PUBLIC LICENSE"},
		{"Apache-2.0", "Apache License Version 2.0, January 2004"},
		{"EPL-2.0 or EDL-1.0", "Eclipse Distribution License v1.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"BSD-3-Clause", "Neither the name of"},
		{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
		{"MIT", "Permission is hereby granted, free of charge"},
		{"CC0-1.0", "Creative Commons CC0 1.0 Universal"},
		{"ISC", "Permission to use, copy, modify, and/or distribute"},
	} {
		three := known.name == "BSD-2-Clause" && len(found) > 0 && found[len(found)-1] == "BSD-3-Clause"
		if strings.Contains(words, known.words) && !three {
			found = append(found, known.name)
		}
	}

	switch {
	case len(found) == 0:
		return "see the text"
	case found[0] == "GPL":
		return "GPL and others, see the text"
	default:
		return strings.Join(found, " and ")
	}
}
