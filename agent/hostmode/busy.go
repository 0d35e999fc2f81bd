package hostmode

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Busy says why a machine must not be rebooted now; empty: it may. root is the
// running system's. A machine that cannot be looked at is busy.
func Busy(root fs.FS) string {
	if why := protected(root); why != "" {
		return why
	}

	people, err := people(root)

	switch {
	case err != nil:
		return "it cannot be seen who is logged in: " + err.Error()
	case len(people) == 1:
		return "somebody is logged in: " + people[0]
	case len(people) > 4:
		return fmt.Sprintf("%d people are logged in: %s, …", len(people), strings.Join(people[:4], ", "))
	case len(people) > 1:
		return fmt.Sprintf("%d people are logged in: %s", len(people), strings.Join(people, ", "))
	default:
		return ""
	}
}

// protected tells of the file by which an administrator keeps the machine up, and
// its first line, which may say why.
func protected(root fs.FS) string {
	name := strings.TrimPrefix(ProtectFile, "/")

	if _, err := fs.Stat(root, name); err != nil {
		return ""
	}

	raw, _ := fs.ReadFile(root, name) // that it is there is enough
	why, _, _ := strings.Cut(string(raw[:min(len(raw), 256)]), "\n")

	if why = strings.TrimSpace(line(why, 200)); why == "" {
		return "the file " + ProtectFile + " is there"
	}

	return "the file " + ProtectFile + " is there: " + why
}

// people finds who is logged in, by the records of login(1) and sshd (utmp(5)),
// which newer systems do not keep any more, and by what runs: programs on a
// terminal, and sessions of sshd without one. Each is told once.
func people(root fs.FS) ([]string, error) {
	running, err := processes(root)
	if err != nil {
		return nil, err
	}

	var found []string

	records, _ := fs.ReadFile(root, "run/utmp") // many systems have none

	for _, login := range logins(records) {
		if _, alive := running[login.pid]; alive {
			found = append(found, strings.TrimSpace(login.user+" on "+login.where))
		}
	}

	for _, p := range running {
		if what := p.session(); what != "" {
			found = append(found, what)
		}
	}

	slices.Sort(found)

	return slices.Compact(found), nil
}

// process is one that belongs to this system and not to a container on it.
type process struct {
	name     string // comm
	command  string // its own title, with spaces
	tty      uint64 // device number of its terminal; 0: none
	uid      uint64
	terminal string // of tty
}

// Who does not count as a person: programs that wait for one to log in or show
// the screen on which that happens, and accounts of the system.
const (
	firstPerson = 1000
	superuser   = 0
)

func waiting() []string {
	return []string{"agetty", "getty", "mingetty", "login", "Xorg", "X", "Xwayland", "plymouthd"}
}

// session says which session of a person a process is part of; empty: none.
func (p process) session() string {
	if who, ok := sshUser(p.command); ok {
		return who
	}

	if p.tty == 0 || p.uid != superuser && p.uid < firstPerson || slices.Contains(waiting(), p.name) {
		return ""
	}

	return "a program on " + p.terminal
}

// sshUser reads the title that sshd gives to a session's process once the user has
// logged in: "sshd: alice@pts/0", "sshd-session: alice@notty".
func sshUser(command string) (string, bool) {
	title, ok := strings.CutPrefix(command, "sshd: ")
	if !ok {
		if title, ok = strings.CutPrefix(command, "sshd-session: "); !ok {
			return "", false
		}
	}

	user, where, ok := strings.Cut(title, "@")
	if !ok || user == "" || strings.ContainsAny(user, " [/") {
		return "", false
	}

	where, _, _ = strings.Cut(where, " ")
	where, _, _ = strings.Cut(where, ",")

	return user + " on " + strings.Replace(where, "notty", "ssh", 1), true
}

// processes lists what runs on this system, by number. Kernel threads and what
// runs in containers is left out.
func processes(root fs.FS) (map[int]process, error) {
	entries, err := fs.ReadDir(root, "proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}

	own, _ := fs.ReadLink(root, "proc/1/ns/pid") // without it every process counts
	all := map[int]process{}

	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}

		dir := path.Join("proc", entry.Name())
		if space, err := fs.ReadLink(root, dir+"/ns/pid"); err == nil && own != "" && space != own {
			continue
		}

		if p, ok := readProcess(root, dir); ok {
			all[pid] = p
		}
	}

	if len(all) == 0 {
		return nil, errors.New("listing processes: /proc shows none")
	}

	return all, nil
}

// readProcess reads one; false when it is gone by now.
func readProcess(root fs.FS, dir string) (p process, ok bool) {
	stat, err := fs.ReadFile(root, dir+"/stat")
	if err != nil {
		return p, false
	}

	if p.name, p.tty, ok = parseStat(string(stat)); !ok {
		return p, false
	}

	p.terminal = terminalName(p.tty)

	command, _ := fs.ReadFile(root, dir+"/cmdline") // a kernel thread has none
	p.command = line(strings.ReplaceAll(string(command[:min(len(command), 256)]), "\x00", " "), 256)

	status, _ := fs.ReadFile(root, dir+"/status") // without it: root

	for row := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(row, "Uid:"); found {
			if fields := strings.Fields(rest); len(fields) > 0 {
				p.uid, _ = strconv.ParseUint(fields[0], 10, 32)
			}
		}
	}

	return p, true
}

// parseStat reads name and terminal out of /proc/PID/stat (proc_pid_stat(5)). The
// name may hold anything, also parentheses.
func parseStat(stat string) (name string, tty uint64, ok bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return "", 0, false
	}

	fields := strings.Fields(stat[end+1:])
	if len(fields) < 5 {
		return "", 0, false
	}

	number, err := strconv.ParseInt(fields[4], 10, 64) // state ppid pgrp session tty_nr
	if err != nil || number < 0 {
		return "", 0, false
	}

	return stat[open+1 : end], uint64(number), true
}

// terminalName names a device number as stat writes it: major in the bits 8 to 15,
// minor in the others.
func terminalName(tty uint64) string {
	major, minor := tty>>8&0xff, tty&0xff|tty>>12&0xfff00

	switch {
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == 4:
		return fmt.Sprintf("ttyS%d", minor-64)
	case major >= 136 && major <= 143:
		return fmt.Sprintf("pts/%d", (major-136)<<20|minor)
	default:
		return fmt.Sprintf("terminal %d:%d", major, minor)
	}
}
