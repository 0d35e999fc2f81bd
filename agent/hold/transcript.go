package hold

import (
	"log/slog"
	"strings"
	"sync"
)

const (
	maxLine       = 512       // bytes of a line of the log
	maxTranscript = 256 << 10 // bytes of one session's output that are taken down
)

// transcript takes down what a session showed, line by line: the evidence of
// what was done to a held host. Passwords are not shown and so not in it. Safe
// for concurrent use.
type transcript struct {
	log *slog.Logger

	mu   sync.Mutex
	line []byte // guarded by mu
	left int    // guarded by mu: bytes
}

func newTranscript(log *slog.Logger) *transcript { return &transcript{log: log, left: maxTranscript} }

func (t *transcript) write(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()

	for _, c := range p {
		if t.left == 0 {
			return
		}

		t.left--

		if c != '\n' {
			t.line = append(t.line, c)
		}

		if c == '\n' || len(t.line) == maxLine {
			t.say()
		}

		if t.left == 0 {
			t.say()
			t.log.Warn("hold shows more than is taken down")
		}
	}
}

// flush takes down a last line without an end.
func (t *transcript) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.say()
}

// say logs the line; t.mu is held.
func (t *transcript) say() {
	if line := strings.TrimSpace(plain(string(t.line), maxLine)); line != "" {
		t.log.Info("hold shows", slog.String("text", line))
	}

	t.line = t.line[:0]
}

// plain makes a string from outside fit for a log: no control characters, at most
// limit bytes.
func plain(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\ufffd"))

	return strings.ToValidUTF8(s[:min(len(s), limit)], "")
}
