package initd

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Screen writes to every console of the machine. A console that does not take
// what it is given (a serial line with nobody at the other end) loses lines; it
// never holds the writer up. Safe for concurrent use.
type Screen struct {
	mu    sync.Mutex // guards the files
	files []*os.File
}

// patience is how long a console may take for a line: 9600 baud write 960 bytes
// a second.
const patience = 2 * time.Second

// OpenScreen opens the consoles of the machine under root: those the kernel uses,
// the first virtual terminal, and the first serial port if it is real.
func OpenScreen(root fs.FS) *Screen {
	screen := &Screen{}

	for _, name := range consoles(root) {
		file, err := os.OpenFile(path.Join("/dev", name), os.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err == nil {
			screen.files = append(screen.files, file)
		}
	}

	return screen
}

func consoles(root fs.FS) []string {
	names := []string{"tty0"}

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

	for _, file := range s.files {
		_ = file.SetWriteDeadline(time.Now().Add(patience))
		_, _ = file.Write(p)
	}

	return len(p), nil
}

// Terminals lists those consoles of the machine under root at which a person may type.
func Terminals(root fs.FS) []string {
	var names []string

	for _, name := range consoles(root) {
		if name == "tty0" {
			name = "tty1" // tty0 is whichever terminal is shown
		}

		if name != "netcon" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}

	return names
}
