package hostmode

import "vetting/core"

// Logins counts the records of users in a utmp file.
func Logins(raw []byte) int { return len(logins(raw)) }

// Entry reads a boot entry.
func Entry(raw []byte) (name string, mac core.MAC, ok bool) {
	entry, ok := parseEntry(raw)

	return entry.Name, entry.MAC, ok
}

// Stat reads a line of /proc/PID/stat.
func Stat(raw string) (name, terminal string, ok bool) {
	name, tty, ok := parseStat(raw)

	return name, terminalName(tty), ok
}
