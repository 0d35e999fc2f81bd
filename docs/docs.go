// Package docs talks to people: it holds the pages of this folder, so that the program
// that they describe can show them where there is no network.
package docs

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.md
var pages embed.FS

// Page is one of them.
type Page struct {
	Topic string // the file's name without its ending: "operations"
	Title string // its first heading
	Text  string // Markdown
}

// Pages returns all pages by topic.
func Pages() ([]Page, error) {
	names, err := fs.Glob(pages, "*.md")
	if err != nil {
		return nil, err
	}

	all := make([]Page, 0, len(names))

	for _, name := range names {
		text, err := fs.ReadFile(pages, name)
		if err != nil {
			return nil, err
		}

		title, _, _ := strings.Cut(string(text), "\n")
		all = append(all, Page{Topic: strings.TrimSuffix(path.Base(name), ".md"), Title: strings.TrimPrefix(title, "# "), Text: string(text)})
	}

	return all, nil
}
