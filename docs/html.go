package docs

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// HTML writes the page for a console that serves the pages below base, as in
// "/docs/operations". Links lead to other pages there, or out; what is not served (code,
// pictures) is named and not linked. It holds no scripts, styles or raw HTML, so that the
// strictest policy shows it.
func (p *Page) HTML(base string) (string, error) {
	topics := map[string]string{}

	all, err := Pages()
	if err != nil {
		return "", err
	}

	for i := range all {
		topics[all[i].path] = all[i].Topic
	}

	writer := goldmark.New(
		goldmark.WithExtensions(extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute)), extension.Linkify),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(&leading{base: base, from: p.path, topics: topics}, 100))),
	)

	var out bytes.Buffer
	if err := writer.Convert([]byte(p.Text), &out); err != nil {
		return "", fmt.Errorf("writing the page %s: %w", p.Topic, err)
	}

	return reachable.Replace(out.String()), nil
}

// reachable lets people without a mouse scroll what is wider than their screen. What a page
// says is no tag: it is escaped.
var reachable = strings.NewReplacer("<pre>", `<pre tabindex="0">`, "<table>", `<table tabindex="0">`) //nolint:gochecknoglobals // never changes

// leading has links lead to where the pages are served.
type leading struct {
	base, from string
	topics     map[string]string // by path in the repository
}

// Transform is of parser.ASTTransformer.
func (l *leading) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	var links, gone []ast.Node

	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // it returns what we return
		switch n := n.(type) {
		case *ast.Link:
			if entering && !l.turn(n) {
				links = append(links, n)
			}
		case *ast.Image, *ast.HTMLBlock, *ast.RawHTML:
			if entering {
				gone = append(gone, n)
			}
		}

		return ast.WalkContinue, nil
	})

	// What a link says stays where the link goes.
	for _, n := range links {
		for child := n.FirstChild(); child != nil; child = n.FirstChild() {
			n.Parent().InsertBefore(n.Parent(), n, child)
		}

		gone = append(gone, n)
	}

	for _, n := range gone {
		n.Parent().RemoveChild(n.Parent(), n)
	}
}

// turn has a link lead to where its page is served; false: nowhere.
func (l *leading) turn(link *ast.Link) bool {
	to := string(link.Destination)
	if strings.Contains(to, "://") || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "mailto:") {
		return true
	}

	file, fragment, marked := strings.Cut(to, "#")

	topic, ok := l.topics[path.Join(path.Dir(l.from), file)]
	if !ok {
		return false
	}

	to = l.base + "/" + topic
	if marked {
		to += "#" + fragment
	}

	link.Destination = []byte(to)

	return true
}
