// Package docs talks to people: it holds the pages of this folder, and copies of those
// that lie beside the code that they describe, so that the program that they are about can
// show them where there is no network. Files can be embedded from below a package alone;
// a test holds that the copies are true, and makes them anew with -update.
package docs

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed *.md beside/*.md
var pages embed.FS

// Page is one of them.
type Page struct {
	Topic string // the file's name without its ending: "operations"
	Title string // its first heading
	Text  string // Markdown
	path  string // in the repository
}

// Beside are the pages of other folders: where in the repository they lie, by topic.
func Beside() map[string]string {
	return map[string]string{
		"readme": "README.md", "changelog": "CHANGELOG.md", "store": "store/README.md", "netboot": "netboot/README.md",
		"boot-image": "initramfs/README.md", "agent-protocol": "agent/wire/PROTOCOL.md",
	}
}

// Pages returns all pages by topic.
func Pages() ([]Page, error) {
	names, err := fs.Glob(pages, "*.md")
	if err != nil {
		return nil, fmt.Errorf("listing the pages: %w", err)
	}

	all := make([]Page, 0, len(names)+len(Beside()))

	for _, name := range names {
		text, err := fs.ReadFile(pages, name)
		if err != nil {
			return nil, fmt.Errorf("reading a page: %w", err)
		}

		all = append(all, page(strings.TrimSuffix(name, ".md"), path.Join("docs", name), string(text)))
	}

	for topic, at := range Beside() {
		text, err := fs.ReadFile(pages, path.Join("beside", topic+".md"))
		if err != nil {
			return nil, fmt.Errorf("reading a page: %w", err)
		}

		all = append(all, page(topic, at, string(text)))
	}

	slices.SortFunc(all, func(a, b Page) int { return strings.Compare(a.Topic, b.Topic) })

	return all, nil
}

func page(topic, at, text string) Page {
	title, _, _ := strings.Cut(text, "\n")

	return Page{Topic: topic, Title: strings.TrimPrefix(title, "# "), Text: text, path: at}
}
