package screen

import "time"

// View is what the screen shows. Texts may come from anywhere: they are cleaned when they
// are drawn. What is not known is left out.
type View struct {
	Host    string // as people call it
	Profile string
	Run     string   // its id
	Page    string   // address of the run's page
	QR      []string // the same as a QR code: rows of modules, '#' is dark, without the quiet zone

	Phase string // what is waited for, while no run is under way

	Stage     string // under way
	SubStep   string
	Number    int           // of the stage in the run's plan, from 1
	Count     int           // stages of the plan
	Done      float64       // 0..1 of the stage
	StageLeft time.Duration // 0: unknown
	LeftLow   time.Duration // of the run, learned from others; 0 and LeftHigh 0: unknown
	LeftHigh  time.Duration
	LeftGuess bool // not all of it was learned

	Critical int // findings so far
	Warnings int

	Verdict   Verdict   // of the run; empty: undecided
	Held      bool      // the machine waits for an operator
	HeldUntil time.Time // zero: without end
	Login     string    // "root@192.0.2.7" while it is held
	Next      string    // what becomes of the machine now

	Rescue bool // Enter gets a rescue shell on this console

	Silent  time.Time // since when the appliance does not answer; zero: it does
	Trouble string    // what its last call ended with
}

// Verdict is that of a run.
type Verdict string

// The verdicts.
const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	Error     Verdict = "error"
	Cancelled Verdict = "cancelled"
)

// Ink is how a character is drawn. No ink means anything by itself: each goes with a word
// and a sign.
type Ink byte

// The inks.
const (
	Plain Ink = iota
	Strong
	Title
	Green
	Red
	Yellow
	Magenta
)

// sgr is how a terminal is told (ECMA-48, 8.3.117).
func (i Ink) sgr() string {
	switch i {
	case Strong:
		return "\x1b[0;1m"
	case Title:
		return "\x1b[0;7m"
	case Green:
		return "\x1b[0;1;32m"
	case Red:
		return "\x1b[0;1;31m"
	case Yellow:
		return "\x1b[0;1;33m"
	case Magenta:
		return "\x1b[0;1;35m"
	case Plain:
	}

	return "\x1b[0m"
}
