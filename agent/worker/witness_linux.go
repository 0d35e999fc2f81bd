package worker

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// oomWords are in the kernel's lines about a process that it killed for lack of
// memory (mm/oom_kill.c).
func oomWords() []string {
	return []string{"Out of memory: Killed process", "oom-kill:", "Memory cgroup out of memory"}
}

// poisonWords are in its lines about a process that it killed since it used a
// poisoned page (mm/memory-failure.c).
func poisonWords() []string { return []string{"Memory failure:", "Killing", "forcibly killing"} }

// witness reads what the kernel said since a moment. It has nothing to say where
// the log cannot be read, and the count of kills alone where it can not.
type witness struct {
	log    int    // descriptor of the kernel's log at that moment; -1: not readable
	vmstat string // path of the kernel's counters
	kills  int    // its counter oom_kill then; -1: not known
}

// maxRecord is the most that one read of /dev/kmsg returns (CONSOLE_EXT_LOG_MAX).
const maxRecord = 8192

func newWitness(kmsg, vmstat string) *witness {
	w := &witness{log: -1, vmstat: vmstat, kills: oomKills(vmstat)}

	fd, err := unix.Open(kmsg, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return w
	}

	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		_ = unix.Close(fd) // nothing was written

		return w
	}

	w.log = fd

	return w
}

// about returns the lines since then that name the process.
func (w *witness) about(pid int) (lines []string) {
	if w.log < 0 {
		return nil
	}

	named := regexp.MustCompile(`(?:[Kk]illed process |pid=|[Kk]illing [^ ]*:)` + strconv.Itoa(pid) + `\b`)
	record := make([]byte, maxRecord)

	for {
		n, err := unix.Read(w.log, record)
		if err == unix.EPIPE || err == unix.EINTR { //nolint:errorlint // an errno is compared as it is; EPIPE: records were overwritten, read on
			continue
		}

		if err != nil || n <= 0 {
			return lines
		}

		for line := range bytes.Lines(record[:n]) {
			if _, text, ok := strings.Cut(string(line), ";"); ok && named.MatchString(text) {
				lines = append(lines, strings.TrimSpace(text))
			}
		}
	}
}

// killed returns how many processes the kernel killed for lack of memory since.
func (w *witness) killed() int {
	now := oomKills(w.vmstat)
	if now < 0 || w.kills < 0 {
		return -1
	}

	return now - w.kills
}

func (w *witness) close() {
	if w.log >= 0 {
		_ = unix.Close(w.log) // nothing was written
	}
}

func oomKills(vmstat string) int {
	text, err := os.ReadFile(vmstat)
	if err != nil {
		return -1
	}

	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				return n
			}
		}
	}

	return -1
}
