package screen

import (
	"fmt"
	"math"
	"strings"
	"time"

	"vetting/core/halfblock"
)

// Sizes of a screen, in cells.
const (
	leastColumns = 40
	leastRows    = 12
	leastLog     = 3  // rows that are left for what the machine logs
	leastText    = 34 // columns beside a QR code
	leastSaid    = 4  // rows below the letters of a verdict
	mostPanel    = 26 // rows above the log, however large the screen
)

// Cell is one character of the screen.
type Cell struct {
	Rune rune
	Ink  Ink
}

// Draw returns the rows above the log for a screen of so many columns and rows; none
// where it is too small for them. Each row has columns-1 cells: what is written into the
// last column has terminals disagree on where they are then.
func Draw(v *View, columns, rows int, now time.Time) [][]Cell {
	if columns < leastColumns || rows < leastRows {
		return nil
	}

	p := newPanel(columns-1, min(rows-leastLog, mostPanel))
	p.title(v)

	if picture := code(v.QR, p.wide-leastText, len(p.rows)-1); picture != nil {
		p.picture(picture)
	}

	if v.Rescue { // whatever else there is
		p.foot--
		p.write(p.foot, 1, Strong, cut("Press Enter for a rescue shell", p.text-1))
	}

	switch {
	case v.Verdict != "" || v.Held:
		p.outcome(v)
	case v.Stage != "":
		p.stage(v)
	default:
		p.gap()
		p.say(Strong, or(v.Phase, "Starting"))
	}

	p.silence(v, now)
	p.address(v)

	return p.rows
}

// code draws a QR code no larger than so many cells, with the quiet zone that ISO/IEC
// 18004 asks for or, on a small screen, half of it; nil: there is no room for it.
func code(modules []string, columns, rows int) []string {
	size := len(modules)
	if size == 0 {
		return nil
	}

	for _, row := range modules {
		if len(row) != size {
			return nil
		}
	}

	for _, quiet := range []int{4, 2} {
		if size+2*quiet <= columns && (size+2*quiet+1)/2 <= rows {
			return halfblock.Lines(size, quiet, func(x, y int) bool { return modules[y][x] == '#' })
		}
	}

	return nil
}

// panel is being drawn, from above to below.
type panel struct {
	rows [][]Cell
	wide int // columns
	text int // of them for text
	at   int // the next row
	foot int // rows from here on are taken
}

func newPanel(wide, high int) *panel {
	p := &panel{rows: make([][]Cell, high), wide: wide, text: wide, foot: high}

	for i := range p.rows {
		p.rows[i] = make([]Cell, wide)
		for x := range p.rows[i] {
			p.rows[i][x] = Cell{Rune: ' '}
		}
	}

	return p
}

func (p *panel) write(row, column int, ink Ink, text string) {
	for _, r := range text {
		if row >= len(p.rows) || column >= p.wide {
			return
		}

		p.rows[row][column] = Cell{Rune: r, Ink: ink}
		column++
	}
}

// title is the first row: which machine this is.
func (p *panel) title(v *View) {
	left := " vetting   " + or(Clean(v.Host), "this machine")
	right := strings.TrimSpace(Clean(v.Profile)+"  "+Clean(v.Run)) + " "

	room := p.wide - len([]rune(right)) - 1
	if room < p.wide/2 { // the name is what matters
		right, room = " ", p.wide-1
	}

	p.write(0, 0, Title, strings.Repeat(" ", p.wide))
	p.write(0, 0, Title, cut(left, room))
	p.write(0, p.wide-len([]rune(right)), Title, right)
	p.at = 1
}

// picture puts lines at the right edge.
func (p *panel) picture(lines []string) {
	wide := len([]rune(lines[0]))
	p.text = p.wide - wide - 1

	for i, line := range lines {
		p.write(1+i, p.wide-wide, Plain, line)
	}
}

func (p *panel) gap() { p.at++ }

// say writes a text, wrapped.
func (p *panel) say(ink Ink, text string) {
	for _, line := range wrap(Clean(text), p.text-2) {
		p.line(ink, line)
	}
}

func (p *panel) line(ink Ink, line string) {
	if p.at < p.foot {
		p.write(p.at, 1, ink, cut(line, p.text-1))
		p.at++
	}
}

func (p *panel) stage(v *View) {
	p.gap()

	if v.Number > 0 && v.Count > 0 {
		p.say(Plain, fmt.Sprintf("Stage %d of %d", v.Number, v.Count))
	}

	p.say(Strong, v.Stage)
	p.line(Plain, Clean(v.SubStep)) // in one row, whatever it is: what is below must not jump
	p.gap()
	p.bar(v.Done)
	p.gap()

	if v.StageLeft > 0 {
		p.say(Plain, "This stage: "+Span(v.StageLeft, v.StageLeft)+" left")
	} else {
		p.say(Plain, "This stage: time left not known yet")
	}

	switch {
	case v.LeftHigh > 0 && v.LeftGuess:
		p.say(Plain, "The run: "+Span(v.LeftLow, v.LeftHigh)+" left, a guess")
	case v.LeftHigh > 0:
		p.say(Plain, "The run: "+Span(v.LeftLow, v.LeftHigh)+" left")
	default:
		p.say(Plain, "The run: time left not known yet")
	}

	p.gap()
	p.findings(v)
}

func (p *panel) bar(done float64) {
	if !(done > 0) {
		done = 0
	}

	percent := int(math.Floor(100 * min(done, 1)))
	tail := fmt.Sprintf(" %3d %%", percent)
	wide := min(40, p.text-len(tail)-4)
	full := wide * percent / 100

	p.line(Strong, "["+strings.Repeat("#", full)+strings.Repeat(".", wide-full)+"]"+tail)
}

func (p *panel) findings(v *View) {
	switch {
	case v.Critical > 0:
		p.say(Red, fmt.Sprintf("[X] %s, %s", count(v.Critical, "critical finding"), count(v.Warnings, "warning")))
	case v.Warnings > 0:
		p.say(Yellow, fmt.Sprintf("[!] %s, nothing critical", count(v.Warnings, "warning")))
	default:
		p.say(Plain, "No findings so far")
	}
}

// outcome is what came of the run, in letters of ten rows.
func (p *panel) outcome(v *View) {
	word, sign, ink := outcomeOf(v)

	p.gap()

	big := Big(word, p.text-2)
	if p.foot-p.at < len(big)+leastSaid { // the words matter more than their size
		big = nil
	}

	for _, row := range big {
		p.line(ink, strings.ReplaceAll(row, "#", "█"))
	}

	p.gap()
	p.say(ink, sign)

	if v.Critical+v.Warnings > 0 {
		p.findings(v)
	}

	if v.Held {
		until := ""
		if !v.HeldUntil.IsZero() {
			until = " until " + v.HeldUntil.UTC().Format("2006-01-02 15:04 UTC")
		}

		p.say(Magenta, "[=] HOLD: kept on for the operator"+until)

		if v.Login != "" {
			p.say(Plain, "ssh "+v.Login+", by the line on the run's page")
		}
	}

	if v.Next != "" {
		p.say(Plain, v.Next)
	}
}

func outcomeOf(v *View) (word, sign string, ink Ink) {
	switch v.Verdict {
	case Pass:
		return "pass", "[√] PASS: the run passed", Green
	case Fail:
		return "fail", "[X] FAIL: the run failed", Red
	case Cancelled:
		return "cancelled", "[-] CANCELLED: the run says nothing about this machine", Yellow
	case Error:
		return "error", "[!] ERROR: the run could not be brought to its end", Yellow
	case "":
		return "hold", "[=] HOLD: the verdict is not told yet", Magenta
	default: // nobody reads as passed but who passed
		return "error", "[!] ERROR: " + string(v.Verdict), Yellow
	}
}

// silence says that the appliance is not heard, and what is done about it.
func (p *panel) silence(v *View, now time.Time) {
	if v.Silent.IsZero() {
		return
	}

	p.gap()
	p.say(Yellow, fmt.Sprintf("[!] The appliance is silent since %s (%s)", v.Silent.UTC().Format("15:04:05 UTC"), Span(now.Sub(v.Silent), now.Sub(v.Silent))))

	what := "It is asked again every few seconds."
	if v.Stage != "" {
		what += " The test goes on, what it finds is kept; writing to disks stops after a minute."
	}

	p.say(Plain, what)

	if v.Trouble != "" {
		p.say(Plain, cut(Clean(v.Trouble), 2*(p.text-2)))
	}
}

// address says where more is told, in the last rows.
func (p *panel) address(v *View) {
	lines := wrap(Clean(v.Page), p.text-2)
	if v.Page == "" || len(lines) > p.foot-p.at {
		return
	}

	for i, line := range lines {
		p.write(p.foot-len(lines)+i, 1, Plain, line)
	}
}

// Span says how long something takes, from one time to another: with half a minute
// nobody can do anything.
func Span(low, high time.Duration) string {
	from, to := length(low), length(high)

	if from == to {
		return to
	}

	return from + " to " + to
}

func length(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)

	switch {
	case d < time.Minute:
		return "less than 1 min"
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes < 48*60:
		return fmt.Sprintf("%d h %02d min", minutes/60, minutes%60)
	default:
		return fmt.Sprintf("%d days %d h", minutes/60/24, minutes/60%24)
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}

	return fmt.Sprintf("%d %ss", n, what)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}

	return text
}

// longestText bounds what is taken of a text, in bytes.
const longestText = 512

// Clean makes a text fit for a screen: one row of characters that the consoles of Linux
// have in their font, each one column wide, and nothing that moves the cursor.
func Clean(text string) string {
	if len(text) > longestText {
		text = text[:longestText]
	}

	return strings.Map(func(r rune) rune {
		switch {
		case r == '√' || r >= ' ' && r < 0x7f || r > 0xa0 && r <= 0xff && r != 0xad:
			return r
		case r == '\t' || r == '\n' || r == '\r' || r == 0xa0:
			return ' '
		default:
			return '?'
		}
	}, strings.ToValidUTF8(text, "?"))
}

// cut shortens a text to so many columns.
func cut(text string, columns int) string {
	runes := []rune(text)
	if len(runes) <= columns {
		return text
	}

	if columns < 4 {
		return string(runes[:max(0, columns)])
	}

	return string(runes[:columns-2]) + ".."
}

// wrap breaks a text into lines at blanks, and a word that is longer where it must be.
func wrap(text string, columns int) (lines []string) {
	line := []rune{}

	for word := range strings.FieldsSeq(text) {
		next := []rune(word)

		if len(line) > 0 && len(line)+1+len(next) > columns {
			lines, line = append(lines, string(line)), nil
		}

		if len(line) > 0 {
			line = append(line, ' ')
		}

		line = append(line, next...)

		for len(line) > columns {
			lines, line = append(lines, string(line[:columns])), line[columns:]
		}
	}

	if len(line) > 0 {
		lines = append(lines, string(line))
	}

	return lines
}
