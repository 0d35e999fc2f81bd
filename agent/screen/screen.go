package screen

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Console is a screen, or a serial line with one at its other end. A write must not take
// longer than a few seconds, whoever is at the other end.
type Console interface {
	io.Writer
	// Name is that of the device below /dev.
	Name() string
	// Size is how many columns and rows it has; 0: it does not say.
	Size() (columns, rows int)
	// Shown names what is on the screen now, where one of several terminals is; another
	// name means that nothing of ours is there.
	Shown() string
	// Taken reports whether a person works there, who must not be disturbed.
	Taken() bool
	// Offered reports whether Enter gets a person there a rescue shell.
	Offered() bool
}

// How often a console is looked after. A serial line of 115200 baud carries eleven
// thousand bytes a second, one of 9600 baud not even one thousand: only what has changed
// is written there, and all of it, two to four thousand bytes, seldom: for whoever plugs
// a terminal in.
const (
	tick        = time.Second
	serialEvery = 5 * time.Second
	screenHeal  = 10 * time.Second // kernel messages may have gone over it
	serialHeal  = 5 * time.Minute
	serialRest  = time.Minute
)

// usual is the size of a serial terminal.
const usualColumns, usualRows = 80, 24

// Screen paints a view on all the consoles of a machine, and has what is logged scroll
// below. Safe for concurrent use.
type Screen struct {
	faces []*face

	mu   sync.Mutex // guards view
	view *View      // nil: nothing to show yet
}

// face is one console as it was painted last.
type face struct {
	Console

	serial bool

	mu            sync.Mutex // guards writing, and all below
	drawn         [][]Cell   // nil: nothing is there
	columns, rows int
	shown         string
	at, whole     time.Time // when something was painted, and everything
	rest          time.Time // nothing is written until then: it did not take what it was given
	verdict       Verdict
}

// New paints on the consoles, once Show was called. A console of the kernel that sends to
// the network gets log lines and no picture.
func New(consoles ...Console) *Screen {
	s := &Screen{}

	for _, console := range consoles {
		s.faces = append(s.faces, &face{Console: console, serial: !virtual(console.Name())})
	}

	return s
}

// virtual reports whether a console is a terminal of the machine's own screen: tty0, tty1.
func virtual(name string) bool {
	number, found := strings.CutPrefix(name, "tty")

	return found && number != "" && !strings.ContainsFunc(number, func(r rune) bool { return !unicode.IsDigit(r) })
}

// Write gives lines that are logged to every console that takes what it is given. It reports
// success always: there is nobody to tell.
func (s *Screen) Write(text []byte) (int, error) {
	for _, f := range s.faces {
		f.log(text)
	}

	return len(text), nil
}

// log leaves a console alone that did not take what it was given: whoever logs would wait
// for it with every line.
func (f *face) log(text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if time.Now().Before(f.rest) {
		return
	}

	if _, err := f.Write(text); err != nil {
		f.rest = time.Now().Add(serialRest)
	}
}

// Show has a view painted, within a second.
func (s *Screen) Show(v View) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.view = &v
}

// Hide takes the picture off every console that has one, and gives the whole of it to what is
// written from then on, until Show is called.
func (s *Screen) Hide() {
	s.mu.Lock()
	s.view = nil
	s.mu.Unlock()

	for _, f := range s.faces {
		f.hide()
	}
}

// Run paints until ctx ends, and what was shown last before it returns.
func (s *Screen) Run(ctx context.Context) error {
	var all sync.WaitGroup

	for _, f := range s.faces {
		if f.Name() == "netcon" {
			continue
		}

		all.Go(func() { s.keep(ctx, f) }) // a slow one must not hold up the others
	}

	all.Wait()

	return ctx.Err()
}

func (s *Screen) keep(ctx context.Context, f *face) {
	every := time.NewTicker(tick)
	defer every.Stop()

	for {
		select {
		case <-ctx.Done():
			s.paint(f, true)

			return
		case <-every.C:
			s.paint(f, false)
		}
	}
}

func (s *Screen) paint(f *face, last bool) {
	if s.shows() == nil {
		return
	}

	f.mu.Lock()
	defer f.mu.Unlock()

	if view := s.shows(); view != nil { // what was hidden meanwhile is not painted
		f.paint(view, time.Now(), last)
	}
}

func (s *Screen) shows() *View {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.view
}

func (f *face) hide() {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.drawn == nil {
		return
	}

	f.drawn = nil
	f.send([]string{abort + blank + to(0, 0)})
}

// paint brings a console up to date. f.mu is held.
func (f *face) paint(v *View, now time.Time, last bool) {
	if now.Before(f.rest) {
		return
	}

	if f.Taken() {
		f.drawn = nil

		return
	}

	columns, rows := f.size()
	shown := f.Shown()
	fresh := f.drawn == nil || columns != f.columns || rows != f.rows || shown != f.shown
	heal, every := screenHeal, time.Duration(0)

	if f.serial {
		heal, every = serialHeal, serialEvery
	}

	if !fresh && !last && v.Verdict == f.verdict && now.Sub(f.at) < every {
		return
	}

	here := *v
	here.Rescue = f.Offered()

	next := Draw(&here, columns, rows, now)
	if next == nil { // too small for a picture
		f.drawn = nil

		return
	}

	var text []string

	switch {
	case fresh:
		text = afresh(next, rows)
	case now.Sub(f.whole) >= heal:
		text = again(next, rows)
	default:
		text = changes(f.drawn, next)
	}

	if len(text) == 0 {
		return
	}

	f.columns, f.rows, f.shown, f.drawn, f.at, f.verdict = columns, rows, shown, next, now, v.Verdict

	if f.send(text) && (fresh || now.Sub(f.whole) >= heal) {
		f.whole = now
	}
}

// send writes row by row, and reports whether all was taken: who logs waits no longer than
// for one row where nothing is. f.mu is held.
func (f *face) send(rows []string) bool {
	for _, row := range rows {
		if _, err := io.WriteString(f.Console, row); err != nil {
			f.drawn, f.rest = nil, time.Now().Add(serialRest) // who knows what arrived

			return false
		}
	}

	return true
}

// size is what a serial line that does not say is taken to have.
func (f *face) size() (columns, rows int) {
	if columns, rows = f.Size(); columns == 0 || rows == 0 {
		return usualColumns, usualRows
	}

	return columns, rows
}

// Control sequences (ECMA-48; DECSTBM, DECSC and DECRC of the VT100, which the consoles of
// Linux and every terminal have).
const (
	abort   = "\x18" // whatever sequence was cut off
	blank   = "\x1b[0m\x1b[r\x1b[2J"
	save    = "\x1b7"
	restore = "\x1b8"
)

// region has everything but so many rows scroll: what the kernel and others write stays
// below.
func region(above, rows int) string { return fmt.Sprintf("\x1b[%d;%dr", above+1, rows) }

func to(row, column int) string { return fmt.Sprintf("\x1b[%d;%dH", row+1, column+1) }

// afresh takes a console over.
func afresh(next [][]Cell, rows int) []string {
	return within(abort+blank, all(next), Plain.sgr()+region(len(next), rows)+to(rows-1, 0))
}

// within has the first of the rows begin with something, and the last end with something.
func within(before string, rows []string, after string) []string {
	if len(rows) > 0 {
		rows[0] = before + rows[0]
		rows[len(rows)-1] += after
	}

	return rows
}

// again paints everything over what is there; the log stays.
func again(next [][]Cell, rows int) []string {
	return within(save+region(len(next), rows), all(next), Plain.sgr()+restore)
}

func all(next [][]Cell) (text []string) {
	for row, cells := range next {
		text = append(text, to(row, 0)+ink(cells)+Plain.sgr()+"\x1b[K")
	}

	return text
}

// changes paints what differs.
func changes(old, next [][]Cell) (text []string) {
	for row, cells := range next {
		first, last := 0, len(cells)
		for first < last && cells[first] == old[row][first] {
			first++
		}

		for last > first && cells[last-1] == old[row][last-1] {
			last--
		}

		if first < last {
			text = append(text, to(row, first)+ink(cells[first:last]))
		}
	}

	return within(save, text, Plain.sgr()+restore)
}

func ink(cells []Cell) string {
	var out strings.Builder

	last := Ink(255)

	for _, cell := range cells {
		if cell.Ink != last {
			out.WriteString(cell.Ink.sgr())
			last = cell.Ink
		}

		out.WriteRune(cell.Rune)
	}

	return out.String()
}
