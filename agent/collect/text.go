package collect

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The text form of a tree, one line for each file, so that people can read, write
// and compare machines:
//
//	/sys/class/net            a folder; what follows is in it
//	lo -> ../../devices/...   a symbolic link
//	type = 1                  a file of one line
//	mask = "1"                a file whose last line does not end, or with odd characters, as in Go
//	flags =                   an empty file
//	meminfo |                 a file of many lines, which follow, each after a bar
//	config #                  a file of bytes, which follow in hex, each line after a bar
//	speed ! invalid argument  a file that could not be read, and why
//
// Lines of a bar belong to the file above them. Empty lines and lines that begin
// with "# " are for the reader. A blank or a percent sign in a name is written as
// in an URL.
const (
	markOne   = " ="
	markMany  = " |"
	markHex   = " #"
	markLink  = " -> "
	markFault = " ! "
	hexWidth  = 32 // bytes in a line
	maxText   = 64 << 20
)

// ParseTree reads a tree in its text form.
func ParseTree(r io.Reader) (*Tree, error) {
	p := &treeParser{tree: NewTree(), dir: "."}
	lines := bufio.NewScanner(io.LimitReader(r, maxText))
	lines.Buffer(nil, 4<<20)
	lines.Split(atLineEnd)

	for n := 1; lines.Scan(); n++ {
		if err := p.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("reading tree, line %d: %w", n, err)
		}
	}

	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading tree: %w", err)
	}

	return p.tree, p.end()
}

// atLineEnd is bufio.ScanLines that leaves carriage returns where they are: a name may
// end with one.
func atLineEnd(data []byte, last bool) (advance int, line []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}

	if last && len(data) > 0 {
		return len(data), data, nil
	}

	return 0, nil, nil
}

type treeParser struct {
	tree *Tree
	dir  string
	name string // of the file whose lines follow; empty: none
	hex  bool
	text []byte
}

func (p *treeParser) line(line string) error {
	if rest, ok := strings.CutPrefix(line, "|"); ok {
		return p.more(rest)
	}

	if err := p.end(); err != nil {
		return err
	}

	switch {
	case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "# "):
		return nil
	case strings.HasPrefix(line, "/"):
		p.dir = path.Clean(unescape(line[1:]))

		return p.tree.Folder(p.dir)
	}

	return p.entry(line)
}

// more adds a line to the file above.
func (p *treeParser) more(rest string) error {
	if p.name == "" {
		return errors.New("a line that belongs to no file")
	}

	if !p.hex {
		p.text = append(append(p.text, rest...), '\n')

		return nil
	}

	raw, err := hex.DecodeString(rest)
	p.text = append(p.text, raw...)

	return err
}

// end writes the file whose lines are complete.
func (p *treeParser) end() error {
	if p.name == "" {
		return nil
	}

	name, text := p.name, p.text
	p.name, p.text = "", nil

	return p.tree.Put(name, text)
}

func (p *treeParser) entry(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	full := path.Join(p.dir, unescape(name))
	rest = " " + rest

	if target, ok := strings.CutPrefix(rest, markLink); ok {
		return p.tree.Link(full, target)
	}

	if fault, ok := strings.CutPrefix(rest, markFault); ok {
		return p.tree.Fail(full, fault)
	}

	switch rest {
	case markOne:
		return p.tree.Put(full, nil)
	case markMany, markHex:
		p.name, p.hex = full, rest == markHex

		return nil
	}

	text, ok := strings.CutPrefix(rest, markOne+" ")
	if !ok {
		return fmt.Errorf("%q is no file, link or folder", line)
	}

	if strings.HasPrefix(text, `"`) {
		plain, err := strconv.Unquote(text)
		if err != nil {
			return fmt.Errorf("%q is not quoted well: %w", text, err)
		}

		return p.tree.Put(full, []byte(plain))
	}

	return p.tree.Put(full, []byte(text+"\n"))
}

// WriteText prints the tree, folder by folder.
func (t *Tree) WriteText(w io.Writer) error {
	t.mu.RLock()
	defer t.mu.RUnlock()

	out := bufio.NewWriter(w)
	printFolder(out, "", t.top)

	return out.Flush()
}

// printFolder prints a folder and those below it; a writer's fault shows in Flush.
func printFolder(out *bufio.Writer, dir string, n *node) {
	names := slices.Sorted(maps.Keys(n.kids))
	files := slices.ContainsFunc(names, func(name string) bool { return n.kids[name].kids == nil })

	if dir != "" && (files || len(names) == 0) {
		fmt.Fprintf(out, "%s\n", escape(dir))
	}

	for _, name := range names {
		if kid := n.kids[name]; kid.kids == nil {
			printFile(out, escape(name), kid)
		}
	}

	for _, name := range names {
		if kid := n.kids[name]; kid.kids != nil {
			printFolder(out, dir+"/"+name, kid)
		}
	}
}

func printFile(out io.Writer, name string, n *node) {
	text := string(n.text)
	body, ended := strings.CutSuffix(text, "\n")

	switch {
	case n.link != "":
		fmt.Fprintf(out, "%s%s%s\n", name, markLink, n.link)
	case n.fault != nil:
		fmt.Fprintf(out, "%s%s%s\n", name, markFault, n.fault)
	case text == "":
		fmt.Fprintf(out, "%s%s\n", name, markOne)
	case !readable(text):
		fmt.Fprintf(out, "%s%s\n", name, markHex)

		for chunk := range slices.Chunk(n.text, hexWidth) {
			fmt.Fprintf(out, "|%x\n", chunk)
		}
	case ended && strings.Contains(body, "\n"):
		fmt.Fprintf(out, "%s%s\n", name, markMany)

		for line := range strings.SplitSeq(body, "\n") {
			fmt.Fprintf(out, "|%s\n", line)
		}
	case ended && !strings.HasPrefix(body, `"`) && body != "":
		fmt.Fprintf(out, "%s%s %s\n", name, markOne, body)
	default:
		fmt.Fprintf(out, "%s%s %s\n", name, markOne, strconv.Quote(text))
	}
}

// readable reports whether a text prints as it is: no control characters but
// tabs and line ends.
func readable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == utf8.RuneError
	})
}

// escape writes a name so that it ends where the name does, and begins no comment.
func escape(name string) string {
	if !strings.ContainsAny(name, "% \n|#") {
		return name
	}

	if rest, ok := strings.CutPrefix(name, "#"); ok {
		return "%23" + escape(rest)
	}

	return strings.NewReplacer("%", "%25", " ", "%20", "\n", "%0a", "|", "%7c").Replace(name)
}

func unescape(name string) string {
	if !strings.Contains(name, "%") {
		return name
	}

	return strings.NewReplacer("%23", "#", "%20", " ", "%0a", "\n", "%7c", "|", "%25", "%").Replace(name)
}

var _ interface {
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
} = (*Tree)(nil)
