package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	barWidth   = 30
	drawEvery  = 200 * time.Millisecond
	plainEvery = 10 * time.Second // where lines stay
	clearLine  = "\r\x1b[K"
)

// board shows how far something is: a bar on a terminal, a line now and then
// elsewhere. Safe for concurrent use.
type board struct {
	terminal bool

	mu    sync.Mutex
	out   io.Writer // guarded by mu
	drawn time.Time // guarded by mu
	bar   bool      // guarded by mu: one stands on the last line
}

func newBoard(out io.Writer) *board { return &board{out: out, terminal: isTerminal(out)} }

// isTerminal takes any device that takes letters for one; on /dev/null a bar does
// no harm.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}

	info, err := file.Stat()

	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress has the form of stage.Env's.
func (b *board) progress(what string, done float64, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()

	every := plainEvery
	if b.terminal {
		every = drawEvery
	}

	if now := time.Now(); now.Sub(b.drawn) < every {
		return
	}

	b.drawn = time.Now()

	eta := ""
	if left > 0 {
		eta = ", " + left.Round(time.Second).String() + " left"
	}

	if !b.terminal {
		fmt.Fprintf(b.out, "%3.0f %% %s%s\n", 100*done, what, eta)

		return
	}

	full := min(barWidth, max(0, int(done*barWidth)))
	fmt.Fprintf(b.out, "%s[%s%s] %3.0f %% %s%s", clearLine, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done, what, eta)
	b.bar = true
}

// clear takes the bar away.
func (b *board) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.wipe()
}

// wipe does. b.mu is held.
func (b *board) wipe() {
	if b.bar {
		fmt.Fprint(b.out, clearLine)
	}

	b.bar = false
}

// Write puts lines above the bar.
func (b *board) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.wipe()

	return b.out.Write(text)
}

// handler writes what people should know at once.
func (b *board) handler() slog.Handler {
	return slog.NewTextHandler(b, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}

			return a
		},
	})
}
