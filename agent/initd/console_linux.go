package initd

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Console is one of the machine's. What it does not take (a serial line with nobody at the
// other end) is lost; it never holds the writer up. Not safe for concurrent use.
type Console struct {
	name string
	file *os.File
	root fs.FS
}

// Name is that of the device below /dev.
func (c *Console) Name() string { return c.name }

// Write waits no longer than a slow line needs.
func (c *Console) Write(text []byte) (int, error) {
	wait := patience + time.Duration(len(text))*perByte
	if err := c.file.SetWriteDeadline(time.Now().Add(wait)); err != nil {
		return 0, fmt.Errorf("writing to %s: %w", c.name, err)
	}

	return c.file.Write(text)
}

// Size is how many columns and rows it has; 0: it does not say.
func (c *Console) Size() (columns, rows int) {
	conn, err := c.file.SyscallConn() // its Fd would have writers block
	if err != nil {
		return 0, 0
	}

	if err := conn.Control(func(fd uintptr) {
		if size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil { //nolint:gosec // a descriptor
			columns, rows = int(size.Col), int(size.Row)
		}
	}); err != nil {
		return 0, 0
	}

	return columns, rows
}

// Shown names the virtual terminal that is on the machine's screen; empty for a console
// that is no such terminal.
func (c *Console) Shown() string {
	if c.name != foreground {
		return ""
	}

	name, err := fs.ReadFile(c.root, "sys/class/tty/tty0/active")
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(name))
}

// Taken reports whether somebody has a rescue shell there.
func (c *Console) Taken() bool { return c.marked(takenFile) }

// Offered reports whether a rescue shell is offered there to whoever presses Enter.
func (c *Console) Offered() bool { return c.marked(offerFile) }

// marked reports whether there is such a file for the terminal that is shown.
func (c *Console) marked(file func(terminal string) string) bool {
	name := c.name
	if shown := c.Shown(); shown != "" {
		name = shown
	}

	_, err := os.Stat(file(name))

	return err == nil
}

// takenFile is there while somebody has a shell on a terminal: the first process offers
// it, and another one paints.
func takenFile(terminal string) string { return path.Join(StateDir, "shell."+terminal) }

// offerFile is there while a shell is offered on a terminal: what the first process writes
// there is painted over by another one, which says so, too.
func offerFile(terminal string) string { return path.Join(StateDir, "rescue."+terminal) }

// foreground is whichever virtual terminal is shown.
const foreground = "tty0"

// OpenConsoles opens the consoles of the machine under root: those the kernel uses, the
// virtual terminal that is shown, and the first serial port if it is real.
func OpenConsoles(root fs.FS) (all []*Console) {
	for _, name := range consoles(root) {
		file, err := os.OpenFile(path.Join("/dev", name), os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err == nil {
			all = append(all, &Console{name: name, file: file, root: root})
		}
	}

	return all
}

// Screen writes to every console of the machine. Safe for concurrent use.
type Screen struct {
	mu  sync.Mutex // guards writing
	all []*Console
}

// patience is how long a console may take for a line, and perByte for each byte of it
// besides: 9600 baud write 960 bytes a second.
const (
	patience = 2 * time.Second
	perByte  = 2 * time.Millisecond
)

// OpenScreen opens the consoles of the machine under root.
func OpenScreen(root fs.FS) *Screen { return &Screen{all: OpenConsoles(root)} }

func consoles(root fs.FS) []string {
	names := []string{foreground}

	if active, err := fs.ReadFile(root, "sys/class/tty/console/active"); err == nil {
		names = append(names, strings.Fields(string(active))...)
	}

	// Type 0 is a port without a chip (include/uapi/linux/serial_core.h).
	if kind, err := fs.ReadFile(root, "sys/class/tty/ttyS0/type"); err == nil && strings.TrimSpace(string(kind)) != "0" {
		names = append(names, "ttyS0")
	}

	slices.Sort(names)

	return slices.Compact(names)
}

// Write gives the bytes to every console. It reports success always: there is
// nobody to tell.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, console := range s.all {
		_, _ = console.Write(p)
	}

	return len(p), nil
}

// Terminals lists those consoles of the machine under root at which a person may type.
func Terminals(root fs.FS) []string {
	var names []string

	for _, name := range consoles(root) {
		if name == foreground {
			name = "tty1" // tty0 is whichever terminal is shown
		}

		if name != "netcon" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}

	return names
}

// QuietKernel has the kernel say on the consoles only what is an error or worse (3 and
// below, syslog(2)): the rest is in its log, which is read.
func QuietKernel() error {
	const setLevel, errorsOnly = 8, 4 // SYSLOG_ACTION_CONSOLE_LEVEL takes the level as a length

	if _, err := unix.Klogctl(setLevel, make([]byte, errorsOnly)); err != nil {
		return fmt.Errorf("keeping the kernel's messages off the screen: %w", err)
	}

	return nil
}
