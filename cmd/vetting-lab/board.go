//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"vetting/cmd/vetting-lab/lab"
	"vetting/core"
	"vetting/core/route"
)

// board shows how the runs stand: bars that are redrawn on a terminal, a line
// for every step elsewhere. Safe for concurrent use.
type board struct {
	out   io.Writer
	tty   bool
	start time.Time
	names []string

	mu     sync.Mutex // guards the rest
	runs   map[string]route.Run
	said   map[string]string
	drawn  int // lines of the last picture
	closed bool
}

func newBoard(out io.Writer, guests []*lab.Guest) *board {
	b := &board{out: out, start: time.Now(), runs: map[string]route.Run{}, said: map[string]string{}}

	if file, ok := out.(*os.File); ok {
		b.tty = term.IsTerminal(int(file.Fd())) //nolint:gosec // a descriptor fits an int
	}

	for _, guest := range guests {
		b.names = append(b.names, guest.Name)
	}

	return b
}

// show takes note of where the run of a machine stands.
func (b *board) show(name string, run route.Run) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.closed {
		return
	}

	b.runs[name] = run

	if b.tty {
		b.draw()
	} else {
		b.tell(name, run)
	}
}

// close leaves the last picture standing.
func (b *board) close() {
	b.mu.Lock()
	defer b.mu.Unlock()

	if !b.closed {
		fmt.Fprintln(b.out)
	}

	b.closed = true
}

// tell prints lines for what is new: stages that ended, and a new state.
func (b *board) tell(name string, run route.Run) {
	for _, stage := range run.Stages {
		if stage.Phase != core.Done {
			continue
		}

		took := ""
		if !stage.StartedAt.IsZero() {
			took = fmt.Sprintf("%.1f s", stage.EndedAt.Sub(stage.StartedAt).Seconds())
		}

		b.once(name, fmt.Sprintf("%s/%d", stage.Name, stage.Attempt), fmt.Sprintf("%-14s %s  %s", stage.Name, stage.Verdict, took))
	}

	if !slices.Contains(core.Pipeline(), core.StageName(run.State)) {
		b.once(name, string(run.State), string(run.State))
	}
}

// once prints a line unless it was said before.
func (b *board) once(name, what, line string) {
	key := name + "/" + what
	if b.said[key] != "" {
		return
	}

	b.said[key] = line
	fmt.Fprintf(b.out, "%6.1f s  %-8s %s\n", time.Since(b.start).Seconds(), name, line)
}

// draw paints all machines over the last picture.
func (b *board) draw() {
	var picture strings.Builder

	if b.drawn > 0 {
		fmt.Fprintf(&picture, "\x1b[%dA", b.drawn)
	}

	b.drawn = 0

	for _, name := range b.names {
		for _, line := range paint(name, b.runs[name], time.Since(b.start)) {
			fmt.Fprintf(&picture, "\r\x1b[K%s\n", line)
			b.drawn++
		}
	}

	fmt.Fprint(b.out, picture.String())
}

// paint is a machine's block: a head line and a bar for each stage.
func paint(name string, run route.Run, elapsed time.Duration) []string {
	lines := []string{fmt.Sprintf("\x1b[1m%-8s\x1b[0m %-14s %5.0f s", name, run.State, elapsed.Seconds())}

	for _, stage := range run.Stages {
		lines = append(lines, fmt.Sprintf("  %-14s %s %s", stage.Name, bar(stage), note(stage)))
	}

	return lines
}

const barWidth = 24

func bar(stage route.Stage) string {
	filled := int(stage.Progress * barWidth)
	colour := "36"

	switch {
	case stage.Phase != core.Done:
	case stage.Verdict == core.Pass:
		filled, colour = barWidth, "32"
	case stage.Verdict == core.Fail || stage.Verdict == core.Error:
		filled, colour = barWidth, "31"
	default:
		filled, colour = barWidth, "33"
	}

	filled = min(barWidth, max(0, filled))

	return "\x1b[" + colour + "m" + strings.Repeat("█", filled) + "\x1b[2m" + strings.Repeat("░", barWidth-filled) + "\x1b[0m"
}

func note(stage route.Stage) string {
	switch stage.Phase {
	case core.Done:
		return string(stage.Verdict)
	case core.Active:
		return fmt.Sprintf("%3.0f %% %s", stage.Progress*100, stage.SubStep)
	default:
		return ""
	}
}
