// Package vetting holds the pages that lie beside the code that they describe, so that
// the program can show them where there is no network; see package docs.
package vetting

import "embed"

// Pages are Markdown, by their path in the repository.
//
//go:embed README.md CHANGELOG.md store/README.md netboot/README.md initramfs/README.md agent/wire/PROTOCOL.md
var Pages embed.FS
