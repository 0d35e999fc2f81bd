package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxNesting bounds how deep lists and groups of a text may lie in each other; no
	// text of ours needs ten.
	maxNesting = 32
	// maxBlank bounds the blank lines in a row: the time that the lexer takes for them in
	// a text of several lines grows with their square (go-yaml 1.19.2).
	maxBlank = 256
)

// decodeSent reads a text that came over the network, as decodeStrict does after sift.
// The operator's own file goes without: anchors are of use there.
func decodeSent(text []byte, value any) error {
	if fault := sift(text); fault != nil {
		return fault
	}

	return decodeStrict(text, value)
}

// sift refuses what must not come to the parser from strangers; nil: nothing. An alias of
// what it is part of overflows the stack, from which no process recovers, and time and memory
// grow with the square of the nesting (go-yaml 1.19.2). It looks at the tokens alone, and keeps no tree.
func sift(text []byte) *textFault {
	if fault := blankRun(text); fault != nil {
		return fault
	}

	var (
		s    siever
		last *token.Token
	)

	for _, t := range lexer.Tokenize(string(text)) {
		if t.Type == token.CommentType {
			continue
		}

		if fault := s.take(t, last); fault != nil {
			return fault
		}

		last = t
	}

	if last != nil && last.Type == token.TagType {
		return loneTag(last)
	}

	return nil
}

// blankRun finds more blank lines in a row than the lexer can bear. A carriage return
// ends a line, too.
func blankRun(text []byte) *textFault {
	line, run := 1, 0

	for i, c := range text {
		switch c {
		case '\n', '\r':
			if run++; run > 2*maxBlank { // both ends of a line of Windows count
				return &textFault{line: line, column: 1, message: fmt.Sprintf("[%d:1] more than %d blank lines follow each other; remove some", line, maxBlank)}
			}

			if c == '\n' || i+1 == len(text) || text[i+1] != '\n' {
				line++
			}
		case ' ', '\t':
		default:
			run = 0
		}
	}

	return nil
}

// siever follows the nesting through the tokens of a text.
type siever struct {
	open      []opener // from the outermost on
	begun     bool     // the document has begun
	over      bool     // the document has ended
	directive int      // the line of the last %
}

// opener is the token that opened a list or group.
type opener struct {
	kind   token.Type
	column int
}

// take looks at a token and the one before it.
func (s *siever) take(t, last *token.Token) *textFault {
	if last != nil && last.Type == token.TagType && (t.Position.Line != last.Position.Line || !plain(t)) {
		return loneTag(last)
	}

	switch t.Type {
	case token.AnchorType:
		return faultAt(t, "an & names an anchor, which is refused in a text that is sent; write the value out where it is wanted, or put a text that begins with & in quotes")
	case token.AliasType:
		return faultAt(t, "a * stands for an anchor, which is refused in a text that is sent; write the value out, or put a text that begins with * in quotes")
	case token.MergeKeyType:
		return faultAt(t, "<< merges keys, which is refused in a text that is sent; write the keys out")
	case token.DirectiveType:
		s.directive = t.Position.Line
	default:
	}

	if fault := s.document(t); fault != nil {
		return fault
	}

	if s.nest(t, last); len(s.open) > maxNesting {
		return faultAt(t, fmt.Sprintf("lists and groups lie in each other more than %d deep; write them flatter", maxNesting))
	}

	return nil
}

// document refuses a second document: the parser looks at what follows each once more.
func (s *siever) document(t *token.Token) *textFault {
	switch {
	case s.over, t.Type == token.DocumentHeaderType && s.begun:
		return faultAt(t, "a second document follows after \"---\" or \"...\"; write one only")
	case t.Type == token.DocumentEndType:
		s.over = true
	case t.Position.Line != s.directive:
		s.begun = true
	}

	return nil
}

// nest opens and closes lists and groups. Those without brackets end where something
// begins that stands no further right.
func (s *siever) nest(t, last *token.Token) {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		s.open = append(s.open, opener{kind: t.Type})
	case token.SequenceEndType:
		s.shut(token.SequenceStartType)
	case token.MappingEndType:
		s.shut(token.MappingStartType)
	case token.CollectEntryType:
		s.open = s.open[:s.bracket()+1]
	case token.SequenceEntryType, token.MappingKeyType:
		s.push(opener{kind: t.Type, column: t.Position.Column})
	case token.MappingValueType:
		if last != nil && s.bracket() < 0 {
			s.push(opener{kind: t.Type, column: last.Position.Column})
		}
	default:
	}
}

// push opens a list or group without brackets.
func (s *siever) push(o opener) {
	if s.bracket() < 0 {
		for n := len(s.open); n > 0 && s.open[n-1].ends(o); n = len(s.open) {
			s.open = s.open[:n-1]
		}
	}

	s.open = append(s.open, o)
}

// ends reports whether a list or group is over where next begins. A list may stand right
// below its key.
func (o opener) ends(next opener) bool {
	if next.kind == token.SequenceEntryType && o.kind != token.SequenceEntryType {
		return o.column > next.column
	}

	return o.column >= next.column
}

// bracket is the innermost open bracket; -1: none is open.
func (s *siever) bracket() int {
	for i, o := range slices.Backward(s.open) {
		if k := o.kind; k == token.SequenceStartType || k == token.MappingStartType {
			return i
		}
	}

	return -1
}

// shut closes the innermost bracket if it is of that kind; the parser tells of another.
func (s *siever) shut(kind token.Type) {
	if i := s.bracket(); i >= 0 && s.open[i].kind == kind {
		s.open = s.open[:i]
	}
}

// plain reports whether a token is a value or key by itself.
func plain(t *token.Token) bool {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType, token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.TagType:
		return false
	default:
		return true
	}
}

// loneTag refuses a tag without a value of its own: whatever comes next would lie in it.
func loneTag(t *token.Token) *textFault {
	return faultAt(t, fmt.Sprintf("the tag %.40q must stand right before a single value; leave it out, or put a text that begins with ! in quotes", strings.TrimSpace(t.Value)))
}

// faultAt is a fault at a token. It shows no lines around it, which may be of any length.
func faultAt(t *token.Token, message string) *textFault {
	line, column := t.Position.Line, t.Position.Column

	return &textFault{line: line, column: column, message: fmt.Sprintf("[%d:%d] %s", line, column, message)}
}
