package kit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Desk is all the consoles of a machine at which a person may sit: whoever answers first
// is heard. Not safe for concurrent use.
type Desk struct {
	lines   chan Line
	files   map[string]*os.File
	readers map[string]*bufio.Reader
	waiting map[string]bool // somebody reads there already
}

// Line is what a person typed, and where.
type Line struct {
	Terminal string
	Text     string

	err error
}

// longestLine bounds what is read of a line, in bytes.
const longestLine = 256

// OpenDesk opens the terminals of these names, those that there are.
func OpenDesk(names []string) *Desk {
	d := &Desk{lines: make(chan Line, len(names)), files: map[string]*os.File{}, readers: map[string]*bufio.Reader{}, waiting: map[string]bool{}}

	for _, name := range names {
		file, err := os.OpenFile(path.Join("/dev", name), os.O_RDWR|unix.O_NOCTTY, 0) //nolint:gosec // a console of the machine
		if err == nil {
			d.files[name], d.readers[name] = file, bufio.NewReaderSize(file, longestLine)
		}
	}

	return d
}

// Listen begins to read a line on every terminal where nobody reads yet, and returns
// where they come in. Each must be given to Heard.
func (d *Desk) Listen() <-chan Line {
	for name, in := range d.readers {
		if d.waiting[name] {
			continue
		}

		d.waiting[name] = true

		go func() {
			text, long, err := in.ReadLine()
			for long && err == nil { // nobody means this
				_, long, err = in.ReadLine()
				text = nil
			}

			d.lines <- Line{Terminal: name, Text: strings.TrimSpace(string(text)), err: err}
		}()
	}

	return d.lines
}

// Heard takes note of a line: until Listen is called again its terminal is free for
// others. An error says that the terminal is gone.
func (d *Desk) Heard(l Line) error {
	d.waiting[l.Terminal] = false

	if l.err == nil {
		return nil
	}

	delete(d.readers, l.Terminal)

	return fmt.Errorf("reading from %s: %w", l.Terminal, l.err)
}

// Ask waits for a line on any terminal.
func (d *Desk) Ask(ctx context.Context) (Line, error) {
	for len(d.readers) > 0 {
		select {
		case <-ctx.Done():
			return Line{}, ctx.Err()
		case l := <-d.Listen():
			if err := d.Heard(l); err == nil {
				return l, nil
			}
		}
	}

	<-ctx.Done()

	return Line{}, errors.Join(errors.New("there is no terminal to answer at"), ctx.Err())
}

// Rows is how many rows the screen of the machine has; 0: there is none, or it does not
// say.
func (d *Desk) Rows() int {
	tty := d.files["tty1"]
	if tty == nil {
		return 0
	}

	conn, err := tty.SyscallConn() // its Fd would have whoever reads there block
	if err != nil {
		return 0
	}

	rows := 0

	if err := conn.Control(func(fd uintptr) {
		if size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil { //nolint:gosec // a descriptor
			rows = int(size.Row)
		}
	}); err != nil {
		return 0
	}

	return rows
}

// Shell gives a person a shell on the terminal where a line was heard, until it ends.
func (d *Desk) Shell(ctx context.Context, terminal string) error {
	tty := d.files[terminal]
	if tty == nil || d.waiting[terminal] {
		return fmt.Errorf("there is no free terminal %.32q", terminal)
	}

	shell := exec.CommandContext(ctx, "/bin/sh")
	shell.Stdin, shell.Stdout, shell.Stderr = tty, tty, tty
	shell.Dir = "/"
	shell.Env = []string{"PATH=/bbin:/bin:/usr/bin:/sbin:/usr/sbin", "HOME=/root", "TERM=linux", "USER=root"}
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}

	if err := shell.Run(); err != nil && shell.ProcessState == nil {
		return fmt.Errorf("starting the shell: %w", err)
	}

	return nil
}
