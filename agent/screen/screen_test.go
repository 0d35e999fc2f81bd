package screen_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"vetting/agent/screen"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// code is no QR code, but as large as that of an address of 60 letters.
func code() (rows []string) {
	for y := range 33 {
		rows = append(rows, strings.Repeat("#..#.##", 5)[y%7:][:28]+".###.")
	}

	return rows
}

func at() time.Time { return time.Date(2026, 11, 3, 12, 47, 0, 0, time.UTC) }

func running() screen.View {
	return screen.View{
		Host: "db-7.rack3", Profile: "deep", Run: "01JD8WVZ6T0000000000000001", Page: "https://192.0.2.7:8443/runs/01JD8WVZ6T0000000000000001", QR: code(),
		Stage: "Memory", SubStep: "pass 2 of 4, walking ones", Number: 6, Count: 12, Done: 0.534, StageLeft: 12 * time.Minute,
		LeftLow: 70 * time.Minute, LeftHigh: 100 * time.Minute, Critical: 1, Warnings: 2,
	}
}

func with(change func(*screen.View)) screen.View {
	v := running()
	change(&v)

	return v
}

// TestDraw shows every state at the sizes that screens have; a person reads them.
func TestDraw(t *testing.T) {
	t.Parallel()

	views := map[string]screen.View{
		"booting": {Phase: "Bringing the network up"},
		"running": running(),
		"unknown": with(func(v *screen.View) {
			v.StageLeft, v.LeftLow, v.LeftHigh, v.Critical, v.Warnings, v.Done = 0, 0, 0, 0, 0, 0
		}),
		"guessed": with(func(v *screen.View) { v.LeftLow, v.LeftGuess = v.LeftHigh, true }),
		"silent": with(func(v *screen.View) {
			v.Silent, v.Trouble = at().Add(-7*time.Minute), "dial tcp 10.77.0.1:443: connect: no route to host"
		}),
		"pass": with(func(v *screen.View) {
			v.Verdict, v.Critical, v.Next = screen.Pass, 0, "The machine is switched off now."
		}),
		"error": with(func(v *screen.View) { v.Verdict, v.Critical = screen.Error, 0 }),
		"cancelled": with(func(v *screen.View) {
			v.Verdict, v.Next = screen.Cancelled, "The run is over; this machine is left to you."
		}),
		"hold": with(func(v *screen.View) {
			v.Verdict, v.Held, v.HeldUntil, v.Login = screen.Fail, true, at().Add(24*time.Hour), "root@10.77.0.31"
		}),
		"undecided": with(func(v *screen.View) { v.Held = true }),
		"hostile": with(func(v *screen.View) {
			v.Host, v.SubStep = "evil\x1b[2J\u202egpj 硬盘 "+strings.Repeat("x", 300), "\x9b31m\r\n\a"+strings.Repeat("long ", 99)
			v.Page, v.Profile = strings.Repeat("/w", 300), "p\x00"
		}),
		"broken-code": with(func(v *screen.View) { v.QR = append(v.QR, "short") }),
	}

	for name, view := range views {
		var out strings.Builder

		for _, size := range [][2]int{{80, 24}, {80, 25}, {160, 50}, {40, 12}} {
			rows := screen.Draw(&view, size[0], size[1], at())
			if len(rows) > size[1]-3 {
				t.Errorf("%s: %d of %d rows", name, len(rows), size[1])
			}

			for _, row := range rows {
				if len(row) != size[0]-1 {
					t.Errorf("%s: %d columns", name, len(row))
				}

				out.WriteString(strings.TrimRight(text(row), " ") + "\n")
			}

			out.WriteString(strings.Repeat("=", size[0]) + "\n")
		}

		golden(t, name, out.String())
	}
}

func text(row []screen.Cell) string {
	var out strings.Builder
	for _, cell := range row {
		out.WriteRune(cell.Rune)
	}

	return out.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()

	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s: %v\n%s", file, err, got)
	}
}

// TestOnlyWhoPassedReadsAsPassed: a verdict that nobody knows is an error, and everyone
// has a word and a sign besides the colour.
func TestOnlyWhoPassedReadsAsPassed(t *testing.T) {
	t.Parallel()

	for verdict, want := range map[screen.Verdict]string{
		"pass": "[√] PASS", "fail": "[X] FAIL", "error": "[!] ERROR", "cancelled": "[-] CANCELLED", "PASS": "[!] ERROR", "skip": "[!] ERROR",
	} {
		view := with(func(v *screen.View) { v.Verdict = verdict })

		var all strings.Builder
		for _, row := range screen.Draw(&view, 80, 25, at()) {
			all.WriteString(text(row) + "\n")
		}

		if !strings.Contains(all.String(), want) || verdict != screen.Pass && strings.Contains(all.String(), "PASS:") {
			t.Errorf("%q:\n%s", verdict, all.String())
		}
	}
}

// console is one that keeps what it was given.
type console struct {
	name string

	mu            sync.Mutex // guards all below
	said          strings.Builder
	columns, rows int
	shown         string
	taken, broken bool
	offered       bool
	writes        int
}

func (c *console) Name() string { return c.name }

func (c *console) Size() (columns, rows int) {
	defer c.lock()()

	return c.columns, c.rows
}

func (c *console) Shown() string {
	defer c.lock()()

	return c.shown
}

func (c *console) Taken() bool {
	defer c.lock()()

	return c.taken
}

func (c *console) Offered() bool {
	defer c.lock()()

	return c.offered
}

func (c *console) Write(p []byte) (int, error) {
	defer c.lock()()

	c.writes++

	if c.broken {
		return 0, errors.New("nobody takes it")
	}

	return c.said.Write(p)
}

func (c *console) lock() (unlock func()) {
	c.mu.Lock()

	return c.mu.Unlock
}

// set changes the console while a screen paints on it.
func (c *console) set(change func()) {
	defer c.lock()()

	change()
}

// count tells how often something was written.
func (c *console) count() int {
	defer c.lock()()

	return c.writes
}

// since returns what came since the last call.
func (c *console) since() string {
	defer c.lock()()

	said := c.said.String()
	c.said.Reset()

	return said
}

// watched has a screen run until the test ends.
func watched(t *testing.T, all ...screen.Console) *screen.Screen {
	t.Helper()

	ctx, stop := context.WithCancel(t.Context())
	s, ended := screen.New(all...), make(chan struct{})

	go func() {
		defer close(ended)

		_ = s.Run(ctx)
	}()

	t.Cleanup(func() { stop(); <-ended })

	return s
}

// later lets time pass, so that everyone has done what is due.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestASerialLineGetsOnlyWhatChanged: not more than once in five seconds, and all of it
// seldom.
func TestASerialLineGetsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &console{name: "ttyS0"}
		s := watched(t, line)

		s.Show(running())
		later(1500 * time.Millisecond)

		first := line.since()
		if !strings.Contains(first, "\x1b[2J") || !strings.Contains(first, "db-7.rack3") || !strings.Contains(first, "\x1b[22;24r") || len(first) > 5000 {
			t.Errorf("%d bytes: %q", len(first), first)
		}

		line.set(func() { line.writes = 0 })

		for i := range 60 { // a minute in which it gets on each second
			s.Show(with(func(v *screen.View) { v.Done = float64(i) / 100 }))
			later(time.Second)
		}

		if said := line.since(); line.count() == 0 || line.count() > 12 || len(said) > 12*60 || !strings.Contains(said, "  59") || strings.Contains(said, "db-7") {
			t.Errorf("%d bytes in %d writes: %q", len(said), line.count(), said)
		}

		later(5 * time.Minute)

		if said := line.since(); strings.Count(said, "db-7.rack3") != 1 || strings.Contains(said, "\x1b[2J") {
			t.Errorf("%q", said)
		}

		s.Show(with(func(v *screen.View) { v.Verdict = screen.Fail })) // what everybody waits for does not wait
		later(1500 * time.Millisecond)

		if said := line.since(); !strings.Contains(said, "FAIL") {
			t.Errorf("%q", said)
		}
	})
}

// TestTheScreenHeals: another terminal, another size and what others wrote over it have it
// painted anew; log lines stay lines.
func TestTheScreenHeals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tty := &console{name: "tty0", columns: 80, rows: 25, shown: "tty1"}
		s := watched(t, tty)

		if _, err := s.Write([]byte("vetting: early\n")); err != nil || tty.since() != "vetting: early\n" {
			t.Error(err)
		}

		s.Show(running())
		later(1500 * time.Millisecond)
		tty.since()

		for name, change := range map[string]func(){
			"another terminal": func() { tty.set(func() { tty.shown = "tty2" }) },
			"another size":     func() { tty.set(func() { tty.columns, tty.rows = 160, 50 }) },
			"a shell that has ended": func() {
				tty.set(func() { tty.taken = true })

				later(time.Minute)

				if said := tty.since(); said != "" {
					t.Errorf("painted over a shell: %q", said)
				}

				tty.set(func() { tty.taken = false })
			},
		} {
			change()
			later(1500 * time.Millisecond)

			if said := tty.since(); !strings.Contains(said, "\x1b[2J") || !strings.Contains(said, "db-7.rack3") {
				t.Errorf("%s: %q", name, said)
			}
		}

		later(11 * time.Second)

		if said := tty.since(); strings.Contains(said, "\x1b[2J") || !strings.Contains(said, "db-7.rack3") || !strings.HasPrefix(said, "\x1b7") || !strings.HasSuffix(said, "\x1b8") {
			t.Errorf("after kernel messages: %q", said)
		}
	})
}

// TestWhatIsHiddenStaysAway: the console is whole again for what is written to it, and nothing is
// painted until something is to be shown.
func TestWhatIsHiddenStaysAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tty, line := &console{name: "tty0", columns: 80, rows: 25}, &console{name: "ttyS0"}
		s := watched(t, tty, line)

		s.Hide()

		if said := tty.since() + line.since(); said != "" {
			t.Errorf("hidden before anything was shown: %q", said)
		}

		for range 2 {
			s.Show(running())
			later(6 * time.Second)
			s.Hide()

			for name, c := range map[string]*console{"the screen": tty, "the line": line} {
				if said := c.since(); !strings.Contains(said, "db-7.rack3") || !strings.HasSuffix(said, "\x1b[0m\x1b[r\x1b[2J\x1b[1;1H") {
					t.Errorf("%s: %q", name, said)
				}
			}

			later(10 * time.Minute)

			if said := tty.since() + line.since(); said != "" {
				t.Errorf("painted after it was hidden: %q", said)
			}
		}
	})
}

// TestALineThatTakesNothing is left alone for a minute.
func TestALineThatTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dead, net := &console{name: "ttyS1", broken: true}, &console{name: "netcon"}
		s := watched(t, dead, net)

		s.Show(running())
		later(10*time.Minute + 500*time.Millisecond)

		if dead.count() < 9 || dead.count() > 11 || net.count() != 0 {
			t.Errorf("%d and %d writes", dead.count(), net.count())
		}
	})
}

// stuck is a serial line that somebody has stopped: whoever writes waits as long as is waited
// for so many bytes, in vain.
type stuck struct {
	console

	longest time.Duration
}

func (s *stuck) Write(p []byte) (int, error) {
	wait := 2*time.Second + time.Duration(len(p))*2*time.Millisecond

	s.set(func() { s.writes, s.longest = s.writes+1, max(s.longest, wait) })
	time.Sleep(wait)

	return 0, os.ErrDeadlineExceeded
}

// slowest tells how long the longest write waited.
func (s *stuck) slowest() time.Duration {
	defer s.lock()()

	return s.longest
}

// TestAStuckLineHoldsNobodyUp: who logs waits once a minute at most, and not for a whole
// picture; the other consoles get every line, and the line its own when it goes on.
func TestAStuckLineHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line, tty := &stuck{console: console{name: "ttyS0"}}, &console{name: "tty0", columns: 80, rows: 25}
		s := watched(t, line, tty)
		begun := time.Now()

		for range 20 {
			if n, err := s.Write([]byte("vetting: a line\n")); n != 16 || err != nil {
				t.Error(n, err)
			}
		}

		if took := time.Since(begun); took > 3*time.Second || line.count() != 1 || strings.Count(tty.since(), "a line") != 20 {
			t.Errorf("%v, %d writes", took, line.count())
		}

		s.Show(running())
		later(65 * time.Second)

		if line.count() != 2 || line.slowest() > 4*time.Second {
			t.Errorf("%d writes, the longest %v", line.count(), line.slowest())
		}

		later(time.Minute)

		if line.count() != 3 {
			t.Errorf("%d writes", line.count())
		}
	})
}

// TestTheRescueShellIsShown wherever it is offered, whatever else there is: what the first
// process wrote was painted over.
func TestTheRescueShellIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const want = "Press Enter for a rescue shell"

		tty := &console{name: "tty0", columns: 80, rows: 25, shown: "tty1"}
		s := watched(t, tty)

		for name, view := range map[string]screen.View{
			"ended":   {Phase: "[!] The agent ended and is started again: " + strings.Repeat("it went wrong ", 99)},
			"running": running(),
			"held": with(func(v *screen.View) {
				v.Verdict, v.Held, v.Login, v.Next, v.Silent = screen.Fail, true, "root@10.77.0.31", strings.Repeat("long ", 200), at()
			}),
		} {
			for _, offered := range []bool{true, false} {
				tty.set(func() { tty.offered = offered })
				tty.set(func() { tty.shown += "'" }) // all of it is painted

				s.Show(view)
				later(1500 * time.Millisecond)

				if said := tty.since(); strings.Contains(said, want) != offered {
					t.Errorf("%s, %v: %q", name, offered, said)
				}
			}
		}
	})
}

// TestBig: letters are ten rows high, and as wide as there is room.
func TestBig(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		word    string
		columns int
		least   int
	}{{"pass", 38, 35}, {"pass", 70, 46}, {"fail", 38, 30}, {"hold", 38, 35}, {"error", 40, 25}, {"cancelled", 78, 50}} {
		rows := screen.Big(c.word, c.columns)

		wide := 0
		for _, row := range rows {
			wide = max(wide, len(row))
		}

		if len(rows) != 10 || wide > c.columns || wide < c.least {
			t.Errorf("%s in %d columns: %d rows, %d columns\n%s", c.word, c.columns, len(rows), wide, strings.Join(rows, "\n"))
		}
	}

	if got := screen.Big("cancelled", 20); len(got) != 1 || got[0] != "cancelled" {
		t.Error(got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J\u202e硬\xff\x9b")
	f.Fuzz(func(t *testing.T, hostile string) {
		got := screen.Clean(hostile)
		if !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}

		for _, r := range got {
			if r < ' ' || r >= 0x7f && r <= 0xa0 || r > 0xff && r != '√' {
				t.Errorf("%q has %U", got, r)
			}
		}
	})
}

func FuzzDraw(f *testing.F) {
	f.Add("host", "sub", "page", 80, 25)
	f.Fuzz(func(t *testing.T, host, step, page string, columns, rows int) {
		view := with(func(v *screen.View) { v.Host, v.SubStep, v.Page, v.Trouble, v.Silent = host, step, page, step, at() })
		for _, row := range screen.Draw(&view, min(columns, 500), min(rows, 200), at()) {
			if len(row) != min(columns, 500)-1 {
				t.Fatal(len(row))
			}
		}
	})
}
