package agent

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"vetting/agent/wire"
	"vetting/core"
)

// journalLimit bounds the lines that wait: at a hundred lines of a hundred bytes
// a second it holds half an hour.
const journalLimit = 32 << 20

// Journal holds lines for the run's log until the appliance has them. When it is
// full the oldest are forgotten, and a line says how many. Safe for concurrent
// use.
type Journal struct{ ring *ring[line] }

// line is a line of the log; at carries the monotonic clock, so that lines from
// before the clock was set get the right time when they are sent.
type line struct {
	at    time.Time
	level wire.Level
	stage wire.StageName
	text  string
}

// NewJournal returns an empty journal.
func NewJournal() *Journal { return &Journal{ring: newRing[line](journalLimit)} }

// Handler returns a handler that writes into the journal, for a stage, or for
// the agent itself when stage is empty.
func (j *Journal) Handler(stage core.StageName) slog.Handler {
	return &journalHandler{journal: j, stage: wire.StageName(stage)}
}

func (j *Journal) add(l line) {
	l.text = oneLine(l.text, wire.MaxLine)
	j.ring.push(l, lineWeight(l))
}

// lineWeight is the most that a line may need as JSON: a cleaned byte grows to
// two at most (quotes, backslashes, U+2028 as an escape).
func lineWeight(l line) int { return 2*len(l.text) + 160 }

// journalHandler turns records into lines: the message, then key=value.
type journalHandler struct {
	journal *Journal
	stage   wire.StageName
	prefix  string // of groups: "disk."
	attrs   string // " key=value …" given before
}

// Enabled takes everything: the log of a run is its evidence.
func (h *journalHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle adds the record's line. It never blocks and never fails.
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder

	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, h.prefix, a)

		return true
	})

	h.journal.add(line{at: r.Time, level: levelOf(r.Level), stage: h.stage, text: b.String()})

	return nil
}

// WithAttrs returns a handler whose lines all carry attrs.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder

	b.WriteString(h.attrs)

	for _, a := range attrs {
		writeAttr(&b, h.prefix, a)
	}

	with := *h
	with.attrs = b.String()

	return &with
}

// WithGroup returns a handler whose further keys begin with the group's name.
func (h *journalHandler) WithGroup(group string) slog.Handler {
	with := *h
	if group != "" {
		with.prefix += group + "."
	}

	return &with
}

func writeAttr(b *strings.Builder, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}

	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}

		for _, member := range value.Group() {
			writeAttr(b, prefix, member)
		}

		return
	}

	text := value.String()
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '=' }) {
		text = strconv.Quote(text)
	}

	fmt.Fprintf(b, " %s%s=%s", prefix, a.Key, text)
}

func levelOf(l slog.Level) wire.Level {
	switch {
	case l < slog.LevelInfo:
		return wire.LevelDebug
	case l < slog.LevelWarn:
		return wire.LevelInfo
	case l < slog.LevelError:
		return wire.LevelWarn
	default:
		return wire.LevelError
	}
}

// oneLine makes text fit to be a line: valid UTF-8, no control characters, at
// most limit bytes.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}

		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))

	return cut(text, limit)
}

// cut shortens text to limit bytes, at a rune.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}

	return strings.ToValidUTF8(text[:limit], "")
}
