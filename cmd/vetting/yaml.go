package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect" //nolint:depguard // the keys that a text may hold are those of the struct it is read into
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// textFault is what is wrong with a YAML text, and where. Its message begins
// with [line:column] and shows the line with a caret.
type textFault struct {
	line, column int // from 1; 0: nowhere in particular
	message      string
}

// Error returns the message.
func (f *textFault) Error() string { return f.message }

// decodeStrict reads the one document of a YAML text into value, a pointer to a
// struct. Unknown and repeated keys and a second document are errors; an unknown
// key is told which one was probably meant. Errors are *textFault.
func decodeStrict(text []byte, value any) (err error) {
	defer survive(&err)

	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())

	switch err := decoder.Decode(value); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return explain(text, value, err)
	}

	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return &textFault{message: "a second document follows after \"---\"; write one only"}
	}

	return nil
}

// survive turns a panic of the YAML module, which some broken texts provoke
// (go-yaml 1.19.2; the fuzz corpus holds one), into an error.
func survive(err *error) {
	if broken := recover(); broken != nil {
		*err = &textFault{message: "this is not YAML that can be read; look for a stray & or *, or a value that is missing"}
	}
}

// explain finds the place of an error and puts it into words for people.
func explain(text []byte, value any, err error) error {
	var (
		unknown *yaml.UnknownFieldError
		kind    *yaml.TypeError
		placed  yaml.Error
	)

	switch {
	case errors.As(err, &unknown):
		return at(unknown.Token, unknown.Message+hint(text, reflect.TypeOf(value), unknown.Token))
	case errors.As(err, &kind):
		return at(kind.Token, fmt.Sprintf("%.40q does not fit: %s is wanted here", kind.Token.Value, wanted(kind.DstType)))
	case errors.As(err, &placed):
		return at(placed.GetToken(), placed.GetMessage())
	default:
		return at(quoted(text, err.Error()), err.Error())
	}
}

// at writes a fault with its place and the lines around it.
func at(place *token.Token, message string) *textFault {
	if place == nil || place.Position == nil {
		return &textFault{message: message}
	}

	return &textFault{
		line: place.Position.Line, column: place.Position.Column,
		message: yaml.FormatErrorWithToken(message, place, false, true),
	}
}

// wanted names a kind of value.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	case reflect.Pointer:
		return wanted(t.Elem())
	default:
		return "a group of keys"
	}
}

// finder walks a tree of YAML to the node that pick likes.
type finder struct {
	pick  func(ast.Node) bool
	found ast.Node
}

// Visit looks at a node and at those below it.
func (f *finder) Visit(node ast.Node) ast.Visitor {
	if f.found == nil && f.pick(node) {
		f.found = node
	}

	return f
}

// find returns the first node of the text that pick likes, or nil.
func find(text []byte, pick func(ast.Node) bool) ast.Node {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil // then there is a place in the error already
	}

	f := &finder{pick: pick}

	for _, document := range file.Docs {
		if document.Body != nil {
			ast.Walk(f, document.Body)
		}
	}

	return f.found
}

// quoted finds the value that a message quotes first: readers of our own types
// quote what they could not read, and know no place.
func quoted(text []byte, message string) *token.Token {
	var best *token.Token

	first := len(message)

	find(text, func(node ast.Node) bool {
		if scalar, ok := node.(ast.ScalarNode); ok {
			place := scalar.GetToken()
			if i := strings.Index(message, fmt.Sprintf("%.40q", place.Value)); i >= 0 && i < first {
				first, best = i, place
			}
		}

		return false
	})

	return best
}

// hint says which key was probably meant at the place of an unknown one, or
// which there are.
func hint(text []byte, t reflect.Type, place *token.Token) string {
	node := find(text, func(node ast.Node) bool {
		got := node.GetToken()

		return got != nil && got.Position.Offset == place.Position.Offset && got.Value == place.Value
	})
	if node == nil {
		return ""
	}

	path := strings.Split(strings.TrimPrefix(node.GetPath(), "$."), ".")

	var here, elsewhere []string

	for _, key := range keys(t, nil) {
		switch name := key[len(key)-1]; {
		case matches(key[:len(key)-1], path[:len(path)-1]):
			here = append(here, name)
		case name == place.Value:
			elsewhere = append(elsewhere, strings.Join(key, "."))
		}
	}

	near, far := nearest(place.Value, here)

	switch {
	case near != "" && (elsewhere == nil || far == 1):
		return fmt.Sprintf(", did you mean %q?", near)
	case elsewhere != nil:
		return ", its place is " + strings.Join(elsewhere, " or ")
	case here != nil:
		return ", here are: " + strings.Join(here, ", ")
	default:
		return ""
	}
}

// nearest returns the name most like word and how far it is, or "" when none is
// like it.
func nearest(word string, names []string) (near string, least int) {
	least = 2 + len(word)/4

	for _, name := range names {
		if d := distance(word, name); d < least {
			near, least = name, d
		}
	}

	return near, least
}

// matches reports whether the path of a group in a text is that of key, in which
// "*" stands for a name that people choose.
func matches(key, group []string) bool {
	return slices.EqualFunc(key, group, func(want, got string) bool {
		got, _, _ = strings.Cut(got, "[")

		return want == "*" || want == got
	})
}

// keys lists the paths of all keys that a text read into t may hold.
func keys(t reflect.Type, group []string) [][]string {
	if t == reflect.TypeFor[Secret]() {
		return nil // a value, whatever it is made of
	}

	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return keys(t.Elem(), group)
	case reflect.Map:
		return keys(t.Elem(), append(slices.Clone(group), "*"))
	case reflect.Struct:
	default:
		return nil
	}

	var all [][]string

	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		path := append(slices.Clone(group), name)
		all = append(append(all, path), keys(field.Type, path)...)
	}

	return all
}

// distance counts the letters to insert, drop or change that lead from a to b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}

	for i := range len(a) {
		last := row[0]
		row[0] = i + 1

		for j := range len(b) {
			step := last
			if a[i] != b[j] {
				step++
			}

			last = row[j+1]
			row[j+1] = min(step, row[j]+1, row[j+1]+1)
		}
	}

	return row[len(b)]
}

// keyAt finds the key at a path of keys and numbers, from 0 on, or the nearest group
// around it; nil when nothing of the path is there.
func keyAt(text []byte, path []string) (place *token.Token) {
	var broken error
	defer survive(&broken) // the text was read once, but by other parts of the module

	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) == 0 {
		return nil
	}

	node := file.Docs[0].Body

	for _, part := range path {
		next, at := below(node, part)
		if next == nil {
			return place
		}

		node, place = next, at
	}

	return place
}

// below finds a part of a group or list, and where it begins.
func below(node ast.Node, part string) (ast.Node, *token.Token) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, pair := range n.Values {
			if pair.Key.GetToken().Value == part {
				return pair.Value, pair.Key.GetToken()
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == part {
			return n.Value, n.Key.GetToken()
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(n.Values) {
			return n.Values[i], n.Values[i].GetToken()
		}
	}

	return nil, nil
}
