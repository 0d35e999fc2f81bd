package hold

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ctrlC is what the key sends; in a terminal that is not raw the kernel makes an
// interrupt of it.
const ctrlC = 0x03

// spare keeps interrupts from a shell that would die of those meant for what it
// runs. u-root's gosh does: it has no job control, so that it is in the
// foreground together with its children, and it leaves the signal to Go's default.
type spare struct {
	to   io.Writer
	tty  *terminal
	kids func() []int // of the shell, in its session
}

// Write passes p on. An interrupt goes to the children alone.
func (s *spare) Write(p []byte) (n int, err error) {
	for rest := p; len(rest) > 0; {
		part := rest
		if at := bytes.IndexByte(rest, ctrlC); at >= 0 && s.tty.interrupts() {
			part = rest[:at+1]
			err = s.interrupt(part[:at])
		} else {
			_, err = s.to.Write(part)
		}

		if err != nil {
			return n, err
		}

		n += len(part)
		rest = rest[len(part):]
	}

	return n, nil
}

func (s *spare) interrupt(before []byte) error {
	if _, err := s.to.Write(before); err != nil {
		return err
	}

	for _, pid := range s.kids() {
		_ = syscall.Kill(pid, syscall.SIGINT) // it may end just now
	}

	return nil
}

// interrupts reports whether the kernel would make an interrupt of the key:
// editors and prompts take it as a key.
func (t *terminal) interrupts() (does bool) {
	err := t.control(func(fd int) error {
		mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		does = err == nil && mode.Lflag&unix.ISIG != 0

		return err
	})

	return err == nil && does
}

// children lists the processes of a session but for its leader.
func children(proc string, leader int) (pids []int) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}

	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == leader {
			continue
		}

		stat, err := os.ReadFile(filepath.Join(proc, entry.Name(), "stat"))
		if err != nil {
			continue // gone
		}

		// proc_pid_stat(5): the name may hold anything, then state, parent, group,
		// session.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 3 && string(fields[3]) == strconv.Itoa(leader) {
			pids = append(pids, pid)
		}
	}

	return pids
}
