package initd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// Lines is a slog.Handler for people in front of a screen: one plain line for
// each record, "vetting: stage over (stage=SMART, verdict=pass)". Safe for concurrent
// use.
type Lines struct {
	mu    *sync.Mutex // guards out
	out   io.Writer
	level slog.Level
	attrs []string
	group string
}

// NewLines writes records of level and above to out.
func NewLines(out io.Writer, level slog.Level) *Lines {
	return &Lines{mu: &sync.Mutex{}, out: out, level: level}
}

// Enabled reports whether records of the level are written.
func (l *Lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

// Handle writes one line.
func (l *Lines) Handle(_ context.Context, record slog.Record) error {
	words := l.attrs[:len(l.attrs):len(l.attrs)]

	record.Attrs(func(a slog.Attr) bool {
		words = append(words, l.word(a))

		return true
	})

	line := "vetting: "
	if record.Level >= slog.LevelWarn {
		line += strings.ToUpper(record.Level.String()) + ": "
	}

	line += record.Message
	if len(words) > 0 {
		line += " (" + strings.Join(words, ", ") + ")"
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	_, err := io.WriteString(l.out, printable(line)+"\n")

	return err
}

func (l *Lines) word(a slog.Attr) string {
	return fmt.Sprintf("%s%s=%s", l.group, a.Key, a.Value.Resolve().String())
}

// WithAttrs returns a handler that writes the attributes with every line.
func (l *Lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *l
	with.attrs = l.attrs[:len(l.attrs):len(l.attrs)]

	for _, a := range attrs {
		with.attrs = append(with.attrs, l.word(a))
	}

	return &with
}

// WithGroup returns a handler that puts the name before the keys.
func (l *Lines) WithGroup(name string) slog.Handler {
	with := *l
	with.group = l.group + name + "."

	return &with
}

// printable keeps control characters off the terminal: what a disk calls itself
// must not move the cursor.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}

		return r
	}, line)
}
