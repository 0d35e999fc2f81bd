package hostmode_test

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/hostmode"
)

// system is what a machine shows of itself.
type system fstest.MapFS

func (s system) process(pid int, name, command string, tty, uid int) system {
	dir := fmt.Sprintf("proc/%d/", pid)
	s[dir+"stat"] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d (%s) S 1 %d %d %d -1 4194304 1 0", pid, name, pid, pid, tty)}
	s[dir+"cmdline"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(command, " ", "\x00") + "\x00")}
	s[dir+"status"] = &fstest.MapFile{Data: fmt.Appendf(nil, "Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", name, uid, uid, uid, uid)}
	s[dir+"ns/pid"] = &fstest.MapFile{Data: []byte("pid:[1]"), Mode: fs.ModeSymlink}

	return s
}

func (s system) title(pid int, title string) system {
	s[fmt.Sprintf("proc/%d/cmdline", pid)] = &fstest.MapFile{Data: []byte(title + "\x00\x00\x00")}

	return s
}

func (s system) contained(pid int) system {
	s[fmt.Sprintf("proc/%d/ns/pid", pid)] = &fstest.MapFile{Data: []byte("pid:[2]"), Mode: fs.ModeSymlink}

	return s
}

func (s system) file(name, content string) system {
	s[name] = &fstest.MapFile{Data: []byte(content)}

	return s
}

// idle is a server on which nobody is.
func idle() system {
	return system{}.process(1, "systemd", "/sbin/init", 0, 0).process(2, "kthreadd", "", 0, 0).
		process(500, "sshd", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", 0, 0).
		process(501, "agetty", "/sbin/agetty -o -p -- \\u --noclear - linux", 4<<8|1, 0).
		process(502, "postgres", "postgres: main", 0, 107).
		process(503, "Xorg", "/usr/lib/xorg/Xorg vt7", 4<<8|7, 0).
		process(504, "lightdm-gtk-gre", "/usr/sbin/lightdm-gtk-greeter", 4<<8|7, 112)
}

func record(kind, pid int, user, where string) string {
	raw := make([]byte, 384)
	binary.LittleEndian.PutUint16(raw, uint16(kind))
	binary.LittleEndian.PutUint32(raw[4:], uint32(pid))
	copy(raw[8:], where)
	copy(raw[44:], user)

	return string(raw)
}

func TestBusy(t *testing.T) {
	tests := map[string]struct {
		system system
		want   string
	}{
		"nobody is there": {idle(), ""},
		"a protect file":  {idle().file("etc/vetting-protect", ""), "the file /etc/vetting-protect is there"},
		"a protect file with a reason": {
			idle().file("etc/vetting-protect", "  restoring the backup \x1b[31m\nuntil Monday"), "the file /etc/vetting-protect is there: restoring the backup  [31m",
		},
		"a shell on a terminal":       {idle().process(900, "bash", "-bash", 136<<8|3, 1000), "somebody is logged in: a program on pts/3"},
		"root on the console":         {idle().process(900, "bash", "-bash", 4<<8|1, 0), "somebody is logged in: a program on tty1"},
		"root on a serial line":       {idle().process(900, "sh", "-sh", 4<<8|64, 0), "somebody is logged in: a program on ttyS0"},
		"two programs are one person": {idle().process(900, "bash", "-bash", 136<<8|3, 1000).process(901, "vi", "vi x", 136<<8|3, 1000), "somebody is logged in: a program on pts/3"},
		"ssh without a terminal":      {idle().process(900, "sshd", "", 0, 1000).title(900, "sshd: alice@notty"), "somebody is logged in: alice on ssh"},
		"ssh of a new kind":           {idle().process(900, "sshd-session", "", 0, 1000).title(900, "sshd-session: alice@pts/0,pts/1"), "somebody is logged in: alice on pts/0"},
		"ssh before the login":        {idle().process(900, "sshd", "", 0, 0).title(900, "sshd: alice [preauth]"), ""},
		"a monitor of ssh":            {idle().process(900, "sshd", "", 0, 0).title(900, "sshd: alice [priv]"), ""},
		"a terminal in a container":   {idle().process(900, "bash", "bash", 136<<8, 1000).contained(900), ""},
		"a record of a login":         {idle().process(900, "login", "/bin/login", 4<<8|1, 0).file("run/utmp", record(7, 900, "bob", "tty1")), "somebody is logged in: bob on tty1"},
		"a record of before a crash":  {idle().file("run/utmp", record(7, 900, "bob", "tty1")), ""},
		"a record of a getty":         {idle().file("run/utmp", record(6, 501, "LOGIN", "tty1")+record(2, 0, "reboot", "~")+"cut"), ""},
		"many people": {
			idle().process(900, "a", "a", 136<<8|1, 1000).process(901, "b", "b", 136<<8|2, 1000).process(902, "c", "c", 136<<8|3, 1000).
				process(903, "d", "d", 136<<8|4, 1000).process(904, "e", "e", 136<<8|5, 1000),
			"5 people are logged in: a program on pts/1, a program on pts/2, a program on pts/3, a program on pts/4, …",
		},
		"two people":                    {idle().process(900, "a", "a", 136<<8|1, 1000).process(901, "b", "b", 136<<8|2, 1000), "2 people are logged in: a program on pts/1, a program on pts/2"},
		"a name that lies":              {idle().process(900, "x) S 1 1 1 0 (", "x", 136<<8|9, 1000), "somebody is logged in: a program on pts/9"},
		"nothing can be seen":           {system{}, "it cannot be seen who is logged in: listing processes: open proc: file does not exist"},
		"a /proc without any processes": {system{}.file("proc/uptime", "1 1"), "it cannot be seen who is logged in: listing processes: /proc shows none"},
	}

	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := hostmode.Busy(fstest.MapFS(test.system)); got != test.want {
				t.Errorf("Busy() = %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzUtmp(f *testing.F) {
	f.Add([]byte(record(7, 1, "root", "tty1") + record(7, -1, strings.Repeat("x", 32), "")))
	f.Add([]byte("\x07"))

	f.Fuzz(func(t *testing.T, raw []byte) {
		if n := hostmode.Logins(raw); n > len(raw)/384 {
			t.Errorf("%d logins in %d bytes", n, len(raw))
		}

		system := idle().file("run/utmp", string(raw))
		if got := hostmode.Busy(fstest.MapFS(system)); strings.ContainsAny(got, "\x00\n\x1b") {
			t.Errorf("Busy() = %q", got)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add("1 (systemd) S 0 1 1 0 -1")
	f.Add("1 (a) b) S 0 1 1 34816 -1")
	f.Add(")(")

	f.Fuzz(func(t *testing.T, raw string) {
		name, terminal, ok := hostmode.Stat(raw)
		if ok && (terminal == "" || !strings.Contains(raw, name)) {
			t.Errorf("%q: %q %q", raw, name, terminal)
		}
	})
}
