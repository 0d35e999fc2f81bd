package main

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// common are licences as they lie in /usr/share/common-licenses of Debian 12: the
// copyright files of packages only name them.
//
//go:embed common
var common embed.FS //nolint:gochecknoglobals // embedded, never changed

// withCommon returns a Debian copyright file with the licences that it names
// behind it. Where it names the GPL without a version, Debian has version 3.
func withCommon(copyright string) (string, error) {
	var named []string

	for _, found := range regexp.MustCompile(`/common-licenses/([A-Za-z0-9]+(?:-[0-9.]*[0-9])?)`).FindAllStringSubmatch(copyright, -1) {
		name := found[1]
		if name == "GPL" {
			name = "GPL-3"
		}

		if !slices.Contains(named, name) {
			named = append(named, name)
		}
	}

	slices.Sort(named)

	var all strings.Builder

	all.WriteString(copyright)

	for _, name := range named {
		text, err := fs.ReadFile(common, "common/"+name)
		if err != nil {
			return "", fmt.Errorf("looking for a licence: %w; copy it from /usr/share/common-licenses into initramfs/build/common", err)
		}

		fmt.Fprintf(&all, "\n\n==== /usr/share/common-licenses/%s ====\n\n%s", name, text)
	}

	return all.String(), nil
}
