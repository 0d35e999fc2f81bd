//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Transcript is what a program or a serial console has said so far. It is
// written by one and awaited by many. Safe for concurrent use.
type Transcript struct {
	mu     sync.Mutex // guards the rest
	text   []byte
	marks  []mark
	copy   io.Writer     // may be nil
	growth chan struct{} // closed and replaced when text grows
	over   bool
}

// mark says that the text up to an offset was there at a time.
type mark struct {
	end int
	at  time.Time
}

// NewTranscript returns an empty transcript which passes on to copy (may be nil)
// what it is told.
func NewTranscript(copy io.Writer) *Transcript { //nolint:predeclared // the word for it
	return &Transcript{copy: copy, growth: make(chan struct{})}
}

// Write appends p.
func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.text = append(t.text, p...)
	t.marks = append(t.marks, mark{end: len(t.text), at: time.Now()})

	close(t.growth)
	t.growth = make(chan struct{})

	if t.copy == nil {
		return len(p), nil
	}

	return t.copy.Write(p)
}

// finish tells everybody who waits that nothing more will come.
func (t *Transcript) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.over = true

	close(t.growth)
	t.growth = make(chan struct{})
}

// Await returns when text has been said, and since when.
func (t *Transcript) Await(ctx context.Context, text string) (time.Time, error) {
	_, at, err := t.Match(ctx, regexp.MustCompile(regexp.QuoteMeta(text)))

	return at, err
}

// Match returns the first match of pattern and its groups once it has been said,
// and when the end of it was heard. When the transcript ends without it, or ctx
// does, the error quotes the last lines.
func (t *Transcript) Match(ctx context.Context, pattern *regexp.Regexp) (groups []string, at time.Time, err error) {
	for {
		groups, at, growth, over := t.look(pattern)

		switch {
		case groups != nil:
			return groups, at, nil
		case over:
			return nil, at, fmt.Errorf("it ended without saying %q; its last words:\n%s", pattern, t.Tail(30))
		}

		select {
		case <-growth:
		case <-ctx.Done():
			return nil, at, fmt.Errorf("awaiting %q: %w; its last words:\n%s", pattern, ctx.Err(), t.Tail(30))
		}
	}
}

func (t *Transcript) look(pattern *regexp.Regexp) (groups []string, at time.Time, growth <-chan struct{}, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()

	where := pattern.FindSubmatchIndex(t.text)
	if where == nil {
		return nil, time.Time{}, t.growth, t.over
	}

	for i := 0; i < len(where); i += 2 {
		group := ""
		if where[i] >= 0 {
			group = string(t.text[where[i]:where[i+1]])
		}

		groups = append(groups, group)
	}

	for _, m := range t.marks {
		if m.end >= where[1] {
			return groups, m.at, t.growth, t.over
		}
	}

	return groups, at, t.growth, t.over
}

// String is all that was said.
func (t *Transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	return string(t.text)
}

// control matches terminal escape sequences and the bytes that draw nothing.
var control = regexp.MustCompile(`\x1b\[[0-9;?=]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]`) //nolint:gochecknoglobals // a constant in all but syntax

// Tail is the last n lines that hold anything, as plain text.
func (t *Transcript) Tail(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()

	var lines []string

	for line := range bytes.Lines(t.text) {
		plain := strings.TrimRight(string(control.ReplaceAll(line, nil)), " \n")
		if plain != "" {
			lines = append(lines, plain)
		}
	}

	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
